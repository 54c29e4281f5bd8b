// The remote shell of a hundred tutorials: recv a command, run it, send what it printed.
//
// It is wrong on purpose. Lessons 4 and 5 show how; lesson 6 runs the same commands with frames.
#pragma once

#include "client/demo/actor.hpp"

namespace frsh::demo {

// What a command printed, both streams together, and its exit code. Runs through /bin/sh.
struct Ran {
    std::string output;
    int code = 0;
};
[[nodiscard]] Ran run_command(const std::string& command);

// One turn of the server's loop, told: takes what recv gives for a command. Returns what it ran.
struct Turn {
    std::string command;
    Ran ran;
};
Turn serve_once(Actor& server, const Fd& connection);

}  // namespace frsh::demo
