// frshd: reads its command line, listens, and in each forked child becomes a session.
#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/keys/private_key.hpp"
#include "common/keys/proof.hpp"
#include "common/net/socket.hpp"
#include "common/sys/startup.hpp"
#include "server/config.hpp"
#include "server/listener/listener.hpp"
#include "server/listener/systemd.hpp"
#include "server/login/host_key.hpp"
#include "server/login/monitor.hpp"
#include "server/login/peer_credentials.hpp"
#include "server/login/sandbox.hpp"
#include "server/options.hpp"
#include "server/session/session.hpp"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include <fcntl.h>
#include <malloc.h>
#include <sys/stat.h>
#include <unistd.h>

namespace frsh {
namespace {

void give_back(int standard_stream) {
    const Fd null(check(::open("/dev/null", O_RDWR | O_CLOEXEC), "open /dev/null"));
    check(::dup2(null.get(), standard_stream), "dup2");
}

// Takes a standard stream for the connection and leaves /dev/null in its place, so that nothing a
// library might print ever gets between two frames.
Fd take_over(int standard_stream) {
    Fd fd(check(::fcntl(standard_stream, F_DUPFD_CLOEXEC, 3), "dup"));
    give_back(standard_stream);
    return fd;
}

Retention retention_of(const ServerSettings& settings) {
    Retention retention;
    if (settings.keep_age) {
        retention.age = std::chrono::duration_cast<std::chrono::seconds>(*settings.keep_age);
    }
    retention.total = settings.keep_total.value_or(retention.total);
    retention.stream = settings.keep_stream.value_or(retention.stream);
    return retention;
}

SessionSettings settings_for(const User& user, AuditSubject subject, BaseEnvironment environment,
                             const ServerOptions& options, int audit_file) {
    SessionSettings settings;
    settings.launch.user = user;
    settings.launch.env = base_environment(user, environment);
    settings.launch.accept_env = options.settings.accept_env;
    settings.launch.sftp_server = options.settings.sftp_server;
    settings.launch.session_mark = subject.session;
    settings.retention = retention_of(options.settings);
    settings.audit = std::make_shared<Audit>(audit_file, std::move(subject));
    return settings;
}

std::string own_kept_folder() {
    return state_folder(current_user().home) + "/runs";
}

// Of a session whose user the kernel vouches for: ours.
SessionSettings own_settings(std::string mark, const char* from, BaseEnvironment environment,
                             const ServerOptions& options, int audit_file) {
    const User user = current_user();
    SessionSettings settings = settings_for(user, {std::move(mark), from, user.name, ""},
                                            environment, options, audit_file);
    settings.kept_folder = own_kept_folder();
    return settings;
}

bool is_tls(const ServerOptions& options, const std::vector<Fd>& given) {
    const auto is_tcp = [](const Fd& socket) {
        return local_address(socket.get()).family() != AF_UNIX;
    };
    const bool listens = options.settings.listen && !options.settings.listen->empty();
    return !options.plaintext && (listens || std::any_of(given.begin(), given.end(), is_tcp));
}

AccountPolicy policy_of(const ServerSettings& settings) {
    AccountPolicy policy;
    policy.permit_root_login = settings.permit_root_login.value_or(false);
    policy.permit_user_environment = settings.permit_user_environment.value_or(false);
    policy.allow_users = settings.allow_users;
    policy.allow_groups = settings.allow_groups;
    return policy;
}

int serve_stdio(const ServerOptions& options, int audit_file) {
    Fd input = take_over(STDIN_FILENO);
    Fd output = take_over(STDOUT_FILENO);
    SessionSettings settings =
        own_settings(new_session_mark(), "stdio", BaseEnvironment::Inherited, options, audit_file);
    // Whoever reads what our client has to say does not wait for what it left behind.
    settings.left_alone = [] { give_back(STDERR_FILENO); };
    return run_session(std::make_unique<FdTransport>(std::move(input), std::move(output)),
                       std::move(settings));
}

// False where this process was forked ahead for a connection that never came.
bool take_socket(Listener::Connection& connection) {
    if (connection.arrivals.is_open()) {
        connection.socket = Listener::await_connection(connection);
        connection.arrivals.close();
    }
    return connection.socket.is_open();
}

// The listener's child becomes the monitor of a login, and then the user's session.
int serve_login(Listener::Connection connection, const TlsContext& context,
                const ServerOptions& options, const GateUser& gate_user, int audit_file) {
    MonitorSettings monitor_settings;
    monitor_settings.gate_user = gate_user;
    monitor_settings.host_key = options.settings.host_key;
    monitor_settings.policy = policy_of(options.settings);
    monitor_settings.use_sandbox = options.use_sandbox;
    monitor_settings.audit_file = audit_file;
    monitor_settings.session_mark = connection.mark;
    monitor_settings.is_ahead = connection.arrivals.is_open();
    const uid_t server_uid = ::geteuid();
    Monitor monitor(context, std::move(monitor_settings), std::move(connection.steps));
    if (!take_socket(connection)) return 0;
    monitor.take(std::move(connection.socket));
    auto login = monitor.admit();
    if (!login) return monitor.exit_code();
    if (server_uid == 0) ::umask(022);
    SessionSettings settings = settings_for(login->user, std::move(login->subject),
                                            BaseEnvironment::Clean, options, audit_file);
    // The environment is ours, whose folder that may name only if the user is.
    settings.kept_folder = settings.launch.user.uid == server_uid
                               ? own_kept_folder()
                               : usual_state_folder(settings.launch.user.home) + "/runs";
    settings.launch.env.push_back(std::move(login->ssh_connection));
    // Only for the scripts that stand in command=: bash takes it as a sign to read ~/.bashrc first,
    // which would make a command mean something else than over a unix socket.
    if (login->grant.key.command) settings.launch.env.push_back(std::move(login->ssh_client));
    for (const auto& [name, value] : login->grant.key.environment)
        settings.launch.env.push_back(std::string(name).append("=").append(value));
    settings.launch.forced_command = login->grant.key.command;
    settings.launch.may_have_pty = login->grant.key.may_have_pty;
    return run_session(std::make_unique<FdTransport>(std::move(login->session)),
                       std::move(settings));
}

int serve_connection(Listener::Connection connection, const ServerOptions& options,
                     int audit_file) {
    if (!take_socket(connection)) return 0;
    const int socket = connection.socket.get();
    const bool is_plain = connection.kind == Listener::Kind::Plaintext;
    SessionSettings settings = own_settings(connection.mark, is_plain ? "plain TCP" : "unix",
                                            BaseEnvironment::Clean, options, audit_file);
    if (is_plain) {
        tune_tcp(socket);
        settings.refusal = [socket] { return refuse_plaintext_peer(socket); };
    } else {
        settings.refusal = [socket] { return refuse_unix_peer(socket); };
    }
    auto admitted = std::make_shared<Fd>(std::move(connection.steps));
    settings.admitted = [admitted] {
        (void)write_some(admitted->get(), "+");
        admitted->close();
    };
    return run_session(std::make_unique<FdTransport>(std::move(connection.socket)),
                       std::move(settings));
}

// What was freed before the first fork lies all over the heap, and glibc would give a child those
// pieces first, and set others of a size aside: nearly each makes a page the child's own. So they
// are taken, once, never to be used, and a child finds its memory in one place.
void fill_holes_of_heap() {
    constexpr std::size_t kSmallest = 24;
    constexpr std::size_t kLargest = 1032;  // What glibc keeps in lists by size (tcache).
    static void* taken = nullptr;           // Each has the one before in it.
    ::mallopt(M_MXFAST, 0);                 // What is freed from here on grows together again.
    int left =
        100'000;  // Another malloc(3) than glibc's may have another idea of where its top is.
    const char* const top = static_cast<const char*>(::sbrk(0)) - ::mallinfo2().keepcost;
    for (std::size_t size = kLargest; size >= kSmallest; size -= 16) {
        do {
            void* const piece = std::malloc(size);
            if (piece == nullptr) return;
            *static_cast<void**>(piece) = std::exchange(taken, piece);
        } while (taken < top && --left > 0);
    }
}

std::optional<Listener::Connection> listen_and_serve(const ServerOptions& options,
                                                     std::vector<Fd> given, Fd states,
                                                     int audit_file) {
    std::optional<PublicKey> host_key;
    if (is_tls(options, given)) {
        host_key = prepare_host_key(options.settings.host_key);
        if (options.use_sandbox) {
            if (const auto warning = try_sandbox()) log::notice(*warning);
        } else {
            log::notice("no sandbox: who breaks TLS is this user");
        }
    }
    // A forked child leaves its copy alone: to take that apart would make it own, page by page,
    // what it shares with all the others, and there is the more of it the more of them there are.
    [[maybe_unused]] static const Listener* volatile left =
        nullptr;  // Written down, or it would count as lost.
    auto owned = std::make_unique<Listener>(audit_file);
    Listener& listener = *owned;
    for (const std::string& where : options.settings.listen.value_or(std::vector<std::string>()))
        listener.listen_on_tcp(where, host_key);
    for (Fd& socket : given)
        listener.listen_on(std::move(socket), host_key);
    if (host_key) {
        log::notice("host key " + host_key->fingerprint() + " (" + options.settings.host_key + ")");
    }
    if (options.settings.unix_path) {
        std::string path = *options.settings.unix_path;
        if (path.empty()) {
            const std::string folder = runtime_folder();
            make_private_folder(folder);
            path = folder + "/frshd.sock";
        }
        listener.listen_on_unix(path);
    }
    fill_holes_of_heap();
    auto connection = listener.serve(std::move(states));
    if (connection) left = owned.release();
    return connection;
}

// Made before the first fork, so that all connections share what OpenSSL looked up and made; and
// never destroyed, for the same reason.
const TlsContext* make_warm_context() {
    static const auto* const context = new TlsContext(TlsContext::Side::Server);
    context->warm_up();
    warm_up_proofs(PrivateKey::generate_ed25519());  // What a login takes beside it.
    return context;
}

// A session shares most of its memory with its siblings. exit(3) would have all that is static
// destroyed, and to write to a page is to be given a copy of it first.
[[noreturn]] void leave(int status) {
#ifdef FRSH_SANITIZE
    std::exit(status);  // Which is when leaks are looked for.
#else
    ::_exit(status);
#endif
}

int run(int argc, char** argv) {
    secure_standard_streams();
    log::set_program("frshd");
    int status = 0;
    auto options = parse_server_options(argc, argv, status);
    if (!options) return status;
    std::vector<Fd> given = take_given_sockets();
    options->listens_on_given_sockets = !given.empty();
    Fd states = fork_supervisor();
    configure(*options);
    ServerSettings& settings = options->settings;
    log::set_level(settings.log_level.value_or(log::Level::Notice));
    const Fd audit = settings.audit.empty() ? Fd() : open_audit_file(settings.audit);
    if (options->stdio) return serve_stdio(*options, audit.get());
    if (settings.host_key.empty()) settings.host_key = usual_host_key();
    const TlsContext* const context = is_tls(*options, given) ? make_warm_context() : nullptr;
    const GateUser gate_user = context ? find_gate_user() : GateUser{};
    auto connection = listen_and_serve(*options, std::move(given), std::move(states), audit.get());
    if (!connection) return 0;
    if (connection->kind == Listener::Kind::Tls) {
        leave(serve_login(std::move(*connection), *context, *options, gate_user, audit.get()));
    }
    leave(serve_connection(std::move(*connection), *options, audit.get()));
}

}  // namespace
}  // namespace frsh

int main(int argc, char** argv) {
    try {
        return frsh::run(argc, argv);
    } catch (const std::exception& error) {
        frsh::log::error(error.what());
        return 255;
    }
}
