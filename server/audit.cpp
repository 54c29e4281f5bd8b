#include "server/audit.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/prompt_write.hpp"
#include "common/base/text.hpp"

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>

namespace frsh {
namespace {

// The longest command in a report, in bytes. A longer one is cut.
constexpr std::size_t kMaxCommandShown = 4096;

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

std::string in_seconds(double seconds) {
    char text[32];
    std::snprintf(text, sizeof text, "%.3f s", seconds);
    return text;
}

std::string in_words(const std::vector<std::string>& tried) {
    std::string text;
    for (const std::string& key : tried)
        text += (text.empty() ? "; tried " : ", ") + key;
    return text;
}

std::string what_was_asked(const msg::Open& open) {
    std::string text = open.mode == msg::Open::Mode::Subsystem ? "subsystem" : "";
    for (const std::string& arg : open.args) {
        if (!text.empty()) text += ' ';
        text += open.mode == msg::Open::Mode::Argv ? shell_quote(arg) : arg;
        if (text.size() > kMaxCommandShown) break;
    }
    return text.substr(0, kMaxCommandShown);
}

}  // namespace

Fd open_audit_file(const std::string& path) {
    struct stat info {};
    const bool is_fifo = ::stat(path.c_str(), &info) == 0 && S_ISFIFO(info.st_mode);
    // A FIFO opened for both ways needs no reader yet, and its reader may come and go (fifo(7)).
    const int way = is_fifo ? O_RDWR | O_NONBLOCK : O_WRONLY | O_CREAT;
    return Fd(
        check(::open(path.c_str(), way | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600), "open " + path));
}

Audit::Audit(int file, AuditSubject subject) : file_(file), subject_(std::move(subject)) {}

double Audit::age() const {
    return std::chrono::duration<double>(EventLoop::Clock::now() - started_).count();
}

std::string Audit::who() const {
    std::string text = subject_.from;
    if (!subject_.user.empty()) text += ": " + escape_controls(subject_.user);
    if (!subject_.key.empty()) text += " " + subject_.key;
    return text;
}

void Audit::write(const char* event, const std::function<void(JsonObject&)>& add) const {
    if (file_ < 0) return;
    JsonObject line;
    line.add_text("time", now_text());
    line.add_text("event", event);
    line.add_text("session", subject_.session);
    line.add_text("from", subject_.from);
    if (subject_.user.empty()) {
        line.add_null("user");
    } else {
        line.add_bytes("user", subject_.user);
    }
    if (subject_.key.empty()) {
        line.add_null("key");
    } else {
        line.add_text("key", subject_.key);
    }
    if (add) add(line);
    // One write(2) to a file opened for appending: lines of many sessions never mix.
    switch (write_promptly(file_, line.dump() + "\n")) {
        case PromptWrite::Written:
            return;
        case PromptWrite::Dropped:
            return log::error("audit: a line was dropped, because its reader did not take it: " +
                              std::string(event) + " " + subject_.from);
        case PromptWrite::Failed:
            return log::error(std::string("audit: ") + SysError("write").what());
    }
}

void Audit::connected() const {
    const auto& tls = subject_.tls;
    log::info(who() + ": connected" + (tls ? ", " + tls->group + ", " + tls->cipher : ""));
    write("connected", [&](JsonObject& line) {
        if (!tls) return;
        JsonObject parameters;
        parameters.add_text("group", tls->group);
        parameters.add_text("cipher", tls->cipher);
        line.add_object("tls", parameters);
    });
}

void Audit::write(const char* event, const std::string& why,
                  const std::vector<std::string>& tried) const {
    write(event, [&](JsonObject& line) {
        line.add_text("reason", why);
        if (!tried.empty()) line.add_texts("tried", tried);
    });
}

void Audit::refused(const std::string& why, const std::vector<std::string>& tried) const {
    log::notice(who() + ": refused: " + why + in_words(tried));
    write("refused", why, tried);
}

void Audit::turned_away(const std::string& why, const std::vector<std::string>& tried) const {
    log::info(who() + ": refused: " + why + in_words(tried));
    write("refused", why, tried);
}

void Audit::left(const std::string& why, const std::vector<std::string>& tried) const {
    log::info(who() + ": left: " + why + in_words(tried));
    write("left", why, tried);
}

void Audit::penalised(const std::string& source, std::chrono::seconds penalty,
                      std::chrono::seconds stays_away) const {
    log::info(who() + ": penalty of " + std::to_string(penalty.count()) + " s for " + source +
              (stays_away.count() > 0
                   ? ", kept out for " + std::to_string(stays_away.count()) + " s"
                   : ""));
    write("penalty", [&](JsonObject& line) {
        line.add_text("source", source);
        line.add_whole("seconds", static_cast<std::uint64_t>(penalty.count()));
        line.add_whole("kept_out", static_cast<std::uint64_t>(stays_away.count()));
    });
}

void Audit::disconnected() const {
    log::info(who() + ": disconnected after " + in_seconds(age()) + ", " + std::to_string(runs_) +
              " runs, " + std::to_string(bytes_) + " bytes");
    write("disconnected", [&](JsonObject& line) {
        line.add_number("seconds", age());
        line.add_whole("runs", runs_);
        line.add_whole("bytes", bytes_);
    });
}

void Audit::run_asked(const msg::Open& open) {
    asked_[open.run] = what_was_asked(open);
}

void Audit::run_ended(const msg::End& end) {
    ++runs_;
    bytes_ += end.out.bytes + end.err.bytes;
    const std::string command = asked_[end.run];
    asked_.erase(end.run);
    const double wall = end.usage ? end.usage->wall_seconds : 0;
    log::info(who() + ": run " + end.run + " (" + escape_controls(command.substr(0, 200)) +
              "): " + describe(end.outcome) + " after " + in_seconds(wall) + ", stdout " +
              std::to_string(end.out.bytes) + ", stderr " + std::to_string(end.err.bytes) +
              " bytes");
    write("run", [&](JsonObject& line) {
        line.add_text("run", end.run);
        line.add_bytes("command", command);
        line.add_object("outcome", to_json(end.outcome));
        line.add_number("seconds", wall);
        line.add_whole("stdout_bytes", end.out.bytes);
        line.add_whole("stderr_bytes", end.err.bytes);
    });
}

}  // namespace frsh
