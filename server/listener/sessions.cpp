#include "server/listener/sessions.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/keys/host_pattern.hpp"
#include "common/sys/process_table.hpp"
#include "common/sys/signals.hpp"
#include "server/audit.hpp"
#include "server/login/admission.hpp"
#include "server/login/gate_protocol.hpp"
#include "server/login/login_status.hpp"

#include <csignal>
#include <utility>

#include <poll.h>
#include <unistd.h>

namespace frsh {
namespace {

using namespace std::chrono_literals;

std::string how_it_ended(const ExitStatus& status) {
    return status.signaled ? "the session died by signal " + signal_name(status.signal)
                           : "the session ended with status " + std::to_string(status.code);
}

}  // namespace

Sessions::Sessions(EventLoop& loop, AuditFile& audit, const SessionRules& rules,
                   const Timeouts& timeouts)
    : loop_(loop),
      audit_(audit),
      rules_(rules),
      recorder_(loop, audit),
      limits_(timeouts),
      shares_(rules.most, ::geteuid()) {}

void Sessions::reload(const SessionRules& rules) {
    rules_ = rules;
    shares_.limit(rules.most);
    recorder_.open();
}

bool Sessions::is_exempt(const std::string& address) const {
    return match_address_list(address, rules_.penalty_exempt) == ListVerdict::Match;
}

void Sessions::adopt(PreforkPool::Session forked, AcceptQueue::Pending& pending, std::string from) {
    const pid_t pid = forked.pid;
    const bool is_login = pending.door == Door::Tls;
    limits_.add(pid, pending.source,
                is_login ? LoginLimits::Rules::OfALogin : LoginLimits::Rules::Own,
                EventLoop::Clock::now());
    recorder_.begin(pid, forked.mark);
    Session& session = sessions_[pid];
    session.steps = std::move(forked.steps);
    session.door = pending.door;
    session.mark = std::move(forked.mark);
    session.from = std::move(from);
    session.source = std::move(pending.source);
    session.watch = loop_.watch(
        "listener: a session knows its peer", session.steps.get(), [] { return short{POLLIN}; },
        [this, pid, &session](short) { (void)read_step(pid, session); });
}

bool Sessions::read_step(pid_t pid, Session& session) {
    if (!session.steps.is_open()) return false;
    std::string packet(kMaxStepPacket, '\0');
    const IoResult got = read_some(session.steps.get(), packet.data(), packet.size());
    if (got.status == IoResult::Status::WouldBlock) return false;
    if (got.status == IoResult::Status::EndOfFile) {
        close_steps(pid, session);
        return false;
    }
    packet.resize(got.bytes);
    const auto step = static_cast<LoginStep>(packet[0]);
    limits_.advance(pid, step, EventLoop::Clock::now());
    if (step == LoginStep::Asking) answer(pid, session, packet);
    if (step == LoginStep::Admitted) {
        session.is_admitted = true;
        close_steps(pid, session);
    }
    return session.steps.is_open();
}

void Sessions::answer(pid_t pid, Session& session, const std::string& request) {
    const auto why = session.owner ? "a second request" : admit(pid, session, request);
    // The session may have died.
    (void)send_packet(session.steps.get(), why ? "-" + *why : "+");
}

std::optional<std::string> Sessions::admit(pid_t pid, Session& session,
                                           const std::string& request) {
    try {
        const AdmissionRequest wish = parse_admission_request(request);
        if (auto why = shares_.add(pid, {wish.uid, session.source.name, wish.bound_key}))
            return why;
        if (!recorder_.admit(pid, wish.subject, wish.details) && rules_.is_audit_required) {
            shares_.remove(pid);
            return kAuditRefusal;
        }
        session.owner = Endings::Owner{wish.uid, wish.gid};
        return std::nullopt;
    } catch (const ProtocolError& error) {
        shares_.remove(pid);
        return error.what();
    }
}

void Sessions::close_steps(pid_t pid, Session& session) {
    if (!session.steps.is_open()) return;
    limits_.remove(pid);
    session.watch.reset();
    session.steps.close();
}

void Sessions::penalise(const Session& session, const ExitStatus& status) {
    // After a login, no end of a session is its source's fault.
    if (session.door != Door::Tls || session.source.is_exempt || session.is_admitted) return;
    const auto exit = static_cast<LoginStatus>(status.code);
    const auto penalty = session.eviction != nullptr                       ? 1s
                         : status.signaled || exit == LoginStatus::Crashed ? 90s
                         : exit == LoginStatus::Failed                     ? 5s
                         : exit == LoginStatus::Silent                     ? 1s
                                                                           : 0s;
    if (penalty == 0s) return;
    const EventLoop::Time now = EventLoop::Clock::now();
    penalties_.add(session.source.name, penalty, now);
    Audit(audit_, {session.mark, session.from, "", ""})
        .penalised(session.source.name, penalty,
                   penalties_.find(session.source.name, now).value_or(0s));
}

bool Sessions::reaped(const ExitStatus& status) {
    if (endings_.reaped(status.pid)) return true;
    const auto found = sessions_.find(status.pid);
    if (found == sessions_.end()) return false;
    ended(status.pid, found->second, status);
    sessions_.erase(found);
    return true;
}

void Sessions::ended(pid_t pid, Session& session, const ExitStatus& status) {
    // Its last steps may not have been read yet.
    while (read_step(pid, session)) {
    }
    recorder_.ended(pid, how_it_ended(status));
    penalise(session, status);
    if (session.eviction != nullptr) {
        record_refusal(session.from, session.mark, session.eviction);
    } else if (status.signaled && session.door == Door::Tls && !session.is_admitted) {
        record_refusal(session.from, session.mark, "the login died by a signal");
    }
    close_steps(pid, session);
    shares_.remove(pid);
    if (!status.signaled || session.eviction != nullptr || !session.owner) return;
    log::error("session " + std::to_string(pid) + " died by signal " + signal_name(status.signal) +
               "; ending what it started");
    endings_.add(*session.owner, {pid, {session.mark}, now_in_ticks()});
}

void Sessions::tick(EventLoop::Time now, LoginLimits::Waiting waiting) {
    for (const LoginLimits::Eviction& eviction : limits_.take_evictions(now, waiting)) {
        sessions_.at(eviction.pid).eviction = eviction.why;
        ::kill(eviction.pid, SIGKILL);  // Not reaped yet, so the pid is still this session's.
    }
    for (const pid_t pid : shares_.take_asked(now))
        ::kill(pid, kLeaveIfIdle);
}

void Sessions::record_refusal(const std::string& from, const std::string& mark,
                              const std::string& why) {
    Audit(audit_, {mark, from, "", ""}).turned_away(why);
}

}  // namespace frsh
