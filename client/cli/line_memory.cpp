#include "client/cli/line_memory.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/sys/fd.hpp"
#include "common/sys/user.hpp"

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

#include <fcntl.h>

namespace frsh {
namespace {

constexpr std::size_t kMaxMemory = std::size_t{256} * 1024;
constexpr std::size_t kMaxRemembered = 500;

std::string path_of_memory(const std::string& file) {
    return state_folder(home_folder()) + "/" + file;
}

std::vector<std::string> read_memory(const std::string& file) {
    std::vector<std::string> lines;
    try {
        const std::string content = read_file(path_of_memory(file), kMaxMemory);
        for (const std::string_view line : split(content, '\n')) {
            if (!line.empty()) lines.emplace_back(line);
        }
    } catch (const SysError&) {
        lines.clear();  // The file does not exist yet, or cannot be read.
    }
    return lines;
}

}  // namespace

std::string recall_line(const std::string& file, const std::string& name) {
    for (const std::string& line : read_memory(file)) {
        if (line.starts_with(name + " ")) return line.substr(name.size() + 1);
    }
    return "";
}

void remember_line(const std::string& file, const std::string& name, const std::string& value) {
    std::string text = name + " " + value + "\n";
    std::size_t count = 1;
    for (const std::string& line : read_memory(file)) {
        if (!line.starts_with(name + " ") && count++ < kMaxRemembered) text += line + "\n";
    }
    try {
        make_folders(state_folder(home_folder()));
        const std::string path = path_of_memory(file);
        std::string beside = path + ".new-XXXXXX";
        const Fd written(check(::mkostemp(beside.data(), O_CLOEXEC), "create " + beside));
        write_all(written.get(), text);
        check(::rename(beside.c_str(), path.c_str()), "rename " + beside);
    } catch (const SysError& error) {
        log::info(error.what());
    }
}

}  // namespace frsh
