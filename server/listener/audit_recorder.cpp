#include "server/listener/audit_recorder.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/proto/outcome.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

namespace frsh {
namespace {

// A command of 4,096 bytes takes six times as many if all of them are escaped.
constexpr std::size_t kMaxPacket = std::size_t{64} * 1024;
// How many packets one turn of the loop takes. The rest waits in the socket, and its senders too.
constexpr int kPacketsATurn = 256;
constexpr std::size_t kMaxRunId = 256;

double seconds_since(EventLoop::Time since) {
    return std::chrono::duration<double>(EventLoop::Clock::now() - since).count();
}

// Returns the text up to the next newline, and removes both.
std::string_view take_line(std::string_view& from) {
    const std::size_t end = from.find('\n');
    if (end == std::string_view::npos) throw ProtocolError("audit: a packet with too few lines");
    const std::string_view line = from.substr(0, end);
    from.remove_prefix(end + 1);
    return line;
}

bool is_of_a_session(std::string_view event) {
    return event == "started" || event == "run" || event == "forwarding" || event == "forward" ||
           event == "disconnected";
}

// The listener adds these members itself.
void refuse_common_members(const JsonObject& details) {
    for (const char* const key : {"time", "event", "session", "from", "user", "user_b64", "key"}) {
        if (details.has(key)) throw ProtocolError("audit: a record that sets its own subject");
    }
}

// The listener adds these members to the end of a run whose session has died.
void refuse_members_of_an_end(std::string_view event, const JsonObject& details) {
    const bool is_begin = event == "started" || event == "forwarding";
    if (is_begin && (details.has("outcome") || details.has("seconds"))) {
        throw ProtocolError("audit: a begin that tells its end");
    }
}

}  // namespace

AuditRecorder::AuditRecorder(EventLoop& loop, AuditFile& file) : loop_(loop), file_(file) {
    open();
}

void AuditRecorder::open() {
    if (!file_.is_open() || socket_.is_open()) return;
    int ends[2];
    check(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), "socketpair");
    sender_ = Fd(ends[0]);
    socket_ = Fd(ends[1]);
    const int on = 1;
    check(::setsockopt(socket_.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on), "setsockopt");
    set_nonblocking(socket_.get());
    watch_ = loop_.watch(
        "listener: a session has a record for the audit", socket_.get(),
        [] { return short{POLLIN}; },
        [this](short) {
            for (int i = 0; i < kPacketsATurn && receive_one(); ++i) {
            }
        });
}

void AuditRecorder::begin(pid_t pid, const std::string& mark) {
    if (file_.is_open()) sessions_.insert_or_assign(pid, Session{mark});
}

bool AuditRecorder::admit(pid_t pid, const std::string& subject, const std::string& details) {
    const auto found = sessions_.find(pid);
    if (found == sessions_.end()) return true;
    Session& session = found->second;
    JsonObject members = JsonObject::parse(details);
    refuse_common_members(members);
    JsonObject who = JsonObject::parse(subject);
    if (!file_.write("connected", session.mark, who, members)) return false;
    session.subject = std::move(who);
    session.since = EventLoop::Clock::now();
    return true;
}

void AuditRecorder::receive() {
    while (receive_one()) {
    }
}

bool AuditRecorder::receive_one() {
    if (!socket_.is_open()) return false;
    static std::array<char, kMaxPacket> packet;
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(ucred))];
    iovec part{packet.data(), packet.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t got = 0;
    do {
        got = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
    } while (got == -1 && errno == EINTR);
    if (got <= 0) return false;
    const cmsghdr* const header = CMSG_FIRSTHDR(&message);
    const bool has_sender = header != nullptr && header->cmsg_level == SOL_SOCKET &&
                            header->cmsg_type == SCM_CREDENTIALS;
    if (!has_sender || (message.msg_flags & MSG_TRUNC) != 0) return true;
    ucred sender{};
    std::memcpy(&sender, CMSG_DATA(header), sizeof sender);
    try {
        take(sender.pid, {packet.data(), static_cast<std::size_t>(got)});
    } catch (const ProtocolError& error) {
        log::error("session " + std::to_string(sender.pid) + ": " + error.what());
    }
    return true;
}

void AuditRecorder::take(pid_t sender, std::string_view packet) {
    const auto found = sessions_.find(sender);
    if (found == sessions_.end()) return;
    Session& session = found->second;
    const std::string event(take_line(packet));
    const JsonObject claimed = JsonObject::parse(take_line(packet));
    const JsonObject details = JsonObject::parse(packet);
    refuse_common_members(details);
    if (!session.subject) {
        (void)file_.write(event, session.mark, claimed, details);
        return;
    }
    if (!is_of_a_session(event)) {
        throw ProtocolError("audit: an event that no session has");
    }
    refuse_members_of_an_end(event, details);
    (void)file_.write(event, session.mark, *session.subject, details);
    note(session, event, details);
}

void AuditRecorder::note(Session& session, const std::string& event, const JsonObject& details) {
    if (event == "disconnected") session.is_over = true;
    if (event == "run" || event == "forward") {
        session.runs.erase(details.text("run", kMaxRunId));
    }
    const bool is_run = event == "started";
    if ((is_run || event == "forwarding") && session.runs.size() < kMostOpenRuns) {
        session.runs.insert_or_assign(
            details.text("run", kMaxRunId),
            Open{details, EventLoop::Clock::now(), is_run ? "run" : "forward"});
    }
}

void AuditRecorder::ended(pid_t pid, const std::string& why) {
    receive();
    const auto found = sessions_.find(pid);
    if (found == sessions_.end()) return;
    const Session session = std::move(found->second);
    sessions_.erase(found);
    if (!session.subject) return;
    for (const auto& [id, run] : session.runs) {
        JsonObject details = run.details;
        details.add_object("outcome", to_json(Outcome(Lost{why})));
        details.add_number("seconds", seconds_since(run.since));
        (void)file_.write(run.end_event, session.mark, *session.subject, details);
    }
    if (session.is_over) return;
    JsonObject details;
    details.add_text("reason", why);
    details.add_number("seconds", seconds_since(session.since));
    (void)file_.write("disconnected", session.mark, *session.subject, details);
}

}  // namespace frsh
