// How a run ended. To return this record is what frsh exists for.
//
// Every kind of end has a type of its own, so that a caller never has to guess from a number.
// exit_code() gives the number that a shell sees.
#pragma once

#include "common/proto/json.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace frsh {

class ObjectReader;

// The main process called exit, or a signal killed it, and frsh was not the cause.
struct Exited {
    int code = 0;  // 0..255
    bool operator==(const Exited&) const = default;
};
struct Signaled {
    std::string name;  // "KILL"; the number as text where the signal has no name.
    int number = 0;    // On the server's machine.
    bool core = false;
    bool operator==(const Signaled&) const = default;
};
using RealEnd = std::variant<Exited, Signaled>;

// frsh ended the run, because a time limit passed or the client canceled it. `real` is how the
// process then ended, if that was observed.
struct TimedOut {
    std::string limit;  // "wall" or "idle"
    std::optional<RealEnd> real;
    bool operator==(const TimedOut&) const = default;
};
struct Canceled {
    std::optional<RealEnd> real;
    bool operator==(const Canceled&) const = default;
};
// No program ran.
struct NotStarted {
    std::string stage;  // "user", "cwd", "env", "fork", "exec", "shell", "journal", ...
    int error = 0;      // errno on the server; 0 if none applies.
    std::string message;
    bool operator==(const NotStarted&) const = default;
};
// The end was not observed. A client reports this if the connection broke or a checksum differs. A
// server reports it for a run whose session ended or whose machine went down.
struct Lost {
    std::string message;
    bool operator==(const Lost&) const = default;
};
// Not an end: the run continues, and the client that receives this leaves it.
struct Running {
    bool operator==(const Running&) const = default;
};

using Outcome = std::variant<Exited, Signaled, TimedOut, Canceled, NotStarted, Lost, Running>;

// Returns the outcome of a process that frsh did not end.
[[nodiscard]] Outcome as_outcome(const RealEnd& end);

// Returns true if a process ran and its end was observed.
[[nodiscard]] bool was_observed(const Outcome& outcome);

// Returns the client's exit status: the command's own code; 128+n for signal n; 124 if it timed out
// or still runs; 130 if canceled; 127 if not found, 126 if not executable; 255 for every failure of
// frsh itself.
[[nodiscard]] int exit_code(const Outcome& outcome);

// Returns a text for a person: "killed by signal KILL", "exec: No such file or directory".
[[nodiscard]] std::string describe(const Outcome& outcome);

[[nodiscard]] JsonObject to_json(const Outcome& outcome);
// Throws ProtocolError if the object is not an outcome. For the files of this folder.
[[nodiscard]] Outcome outcome_from(const ObjectReader& object);

}  // namespace frsh
