#include "client/demo/lessons/naive_shell.hpp"

#include "common/base/error.hpp"
#include "common/sys/process.hpp"

#include <string>
#include <variant>

#include <unistd.h>

namespace frsh::demo {

Ran run_command(const std::string& command) {
    Pipe output = make_pipe();
    SpawnRequest request;
    request.programs = {"/bin/sh"};
    request.argv = {"sh", "-c", command};
    request.env = {"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C"};
    request.stdio = {-1, output.write_end.get(), output.write_end.get()};
    const auto started = spawn(request);
    const auto* const child = std::get_if<Spawned>(&started);
    if (child == nullptr) throw SysError("start /bin/sh", std::get<SpawnFailure>(started).error);
    output.write_end.close();
    Ran ran;
    char buffer[4096];
    for (;;) {
        const IoResult result = read_some(output.read_end.get(), buffer, sizeof buffer);
        if (result.status != IoResult::Status::Done) break;
        ran.output.append(buffer, result.bytes);
    }
    ran.code = wait_for(child->pid).code;
    return ran;
}

Turn serve_once(Actor& server, const Fd& connection) {
    Turn turn;
    turn.command = server.recv(connection, 1024).bytes;
    turn.ran = run_command(turn.command);
    server.tell("sh -c " + demo::quoted(turn.command),
                std::to_string(turn.ran.output.size()) + " bytes");
    server.send(connection, turn.ran.output);
    return turn;
}

}  // namespace frsh::demo
