// Decides what frsh reports when it is done with one run: the exit code, and the messages that the
// exit code cannot express. Pure: no descriptor, no clock, no link.
//
//     client    the exit code
//     Stayed    that of the outcome; see exit_code(). --logs: 0 if its output is all there, else
//     255 Parted    --detach: 0 if the command has started. --soft-timeout: that of the outcome
//     Left      RunFacts::leave_code: 128+N for a signal or a closed reader
//     Escaped   RunFacts::leave_code
//
// An exit code of 0 means that no byte is missing. If one is, 0 becomes 255, or 141 if the reader
// of stdout has gone.
#pragma once

#include "common/proto/outcome.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace frsh {

// What the client has observed when it stops.
struct RunFacts {
    enum class Mode { Command, Detach, Attach, Logs, Wait };
    enum class Client {
        Stayed,   // Until the end of the run, or of the connection.
        Parted,   // It left on purpose and the run continues: --detach, --soft-timeout.
        Left,     // A signal or a closed reader made it leave.
        Escaped,  // The user typed the escape to leave.
    };

    Mode mode = Mode::Command;
    Client client = Client::Stayed;
    Outcome outcome = Lost{};
    std::string run;            // Its id, or the prefix that the caller gave.
    std::string how_to_attach;  // A command line.
    int leave_code = 255;
    std::optional<std::chrono::milliseconds> soft_timeout = {};
    std::optional<std::string> refusal = {};  // The server's reason for refusing an attach.
    std::optional<std::string> journal = {};  // Why the server could not keep all output.

    bool has_started = false;
    bool is_finished = false;      // The outcome is final.
    bool is_end_known = false;     // The server's record of the end has arrived.
    bool is_contradicted = false;  // It has, and its counts differ from what arrived.
    bool lacks_bytes = false;      // The journal has gaps that the caller did not request.
    bool is_kept = false;
    bool outlasts_client = false;
    bool was_up = false;     // The connection was up when the client left.
    bool was_ended = false;  // The user or a closed reader ended the run: a signal is no surprise.
};

struct ExitReport {
    int code = 255;
    std::vector<std::string> errors;  // One line each; control bytes are escaped.
    std::optional<std::string> info;  // For -v.
};

[[nodiscard]] ExitReport report_exit(const RunFacts& facts);

// Returns the exit code if outputs failed. `stdout_error` and `other_error` are errno values or 0.
// EPIPE turns success into 128+SIGPIPE; any other error is 255.
[[nodiscard]] int code_after_failures(int code, int stdout_error, int other_error);

}  // namespace frsh
