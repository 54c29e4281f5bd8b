// The server's side of a login over TLS: forks the gate, proves the host key, checks the user's.
//
// The monitor has the rights of the server until the verdict. So it reads no bytes of the peer
// except those in the gate's messages (gate_protocol.hpp). After a login, this process becomes the
// user, and the gate's socket is the session's transport. Its exit code (login_status.hpp) reports
// to the listener how the peer behaved.
#pragma once

#include "common/keys/private_key.hpp"
#include "common/keys/proof.hpp"
#include "common/net/tls.hpp"
#include "common/sys/event_loop.hpp"
#include "server/audit.hpp"
#include "server/login/account.hpp"
#include "server/login/gate_protocol.hpp"
#include "server/login/login_rules.hpp"
#include "server/login/login_status.hpp"
#include "server/login/timeouts.hpp"

#include <optional>
#include <string>
#include <vector>

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
    std::string host_key;          // A path.
    Fd host_key_copy;              // See HostKey. Closed once the host key is loaded.
    std::string host_certificate;  // A path; empty: HOST_KEY-cert.pub if that exists.
    AccountPolicy policy;
    bool use_sandbox = true;
    GateUser gate_user;
    AuditSink* audit = nullptr;  // Lent; never null.
    std::string session_mark;    // The session's mark, for the audit.
    bool is_preforked = false;   // No connection waits yet: monitor and gate warm up.
    Timeouts timeouts;
};

struct AdmittedLogin {
    User user;
    AuditSubject subject;
    Grant grant;
    Fd session;                  // Plain frames from here on.
    std::string ssh_connection;  // "SSH_CONNECTION=…", which existing scripts read.
    std::string ssh_client;      // "SSH_CLIENT=…", for the same reason.
    std::vector<std::string> environment = {};  // "NAME=value", from PAM.
};

class Monitor {
  public:
    // Forks the gate at once: call from the top of the stack. Progress is written to `steps`
    // (LoginStep), for the listener.
    Monitor(const TlsContext& context, MonitorSettings settings, Fd steps);

    // The socket to the gate, lent. poll(2) reports POLLHUP for it once the gate has ended.
    [[nodiscard]] int gate() const { return control_.get(); }
    // Takes the connection, which is non-blocking. Throws SysError if it is already gone.
    void take(Fd peer);
    // Performs the whole login and blocks until its end. Returns nothing if the login failed: exit
    // with exit_code(). Otherwise this process has become the user.
    [[nodiscard]] std::optional<AdmittedLogin> admit();
    [[nodiscard]] int exit_code() const { return static_cast<int>(exit_); }

  private:
    using Time = EventLoop::Time;
    // What the log and the environment say about this login.
    struct Attempt {
        std::string peer;     // "192.0.2.1:4711".
        std::string address;  // The same without the port.
        std::string ssh_connection;
        std::string ssh_client;
        std::string user;               // The latest probe's.
        std::vector<std::string> keys;  // All probes'.
        std::string refusal;            // Why the server ended the login; empty if the peer did.
        bool is_logged = false;         // The end of the login is already in the log.
    };

    [[noreturn]] void become_gate(const TlsContext& context, Fd control, Fd session);
    // Returns the gate's next message; nothing after the deadline or if the gate has ended.
    std::optional<ToMonitor> wait_for_gate();
    bool prove_host(const PrivateKey& key, const GateBinding& binding);
    void answer_probe(const std::string& payload);
    std::optional<AdmittedLogin> judge(const std::string& payload);
    // Opens the session of the account, as root. Returns why PAM refuses it, or nothing.
    std::optional<std::string> open_account(const User& user,
                                            std::vector<std::string>& environment);
    // Returns why the listener does not admit the session, or nothing.
    [[nodiscard]] std::optional<std::string> request_admission(const User& user,
                                                               const AuthorizedKey& key,
                                                               const AuditSubject& subject);
    void note_end_without_login();
    void refuse(const std::string& reason, const std::string& message);
    void part_from_gate();
    void tell_listener(LoginStep step);

    MonitorSettings settings_;
    Attempt attempt_;
    Fd steps_;
    pid_t gate_ = -1;
    Fd control_;
    Fd session_;
    Time started_;
    Time deadline_;
    ProofContext context_;
    std::optional<TlsParameters> tls_;  // For the audit.
    std::optional<PublicKey> host_key_;
    std::optional<LoginRules> rules_;  // Once there is a peer.
    LoginStatus exit_ = LoginStatus::Silent;
};

}  // namespace frsh
