// For tests: a folder that goes away, and OpenSSH's own tools run in it.
#pragma once

#include "common/base/text.hpp"
#include "common/sys/fd.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <doctest/doctest.h>
#include <sys/wait.h>

namespace frsh::test {

class TempFolder {
  public:
    TempFolder() {
        std::string name = (std::filesystem::temp_directory_path() / "frsh-test-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path_ = name;
    }
    ~TempFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TempFolder(const TempFolder&) = delete;
    TempFolder& operator=(const TempFolder&) = delete;

    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] std::string operator/(std::string_view name) const {
        return path_ + "/" + std::string(name);
    }

    std::string write(std::string_view name, std::string_view content) const {
        const std::string path = *this / name;
        std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
        return path;
    }
    [[nodiscard]] std::string read(std::string_view name) const {
        return read_file(*this / name, std::size_t{1} << 20);
    }

  private:
    std::string path_;
};

struct ToolResult {
    int exit_code = -1;
    std::string output;  // stdout and stderr together.
};

inline ToolResult run_tool(const TempFolder& folder, const std::vector<std::string>& argv,
                           std::string_view input = "") {
    folder.write("tool-input", input);
    std::string command = "cd " + shell_quote(folder.path()) + " &&";
    for (const std::string& word : argv)
        command.append(" ").append(shell_quote(word));
    command += " <tool-input >tool-output 2>&1";
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, folder.read("tool-output")};
}

// Prints that a test was skipped because a tool is missing.
inline bool is_missing(const char* tool) {
    const std::string command = std::string("command -v ") + tool + " >/dev/null 2>&1";
    if (std::system(command.c_str()) == 0) return false;
    MESSAGE("skipped: there is no ", tool);
    return true;
}

// A private key file called `name` and its .pub, made by ssh-keygen.
inline std::string make_key(const TempFolder& folder, const std::string& name,
                            const std::string& type, const std::string& bits = "",
                            const std::string& passphrase = "") {
    std::vector<std::string> argv = {"ssh-keygen",     "-q", "-t", type, "-N", passphrase, "-C",
                                     "it's a comment", "-f", name};
    if (!bits.empty()) argv.insert(argv.end(), {"-b", bits});
    const ToolResult made = run_tool(folder, argv);
    REQUIRE_MESSAGE(made.exit_code == 0, made.output);
    return folder / name;
}

}  // namespace frsh::test
