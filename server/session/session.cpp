#include "server/session/session.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/sys/signals.hpp"
#include "server/login/login_status.hpp"

#include <algorithm>
#include <csignal>
#include <exception>
#include <string>
#include <utility>

#include <sys/prctl.h>

namespace frsh {

Session::Session(EventLoop& loop, std::unique_ptr<Transport> transport, SessionSettings settings)
    : loop_(loop),
      settings_(std::move(settings)),
      kept_(loop, settings_.launch, settings_.audit, settings_.kept_folder, settings_.retention,
            [this](Handoff arrived, Fd visit) { take_in(std::move(arrived), std::move(visit)); }) {
    client_connections_.push_back(
        std::make_unique<ClientConnection>(loop, std::move(transport), settings_, kept_));
    first_ = client_connections_.front().get();
}

void Session::take_in(Handoff arrived, Fd visit) {
    log::info("another session hands off its client");
    client_connections_.push_back(std::make_unique<ClientConnection>(
        loop_, std::move(arrived), std::move(visit), settings_, kept_));
}

bool Session::run_once() {
    std::erase_if(client_connections_, [this](const auto& client_connection) {
        if (client_connection->prepare()) return false;
        if (client_connection.get() != first_) return true;
        first_ = nullptr;
        if (settings_.left_alone) settings_.left_alone();
        if (settings_.audit && client_connection->is_admitted()) settings_.audit->disconnected();
        return true;
    });
    if (client_connections_.empty() && kept_.is_idle()) return false;
    EventLoop::Time next = kept_.next_deadline();
    for (const auto& client_connection : client_connections_)
        next = std::min(next, client_connection->next_deadline());
    loop_.run_once(next);
    const EventLoop::Time now = EventLoop::Clock::now();
    kept_.tick(now);
    for (const auto& client_connection : client_connections_)
        client_connection->tick(now);
    kept_.write_down();
    return true;
}

void Session::child_exited(const ExitStatus& status) {
    if (kept_.child_exited(status)) return;
    for (const auto& client_connection : client_connections_)
        client_connection->child_exited(status);
}

void Session::leave_if_idle() {
    if (!kept_.is_idle()) return;
    for (const auto& client_connection : client_connections_)
        client_connection->leave_if_idle();
}

void Session::terminate() {
    kept_.end_all();
    for (const auto& client_connection : client_connections_)
        client_connection->terminate();
}

int run_session(std::unique_ptr<Transport> transport, SessionSettings settings) {
    settings.launch.oom_kills = std::make_shared<OomKills>();
    // Orphans of the runs become children of this process instead of init's, so that it can reap
    // and count them.
    check(::prctl(PR_SET_CHILD_SUBREAPER, 1), "prctl");
    // With SIGXFSZ ignored, write(2) to a journal at its size limit fails with EFBIG.
    std::signal(SIGXFSZ, SIG_IGN);
    Signals signals(without_ignored({SIGCHLD, SIGTERM, SIGHUP, SIGINT, kLeaveIfIdle}));
    EventLoop loop;
    Session session(loop, std::move(transport), std::move(settings));
    const auto watch = loop.watch(
        "session: SIGCHLD, or a signal to end", signals.fd(), [] { return short{POLLIN}; },
        [&](short) {
            for (const int number : signals.take()) {
                if (number == kLeaveIfIdle) {
                    session.leave_if_idle();
                } else if (number != SIGCHLD) {
                    session.terminate();
                }
            }
            while (const auto status = reap())
                session.child_exited(*status);
        });
    for (bool was_terminated = false, goes_on = true; goes_on;) {
        try {
            goes_on = session.run_once();
        } catch (const std::exception& error) {
            // The runs must not outlive the session, whatever the error is.
            log::error(std::string("the session ends: ") + error.what());
            if (std::exchange(was_terminated, true)) throw;
            session.terminate();
        }
    }
    // In a container whose init reaps nothing, the last children would stay zombies.
    while (reap()) {
    }
    return 0;
}

}  // namespace frsh
