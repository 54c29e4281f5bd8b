// AuditFile appends the audit's lines to a file.
//
// A line that a full disk has cut stays as it is. The next line begins on a line of its own.
#pragma once

#include "common/proto/json.hpp"
#include "common/sys/event_loop.hpp"
#include "common/sys/fd.hpp"
#include "server/audit.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace frsh {

// The reason for a login that is refused because of audit_required.
inline constexpr const char* kAuditRefusal = "the server cannot write its audit, which it requires";

class AuditFile : public AuditSink {
  public:
    // Whether lines may wait in a FIFO until a reader comes, or it must have one for each line.
    enum class Reader { MayCome, Required };
    // Opens the file to append lines, or creates it with mode 0600. An empty path: there is no
    // audit. Throws SysError; an open file stays then.
    void open(const std::string& path, Reader reader = Reader::MayCome);

    [[nodiscard]] bool is_open() const { return file_.is_open(); }

    // Writes one line: time, event and session, then the members of `subject` and `details`. They
    // must have no key twice. Returns false if the file does not have the whole line. Logs the
    // error, at most one each minute.
    bool write(const std::string& event, const std::string& session, const JsonObject& subject,
               const JsonObject& details);
    void record(const AuditSubject& subject, const char* event, const JsonObject& details) override;
    // For a process without a listener that requires its audit: records the connection. Returns why
    // it must be refused, or nothing.
    [[nodiscard]] std::optional<std::string> find_connection_refusal(const AuditSubject& subject);
    void record_connected(const AuditSubject& subject) override;

  private:
    [[nodiscard]] bool is_torn() const;
    void report(const std::string& error);

    Fd file_;
    bool has_connection_ = false;     // find_connection_refusal() has recorded it.
    bool has_torn_ = false;           // The last write of this process ended within a line.
    EventLoop::Time report_again_{};  // No error is logged before.
    std::uint64_t unreported_ = 0;    // Errors since the last report.
};

}  // namespace frsh
