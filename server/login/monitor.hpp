// The server's side of a login over TLS: forks the gate, proves the host, judges the user.
//
// It keeps its rights until there is a verdict, and so reads nothing of the peer but what the gate
// hands over (gate_protocol.hpp). On success this process becomes the user, and the gate's socket
// is the session's transport. It also says, by its exit code, what the listener should think of the
// peer.
#pragma once

#include "common/keys/private_key.hpp"
#include "common/keys/proof.hpp"
#include "common/net/tls.hpp"
#include "common/sys/event_loop.hpp"
#include "server/audit.hpp"
#include "server/login/account.hpp"
#include "server/login/gate_protocol.hpp"
#include "server/login/login_status.hpp"
#include "server/login/timeouts.hpp"

#include <optional>
#include <string>

namespace frsh {

// The user of the gates of a root server.
struct GateUser {
    uid_t uid = 65534;
    gid_t gid = 65534;
};
// Returns the user that the package created for gates, else uid 65534. Call it once, before the
// first fork: the look-up takes longer than the sandbox.
[[nodiscard]] GateUser find_gate_user();

struct MonitorSettings {
    std::string host_key;  // A path.
    AccountPolicy policy;
    bool use_sandbox = true;
    GateUser gate_user;
    int audit_file = -1;        // Lent; see audit.hpp.
    std::string session_mark;   // For it.
    bool is_preforked = false;  // No connection waits yet: monitor and gate warm up.
    Timeouts timeouts;
};

struct Login {
    User user;
    AuditSubject subject;
    Grant grant;
    Fd session;                  // Plain frames from here on.
    std::string ssh_connection;  // "SSH_CONNECTION=…" and "SSH_CLIENT=…", which scripts in the
    std::string ssh_client;      // wild read.
};

class Monitor {
  public:
    // Forks the gate at once: call from the top of the stack. How far it got is written to `steps`,
    // for the listener.
    Monitor(const TlsContext& context, MonitorSettings settings, Fd steps);

    // The connection, non-blocking. Throws SysError where it is gone already.
    void take(Fd peer);
    // The whole login. With an answer, this process is the user already; without one, exit_code()
    // is all that is left to say.
    [[nodiscard]] std::optional<Login> admit();
    [[nodiscard]] int exit_code() const { return static_cast<int>(exit_); }

  private:
    using Time = EventLoop::Time;

    [[noreturn]] void become_gate(const TlsContext& context, Fd control, Fd session);
    // The gate's next packet; nothing once the deadline or the gate's life is over.
    std::optional<ToMonitor> wait_for_gate();
    bool prove_host(const PrivateKey& key, const std::string& binding);
    void answer_probe(const std::string& payload);
    std::optional<Login> judge(const std::string& payload);
    void note_end_without_login();
    void refuse(const std::string& reason, const std::string& message);
    void part_from_gate();
    void tell_listener(LoginStep step);

    MonitorSettings settings_;
    std::string peer_;     // "192.0.2.1:4711", for the log,
    std::string address_;  // and without the port.
    std::string ssh_connection_;
    std::string ssh_client_;
    Fd steps_;
    pid_t gate_ = -1;
    Fd control_;
    Fd session_;
    Time started_;
    Time deadline_;
    ProofContext context_;
    std::optional<PublicKey> host_key_;
    LoginStatus exit_ = LoginStatus::Silent;
    std::string asked_user_;          // By a probe, for the log,
    std::vector<std::string> tried_;  // with these keys.
    std::string refusal_;             // Why we ended it; empty where the peer did.
    bool is_noted_ = false;           // There is a line about its end already.
};

}  // namespace frsh
