// How a run ended: the one record that frsh exists to hand back.
//
// A kind of its own for every kind of end, so that a caller never has to guess from a number; see
// exit_code() for the number that a shell gets to see.
#pragma once

#include "common/proto/json.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace frsh {

// The main process ended by itself.
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

// frsh ended it, because a limit of the run passed or the client asked; and how it then really
// ended, where that was seen.
struct TimedOut {
    std::string limit;  // "wall" or "idle"
    std::optional<RealEnd> real;
    bool operator==(const TimedOut&) const = default;
};
struct Canceled {
    std::optional<RealEnd> real;
    bool operator==(const Canceled&) const = default;
};
// No program ever ran.
struct NotStarted {
    std::string stage;  // "user", "cwd", "env", "fork", "exec", "shell", "journal", ...
    int error = 0;      // errno on the server, 0 where none applies
    std::string message;
    bool operator==(const NotStarted&) const = default;
};
// Nobody saw the end. Said by a client whose connection went or whose bytes do not add up, or by a
// server about a run of an earlier life.
struct Lost {
    std::string message;
    bool operator==(const Lost&) const = default;
};
// No end: it goes on without whoever is told this.
struct Running {
    bool operator==(const Running&) const = default;
};

using Outcome = std::variant<Exited, Signaled, TimedOut, Canceled, NotStarted, Lost, Running>;

// An end that nobody but the process itself brought about.
[[nodiscard]] Outcome as_outcome(const RealEnd& end);

// What a client exits with: the command's own code; 128+n for a signal; 124 timed out, or not over
// yet; 130 canceled; 127 not found, 126 not executable; 255 for everything that is frsh's own
// failure.
[[nodiscard]] int exit_code(const Outcome& outcome);

// The words for a person: "killed by signal KILL", "exec: No such file or directory".
[[nodiscard]] std::string describe(const Outcome& outcome);

[[nodiscard]] Json to_json(const Outcome& outcome);
// Throws ProtocolError.
[[nodiscard]] Outcome outcome_from(const Json& json);

}  // namespace frsh
