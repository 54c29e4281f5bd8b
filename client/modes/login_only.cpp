#include "client/modes/login_only.hpp"

#include "client/connection/connect.hpp"
#include "client/connection/server_connection.hpp"
#include "client/forward/forwards.hpp"
#include "client/run/interrupt_ladder.hpp"
#include "common/base/error.hpp"
#include "common/base/last_word.hpp"
#include "common/base/log.hpp"
#include "common/proto/message.hpp"
#include "common/sys/event_loop.hpp"
#include "common/sys/fd.hpp"
#include "common/sys/signals.hpp"

#include <csignal>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace frsh {
namespace {

// Gives up the caller's streams, as ssh does: a caller that reads them to their end must not wait
// for the process in the background. With -v, messages are still wanted.
void leave_streams(const ClientOptions& options) {
    const Fd nothing(check(::open("/dev/null", O_RDWR | O_CLOEXEC), "open /dev/null"));
    const bool keeps_messages =
        options.log_level == log::Level::Info || options.log_level == log::Level::Debug;
    for (int fd = STDIN_FILENO; fd <= (keeps_messages ? STDOUT_FILENO : STDERR_FILENO); ++fd)
        check(::dup2(nothing.get(), fd), "dup2");
}

}  // namespace

void leave_terminal() {
    if (check(::fork(), "fork") != 0) ::_exit(0);
    check(::setsid(), "setsid");
}

int run_without_command(const ClientOptions& options) {
    EventLoop loop;
    Signals signals(without_ignored({SIGINT, SIGTERM, SIGHUP}));
    int told = 0;
    const auto watch = loop.watch(
        "signals: to leave", signals.fd(), [] { return short{POLLIN}; },
        [&](short) {
            for (const int number : signals.take())
                told = number;
        });
    Forwards forwards(loop, options);  // Outlives the connection, whose runs write to it.
    ServerConnection server(loop, connect_to(options),
                            [&](const Message& message) { forwards.on_message(message); });
    forwards.start(server);
    if (!forwards.is_empty()) server.outlast(on_disconnect_of(options));
    bool is_background = false;
    while (told == 0 && !server.is_down()) {
        server.turn();
        forwards.progress();
        if (!options.background || is_background || !server.server()) continue;
        if (!forwards.is_ready()) continue;
        leave_terminal();
        leave_streams(options);
        is_background = true;
    }
    if (told != 0) {
        server.link().send(msg::Bye{});
        server.finish(EventLoop::Clock::now() + kLeaveGracePeriod);
        return 128 + told;
    }
    log::last_word(server.problem().empty() ? "the connection closed" : server.problem());
    return 255;
}

}  // namespace frsh
