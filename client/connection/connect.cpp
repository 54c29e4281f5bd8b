#include "client/connection/connect.hpp"

#include "client/cli/target.hpp"
#include "client/connection/tls_login.hpp"
#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/link/wire_log.hpp"
#include "common/net/socket.hpp"
#include "common/sys/startup.hpp"
#include "common/sys/user.hpp"

#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

extern char** environ;

namespace frsh {
namespace {

Connection over(Fd socket) {
    Connection connection;
    connection.transport = std::make_unique<FdTransport>(std::move(socket));
    return connection;
}

// One socket for both directions, as the child's stdin and stdout.
Via start_child(SpawnRequest request, const std::string& what) {
    auto [ours, theirs] = make_socketpair();
    set_blocking(theirs.get());  // As any program expects its standard streams to be.
    request.stdio = {theirs.get(), theirs.get(), STDERR_FILENO};
    auto result = spawn(request);
    if (const auto* const failure = std::get_if<SpawnFailure>(&result)) {
        throw UserError("start " + what + ": " + std::strerror(failure->error));
    }
    return {std::move(ours), std::move(std::get<Spawned>(result))};
}

Connection over(Via via) {
    Connection connection = over(std::move(via.socket));
    connection.child = std::move(via.child);
    return connection;
}

// The server lies beside us, or somewhere in PATH.
Connection start_server() {
    SpawnRequest request;
    request.argv = {"frshd", "--stdio"};
    request.programs = {program_folder() + "/frshd"};
    const char* const path = std::getenv("PATH");
    for (std::string& one : search_path("frshd", path != nullptr ? path : "/usr/bin:/bin")) {
        request.programs.push_back(std::move(one));
    }
    // A server that is asked over its socket has its own environment, not its client's; the same
    // command must find the same here.
    for (const char* const name : {"PATH", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "TMPDIR", "TZ"}) {
        if (const char* const value = std::getenv(name)) {
            request.env.push_back(std::string(name) + "=" + value);
        }
    }
    return over(start_child(std::move(request), "frshd"));
}

Connection over_unix(const std::string& path) {
    Fd socket = connect_unix(path);
    if (peer_uid(socket.get()) != ::geteuid() && peer_uid(socket.get()) != 0) {
        throw UserError(path + ": the server there belongs to another user");
    }
    return over(std::move(socket));
}

Connection local() {
    const std::string folder = runtime_folder();
    if (check_private_folder(folder)) {
        try {
            return over_unix(folder + "/frshd.sock");
        } catch (const SysError& error) {
            const int reason = error.code().value();
            if (reason != ENOENT && reason != ECONNREFUSED) throw;
        }
    }
    log::info("no server on a socket; starting one");
    return start_server();
}

Connection over_plain_tcp(const ClientOptions& options) {
    const EventLoop::Time deadline = deadline_of(options);
    std::optional<SysError> last;
    for (const Address& address : resolve(parse_target(options).where, false)) {
        if (!address.is_loopback()) {
            throw UserError(address.text() + ": --plaintext is for loopback only");
        }
        try {
            Fd socket = connect_tcp(address, deadline);
            tune_tcp(socket.get());
            return over(std::move(socket));
        } catch (const SysError& error) {
            last = error;
        }
    }
    throw SysError(*last);
}

Connection reach(const ClientOptions& options) {
    if (!options.settings.via.empty()) return over(start_via(options.settings.via));
    if (!is_host(options.target)) {
        return options.target == "local" ? local() : over_unix(options.target.substr(5));
    }
    if (options.plaintext) return over_plain_tcp(options);
    return connect_tls(options);
}

Connection reach_and_tap(const ClientOptions& options, const std::shared_ptr<Fd>& wire) {
    Connection connection = reach(options);
    if (!wire) return connection;
    auto log = std::make_unique<WireLog>(
        [wire](std::string_view lines) { write_all(wire->get(), lines); });
    connection.transport =
        std::make_unique<TappedTransport>(std::move(connection.transport), std::move(log));
    return connection;
}

}  // namespace

Via start_via(const std::string& command) {
    SpawnRequest request;
    request.programs = {"/bin/sh"};
    // exec: one process less, and signals reach the command itself.
    request.argv = {"sh", "-c", "exec " + command};
    for (char** entry = environ; *entry != nullptr; ++entry)
        request.env.emplace_back(*entry);
    // It stays in our session, so that it can ask for a passphrase on our terminal; Ctrl-C there is
    // for the remote command, and goes over the connection.
    request.new_session = false;
    request.ignore_interrupts = true;
    return start_child(std::move(request), command);
}

Connection connect_to(const ClientOptions& options) {
    std::shared_ptr<Fd> wire;
    if (options.wire == "-") {
        wire = std::make_shared<Fd>(check(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3), "--wire -"));
    } else if (!options.wire.empty()) {
        constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
        wire = std::make_shared<Fd>(
            check(::open(options.wire.c_str(), kFlags, 0600), "--wire " + options.wire));
    }
    Connection connection = reach_and_tap(options, wire);
    connection.connector = [options, wire](std::chrono::milliseconds patience) {
        ClientOptions again = options;
        auto& limit = again.settings.connect_timeout;
        const auto usual = limit.value_or(kDefaultConnectTimeout);
        limit = usual.count() == 0 ? patience : std::min(usual, patience);
        return reach_and_tap(again, wire);
    };
    return connection;
}

}  // namespace frsh
