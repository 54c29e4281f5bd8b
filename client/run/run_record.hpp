// Writes the record of a run as one line of JSON, for --status-fd and --json.
#pragma once

#include "client/run/remote_run.hpp"
#include "common/proto/json.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace frsh {

// How TLS protects a connection.
struct TlsRecord {
    std::string group;  // "X25519"
    std::string cipher;
    std::string host_key;  // A fingerprint, as the next one.
    std::string key;       // The user's key.
};

// How the record names the run: the request as the caller wrote it.
struct Asked {
    std::string target;
    std::vector<std::string> words;
    bool is_argv = false;
    bool is_known = true;               // False for a run that another client started.
    std::optional<TlsRecord> tls = {};  // Absent without TLS.
};

// Joins the words with one blank each, as ssh does, without quoting.
[[nodiscard]] std::string join_words(const std::vector<std::string>& words);

// Adds "command": a string, or an array with --argv; "command_b64" if it is not UTF-8.
void add_command(JsonObject& record, const Asked& asked);

// Returns the record, without a newline. The keys, in this order: run, target, command, outcome,
// stdout, stderr, usage, holders, survivors. An unknown command is left out. "journal" is added if
// the server could not keep all output, "tls" if the connection has it, and "from" to a stream that
// was not requested from its start. With `out` and `err` the output itself is included. Throws
// SysError if spooled output cannot be read back.
[[nodiscard]] std::string record_of(const RemoteRun& run, const Outcome& outcome,
                                    const Asked& asked, const SpooledOutput* out,
                                    const SpooledOutput* err);

// Returns the record of a request that failed before a run could be started: the same keys, with
// counts of 0. "retry_after" (seconds) is added to the outcome if the server named a time.
[[nodiscard]] std::string failure_record(const Asked& asked, const NotStarted& why,
                                         std::optional<std::uint64_t> retry_after);

}  // namespace frsh
