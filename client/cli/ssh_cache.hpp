// Remembers what `ssh -G` said about a host, for as long as no file that it depends on changes.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace frsh {

// What an answer of `ssh -G` depends on.
struct SshSources {
    std::string state;  // A line for each file: its path, device, inode, size and times.
    // False if the answer may change while the files stay: `Match exec`, a variable, a name that
    // DNS decides about. Such an answer is never remembered.
    bool is_static = true;
    // A file that was written a moment ago may change again without a new time.
    bool is_fresh = false;
};

// Reads the configuration files, and each file that they include. `files` are the programs and the
// configuration files by which the survey begins; those that do not exist count, too.
[[nodiscard]] SshSources survey_ssh_files(const std::vector<std::string>& programs,
                                          const std::vector<std::string>& files);

// Returns the remembered answer to `question`; nothing if there is none, if a file has changed, or
// if the cache file is damaged or could have been written by another user.
[[nodiscard]] std::optional<std::string> recall_ssh_answer(const std::string& question,
                                                           const SshSources& sources);
// Reports a failure with log::info() only: the cache is not needed.
void remember_ssh_answer(const std::string& question, const SshSources& sources,
                         const std::string& answer);

}  // namespace frsh
