#include "server/session/client_connection.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/base/version.hpp"
#include "common/sys/signals.hpp"

#include <algorithm>
#include <csignal>
#include <utility>
#include <variant>

#include <unistd.h>

namespace frsh {
namespace {

using namespace std::chrono_literals;

// For writing the last bytes to a client that is being disconnected.
constexpr auto kLastBytesTimeout = 2s;
// A clock that counts nanoseconds overflows with grace periods of centuries.
constexpr auto kLongestGrace = std::chrono::hours(24 * 365);
// A client that has just been admitted is about to send its first request.
constexpr auto kIdleTime = 1s;
constexpr const char* kGone = "there is no such session any more";

std::string host_name() {
    char name[256] = {};
    (void)::gethostname(name, sizeof name - 1);
    return name;
}

// The claims of sessions lie beside the folder of the kept runs.
std::string folder_of_claims(const std::string& kept_folder) {
    return kept_folder.substr(0, kept_folder.rfind('/')) + "/sessions";
}

std::unique_ptr<Transport> transport_of(Handoff& arrived) {
    return std::make_unique<FdTransport>(std::move(arrived.input), std::move(arrived.output));
}

}  // namespace

ClientConnection::ClientConnection(EventLoop& loop, std::unique_ptr<Transport> transport,
                                   const SessionSettings& settings, Registry& kept)
    : loop_(loop),
      settings_(settings),
      kept_(kept),
      link_(loop, std::move(transport), *this, kStrangerLimits),
      shells_(loop, link_, settings.launch),
      channels_(link_),
      listeners_(loop, link_, settings.launch.forward_rules,
                 [this] { return room_for_incoming(); }),
      outgoing_handoff_(loop, link_, settings.launch.bound_key),
      claim_(folder_of_claims(settings.kept_folder)),
      was_handed_off_here_(false),
      state_since_(EventLoop::Clock::now()) {
    // The server does not wait for the client's hello, which saves a round trip.
    link_.send(msg::Hello{kProtocolVersion,
                          std::string("frshd/") + kVersion,
                          {kFeatures.begin(), kFeatures.end()},
                          escape_controls(settings_.launch.user.name),
                          escape_controls(host_name())});
}

ClientConnection::ClientConnection(EventLoop& loop, Handoff arrived, Fd visit,
                                   const SessionSettings& settings, Registry& kept)
    : loop_(loop),
      settings_(settings),
      kept_(kept),
      link_(loop, transport_of(arrived), *this),
      shells_(loop, link_, settings.launch),
      channels_(link_),
      listeners_(loop, link_, settings.launch.forward_rules,
                 [this] { return room_for_incoming(); }),
      outgoing_handoff_(loop, link_, settings.launch.bound_key),
      claim_(folder_of_claims(settings.kept_folder)),
      visit_(std::move(visit)),
      was_handed_off_here_(true),
      state_since_(EventLoop::Clock::now()) {
    link_.receive(arrived.bytes);
}

void ClientConnection::change_to(State state, Time now) {
    state_ = state;
    state_since_ = now;
    if (state_ != State::Over) return;
    // A client that returns is to learn that there were runs whose ends it does not have.
    channels_.is_all_acknowledged() ? claim_.release() : claim_.leave();
}

bool ClientConnection::prepare() {
    if (state_ == State::HandingOff) continue_handoff(EventLoop::Clock::now());
    switch (state_) {
        case State::AwaitingHello:
        case State::Attended:
        case State::Disconnected:
        case State::Closing:
            link_.flush();
            break;
        case State::HandingOff:  // The other session may write to the connection already.
        case State::HandedOff:
            return true;
        case State::Over:
            return false;
    }
    if (!link_.is_down() || !link_.is_flushed() || !has_nothing_left()) return true;
    change_to(State::Over, EventLoop::Clock::now());
    return false;
}

void ClientConnection::tick(Time now) {
    shells_.tick(now);
    channels_.tick(now);
    listeners_.tick(now);
    if (handoff_point_) handoff_point_->tick(now);
    end_expired_runs(now);
    shells_.remove_finished();
    channels_.remove_finished();
    if (state_ == State::AwaitingHello && now >= state_since_ + settings_.hello_time) {
        refuse_connection("timeout", "no hello within the time given");
    }
    if (state_ != State::Disconnected && state_ != State::Closing) return;
    // After a slow turn the client may have room for the last bytes only now.
    link_.flush();
    const bool is_late = now >= state_since_ + kLastBytesTimeout;
    if (state_ == State::Disconnected && (link_.is_flushed() || is_late)) {
        link_.drop();
        visit_.close();
    }
    if (is_late && has_nothing_left()) change_to(State::Over, now);
}

bool ClientConnection::is_idle() const {
    return channels_.is_idle() && shells_.is_idle() && listeners_.is_empty();
}

bool ClientConnection::has_nothing_left() const {
    return is_idle() && !(state_ == State::Disconnected && shells_.has_reports());
}

EventLoop::Time ClientConnection::next_deadline() const {
    Time next = std::min({shells_.next_deadline(), channels_.next_deadline(), next_expiry(),
                          listeners_.next_deadline()});
    if (handoff_point_) next = std::min(next, handoff_point_->next_deadline());
    switch (state_) {
        case State::AwaitingHello:
            return std::min(next, state_since_ + settings_.hello_time);
        case State::HandingOff:
            return std::min(next, outgoing_handoff_.next_deadline());
        case State::Disconnected:
        case State::Closing:
            return has_nothing_left() ? std::min(next, state_since_ + kLastBytesTimeout) : next;
        case State::Attended:
        case State::HandedOff:
        case State::Over:
            break;
    }
    return next;
}

void ClientConnection::child_exited(const ExitStatus& status) {
    // Orphans of the client's runs come to this process, their subreaper; nothing waits for them.
    if (!channels_.child_exited(status)) shells_.child_exited(status);
}

void ClientConnection::refuse_connection(const std::string& reason, const std::string& message) {
    if (!is_admitted_ && settings_.audit) {
        settings_.audit->turned_away(message);
    } else {
        log::info("refused: " + message);
    }
    link_.send(msg::Error{reason, message, std::nullopt});
    close();
}

void ClientConnection::leave_if_idle() {
    if (!is_idle() || (state_ != State::AwaitingHello && state_ != State::Attended)) return;
    if (EventLoop::Clock::now() < state_since_ + kIdleTime) return;
    msg::Error error{"busy", "the server needs the place of this idle connection", std::nullopt};
    error.retry_after = 1;
    link_.send(error);
    close();
}

void ClientConnection::close(Termination::First first) {
    change_to(State::Closing, EventLoop::Clock::now());
    link_.close();
    end_all_runs(first);
}

void ClientConnection::terminate() {
    const Time now = EventLoop::Clock::now();
    switch (state_) {
        case State::HandingOff:
            // If the other session owns the connection already, this one must not write to it.
            if (!outgoing_handoff_.withdraw()) return change_to(State::Over, now);
            [[fallthrough]];
        case State::AwaitingHello:
        case State::Attended:
            return refuse_connection("shutdown", "the server's session was told to end");
        case State::Disconnected:
            change_to(State::Closing, now);
            [[fallthrough]];
        case State::Closing:
            return end_all_runs(Termination::First::HangUp);
        case State::HandedOff:
        case State::Over:
            return change_to(State::Over, now);
    }
}

void ClientConnection::end_all_runs(Termination::First first) {
    const Time now = EventLoop::Clock::now();
    // If the client has no shell and no run, its earlier background processes go on, as after a
    // logout.
    if (!shells_.empty() || channels_.owns_runs()) shells_.end_orphans(first, now);
    shells_.forget_orphans();
    listeners_.end_all();
    channels_.abandon_all(first, "the server's session was told to end", now);
    shells_.end_all(first, now);
}

void ClientConnection::on_link_down(const std::string& problem) {
    if (!problem.empty()) log::info("connection: " + problem);
    const bool is_idle_handoff = outgoing_handoff_.state() == OutgoingHandoff::State::Idle;
    if (state_ == State::HandingOff && !is_idle_handoff) return;  // The hand-off then fails.
    const Time now = EventLoop::Clock::now();
    change_to(State::Disconnected, now);
    end_expired_runs(now);
}

EventLoop::Time ClientConnection::expires_at(const OnDisconnect& wish) const {
    if (wish.kind == OnDisconnect::Kind::Kill || !handoff_point_) return state_since_;
    return state_since_ + std::min<std::chrono::milliseconds>(wish.grace, kLongestGrace);
}

EventLoop::Time ClientConnection::next_expiry() const {
    if (state_ != State::Disconnected) return EventLoop::kNever;
    const auto when = [this](const OnDisconnect& wish) { return expires_at(wish); };
    return std::min(
        {channels_.next_expiry(when), shells_.next_expiry(when), listeners_.next_expiry(when)});
}

void ClientConnection::end_expired_runs(Time now) {
    if (state_ != State::Disconnected) return;
    const auto when = [this](const OnDisconnect& wish) { return expires_at(wish); };
    const bool had_any = !shells_.empty() || channels_.owns_runs();
    listeners_.end_expired(when, now);
    channels_.abandon_expired(when, now);
    shells_.end_expired(when, now);
    if (next_expiry() != EventLoop::kNever) return;
    if (had_any) shells_.end_orphans(Termination::First::HangUp, now);
    shells_.forget_orphans();
}

void ClientConnection::open_handoff_point(const OnDisconnect& wish) {
    if (wish.kind != OnDisconnect::Kind::Kill) open_handoff_point();
}

void ClientConnection::open_handoff_point() {
    if (handoff_point_ || name_.empty()) return;
    try {
        handoff_point_ = std::make_unique<HandoffPoint>(
            loop_, name_,
            [this](const Handoff& arrived) {
                const bool is_here = state_ == State::Attended || state_ == State::Disconnected;
                return is_here && arrived.bound_key == settings_.launch.bound_key;
            },
            [this](Handoff arrived, Fd visit) { take_over(std::move(arrived), std::move(visit)); });
    } catch (const SysError& error) {
        // Out of descriptors: the run goes on, but ends if its connection is lost.
        log::error(std::string("a lost connection cannot be resumed: ") + error.what());
    }
}

void ClientConnection::take_over(Handoff arrived, Fd visit) {
    log::info("the client has reconnected");
    change_to(State::Attended, EventLoop::Clock::now());
    channels_.remove_refusals();
    visit_ = std::move(visit);
    link_.replace(transport_of(arrived), kFrameLimits, arrived.bytes);
}

void ClientConnection::bring_to(const std::string& session, Channel channel,
                                const Message& message) {
    // This session stays if it has anything else to do, and then it must keep its connection.
    if (!is_idle() || kept_.can_be_found() || !outgoing_handoff_.may_try()) {
        return refuse(channel, kElsewhere);
    }
    handoff_point_.reset();  // The other session listens under the same name, and claims it.
    claim_.release();
    outgoing_handoff_.begin(session, message, name_);
    change_to(State::HandingOff, EventLoop::Clock::now());
}

void ClientConnection::continue_handoff(Time now) {
    outgoing_handoff_.step(now);
    switch (outgoing_handoff_.state()) {
        case OutgoingHandoff::State::Taken:
            return finish_handoff(now);
        case OutgoingHandoff::State::Failed:
            link_.drop();
            return change_to(State::Over, now);
        case OutgoingHandoff::State::Idle:
            // The request may have been answered with a refusal of the whole connection.
            if (state_ == State::HandingOff) change_to(State::Attended, now);
            return;
        case OutgoingHandoff::State::Flushing:
        case OutgoingHandoff::State::Asking:
        case OutgoingHandoff::State::Pausing:
            return;
    }
}

void ClientConnection::finish_handoff(Time now) {
    if (link_.transport()->read_fd() == link_.transport()->write_fd()) {
        return change_to(State::Over, now);
    }
    // The process that started this one gave it pipes. It takes the end of this process for the end
    // of the connection, so this process stays until then.
    new_owner_ = outgoing_handoff_.take_socket();
    link_.drop();
    new_owner_watch_ = loop_.watch(
        "session: the new owner of the connection", new_owner_.get(), [] { return short{POLLIN}; },
        [this](short) {
            new_owner_watch_.reset();
            change_to(State::Over, EventLoop::Clock::now());
        });
    change_to(State::HandedOff, now);
}

void ClientConnection::handle(const msg::Resume& resume) {
    const bool is_here = resume.session == name_;
    if (!is_here && !is_idle()) throw ProtocolError("a resume that is not the first request");
    if (is_here) return this->resume(resume);
    // While the other session lives, it answers. It may be about to listen, or to end.
    if (outgoing_handoff_.has_tried() && may_begin_anew(resume)) {
        name_ = resume.session;
        // Before the first run: while this session holds the name, no other one answers the client.
        open_handoff_point();
        return this->resume(resume);
    }
    if (!outgoing_handoff_.may_try()) return refuse_connection("gone", kGone);
    outgoing_handoff_.begin(resume.session, resume, name_);
    change_to(State::HandingOff, EventLoop::Clock::now());
}

void ClientConnection::resume(const msg::Resume& resume) {
    msg::Resumed answer = channels_.resume(resume.points, EventLoop::Clock::now());
    answer.shells = shells_.usable();
    shells_.report_ended();
    link_.send(answer);
    shells_.report_ready();
    listeners_.announce_again();
}

void ClientConnection::on_message(const Message& message) {
    if (!is_admitted_ && !std::holds_alternative<msg::Hello>(message)) {
        throw ProtocolError("the first message must be a hello");
    }
    std::visit([this](const auto& one) { handle(one); }, message);
}

void ClientConnection::handle(const msg::Hello& hello) {
    if (is_admitted_) throw ProtocolError("a second hello");
    if (hello.proto != kProtocolVersion) {
        return refuse_connection("version", "this server speaks protocol " +
                                                std::to_string(kProtocolVersion) + ", not " +
                                                std::to_string(hello.proto));
    }
    if (settings_.refusal && !was_handed_off_here_) {
        if (const auto why = settings_.refusal()) return refuse_connection("denied", *why);
    }
    is_admitted_ = true;
    change_to(State::Attended, EventLoop::Clock::now());
    name_ = hello.session;
    if (was_handed_off_here_) return;
    link_.trust();
    if (settings_.audit) settings_.audit->connected();
    if (settings_.admitted) settings_.admitted();
}

void ClientConnection::handle(const msg::Bye& bye) {
    const auto signal = bye.signal ? signal_number(*bye.signal) : std::nullopt;
    close(signal == SIGTERM  ? Termination::First::Terminate
          : signal == SIGHUP ? Termination::First::AskedHangUp
                             : Termination::First::HangUp);
    channels_.forget_lost();
}

void ClientConnection::handle(const msg::Error& error) {
    log::info("the client reports an error: " + escape_controls(error.message));
    close();  // An error is the last message of its sender.
}

void ClientConnection::handle(const msg::EndAck& ack) {
    channels_.acknowledge(ack, EventLoop::Clock::now());
}

void ClientConnection::handle(const msg::Ping&) {
    // A client that sends pings and does not read must not fill the memory: the link stops reading.
    link_.send(msg::Pong{});
}

template <typename ForAChannel>
void ClientConnection::handle(const ForAChannel& message) {
    if constexpr (requires(ServerChannel & channel) { channel.on(message); }) {
        channels_.at(message.channel).on(message);
    } else {
        throw ProtocolError("a message that only servers send");
    }
}

}  // namespace frsh
