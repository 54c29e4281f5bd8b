// frshd: reads the command line and listens. Each forked child becomes a session.
#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/log_sink.hpp"
#include "common/net/socket.hpp"
#include "common/sys/startup.hpp"
#include "server/audit_file.hpp"
#include "server/config.hpp"
#include "server/listener/fork_tuning.hpp"
#include "server/listener/listener.hpp"
#include "server/listener/prefork_pool.hpp"
#include "server/listener/sessions.hpp"
#include "server/listener/systemd.hpp"
#include "server/login/admission.hpp"
#include "server/login/bound_key.hpp"
#include "server/login/host_key.hpp"
#include "server/login/monitor.hpp"
#include "server/login/pam_session.hpp"
#include "server/login/peer_credentials.hpp"
#include "server/login/sandbox.hpp"
#include "server/login/timeouts.hpp"
#include "server/options.hpp"
#include "server/reload.hpp"
#include "server/session/session.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace frsh {
namespace {

// Ignores the signals that mean nothing to frshd and would end it, such as SIGUSR1. With SIGXFSZ
// ignored, write(2) to an audit file or a log at its size limit fails with EFBIG. Commands get all
// signals back as they were (see spawn()). SIGCHLD must arrive: if the parent ignores it, wait4(2)
// returns no status.
void settle_signals() {
    for (const int number : {SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGIO, SIGPWR,
                             SIGSTKFLT, SIGXFSZ, SIGXCPU})
        std::signal(number, SIG_IGN);
    for (int number = SIGRTMIN; number <= SIGRTMAX; ++number)
        std::signal(number, SIG_IGN);
    std::signal(SIGCHLD, SIG_DFL);
}

void redirect_to_null(int standard_stream) {
    const Fd null(check(::open("/dev/null", O_RDWR | O_CLOEXEC), "open /dev/null"));
    check(::dup2(null.get(), standard_stream), "dup2");
}

// Returns the standard stream for the connection, and puts /dev/null in its place. So output that a
// library prints never gets between two frames.
Fd take_over(int standard_stream) {
    Fd fd(check(::fcntl(standard_stream, F_DUPFD_CLOEXEC, 3), "dup"));
    redirect_to_null(standard_stream);
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

// Applies what frshd.toml permits every client to forward.
void take_rules_of_server(ForwardRules& rules, const ServerSettings& settings) {
    const Forwarding permitted = settings.forwarding.value_or(Forwarding::All);
    rules.server_may_connect = permitted == Forwarding::All || permitted == Forwarding::Local;
    rules.server_may_listen = permitted == Forwarding::All || permitted == Forwarding::Remote;
    rules.server_may_have_agent = permitted != Forwarding::None;
    rules.server_permit_open = settings.permit_open;
    rules.server_permit_listen = settings.permit_listen;
}

SessionSettings settings_for(const User& user, AuditSubject subject, BaseEnvironment environment,
                             const ServerOptions& options, AuditSink& audit) {
    SessionSettings settings;
    settings.launch.user = user;
    settings.launch.env = base_environment(user, environment);
    settings.launch.accept_env = options.settings.accept_env;
    settings.launch.plain_shells = options.settings.plain_shells;
    settings.launch.sftp_server = options.settings.sftp_server;
    settings.launch.session_mark = subject.session;
    take_rules_of_server(settings.launch.forward_rules, options.settings);
    settings.retention = retention_of(options.settings);
    settings.audit = std::make_shared<Audit>(audit, std::move(subject));
    return settings;
}

void replace_variable(std::vector<std::string>& env, std::string entry) {
    const std::string name = entry.substr(0, entry.find('=')) + "=";
    std::erase_if(env, [&](const std::string& one) { return one.starts_with(name); });
    env.push_back(std::move(entry));
}

std::string own_kept_folder() {
    return state_folder(current_user().home) + "/runs";
}

// Returns settings for a session of this process's own user, whom the kernel has authenticated.
SessionSettings own_settings(std::string mark, const char* from, BaseEnvironment environment,
                             const ServerOptions& options, AuditSink& audit) {
    const User user = current_user();
    SessionSettings settings =
        settings_for(user, {std::move(mark), from, user.name, ""}, environment, options, audit);
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
    policy.sshd = settings.sshd_policy.value_or(SshdPolicyMode::Obey);
    policy.revoked_keys = settings.revoked_keys;
    policy.trusted_user_ca_keys = settings.trusted_user_ca_keys;
    policy.uses_pam = settings.use_pam.value_or(::geteuid() == 0 && has_pam_service());
    return policy;
}

SessionRules rules_of(const ServerSettings& settings) {
    SessionRules rules;
    rules.most = settings.max_sessions.value_or(rules.most);
    rules.is_audit_required = settings.audit_required.value_or(false);
    for (const std::string& one : settings.penalty_exempt.value_or(std::vector<std::string>()))
        rules.penalty_exempt += (rules.penalty_exempt.empty() ? "" : ",") + one;
    return rules;
}

int serve_stdio(const ServerOptions& options, AuditFile& audit) {
    Fd input = take_over(STDIN_FILENO);
    Fd output = take_over(STDOUT_FILENO);
    SessionSettings settings =
        own_settings(new_session_mark(), "stdio", BaseEnvironment::Inherited, options, audit);
    if (options.settings.audit_required.value_or(false)) {
        settings.refusal = [&audit, subject = settings.audit->subject()] {
            return audit.find_connection_refusal(subject);
        };
    }
    // A reader of the client's stderr does not wait for runs that outlive the connection.
    settings.left_alone = [] { redirect_to_null(STDERR_FILENO); };
    return run_session(std::make_unique<FdTransport>(std::move(input), std::move(output)),
                       std::move(settings));
}

// Waits for the connection in a preforked session. Returns false if none will come, or if `helper`
// (-1: none), which the session cannot serve without, has ended before.
bool take_socket(SessionStart& start, int helper = -1) {
    if (start.arrivals.is_open()) {
        start.socket = PreforkPool::await_connection(start, helper);
        start.arrivals.close();
    }
    return start.socket.is_open();
}

// Applies what authorized_keys permits this key to forward.
void take_rules_of_key(ForwardRules& rules, const AuthorizedKey& key) {
    rules.key_may_connect = key.may_connect();
    rules.key_may_listen = key.may_listen();
    rules.key_may_have_agent = key.may_have_agent();
    if (!key.permit_open.empty()) rules.key_permit_open = key.permit_open;
    if (!key.permit_listen.empty()) rules.key_permit_listen = key.permit_listen;
}

// Runs a forked session over TLS: first as the monitor of the login, then as the user's session.
int serve_login(SessionStart start, const TlsContext& context, LiveConfiguration& live,
                const GateUser& gate_user) {
    const ServerOptions& options = live.options;
    AuditSender audit(start.audit_socket);
    MonitorSettings monitor_settings;
    monitor_settings.gate_user = gate_user;
    monitor_settings.host_key = options.settings.host_key;
    monitor_settings.host_key_copy = std::move(live.host_key->copy);
    monitor_settings.host_certificate = options.settings.host_certificate;
    monitor_settings.policy = policy_of(options.settings);
    monitor_settings.use_sandbox = options.use_sandbox;
    monitor_settings.audit = &audit;
    monitor_settings.session_mark = start.mark;
    monitor_settings.is_preforked = start.arrivals.is_open();
    const uid_t server_uid = ::geteuid();
    Monitor monitor(context, std::move(monitor_settings), std::move(start.steps));
    if (!take_socket(start, monitor.gate())) return 0;
    monitor.take(std::move(start.socket));
    if (server_uid == 0) ::umask(022);  // PAM may set another one.
    auto login = monitor.admit();
    if (!login) return monitor.exit_code();
    SessionSettings settings = settings_for(login->user, std::move(login->subject),
                                            BaseEnvironment::Clean, options, audit);
    if (login->grant.key.command) {
        settings.launch.bound_key = name_of_bound_key(login->grant.key);
    }
    // XDG_STATE_HOME of this process counts only for this process's own user.
    settings.kept_folder =
        kept_folder_of(settings.launch.user.uid == server_uid
                           ? own_kept_folder()
                           : usual_state_folder(settings.launch.user.home) + "/runs",
                       settings.launch.bound_key);
    for (std::string& variable : login->environment)
        replace_variable(settings.launch.env, std::move(variable));
    settings.launch.env.push_back(std::move(login->ssh_connection));
    // With SSH_CLIENT, a bash of level 1 reads ~/.bashrc first (bash(1), INVOCATION). A bash of
    // level 2 does not; a client that wants it asks (`bashrc` of `open`). A script in command= was
    // written for sshd, and gets what sshd sets. DECISIONS.md has the reasons.
    if (!login->grant.key.command) settings.launch.env.emplace_back("SHLVL=1");
    settings.launch.env.push_back(std::move(login->ssh_client));
    for (const auto& [name, value] : login->grant.key.environment)
        settings.launch.env.push_back(std::string(name).append("=").append(value));
    settings.launch.forced_command = login->grant.key.command;
    settings.launch.may_have_pty = login->grant.key.may_have_pty;
    take_rules_of_key(settings.launch.forward_rules, login->grant.key);
    return run_session(std::make_unique<FdTransport>(std::move(login->session)),
                       std::move(settings));
}

// Returns the request of a session of this process's own user.
AdmissionRequest own_request(const SessionSettings& settings) {
    AdmissionRequest request;
    request.uid = settings.launch.user.uid;
    request.gid = settings.launch.user.gid;
    request.subject = to_json(settings.audit->subject()).dump();
    request.details = connection_details(settings.audit->subject()).dump();
    return request;
}

int serve_connection(SessionStart start, const ServerOptions& options) {
    if (!take_socket(start)) return 0;
    const int socket = start.socket.get();
    const bool is_plain = start.door == Door::Plaintext;
    AuditSender audit(start.audit_socket);
    SessionSettings settings = own_settings(start.mark, is_plain ? "plain TCP" : "unix",
                                            BaseEnvironment::Clean, options, audit);
    if (is_plain) tune_tcp(socket);
    auto admitted = std::make_shared<Fd>(std::move(start.steps));
    const AdmissionRequest request = own_request(settings);
    settings.refusal = [=] {
        auto why = is_plain ? refuse_plaintext_peer(socket) : refuse_unix_peer(socket);
        return why ? why : find_admission_refusal(admitted->get(), request, Timeouts().login);
    };
    settings.admitted = [admitted] {
        (void)write_some(admitted->get(), "+");
        admitted->close();
    };
    return run_session(std::make_unique<FdTransport>(std::move(start.socket)), std::move(settings));
}

// Starts to listen on all addresses, inherited sockets and unix paths. Throws UserError.
void listen_on_all(Listener& listener, const LiveConfiguration& live, std::vector<Fd> given) {
    const ServerSettings& settings = live.options.settings;
    for (const std::string& where : settings.listen.value_or(std::vector<std::string>()))
        listener.listen_on_tcp(where);
    for (Fd& socket : given)
        listener.listen_on(std::move(socket));
    if (live.host_key) {
        log::notice("host key " + live.host_key->key.fingerprint() + " (" + settings.host_key +
                    ")");
    }
    if (!settings.unix_path) return;
    std::string path = *settings.unix_path;
    if (path.empty()) {
        path = make_runtime_folder() + "/frshd.sock";
    }
    listener.listen_on_unix(path);
}

// Returns the start of a session in each forked session, and nothing in the listener's process once
// all sessions have ended.
std::optional<SessionStart> listen_and_serve(LiveConfiguration& live,
                                             const ServerOptions& command_line,
                                             std::vector<Fd> given, Fd states) {
    const ServerOptions& options = live.options;
    if (is_tls(options, given)) {
        make_missing_host_key(options.settings.host_key);
        live.host_key = read_host_key(options.settings.host_key);
        if (options.use_sandbox) {
            if (const auto warning = try_sandbox()) log::notice(*warning);
        } else {
            log::notice(
                "warning: sandbox disabled; a compromised TLS process has this user's "
                "rights");
        }
    }
    auto listener = std::make_unique<Listener>(live.audit, live.host_key,
                                               rules_of(options.settings), Timeouts());
    listen_on_all(*listener, live, std::move(given));
    listener->reload_with([&live, command_line] {
        reload(live, command_line);
        return rules_of(live.options.settings);
    });
    fill_heap_holes();
    auto start = listener->serve(std::move(states));
    if (start) leak(std::move(listener));
    return start;
}

int run(int argc, char** argv) {
    secure_standard_streams();
    settle_signals();
    log::set_program("frshd");
    int status = 0;
    auto options = parse_server_options(argc, argv, status);
    if (!options) return status;
    std::vector<Fd> given = take_given_sockets();
    options->listens_on_given_sockets = !given.empty();
    Fd states = fork_supervisor();
    const ServerOptions command_line = *options;
    LiveConfiguration live{std::move(*options), {}, {}};
    configure(live.options);
    ServerSettings& settings = live.options.settings;
    log::set_level(settings.log_level.value_or(log::Level::Notice));
    open_audit(live.audit, settings);
    if (live.options.stdio) return serve_stdio(live.options, live.audit);
    log::never_wait_for_reader();
    if (settings.host_key.empty()) settings.host_key = usual_host_key();
    const bool has_tls = is_tls(live.options, given);
    const TlsContext* const context = has_tls ? make_warm_context() : nullptr;
    const GateUser gate_user = context ? find_gate_user() : GateUser{};
    auto start = listen_and_serve(live, command_line, std::move(given), std::move(states));
    if (!start) return 0;
    if (start->door == Door::Tls) {
        exit_without_destructors(serve_login(std::move(*start), *context, live, gate_user));
    }
    live.host_key.reset();  // Closes its copy before a process of the user starts.
    exit_without_destructors(serve_connection(std::move(*start), live.options));
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
