// What `ssh -G` said about a host, as options of frsh.
#pragma once

#include "client/cli/client_options.hpp"
#include "client/cli/ssh_options.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace frsh {

struct SshAnswer {
    SshOptions options;
    // A setting that frsh does not act on.
    struct Note {
        std::string keyword;  // As in ssh_config(5).
        std::string why;
        bool matters = false;  // It changes what the user gets.
    };
    std::vector<Note> notes;  // One for each keyword.
};

// Parses "keyword value" lines. HostName and User are taken, and what `-o` takes; Port never is.
// Key files are tried before the usual ones. Leaves out the usual key files, which ssh prints, too.
[[nodiscard]] SshAnswer parse_ssh_answer(std::string_view text);

// Merges the answer into the options; those have precedence. Logs the notes. Throws UserError if
// ssh would refuse the command line because of it.
void apply_ssh_answer(SshAnswer answer, ClientOptions& options);

}  // namespace frsh
