// AuditRecorder writes the records of sessions to the audit file, and what a session that has died
// can no longer send: the ends of its runs, and its own.
//
// All sessions share one socket. The kernel adds the sender's pid to each packet (unix(7),
// SCM_CREDENTIALS). Before its admission a session is the server's own code with the server's
// rights. After that it is the user's, so it can only report what happens in it: the listener knows
// which session, peer, user and key it belongs to. A packet is three lines: the event, the subject
// and the details; the last two are JSON.
#pragma once

#include "common/proto/json.hpp"
#include "common/sys/event_loop.hpp"
#include "common/sys/fd.hpp"
#include "server/audit_file.hpp"

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <sys/types.h>

namespace frsh {

class AuditRecorder {
  public:
    // The most runs and forwarded connections of a session whose ends are recorded if it dies.
    static constexpr std::size_t kMostOpenRuns = 1024;

    // Both are lent. Throws SysError. Makes no socket if there is no audit.
    AuditRecorder(EventLoop& loop, AuditFile& file);

    // Makes the socket, if there is an audit by now and no socket yet. Throws SysError.
    void open();

    // Returns the sessions' end of the socket, which is lent; -1 if there is no audit.
    [[nodiscard]] int sender() const { return sender_.get(); }

    // `mark` is the session's, for every line.
    void begin(pid_t pid, const std::string& mark);
    // Fixes the subject of the session's lines, and records the connection. Both texts are JSON.
    // Returns false if the file does not have the record. Throws ProtocolError.
    [[nodiscard]] bool admit(pid_t pid, const std::string& subject, const std::string& details);
    // Records what the session has not recorded before its end. Call it when the session has ended
    // and before its pid is reaped again. `why` is the cause, for a person.
    void ended(pid_t pid, const std::string& why);

  private:
    struct Open {
        JsonObject details;  // Run and command, or a forwarded connection.
        EventLoop::Time since;
        const char* end_event;
    };
    struct Session {
        std::string mark;
        std::optional<JsonObject> subject = {};  // Once it is admitted.
        EventLoop::Time since = EventLoop::Clock::now();
        std::map<std::string, Open> runs = {};  // What has not ended.
        bool is_over = false;                   // It has recorded its own end.
    };
    // Writes all records that have been sent.
    void receive();
    bool receive_one();
    void take(pid_t sender, std::string_view packet);
    void note(Session& session, const std::string& event, const JsonObject& details);

    EventLoop& loop_;
    AuditFile& file_;
    std::map<pid_t, Session> sessions_;
    Fd sender_;
    Fd socket_;
    EventLoop::Watch watch_;
};

}  // namespace frsh
