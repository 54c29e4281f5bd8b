// Audit reports connections, runs and refusals: each is a line in the log and, with --audit, a line
// of JSON in a file. A line has the peer, the key, the command, the outcome, the duration and the
// number of bytes. It never has the content of stdin, stdout or stderr.
#pragma once

#include "common/net/tls.hpp"
#include "common/proto/json.hpp"
#include "common/proto/message.hpp"
#include "common/sys/event_loop.hpp"
#include "common/sys/fd.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace frsh {

// Opens the file to append lines, or creates it with mode 0600. Throws SysError.
[[nodiscard]] Fd open_audit_file(const std::string& path);

struct AuditSubject {
    std::string session;  // The session's mark, which is in the environment of its runs.
    std::string from;     // "192.0.2.1:4711", "unix", "stdio"
    std::string user;     // Empty if the peer has not sent it.
    std::string key;      // A fingerprint; empty if the kernel reported the user (SO_PEERCRED).
    std::optional<TlsParameters> tls = {};  // As the gate reports them; absent without TLS.
};

class Audit {
  public:
    // `file` is lent; -1 if there is none.
    Audit(int file, AuditSubject subject);

    void connected() const;
    void disconnected() const;
    // Reports a refused login. `tried` are the keys that were offered without a signature.
    void refused(const std::string& why, const std::vector<std::string>& tried) const;
    // Reports a connection that was refused before a login. The log has it only with -v, because a
    // stranger can cause thousands of them.
    void turned_away(const std::string& why, const std::vector<std::string>& tried = {}) const;
    // Reports the penalty of a source for one connection. `stays_away`: how long the source is kept
    // out for all its penalties; 0 if they are below the threshold.
    void penalised(const std::string& source, std::chrono::seconds penalty,
                   std::chrono::seconds stays_away) const;
    // Reports a peer that disconnected before a login.
    void left(const std::string& why, const std::vector<std::string>& tried) const;

    // Stores the command for the report at the run's end.
    void run_asked(const msg::Open& open);
    void run_ended(const msg::End& end);

  private:
    void write(const char* event, const std::function<void(JsonObject&)>& add = {}) const;
    void write(const char* event, const std::string& why,
               const std::vector<std::string>& tried) const;
    [[nodiscard]] double age() const;
    [[nodiscard]] std::string who() const;

    int file_;
    AuditSubject subject_;
    EventLoop::Time started_ = EventLoop::Clock::now();
    std::map<std::string, std::string>
        asked_;  // The command of each run, by its id, until its end.
    std::uint64_t runs_ = 0;
    std::uint64_t bytes_ = 0;  // In stdout and stderr, of all runs.
};

}  // namespace frsh
