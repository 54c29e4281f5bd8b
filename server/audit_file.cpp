#include "server/audit_file.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/prompt_write.hpp"

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <string_view>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace frsh {
namespace {

using namespace std::chrono_literals;

constexpr auto kReportInterval = 60s;

std::string now_text() {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    tm parts{};
    ::gmtime_r(&now.tv_sec, &parts);
    char text[64];
    std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ", parts.tm_year + 1900,
                  parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                  now.tv_nsec / 1'000'000);
    return text;
}

// Opens for reading too, to see how the file ends, unless the file may only be written. A FIFO
// opened for both ways needs no reader yet, and its reader may come and go (fifo(7)). Opened for
// writing only, each write(2) without a reader fails.
Fd open_audit(const std::string& path, AuditFile::Reader reader) {
    constexpr int kFlags = O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY;
    struct stat status {};
    const bool is_there = ::stat(path.c_str(), &status) == 0;
    if (is_there && S_ISFIFO(status.st_mode)) {
        Fd both(check(::open(path.c_str(), O_RDWR | O_NONBLOCK | kFlags, 0600), "open " + path));
        if (reader == AuditFile::Reader::MayCome) return both;
        // While `both` is open, this open(2) finds a reader.
        return Fd(
            check(::open(path.c_str(), O_WRONLY | O_NONBLOCK | kFlags, 0600), "open " + path));
    }
    const bool is_other = is_there && !S_ISREG(status.st_mode);
    Fd file(is_other ? -1 : ::open(path.c_str(), O_RDWR | kFlags, 0600));
    if (file.is_open()) return file;
    return Fd(check(::open(path.c_str(), O_WRONLY | kFlags, 0600), "open " + path));
}

// Joins objects without a common key to one line.
std::string join(const JsonObject& first, const JsonObject& second, const JsonObject& third) {
    std::string line = first.dump();
    for (const JsonObject* const more : {&second, &third}) {
        const std::string text = more->dump();
        if (text == "{}") continue;
        line.back() = ',';
        line.append(text, 1, std::string::npos);
    }
    return line + "\n";
}

}  // namespace

void AuditFile::open(const std::string& path, Reader reader) {
    file_ = path.empty() ? Fd() : open_audit(path, reader);
    has_torn_ = false;
}

bool AuditFile::is_torn() const {
    struct stat status {};
    char last = '\n';
    if (::fstat(file_.get(), &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0 &&
        ::pread(file_.get(), &last, 1, status.st_size - 1) == 1) {
        return last != '\n';
    }
    return has_torn_ && !(S_ISREG(status.st_mode) && status.st_size == 0);
}

void AuditFile::report(const std::string& error) {
    ++unreported_;
    const EventLoop::Time now = EventLoop::Clock::now();
    if (now < report_again_) return;
    log::error("audit: " + error + "; " + std::to_string(unreported_) +
               " records are missing or cut");
    report_again_ = now + kReportInterval;
    unreported_ = 0;
}

bool AuditFile::write(const std::string& event, const std::string& session,
                      const JsonObject& subject, const JsonObject& details) {
    if (!is_open()) return true;
    JsonObject head;
    head.add_text("time", now_text());
    head.add_text("event", event);
    head.add_text("session", session);
    // One write(2) to a file opened for appending: lines of several processes do not mix.
    const std::string text = (is_torn() ? "\n" : "") + join(head, subject, details);
    std::size_t written = 0;
    const PromptWrite result = write_promptly(file_.get(), text, &written);
    if (result == PromptWrite::Written) {
        has_torn_ = false;
        return true;
    }
    const int error = errno;
    if (written > 0) has_torn_ = text[written - 1] != '\n';
    report(result == PromptWrite::Dropped ? "its reader is slow or gone"
                                          : std::string("write: ") + std::strerror(error));
    return false;
}

void AuditFile::record(const AuditSubject& subject, const char* event, const JsonObject& details) {
    (void)write(event, subject.session, to_json(subject), details);
}

std::optional<std::string> AuditFile::find_connection_refusal(const AuditSubject& subject) {
    has_connection_ =
        write("connected", subject.session, to_json(subject), connection_details(subject));
    if (has_connection_) return std::nullopt;
    return kAuditRefusal;
}

void AuditFile::record_connected(const AuditSubject& subject) {
    if (!has_connection_) AuditSink::record_connected(subject);
}

}  // namespace frsh
