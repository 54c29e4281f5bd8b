#include "server/audit.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <utility>

#include <sys/socket.h>

namespace frsh {
namespace {

// The longest command in a report, in bytes. A longer one is cut.
constexpr std::size_t kMaxCommandShown = 4096;

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

JsonObject details_of(const ForwardFacts& forward) {
    JsonObject details;
    details.add_text("run", forward.id);
    details.add_text("way", forward.has_arrived ? "accept" : "connect");
    details.add_bytes("place", forward.place);
    if (forward.has_arrived) details.add_text("peer", forward.from);
    return details;
}

}  // namespace

JsonObject to_json(const AuditSubject& subject) {
    JsonObject json;
    json.add_text("from", subject.from);
    if (subject.user.empty()) {
        json.add_null("user");
    } else {
        json.add_bytes("user", subject.user);
    }
    if (subject.key.empty()) {
        json.add_null("key");
    } else {
        json.add_text("key", subject.key);
    }
    return json;
}

JsonObject connection_details(const AuditSubject& subject) {
    JsonObject details;
    if (!subject.tls) return details;
    JsonObject parameters;
    parameters.add_text("group", subject.tls->group);
    parameters.add_text("cipher", subject.tls->cipher);
    details.add_object("tls", parameters);
    return details;
}

void AuditSender::record(const AuditSubject& subject, const char* event,
                         const JsonObject& details) {
    if (socket_ < 0) return;
    const std::string packet =
        std::string(event) + '\n' + to_json(subject).dump() + '\n' + details.dump();
    ssize_t sent = 0;
    do {
        sent = ::send(socket_, packet.data(), packet.size(), MSG_NOSIGNAL);
    } while (sent == -1 && errno == EINTR);
    if (sent == -1) log::error(SysError("audit: the listener takes no records").what());
}

Audit::Audit(AuditSink& sink, AuditSubject subject) : sink_(sink), subject_(std::move(subject)) {}

double Audit::age() const {
    return std::chrono::duration<double>(EventLoop::Clock::now() - started_).count();
}

std::string Audit::who() const {
    std::string text = subject_.from;
    if (!subject_.user.empty()) text += ": " + escape_controls(subject_.user);
    if (!subject_.key.empty()) text += " " + subject_.key;
    return text;
}

void Audit::connected() const {
    const auto& tls = subject_.tls;
    log::info(who() + ": connected" + (tls ? ", " + tls->group + ", " + tls->cipher : ""));
    sink_.record_connected(subject_);
}

void Audit::write(const char* event, const std::string& why,
                  const std::vector<std::string>& tried) const {
    JsonObject details;
    details.add_text("reason", why);
    if (!tried.empty()) details.add_texts("tried", tried);
    sink_.record(subject_, event, details);
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
    JsonObject details;
    details.add_text("source", source);
    details.add_whole("seconds", static_cast<std::uint64_t>(penalty.count()));
    details.add_whole("kept_out", static_cast<std::uint64_t>(stays_away.count()));
    sink_.record(subject_, "penalty", details);
}

void Audit::disconnected() const {
    log::info(who() + ": disconnected after " + in_seconds(age()) + ", " + std::to_string(runs_) +
              " runs, " + std::to_string(bytes_) + " bytes");
    JsonObject details;
    details.add_number("seconds", age());
    details.add_whole("runs", runs_);
    details.add_whole("bytes", bytes_);
    sink_.record(subject_, "disconnected", details);
}

void Audit::run_begins(const msg::Open& open) {
    const std::string command = what_was_asked(open);
    asked_[open.run] = command;
    JsonObject details;
    details.add_text("run", open.run);
    details.add_bytes("command", command);
    sink_.record(subject_, "started", details);
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
    JsonObject details;
    details.add_text("run", end.run);
    details.add_bytes("command", command);
    details.add_object("outcome", to_json(end.outcome));
    details.add_number("seconds", wall);
    details.add_whole("stdout_bytes", end.out.bytes);
    details.add_whole("stderr_bytes", end.err.bytes);
    sink_.record(subject_, "run", details);
}

void Audit::forward_begins(const ForwardFacts& forward) const {
    sink_.record(subject_, "forwarding", details_of(forward));
}

void Audit::forward_ended(const ForwardFacts& forward, const ForwardEnd& end,
                          EventLoop::Time since) const {
    const double seconds = std::chrono::duration<double>(EventLoop::Clock::now() - since).count();
    log::info(who() + ": forwarded " + (forward.has_arrived ? "from " : "to ") +
              escape_controls(forward.place) + ": " + describe(end.outcome) + " after " +
              in_seconds(seconds) + ", " + std::to_string(end.to_peer) + " bytes to the peer, " +
              std::to_string(end.to_client) + " to the client");
    JsonObject details = details_of(forward);
    details.add_object("outcome", to_json(end.outcome));
    details.add_number("seconds", seconds);
    details.add_whole("bytes_to_peer", end.to_peer);
    details.add_whole("bytes_to_client", end.to_client);
    sink_.record(subject_, "forward", details);
}

}  // namespace frsh
