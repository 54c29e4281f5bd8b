// The text of sshd's files, read before sshd itself is asked: whether anything in them could decide
// about a login, and what `sshd -T` must be asked with.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace frsh {

struct SshdFiles {
    // Each line has a keyword and a value that sshd takes, and that decide nothing about a login
    // with a key. Any other line, also one with an unknown keyword, is for sshd to judge.
    bool is_harmless = true;
    bool has_host_names = false;        // A rule could be for the name of a peer.
    bool has_local_port = false;        // A rule could be for the port of the server.
    bool has_quoted_key_files = false;  // AuthorizedKeysFile may have a blank within a name.
    bool has_subsystem = false;
    std::vector<std::string> includes = {};  // The arguments of Include.
    std::optional<std::string> fault = {};   // Why a file cannot be read.
};

// Adds what this text says.
void read_sshd_text(std::string_view text, SshdFiles& found);

// Reads the file and all that it includes.
[[nodiscard]] SshdFiles read_sshd_files(const std::string& path);

}  // namespace frsh
