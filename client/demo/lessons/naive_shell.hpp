// The remote shell of a hundred tutorials: recv a command, run it, send what it printed.
//
// It is wrong on purpose. Lessons 4 and 5 show how; lesson 6 runs the same commands with frames.
#pragma once

#include "client/demo/stage/actor.hpp"

#include <string>

namespace frsh::demo {

// The output of a command, both streams together, and its exit code. /bin/sh runs it.
struct Ran {
    std::string output;
    int code = 0;
};
[[nodiscard]] Ran run_command(const std::string& command);

// Does and reports one turn of the server's loop: takes the bytes of one recv for a command.
// Returns the command that was run.
struct Turn {
    std::string command;
    Ran ran;
};
Turn serve_once(Actor& server, const Fd& connection);

}  // namespace frsh::demo
