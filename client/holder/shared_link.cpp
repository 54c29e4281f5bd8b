#include "client/holder/shared_link.hpp"

#include "client/cli/connection_settings.hpp"
#include "client/connection/connect.hpp"
#include "client/connection/stage_error.hpp"
#include "client/forward/forwards.hpp"
#include "client/holder/link_holder.hpp"
#include "client/holder/link_place.hpp"
#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/net/socket.hpp"
#include "common/net/transport.hpp"
#include "common/sys/fd.hpp"
#include "common/sys/wait.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <ctime>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace frsh {
namespace {

using namespace std::chrono_literals;

// A holder that has not answered within this time is not used.
constexpr auto kAnswerTime = 250ms;
// Clients that start at once wait this long for the holder that one of them starts. A
// login of their own would take as long, and together they would exceed the server's limits.
constexpr auto kBeginTime = 2s;
constexpr auto kBeginInterval = 10ms;
// A holder notices within three seconds that its server is silent: it misses the answers to two
// pings, and reconnects.
constexpr std::chrono::seconds kAliveInterval{1};
constexpr unsigned kAliveCount = 2;

// Connects to the socket. Does not wait for room in a full accept queue. Returns nothing if no
// holder is there.
std::optional<Fd> reach(const std::string& path) {
    try {
        return connect_unix(path, EventLoop::Clock::now());
    } catch (const SysError&) {
        return std::nullopt;
    } catch (const UserError&) {  // The path is too long for a socket.
        return std::nullopt;
    }
}

// Waits for the first bytes of the holder's hello, and leaves them unread.
bool has_answer(int socket, EventLoop::Time deadline) {
    char byte = 0;
    return wait_for_events(socket, POLLIN, deadline) &&
           ::recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

// Returns a connection to a holder that has answered in this instant.
std::optional<Connection> borrow(const LinkPlace& place) {
    const auto deadline = EventLoop::Clock::now() + kAnswerTime;
    const auto path = place.control.empty() ? place.path : find_control(place.control);
    if (!path) return std::nullopt;
    auto socket = reach(*path + ".sock");
    if (!socket) return std::nullopt;
    const auto state = read_state(*path);
    if (!state || !may_use(state->key, place) || peer_uid(socket->get()) != ::geteuid()) {
        return std::nullopt;
    }
    if (!has_answer(socket->get(), deadline)) return std::nullopt;
    Connection connection;
    connection.holder = owner_of_link(*path);
    connection.transport = std::make_unique<FdTransport>(std::move(*socket));
    return connection;
}

// Waits while another client's holder begins: it has the lock, and does not listen yet. Returns
// false at once if it has listened before.
bool await_beginning(const LinkPlace& place) {
    const auto is_beginning = [&place] {
        return owner_of_link(place.path) != 0 &&
               (::access(place.socket().c_str(), F_OK) == -1 || !read_state(place.path));
    };
    if (!is_beginning()) return false;
    const auto deadline = EventLoop::Clock::now() + kBeginTime;
    while (EventLoop::Clock::now() < deadline && is_beginning())
        (void)wait_for_events(-1, 0, EventLoop::Clock::now() + kBeginInterval);
    return true;
}

void leave_the_client() {
    const Fd null(check(::open("/dev/null", O_RDWR | O_CLOEXEC), "/dev/null"));
    for (const int fd : {0, 1, 2})
        check(::dup2(null.get(), fd), "dup2");
    (void)::setsid();
    check(::chdir("/"), "chdir /");
    ::umask(077);
    log::set_level(log::Level::Quiet);
}

// Writes what happened to the client that started this process.
void report(int way, std::string_view text) {
    try {
        write_all(way, text);
    } catch (const std::exception&) {
        // That client has gone; other clients may still use the link.
    }
}

// The file of ControlPath, for as long as the holder lives.
struct ControlFile {
    explicit ControlFile(const LinkPlace& link) : place(link) { put_control(link); }
    ~ControlFile() { remove_control(place); }
    ControlFile(const ControlFile&) = delete;
    ControlFile& operator=(const ControlFile&) = delete;

    const LinkPlace& place;
};

LinkHolder::Life life_of_link(const ClientOptions& options) {
    const ConnectionSettings& settings = options.settings;
    if (!has_control_path(settings)) {
        return {settings.share->time, !settings.share->outlasts_logins};
    }
    // A master without a command, in the background, waits for further clients.
    const bool is_only_master = options.no_command && options.background;
    // In ssh, a master has no tie to a login session.
    return {settings.control_persist.value_or(is_only_master ? kShareForEver : 0h), false};
}

// The holder's process, from fork(2) to its end.
void hold(ClientOptions options, const LinkPlace& place, Fd way) {
    auto file = lock_link(place);
    if (!file) return;  // Another holder is there, or begins.
    const ControlFile control(place);
    options.settings.forwards.clear();  // Clients send them through the control door.
    options.settings.agent.reset();
    if (!options.settings.alive_interval) {
        options.settings.alive_interval = kAliveInterval;
        options.settings.alive_count = options.settings.alive_count.value_or(kAliveCount);
    }
    options.wire.clear();
    EventLoop loop;
    Forwards forwards(loop, options);
    ServerConnection server(loop, connect_to(options),
                            [&forwards](const Message& message) { forwards.on_message(message); });
    server.outlast({OnDisconnect::Kind::Grace, kDefaultGracePeriod});
    while (!server.server() && !server.is_down())
        server.turn();
    if (server.is_down()) {
        const auto& refusal = server.refusal();
        const std::string stage = refusal ? stage_of_refusal(*refusal, false) : "connect";
        const std::string why =
            server.problem().empty() ? "the server closed the connection" : server.problem();
        throw StageError(stage, why, refusal ? refusal->retry_after : std::nullopt);
    }
    LinkHolder::Sockets sockets{std::move(*file), listen_unix(place.socket()),
                                listen_unix(place.door())};
    leave_the_client();
    LinkHolder holder(loop, server, forwards, place, std::move(sockets), life_of_link(options));
    report(way.get(), "+");
    way.close();
    holder.run();
}

[[noreturn]] void become_holder(const ClientOptions& options, const LinkPlace& place, Fd way) {
    const int kept = way.get();
    close_all_but({kept});
    try {
        hold(options, place, Fd(::fcntl(kept, F_DUPFD_CLOEXEC, 3)));
    } catch (const Interrupted&) {
        report(kept, "I");
    } catch (const StageError& error) {
        const auto& retry = error.retry_after();
        report(kept, "-" + error.stage() + "\n" + (retry ? std::to_string(*retry) : "") + "\n" +
                         error.what());
    } catch (const std::exception& error) {
        // Only a ControlPath that cannot be made; connecting throws errors with a stage.
        report(kept, std::string("!") + error.what());
    }
    ::_exit(0);
}

}  // namespace

bool start_holder(const ClientOptions& options, const LinkPlace& place) {
    make_links_folder();
    Pipe answer = make_pipe();
    if (check(::fork(), "fork") == 0) {
        answer.read_end.close();
        become_holder(options, place, std::move(answer.write_end));
    }
    answer.write_end.close();
    std::string text;
    char buffer[4096];
    for (;;) {
        const auto size = ::read(answer.read_end.get(), buffer, sizeof buffer);
        if (size == -1 && errno == EINTR) continue;
        if (size <= 0) break;
        text.append(buffer, static_cast<std::size_t>(size));
        if (text == "+") return true;
    }
    if (text == "I") throw Interrupted();
    if (text.empty()) return false;
    if (text[0] == '!') throw UserError(text.substr(1));
    const auto stage_end = text.find('\n');
    const auto retry_end = text.find('\n', stage_end + 1);
    const std::string retry = text.substr(stage_end + 1, retry_end - stage_end - 1);
    throw StageError(text.substr(1, stage_end - 1), text.substr(retry_end + 1),
                     retry.empty() ? std::nullopt : std::optional(std::stoull(retry)));
}

namespace {

// Returns the age as "12s", "3m" or "2h".
std::string age_text(std::int64_t seconds) {
    if (seconds < 120) return std::to_string(seconds) + "s";
    if (seconds < 7200) return std::to_string(seconds / 60) + "m";
    return std::to_string(seconds / 3600) + "h";
}

}  // namespace

bool may_share(const ClientOptions& options) {
    const auto& share = options.settings.share;
    const bool wants_it = has_control_path(options.settings) || (share && share->time.count() > 0);
    return wants_it && is_host(options.target) && !options.request && !options.detach &&
           !options.soft_timeout && !is_kept(options) && options.shell_name.empty() &&
           !options.one_shell && !options.local_command && !options.no_command &&
           options.settings.forwards.empty() && options.wire.empty() &&
           options.settings.agent.value_or(AgentForwarding::No) == AgentForwarding::No;
}

bool may_start_holder(const ClientOptions& options) {
    const ConnectionSettings& settings = options.settings;
    return !has_control_path(settings) || settings.control_master.value_or(false);
}

Connection connect_or_share(const ClientOptions& options) {
    if (!may_share(options)) return connect_to(options);
    const LinkPlace place = place_of_link(options);
    if (auto found = borrow(place)) return std::move(*found);
    if (!may_start_holder(options)) return connect_to(options);
    try {
        if (start_holder(options, place) || await_beginning(place)) {
            if (auto made = borrow(place)) return std::move(*made);
        }
    } catch (const SysError& error) {
        log::info(std::string("not shared: ") + error.what());
    } catch (const UserError& error) {
        log::info(std::string("not shared: ") + error.what());
    }
    return connect_to(options);
}

int list_links() {
    const std::int64_t now = ::time(nullptr);
    for (const std::string& path : all_links()) {
        if (owner_of_link(path) == 0) {
            remove_stale(path);
            continue;
        }
        const auto state = read_state(path);
        if (!state) continue;
        write_all(STDOUT_FILENO, escape_controls(state->name) + "  " +
                                     age_text(std::max<std::int64_t>(0, now - state->since)) +
                                     "  " + std::to_string(state->channels) +
                                     (state->channels == 1 ? " channel  " : " channels  ") +
                                     std::to_string(state->borrowed) + " so far  " +
                                     std::to_string(state->bytes) + " bytes\n");
    }
    return 0;
}

int unshare(const ClientOptions& options) {
    const HostPort where = place_of(options.target, options.settings);
    const std::string name = where.host + ":" + std::to_string(where.port);
    std::size_t ended = 0;
    for (const std::string& path : all_links()) {
        const pid_t pid = owner_of_link(path);
        const auto state = read_state(path);
        if (pid == 0 || !state || state->name != name) continue;
        if (::kill(pid, SIGTERM) == 0) ++ended;
    }
    if (ended != 0) return 0;
    log::error(escape_controls(name) + ": no link is shared");
    return 1;
}

}  // namespace frsh
