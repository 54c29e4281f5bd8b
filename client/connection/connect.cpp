#include "client/connection/connect.hpp"

#include "client/cli/route.hpp"
#include "client/connection/stage_error.hpp"
#include "client/connection/tls_login.hpp"
#include "client/connection/via.hpp"
#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/link/wire_log.hpp"
#include "common/net/address.hpp"
#include "common/net/socket.hpp"
#include "common/net/tapped_transport.hpp"
#include "common/sys/fd.hpp"
#include "common/sys/user.hpp"
#include "common/sys/wait.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include <fcntl.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace frsh {
namespace {

Connection over(Fd socket) {
    Connection connection;
    connection.transport = std::make_unique<FdTransport>(std::move(socket));
    return connection;
}

Connection over(Via via) {
    Connection connection = over(std::move(via.socket));
    connection.child = std::move(via.child);
    return connection;
}

Connection connect_by(const ViaRoute& route, const WaitLimit&) {
    return over(start_via(route.command));
}

Connection connect_by(const UnixRoute& route, const WaitLimit& limit) {
    Fd socket = connect_unix(route.path, limit);
    if (peer_uid(socket.get()) != ::geteuid() && peer_uid(socket.get()) != 0) {
        throw UserError(route.path + ": the server there belongs to another user");
    }
    return over(std::move(socket));
}

Connection connect_by(const LocalRoute&, const WaitLimit& limit) {
    const std::string folder = runtime_folder();
    if (check_private_folder(folder)) {
        try {
            return connect_by(UnixRoute{folder + "/frshd.sock"}, limit);
        } catch (const SysError& error) {
            const int reason = error.code().value();
            if (reason != ENOENT && reason != ECONNREFUSED) throw;
        }
    }
    log::info("no server on a socket; starting one");
    return over(start_local_server());
}

Connection connect_by(const PlaintextRoute& route, const WaitLimit& limit) {
    std::optional<SysError> last;
    const auto addresses = at_stage("resolve", [&] { return resolve(route.where, false); });
    for (const Address& address : addresses) {
        if (!address.is_loopback()) {
            throw UserError(address.text() + ": --plaintext is for loopback only");
        }
        try {
            Fd socket = connect_tcp(address, limit);
            tune_tcp(socket.get());
            return over(std::move(socket));
        } catch (const SysError& error) {
            last = error;
        }
    }
    throw SysError(*last);
}

Connection connect_by(const TlsRoute& route, const WaitLimit& limit) {
    return connect_tls(route, limit);
}

// Makes one connection. If `wire_file` is set, a description of every frame is written to it.
Connection connect_once(const Route& route, WaitLimit limit, const std::shared_ptr<Fd>& wire_file) {
    if (route.connect_timeout.count() != 0) {
        limit.deadline = std::min(limit.deadline, EventLoop::Clock::now() + route.connect_timeout);
    }
    Connection connection =
        std::visit([&](const auto& way) { return connect_by(way, limit); }, route.way);
    connection.ping = route.ping;
    // A login may have needed the user, and has set a later deadline.
    if (connection.hello_deadline == EventLoop::kNever) connection.hello_deadline = limit.deadline;
    if (!wire_file) return connection;
    auto log = std::make_unique<WireLog>(
        [wire_file](std::string_view lines) { write_all(wire_file->get(), lines); });
    connection.transport =
        std::make_unique<TappedTransport>(std::move(connection.transport), std::move(log));
    return connection;
}

// Opens the file of --wire; "-" is stderr.
std::shared_ptr<Fd> open_wire_file(const std::string& name) {
    if (name.empty()) return nullptr;
    if (name == "-") {
        return std::make_shared<Fd>(check(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3), "--wire -"));
    }
    constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
    return std::make_shared<Fd>(check(::open(name.c_str(), kFlags, 0600), "--wire " + name));
}

// The signals that would end this process now if they were not blocked. A mode of the client blocks
// them before it connects, and reads them only in its loop.
class BlockedSignals {
  public:
    BlockedSignals() {
        sigset_t blocked;
        check(::sigprocmask(SIG_BLOCK, nullptr, &blocked), "sigprocmask");
        sigemptyset(&ours_);
        bool has_any = false;
        for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
            if (::sigismember(&blocked, number) != 1) continue;
            has_any = true;
            sigaddset(&ours_, number);
        }
        if (has_any)
            fd_ = Fd(check(::signalfd(-1, &ours_, SFD_CLOEXEC | SFD_NONBLOCK), "signalfd"));
    }

    // Readable once one of them has arrived; -1 if none is blocked.
    [[nodiscard]] int fd() const { return fd_.get(); }
    // If one of them has arrived, throws Interrupted, or ends the process by it.
    void obey() const {
        sigset_t pending;
        if (::sigpending(&pending) == -1) return;
        if (::sigismember(&ours_, SIGINT) == 1 && ::sigismember(&pending, SIGINT) == 1) {
            throw Interrupted();
        }
        ::sigprocmask(SIG_UNBLOCK, &ours_, nullptr);
        ::sigprocmask(SIG_BLOCK, &ours_, nullptr);
    }

  private:
    sigset_t ours_{};
    Fd fd_;
};

// Connects for the first time. A signal ends that: there is no command yet that it could be for.
Connection connect_first(const Route& route, const std::shared_ptr<Fd>& wire_file) {
    const BlockedSignals signals;
    try {
        return connect_once(route, {EventLoop::kNever, signals.fd()}, wire_file);
    } catch (const std::exception&) {
        // A helper of the same terminal may have ended by the signal before this process saw it.
        signals.obey();
        throw;
    }
}

}  // namespace

Connection connect_to(const ClientOptions& options) {
    const auto wire_file = open_wire_file(options.wire);
    const auto route =
        at_stage("usage", [&] { return std::make_shared<const Route>(resolve_route(options)); });
    auto local_command = at_stage("usage", [&] { return resolve_local_command(options); });
    Connection connection = at_stage("connect", [&] { return connect_first(*route, wire_file); });
    connection.local_command = std::move(local_command);
    connection.connector = [route, wire_file](const WaitLimit& limit) {
        return connect_once(*route, limit, wire_file);
    };
    return connection;
}

}  // namespace frsh
