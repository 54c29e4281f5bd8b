#include "client/holder/control_door.hpp"

#include "common/base/error.hpp"
#include "common/net/socket.hpp"
#include "common/sys/wait.hpp"

#include <cerrno>
#include <chrono>
#include <optional>
#include <utility>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace frsh {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kMaxGuests = 64;
constexpr std::size_t kMaxDoorRequest = 8192;
constexpr auto kDoorTime = 3s;

// Reads a line, and returns it without its end. Throws SysError.
std::string read_line(int socket, EventLoop::Time deadline) {
    std::string line;
    for (;;) {
        if (!wait_for_events(socket, POLLIN, {deadline})) throw SysError("answer", ETIMEDOUT);
        char byte = 0;
        const auto size = ::recv(socket, &byte, 1, MSG_DONTWAIT);
        if (size == -1 && (errno == EAGAIN || errno == EINTR)) continue;
        if (size <= 0) throw SysError("answer", ECONNRESET);
        if (byte == '\n') return line;
        line += byte;
    }
}

Fd send_request(const std::string& path, std::string_view request, EventLoop::Time deadline) {
    Fd socket = connect_unix(path, {deadline});
    if (peer_uid(socket.get()) != ::geteuid()) throw SysError(path, EPERM);
    const std::string line = std::string(request) + "\n";
    if (::send(socket.get(), line.data(), line.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(line.size())) {
        throw SysError(path);
    }
    return socket;
}

}  // namespace

ControlDoor::ControlDoor(EventLoop& loop, Fd listening, Answer answer)
    : loop_(loop), listening_(std::move(listening)), answer_(std::move(answer)) {
    watch_ = loop_.watch(
        "requests about the link", listening_.get(),
        [this] { return guests_.size() < kMaxGuests ? short{POLLIN} : short{0}; },
        [this](short) { accept(); });
}

void ControlDoor::close() {
    watch_.reset();
    listening_.close();
}

void ControlDoor::dismiss() {
    for (Guest& guest : guests_) {
        if (guest.state == State::Staying) (void)send(guest, "stopped");
        guest.state = State::Gone;
    }
}

void ControlDoor::remove_finished() {
    std::erase_if(guests_, [](const Guest& guest) { return guest.state == State::Gone; });
}

bool ControlDoor::has_staying_guest() const {
    for (const Guest& guest : guests_) {
        if (guest.state == State::Staying) return true;
    }
    return false;
}

void ControlDoor::accept() {
    std::optional<Fd> socket;
    try {
        socket = accept_connection(listening_.get());
    } catch (const SysError&) {
        return;  // No descriptor is free. The guest gives up after some time.
    }
    if (!socket || peer_uid(socket->get()) != ::geteuid()) return;
    Guest& guest = guests_.emplace_back(Guest{std::move(*socket), ++last_guest_});
    guest.watch = loop_.watch(
        "a request about the link", guest.socket.get(),
        [&guest] { return guest.state != State::Gone ? short{POLLIN} : short{0}; },
        [this, &guest](short) { read(guest); });
}

void ControlDoor::read(Guest& guest) {
    char buffer[4096];
    const auto size = ::recv(guest.socket.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (size == -1 && (errno == EAGAIN || errno == EINTR)) return;
    if (size <= 0 || guest.request.size() > kMaxDoorRequest) {
        guest.state = State::Gone;
        return;
    }
    guest.request.append(buffer, static_cast<std::size_t>(size));
    const auto end = guest.request.find('\n');
    if (end == std::string::npos || guest.state != State::Asking) return;
    guest.request.resize(end);
    guest.state = State::Waiting;
    answer_(guest.request,
            [this, number = guest.number](std::string_view answer) { reply(number, answer); });
}

void ControlDoor::reply(std::uint64_t number, std::string_view line) {
    for (Guest& guest : guests_) {
        if (guest.number != number || guest.state != State::Waiting) continue;
        const bool is_sent = send(guest, line);
        guest.state = guest.request == "stay" && is_sent ? State::Staying : State::Gone;
    }
}

bool ControlDoor::send(const Guest& guest, std::string_view line) {
    const std::string text = std::string(line) + "\n";
    return ::send(guest.socket.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT) ==
           static_cast<ssize_t>(text.size());
}

std::string ask_door(const std::string& path, std::string_view request) {
    const auto deadline = EventLoop::Clock::now() + kDoorTime;
    const Fd socket = send_request(path, request, deadline);
    return read_line(socket.get(), deadline);
}

Fd stay_at_door(const std::string& path) {
    const auto deadline = EventLoop::Clock::now() + kDoorTime;
    Fd socket = send_request(path, "stay", deadline);
    (void)read_line(socket.get(), deadline);
    return socket;
}

}  // namespace frsh
