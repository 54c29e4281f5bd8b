// What happened, for people and for machines: a line in the log and, with --audit, a line of JSON
// for each connection, each run and each refusal. Who, from where, what, how it ended, how long,
// how many bytes; never what was written or read.
#pragma once

#include "common/proto/message.hpp"
#include "common/sys/event_loop.hpp"
#include "common/sys/fd.hpp"

#include <map>
#include <string>
#include <vector>

namespace frsh {

// Opens the file for one more line at a time; it is made for its owner only. Throws SysError.
[[nodiscard]] Fd open_audit_file(const std::string& path);

struct AuditSubject {
    std::string session;  // The session's mark, which its runs carry, too.
    std::string from;     // "192.0.2.1:4711", "unix", "stdio"
    std::string user;     // Empty where nobody has said.
    std::string key;      // A fingerprint; empty where the kernel vouched for the user.
};

class Audit {
  public:
    // `file` is lent, and -1 where there is none.
    Audit(int file, AuditSubject subject);

    void connected() const;
    void disconnected() const;
    // A login, after these keys had been shown without a signature.
    void refused(const std::string& why, const std::vector<std::string>& tried) const;
    // A connection, before there was a login; the log has it with -v only, since anybody may bring
    // about thousands of these.
    void turned_away(const std::string& why, const std::vector<std::string>& tried = {}) const;
    // What a connection has cost its source: time that it has to stay away, once that is enough
    // altogether; none of it is left where the penalty is forgiven.
    void penalised(const std::string& source, std::chrono::seconds penalty,
                   std::chrono::seconds stays_away) const;
    // The peer went by himself, before there was one.
    void left(const std::string& why, const std::vector<std::string>& tried) const;

    void run_asked(const msg::Open& open);
    void run_ended(const msg::End& end);

  private:
    void write(const char* event, Json::Object members) const;
    void write(const char* event, const std::string& why,
               const std::vector<std::string>& tried) const;
    [[nodiscard]] double age() const;
    [[nodiscard]] std::string who() const;

    int file_;
    AuditSubject subject_;
    EventLoop::Time started_ = EventLoop::Clock::now();
    std::map<std::string, std::string> asked_;  // By run, until its end.
    std::uint64_t runs_ = 0;
    std::uint64_t bytes_ = 0;  // Of stdout and stderr.
};

}  // namespace frsh
