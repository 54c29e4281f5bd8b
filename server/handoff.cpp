#include "server/handoff.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/net/socket.hpp"
#include "common/sys/fd_passing.hpp"
#include "common/sys/unix_listener.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace frsh {
namespace {

using namespace std::chrono_literals;

// connect(2) on a unix socket with a full backlog fails with EAGAIN, and poll(2) does not report
// when there is room again.
constexpr auto kConnectInterval = 50ms;
// The other visitors wait in the backlog.
constexpr std::size_t kMaxVisitors = 16;
constexpr int kBacklog = 16;
constexpr std::size_t kMaxTextSize = 16 * 1024 * 1024;
constexpr std::size_t kReadSize = 64 * 1024;
constexpr char kTaken = '+';
constexpr const char* kNamePrefix = "frsh/";

struct AbstractAddress {
    sockaddr_un address{};
    socklen_t size = 0;
};

// An abstract address starts with a byte of 0. It has no file, and vanishes with its socket.
AbstractAddress abstract_address(const std::string& name) {
    AbstractAddress result;
    const std::string path = kNamePrefix + name;
    must(path.size() + 1 <= sizeof result.address.sun_path, "a session's name fits an address");
    result.address.sun_family = AF_UNIX;
    path.copy(result.address.sun_path + 1, path.size());
    result.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + path.size());
    return result;
}

Fd make_socket() {
    return Fd(check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket"));
}

// The first two bytes of a handoff. The descriptors travel with them. Two texts follow: the forced
// command, if there is one, and the bytes that the client has sent.
struct Opening {
    bool has_output;
    bool is_bound;
};

// A text is its size in 8 bytes, in the machine's own order, and its bytes.
void append_text(std::string& out, std::string_view text) {
    const std::uint64_t size = text.size();
    out.append(reinterpret_cast<const char*>(&size), sizeof size);
    out.append(text);
}

// Removes one text from the front of `from`. Returns nothing while the text is incomplete. Throws
// SysError if the text is too long.
std::optional<std::string_view> next_text(std::string_view& from) {
    std::uint64_t size = 0;
    if (from.size() < sizeof size) return std::nullopt;
    std::memcpy(&size, from.data(), sizeof size);
    if (size > kMaxTextSize) throw SysError("handoff: a text is too long", EMSGSIZE);
    if (from.size() - sizeof size < size) return std::nullopt;
    const std::string_view text = from.substr(sizeof size, size);
    from.remove_prefix(sizeof size + size);
    return text;
}

}  // namespace

HandoffPoint::HandoffPoint(EventLoop& loop, const std::string& name, MayTake may_take,
                           OnArrival on_arrival, std::chrono::milliseconds timeout)
    : loop_(loop),
      may_take_(std::move(may_take)),
      on_arrival_(std::move(on_arrival)),
      timeout_(timeout),
      listening_(make_socket()) {
    const AbstractAddress where = abstract_address(name);
    check(::bind(listening_.get(), reinterpret_cast<const sockaddr*>(&where.address), where.size),
          "bind");
    check(::listen(listening_.get(), kBacklog), "listen");
    watch_ = loop.watch(
        "handoff: another session connects", listening_.get(),
        [this] { return visitors_.size() < kMaxVisitors ? short{POLLIN} : short{0}; },
        [this](short) { accept_visitor(); });
}

void HandoffPoint::accept_visitor() {
    Fd socket(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket.is_open()) return;
    try {
        if (peer_uid(socket.get()) != ::geteuid()) return;
    } catch (const SysError& error) {
        log::info(std::string("handoff: ") + error.what());
        return;
    }
    const auto visitor = visitors_.emplace(visitors_.end());
    visitor->socket = std::move(socket);
    visitor->deadline = EventLoop::Clock::now() + timeout_;
    visitor->watch = loop_.watch(
        "handoff: another session sends a connection", visitor->socket.get(),
        [] { return short{POLLIN}; }, [this, visitor](short) { on_readable(visitor); });
}

bool HandoffPoint::receive(Visitor& visitor) {
    if (!visitor.has_opening) {
        Opening opening{};
        Passed passed = receive_descriptors(visitor.socket.get(), reinterpret_cast<char*>(&opening),
                                            sizeof opening);
        if (passed.result.status == IoResult::Status::WouldBlock) return false;
        visitor.handoff.input = std::move(passed.descriptors[0]);
        visitor.handoff.output = std::move(passed.descriptors[1]);
        const bool is_whole = passed.result.bytes == sizeof opening &&
                              visitor.handoff.input.is_open() &&
                              visitor.handoff.output.is_open() == opening.has_output;
        if (!is_whole) throw SysError("recvmsg", EBADMSG);
        visitor.has_opening = true;
        visitor.is_bound = opening.is_bound;
        return false;
    }
    char buffer[kReadSize];
    const IoResult result = read_some(visitor.socket.get(), buffer, sizeof buffer);
    if (result.status == IoResult::Status::WouldBlock) return false;
    if (result.status == IoResult::Status::EndOfFile) throw SysError("read", ECONNRESET);
    visitor.received.append(buffer, result.bytes);

    std::string_view rest = visitor.received;
    const auto first = next_text(rest);
    const auto second = first && visitor.is_bound ? next_text(rest) : first;
    if (!second) return false;
    if (visitor.is_bound) visitor.handoff.bound_key = *first;
    visitor.handoff.bytes = *second;
    return true;
}

void HandoffPoint::on_readable(Visitors::iterator visitor) {
    bool is_taken = false;
    try {
        if (!receive(*visitor)) return;
        is_taken = may_take_(visitor->handoff) &&
                   write_some(visitor->socket.get(), {&kTaken, 1}).bytes == 1;
    } catch (const SysError& error) {
        log::info(std::string("handoff: a connection did not arrive: ") + error.what());
    }
    visitor->watch.reset();
    Fd socket = std::move(visitor->socket);
    Handoff arrived = std::move(visitor->handoff);
    visitors_.erase(visitor);
    if (!is_taken) return;
    // A copy, because the callback may destroy this object.
    const OnArrival on_arrival = on_arrival_;
    try {
        on_arrival(std::move(arrived), std::move(socket));
    } catch (const SysError& error) {
        // One connection fails. The session and its other connections go on.
        log::info(std::string("handoff: a connection did not arrive: ") + error.what());
    }
}

void HandoffPoint::tick(Time now) {
    std::erase_if(visitors_, [now](const Visitor& visitor) { return now >= visitor.deadline; });
}

EventLoop::Time HandoffPoint::next_deadline() const {
    // Each visitor has the same timeout, so the first one has the earliest deadline.
    return visitors_.empty() ? EventLoop::kNever : visitors_.front().deadline;
}

HandoffAttempt::HandoffAttempt(EventLoop& loop, std::string name, int input, int output,
                               const std::string& bytes, std::optional<std::string> bound_key,
                               Time deadline)
    : loop_(loop),
      name_(std::move(name)),
      input_(input),
      output_(output),
      bound_key_(std::move(bound_key)),
      deadline_(deadline),
      next_try_(EventLoop::Clock::now()),
      socket_(make_socket()) {
    if (bound_key_) append_text(unsent_, *bound_key_);
    append_text(unsent_, bytes);
    connect();
}

void HandoffAttempt::change_to(State state) {
    state_ = state;
    if (state_ == State::Refused) {
        watch_.reset();
        socket_.close();
    }
}

void HandoffAttempt::connect() {
    const AbstractAddress where = abstract_address(name_);
    const auto* const generic = reinterpret_cast<const sockaddr*>(&where.address);
    if (::connect(socket_.get(), generic, where.size) == -1) {
        if (errno != EAGAIN && errno != EINTR) return change_to(State::Refused);
        // Another user may listen under this name, with a full backlog.
        const auto owner = owner_of_abstract_listener(kNamePrefix + name_);
        if (owner && *owner != ::geteuid()) return change_to(State::Refused);
        next_try_ = EventLoop::Clock::now() + kConnectInterval;
        return;
    }
    try {
        if (peer_uid(socket_.get()) != ::geteuid()) return change_to(State::Refused);
    } catch (const SysError& error) {
        log::info("handoff: session " + name_ + ": " + error.what());
        return change_to(State::Refused);
    }
    send_opening();
}

void HandoffAttempt::send_opening() {
    const Opening opening{input_ != output_, bound_key_.has_value()};
    std::vector<int> descriptors{input_};
    if (opening.has_output) descriptors.push_back(output_);
    // The buffer of a fresh socket has room for two bytes.
    if (!pass_descriptors(socket_.get(), {reinterpret_cast<const char*>(&opening), sizeof opening},
                          descriptors)) {
        return change_to(State::Refused);
    }
    change_to(State::Sending);
    watch_ = loop_.watch(
        "handoff: to the session that is to own the connection", socket_.get(),
        [this]() -> short {
            if (state_ == State::Sending) return POLLOUT;
            return state_ == State::AwaitingAnswer ? POLLIN : 0;
        },
        [this](short) { on_ready(); });
}

void HandoffAttempt::on_ready() {
    try {
        if (state_ == State::Sending) {
            const IoResult result = write_some(socket_.get(), unsent_);
            if (result.status == IoResult::Status::EndOfFile) return change_to(State::Refused);
            unsent_.erase(0, result.bytes);
            if (unsent_.empty()) change_to(State::AwaitingAnswer);
            return;
        }
        char answer = 0;
        const IoResult result = read_some(socket_.get(), &answer, 1);
        if (result.status == IoResult::Status::WouldBlock) return;
        const bool is_taken = result.status == IoResult::Status::Done && answer == kTaken;
        change_to(is_taken ? State::Taken : State::Refused);
    } catch (const SysError& error) {
        log::info("handoff: session " + name_ + ": " + error.what());
        change_to(State::Refused);
    }
}

void HandoffAttempt::tick(Time now) {
    if (state_ == State::Taken || state_ == State::Refused) return;
    if (now >= deadline_) {
        log::info("handoff: session " + name_ + " does not answer");
        return withdraw();
    }
    if (state_ == State::Connecting && now >= next_try_) connect();
}

void HandoffAttempt::withdraw() {
    if (state_ == State::Taken || state_ == State::Refused) return;
    // From here on the other session cannot answer: its write(2) fails with EPIPE. An answer that
    // it has sent before stays readable.
    ::shutdown(socket_.get(), SHUT_RD);
    if (state_ == State::AwaitingAnswer) on_ready();
    if (state_ != State::Taken) change_to(State::Refused);
}

EventLoop::Time HandoffAttempt::next_deadline() const {
    if (state_ == State::Taken || state_ == State::Refused) return EventLoop::kNever;
    return state_ == State::Connecting ? std::min(next_try_, deadline_) : deadline_;
}

Fd HandoffAttempt::take_socket() {
    must(state_ == State::Taken, "a hand-off that was accepted");
    watch_.reset();
    return std::move(socket_);
}

}  // namespace frsh
