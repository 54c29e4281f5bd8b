// The record of a run as one line of JSON: what --status-fd and --json give.
#pragma once

#include "client/run/remote_run.hpp"

#include <string>

namespace frsh {

// How the run is named in it: what the caller asked for, as it was asked.
struct Asked {
    std::string target;
    std::vector<std::string> words;
    bool is_argv = false;
    bool is_known = true;  // Else somebody else asked for it.
};

// As ssh does: one blank between two words, whatever is in them.
[[nodiscard]] std::string join_words(const std::vector<std::string>& words);

// As "command": a text, or an array of them where no shell was asked for; else "command_b64".
void add_command(Json::Object& members, const Asked& asked);

// The keys, in this order: run, target, command, outcome, stdout, stderr, usage, holders,
// survivors. Without command where that is not known; with journal where not all was kept, and from
// in a stream that was not asked for from its start. With `out` and `err` the output is inside.
// Ends without a newline. Throws SysError where held output cannot be read back.
[[nodiscard]] std::string record_of(const RemoteRun& run, const Outcome& outcome,
                                    const Asked& asked, const SpooledOutput* out,
                                    const SpooledOutput* err);

}  // namespace frsh
