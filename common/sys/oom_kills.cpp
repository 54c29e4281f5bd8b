#include "common/sys/oom_kills.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"

#include <string>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

namespace frsh {
namespace {

constexpr std::size_t kMaxFile = 64 * 1024;

// Returns the files that may hold the count, the best first. A line of /proc/self/cgroup is
// "NUMBER:CONTROLLERS:/PATH"; version 2 has number 0. In a container, PATH may be valid outside
// only; then the files of this group are at the top of the mounted tree.
std::vector<std::string> candidates() {
    std::vector<std::string> paths;
    std::string groups;
    try {
        groups = read_file("/proc/self/cgroup", kMaxFile);
    } catch (const SysError&) {
        // This kernel has no control groups.
    }
    for (const std::string_view line : split(groups, '\n')) {
        const auto fields = split(line, ':');
        if (fields.size() < 3) continue;
        const std::string path(line.substr(fields[0].size() + fields[1].size() + 2));
        std::string top;
        std::string file;
        if (fields[0] == "0") {
            top = "/sys/fs/cgroup";
            file = "/memory.events";
        } else if (fields[1] == "memory") {
            top = "/sys/fs/cgroup/memory";
            file = "/memory.oom_control";
        } else {
            continue;
        }
        paths.push_back(top + path + file);
        paths.push_back(top + file);
    }
    paths.emplace_back("/proc/vmstat");
    return paths;
}

}  // namespace

OomKills::OomKills() {
    for (const std::string& path : candidates()) {
        file_ = Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
        if (file_.is_open() && count()) return;
    }
    file_.close();
}

std::optional<std::uint64_t> OomKills::count() const {
    if (!file_.is_open()) return std::nullopt;
    char text[16 * 1024];
    const ssize_t size = ::pread(file_.get(), text, sizeof text, 0);
    if (size <= 0) return std::nullopt;
    return oom_kills_in({text, static_cast<std::size_t>(size)});
}

std::optional<std::uint64_t> oom_kills_in(std::string_view text) {
    constexpr std::string_view kKey = "oom_kill ";
    for (const std::string_view line : split(text, '\n')) {
        if (line.starts_with(kKey)) return parse_number(line.substr(kKey.size()), 0, UINT64_MAX);
    }
    return std::nullopt;
}

}  // namespace frsh
