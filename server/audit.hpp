// Audit reports connections, runs and refusals: each is a line in the log and, with --audit, a line
// of JSON in a file. A line has the peer, the key, the command, the outcome, the duration and the
// number of bytes. It never has the content of stdin, stdout or stderr.
//
// A run is recorded before its program starts, and again at its end. A session sends its records to
// the listener (AuditSender), since the session's user can kill the session, and has no right to
// write the file. A process without a listener writes the file itself (audit_file.hpp).
#pragma once

#include "common/net/tls.hpp"
#include "common/proto/json.hpp"
#include "common/proto/message.hpp"
#include "common/sys/event_loop.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace frsh {

struct AuditSubject {
    std::string session;  // The session's mark, which is in the environment of its runs.
    std::string from;     // "192.0.2.1:4711", "unix", "stdio"
    std::string user;     // Empty if the peer has not sent it.
    std::string key;      // A fingerprint; empty if the kernel reported the user (SO_PEERCRED).
    std::optional<TlsParameters> tls = {};  // As the gate reports them; absent without TLS.
};

// The members of every line that come from the subject: from, user, key.
[[nodiscard]] JsonObject to_json(const AuditSubject& subject);
// The members of a `connected` line.
[[nodiscard]] JsonObject connection_details(const AuditSubject& subject);

// Takes the records of an audit.
class AuditSink {
  public:
    AuditSink() = default;
    virtual ~AuditSink() = default;
    AuditSink(const AuditSink&) = delete;
    AuditSink& operator=(const AuditSink&) = delete;

    // `details` are the members that only this event has.
    virtual void record(const AuditSubject& subject, const char* event,
                        const JsonObject& details) = 0;
    virtual void record_connected(const AuditSubject& subject) {
        record(subject, "connected", connection_details(subject));
    }
};

// Sends each record to the listener: AuditRecorder in listener/audit_recorder.hpp.
class AuditSender : public AuditSink {
  public:
    // `socket` is lent, and blocks; -1 if there is no audit.
    explicit AuditSender(int socket) : socket_(socket) {}
    void record(const AuditSubject& subject, const char* event, const JsonObject& details) override;
    // The listener has recorded it when it admitted the session.
    void record_connected(const AuditSubject&) override {}

  private:
    int socket_;
};

// A connection that a session forwards.
struct ForwardFacts {
    std::string id;     // That of the channel's run.
    std::string place;  // What the session connects to, or where the connection has arrived.
    std::string from;   // For a connection that has arrived: its peer; empty for a unix socket.
    bool has_arrived = false;
};

// How it ended, and the bytes that each side has been given.
struct ForwardEnd {
    Outcome outcome;
    std::uint64_t to_peer = 0;
    std::uint64_t to_client = 0;
};

class Audit {
  public:
    // `sink` is lent.
    Audit(AuditSink& sink, AuditSubject subject);

    [[nodiscard]] const AuditSubject& subject() const { return subject_; }
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

    // Records that the run begins. Call it before the program starts: the program may kill this
    // process at once. Stores the command for the report at the run's end.
    void run_begins(const msg::Open& open);
    void run_ended(const msg::End& end);
    // As run_begins(), for a forwarded connection.
    void forward_begins(const ForwardFacts& forward) const;
    // `since`: when it began.
    void forward_ended(const ForwardFacts& forward, const ForwardEnd& end,
                       EventLoop::Time since) const;

  private:
    void write(const char* event, const std::string& why,
               const std::vector<std::string>& tried) const;
    [[nodiscard]] double age() const;
    [[nodiscard]] std::string who() const;

    AuditSink& sink_;
    AuditSubject subject_;
    EventLoop::Time started_ = EventLoop::Clock::now();
    std::map<std::string, std::string>
        asked_;  // The command of each run, by its id, until its end.
    std::uint64_t runs_ = 0;
    std::uint64_t bytes_ = 0;  // In stdout and stderr, of all runs.
};

}  // namespace frsh
