#include "server/login/monitor.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/keys/crypto.hpp"
#include "common/keys/proof.hpp"
#include "common/keys/sshsig.hpp"
#include "common/net/socket.hpp"
#include "common/proto/message.hpp"
#include "common/sys/process.hpp"
#include "common/sys/signals.hpp"
#include "server/login/admission.hpp"
#include "server/login/gate.hpp"
#include "server/login/host_key.hpp"
#include "server/login/pam_session.hpp"
#include "server/login/sandbox.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <exception>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace frsh {
namespace {

// The most messages from one gate: probes, auth_pending, and the login itself.
constexpr int kMostMessages = 16;
// The buffer of the socket between gate and session, in bytes. It is small, so that control
// messages do not wait long behind data.
constexpr int kSessionBuffer = 64 * 1024;
// The number of the gate's descriptor that leads to its monitor.
constexpr int kControl = 3;

// "ADDRESS PORT", as sshd writes it.
std::string describe_as_ssh(const Address& address) {
    return address.host_text() + " " + std::to_string(address.port());
}

Credential credential_of(const UserProof& proof) {
    return proof.certificate ? Credential(*proof.certificate) : Credential(proof.key);
}

void make_short(const Fd& socket) {
    for (const int option : {SO_SNDBUF, SO_RCVBUF}) {
        check(
            ::setsockopt(socket.get(), SOL_SOCKET, option, &kSessionBuffer, sizeof kSessionBuffer),
            "setsockopt");
    }
}

// Runs a part of a login before there is a connection, so that its real use is fast. Ignores
// errors: the real use reports them. listener/fork_tuning.hpp has the numbers.
template <typename Part>
void warm_up(const Part& part) {
    try {
        part();
    } catch (const std::exception&) {
        return;
    }
}

}  // namespace

GateUser find_gate_user() {
    if (const auto user = find_user("_frsh")) return {user->uid, user->gid};
    return {};
}

Monitor::Monitor(const TlsContext& context, MonitorSettings settings, Fd steps)
    : settings_(std::move(settings)), steps_(std::move(steps)) {
    auto [control, gate_control] = make_packet_pair();
    auto [session, gate_session] = make_socketpair();
    make_short(session);
    make_short(gate_session);
    gate_ = check(::fork(), "fork");
    if (gate_ == 0) {
        control.close();
        session.close();
        become_gate(context, std::move(gate_control), std::move(gate_session));
    }
    control_ = std::move(control);
    session_ = std::move(session);
    if (settings_.is_preforked) {
        warm_up([&] {
            warm_up_proofs(load_host_key(settings_.host_key_copy.get()));
        });  // See prove_host().
    }
}

void Monitor::take(Fd peer) {
    started_ = EventLoop::Clock::now();
    deadline_ = started_ + settings_.timeouts.handshake;
    tune_tcp(peer.get());
    send_packet(control_.get(), encode(ToGate{ToGate::Kind::Peer, ""}), peer.get());
    const Address theirs = peer_address(peer.get());
    const Address own = local_address(peer.get());
    attempt_.peer = theirs.text();
    attempt_.address = theirs.host_text();
    rules_.emplace(settings_.policy, sshd_connection_of(peer.get()), settings_.host_key);
    const std::string from = describe_as_ssh(theirs);
    attempt_.ssh_connection = "SSH_CONNECTION=" + from + " " + describe_as_ssh(own);
    attempt_.ssh_client = "SSH_CLIENT=" + from + " " + std::to_string(own.port());
}

void Monitor::become_gate(const TlsContext& context, Fd control, Fd session) {
    int status = 1;
    int report_to = control.get();  // The number kControl may still be the peer's socket.
    try {
        ::prctl(PR_SET_NAME, "frshd-prefork");
        // Put the two sockets behind the standard streams and close all other descriptors. The
        // peer's socket will get the next number.
        int lifted[2];
        const int sockets[2] = {control.get(), session.get()};
        for (int i = 0; i < 2; ++i)
            lifted[i] = check(::fcntl(sockets[i], F_DUPFD_CLOEXEC, kControl + 2), "dup");
        report_to = lifted[0];
        for (int i = 0; i < 2; ++i)
            check(::dup3(lifted[i], kControl + i, O_CLOEXEC), "dup");
        report_to = kControl;
        act_on_range(kControl + 2, ~0U, RangeAction::Close);
        const Fd null(check(::open("/dev/null", O_RDWR | O_CLOEXEC), "open /dev/null"));
        // Without a sandbox, stderr stays open for the reports of a sanitizer.
        for (int standard = 0; standard <= (settings_.use_sandbox ? 2 : 1); ++standard)
            check(::dup2(null.get(), standard), "dup");
        ::close(null.get());
        if (settings_.is_preforked) warm_up([&] { context.warm_up(); });
        // This function never returns, so the old Fd objects are neither used nor destroyed.
        auto* const gate =
            new Gate(context, Fd(kControl), Fd(kControl + 1), settings_.timeouts.peer_close);
        if (settings_.use_sandbox) {
            // Its warnings were logged when the server started.
            give_up_rights({settings_.gate_user.uid, settings_.gate_user.gid, kControl + 2});
        }
        Fd peer = wait_for_descriptor(kControl);
        if (!peer.is_open()) ::_exit(0);  // No connection came.
        ::prctl(PR_SET_NAME, "frshd-gate");
        if (settings_.use_sandbox) filter_system_calls();
        gate->run(std::move(peer));
        status = 0;
    } catch (const std::exception& error) {
        // Report to the monitor, which can log. The gate may have no log any more.
        const std::string why = std::string("gate: ") + error.what();
        send_packet(report_to, encode(ToMonitor{ToMonitor::Kind::Failure, why.substr(0, 256)}));
    }
    ::_exit(status);
}

std::optional<ToMonitor> Monitor::wait_for_gate() {
    for (;;) {
        if (const auto packet = receive_packet(control_.get())) {
            if (packet->empty()) return std::nullopt;
            ToMonitor message = parse_to_monitor(*packet);
            if (message.kind == ToMonitor::Kind::Failure) {
                attempt_.refusal = escape_controls(message.payload);
                return std::nullopt;
            }
            return message;
        }
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(deadline_ - EventLoop::Clock::now());
        if (left.count() <= 0) {
            attempt_.refusal = "no login within the time given";
            refuse("timeout", attempt_.refusal);
            return std::nullopt;
        }
        pollfd polled{control_.get(), POLLIN, 0};
        if (::poll(&polled, 1, static_cast<int>(left.count())) == -1 && errno != EINTR) {
            throw SysError("poll");
        }
    }
}

std::optional<AdmittedLogin> Monitor::admit() {
    try {
        // Load the key while the gate shakes hands. It signs once, and is then wiped from memory.
        std::optional<PrivateKey> host_key = load_host_key(settings_.host_key_copy.get());
        settings_.host_key_copy.close();
        const auto binding = wait_for_gate();
        if (binding && binding->kind == ToMonitor::Kind::Binding &&
            prove_host(*std::exchange(host_key, std::nullopt), parse_binding(*binding))) {
            deadline_ = EventLoop::Clock::now() + settings_.timeouts.login;
            tell_listener(LoginStep::Hello);
            // The gate counts as well, but an attacker in control of it does not.
            int left = kMostMessages;
            while (const auto message = wait_for_gate()) {
                if (--left < 0) throw ProtocolError("gate: more than any client has to say");
                if (message->kind == ToMonitor::Kind::Auth) {
                    tell_listener(LoginStep::Spoken);
                    auto login = judge(message->payload);
                    if (login) return login;
                    break;
                }
                if (message->kind == ToMonitor::Kind::Probe) {
                    answer_probe(message->payload);
                    tell_listener(LoginStep::Spoken);
                } else if (message->kind == ToMonitor::Kind::Pending) {
                    deadline_ = started_ + settings_.timeouts.awaiting_user;
                    tell_listener(LoginStep::Pending);
                } else {
                    throw ProtocolError("gate: out of turn");
                }
            }
        }
    } catch (const ProtocolError& error) {
        log::error(attempt_.peer + ": " + error.what());
        attempt_.refusal = error.what();
        exit_ = LoginStatus::Crashed;
    } catch (const std::exception& error) {
        log::error(attempt_.peer + ": " + error.what());
        attempt_.refusal = error.what();
    }
    if (!attempt_.is_logged) note_end_without_login();
    part_from_gate();
    return std::nullopt;
}

bool Monitor::prove_host(const PrivateKey& key, const GateBinding& binding) {
    context_ = {binding.binding, random_bytes(kNonceSize)};
    tls_ = binding.tls;
    host_key_ = key.public_key();
    const HostProof proof{
        *host_key_, sign_sshsig(key, kHostNamespace, host_proof_message(context_)),
        find_host_certificate(settings_.host_key, settings_.host_certificate, *host_key_)};
    return send_packet(control_.get(),
                       encode(ToGate{ToGate::Kind::HostProof, context_.nonce + encode(proof)}));
}

void Monitor::answer_probe(const std::string& payload) {
    const auto answer_at = EventLoop::Clock::now() + settings_.timeouts.denial;
    std::string answer;
    try {
        const UserProbe probe = parse_user_probe(payload);
        attempt_.user = probe.user;
        for (const Credential& key : probe.keys)
            attempt_.keys.push_back(key.fingerprint());
        const auto user = find_account(probe.user);
        // An account that is closed at the moment refuses the login itself, which has a reason.
        if (user) {
            if (const auto found = rules_->find(*user, probe.keys)) {
                answer = std::string(1, static_cast<char>(found->index));
            }
        }
    } catch (const ProtocolError& error) {
        log::info(attempt_.peer + ": " + error.what());
    }
    if (answer.empty()) std::this_thread::sleep_until(answer_at);
    send_packet(control_.get(), encode(ToGate{ToGate::Kind::Acceptable, answer}));
}

std::optional<AdmittedLogin> Monitor::judge(const std::string& payload) {
    const auto answer_at = EventLoop::Clock::now() + settings_.timeouts.denial;
    exit_ = LoginStatus::Failed;
    std::string why;  // For the log.
    AuditSubject subject{settings_.session_mark, attempt_.peer, "", "", tls_};
    const char* reason = "denied";
    std::string words = "login refused: no such user here, or not with this key";
    std::vector<std::string> environment;
    try {
        const UserProof proof = parse_user_proof(payload);
        subject.user = proof.user;
        subject.key = proof.key.fingerprint();
        const auto user = find_account(proof.user);
        std::optional<FoundGrant> found;
        if (user) found = rules_->find(*user, {credential_of(proof)});
        const Presence presence = found ? found->grant.key.presence : Presence::Touched;
        if (!is_proven(proof, context_, *host_key_, presence)) {
            why = "the signature is not valid";
        } else if (!user) {
            why = "no such account";
        } else if (!found) {
            why = rules_->left_out().empty() ? "the key is not authorized" : rules_->left_out();
        } else if (const auto refusal = rules_->find_refusal(*user, found->grant)) {
            why = *refusal;
            words = "login refused: " + *refusal;  // The peer has proved to own the account.
        } else if (const auto closed = open_account(*user, environment)) {
            why = *closed;
            words = "login refused: " + *closed;
        } else if (const auto full = request_admission(*user, found->grant.key, subject)) {
            why = *full;
            words = "login refused: " + *full;
            reason = "busy";
            exit_ = LoginStatus::Fine;  // The peer has done nothing wrong.
        } else {
            become_user(*user);
            tell_listener(LoginStep::Admitted);  // The listener reads the user of this process.
            steps_.close();
            if (!send_packet(control_.get(), encode(ToGate{ToGate::Kind::Admitted, ""}))) {
                return std::nullopt;
            }
            control_.close();
            exit_ = LoginStatus::Fine;
            log::info(attempt_.peer + ": key of " + found->grant.where);
            if (!settings_.policy.permit_user_environment) found->grant.key.environment.clear();
            return AdmittedLogin{*user,
                                 std::move(subject),
                                 std::move(found->grant),
                                 std::move(session_),
                                 attempt_.ssh_connection,
                                 attempt_.ssh_client,
                                 std::move(environment)};
        }
    } catch (const ProtocolError& error) {
        why = error.what();
    }
    attempt_.is_logged = true;
    Audit(*settings_.audit, subject).refused(why, attempt_.keys);
    std::this_thread::sleep_until(answer_at);
    refuse(reason, words);
    return std::nullopt;
}

std::optional<std::string> Monitor::open_account(const User& user,
                                                 std::vector<std::string>& environment) {
    if (::geteuid() != 0) return std::nullopt;
    leave_session_keyring();
    if (settings_.policy.uses_pam) {
        PamOutcome pam = open_pam_session(user, attempt_.address);
        if (pam.refusal) return pam.refusal;
        environment = std::move(pam.environment);
    }
    set_login_uid(user.uid);
    return std::nullopt;
}

std::optional<std::string> Monitor::request_admission(const User& user, const AuthorizedKey& key,
                                                      const AuditSubject& subject) {
    AdmissionRequest request;
    request.uid = user.uid;
    request.gid = user.gid;
    if (key.command) request.bound_key = subject.key;
    request.subject = to_json(subject).dump();
    request.details = connection_details(subject).dump();
    const auto left = deadline_ - EventLoop::Clock::now();
    return find_admission_refusal(steps_.get(), request,
                                  std::chrono::ceil<std::chrono::milliseconds>(left));
}

void Monitor::note_end_without_login() {
    const Audit audit(*settings_.audit, {settings_.session_mark, attempt_.peer, attempt_.user, ""});
    if (attempt_.refusal.empty()) {
        audit.left(attempt_.keys.empty() ? "without a login" : "no key was acceptable",
                   attempt_.keys);
    } else {
        audit.turned_away(attempt_.refusal, attempt_.keys);
    }
}

void Monitor::tell_listener(LoginStep step) {
    const char byte = static_cast<char>(step);
    (void)write_some(steps_.get(), {&byte, 1});
}

void Monitor::refuse(const std::string& reason, const std::string& message) {
    std::string frame;
    msg::Error error{reason, message, std::nullopt};
    if (reason == "busy") error.retry_after = 1;
    encode(frame, error);
    send_packet(control_.get(), encode(ToGate{ToGate::Kind::Refused, frame}));
}

// The way the gate ends shows whether it was attacked: a signal counts as a crash.
void Monitor::part_from_gate() {
    session_.close();
    // A gate that waits for an answer gets the end of the stream instead, behind all packets.
    ::shutdown(control_.get(), SHUT_WR);
    pollfd polled{control_.get(), 0, 0};  // Waits for POLLHUP only.
    const bool is_over =
        ::poll(&polled, 1, static_cast<int>(settings_.timeouts.gate_exit.count())) == 1;
    if (!is_over) ::kill(gate_, SIGKILL);
    const ExitStatus status = wait_for(gate_);
    if (is_over && (status.signaled || status.code != 0)) {
        log::error(attempt_.peer + ": the gate died" +
                   (status.signaled ? " by signal " + signal_name(status.signal) : ""));
        exit_ = LoginStatus::Crashed;
    }
}

}  // namespace frsh
