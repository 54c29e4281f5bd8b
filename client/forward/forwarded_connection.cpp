#include "client/forward/forwarded_connection.hpp"

#include "client/cli/forward_spec.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/proto/message.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <optional>
#include <utility>
#include <variant>

#include <poll.h>
#include <sys/socket.h>

namespace frsh {
namespace {

constexpr std::size_t kReadSize = 64 * 1024;  // Bytes of one read.

}  // namespace

ForwardedConnection::ForwardedConnection(EventLoop& loop, ServerConnection& server, Fd socket,
                                         std::vector<std::string> to, OnDisconnect on_disconnect)
    : server_(server),
      socket_(std::move(socket)),
      on_disconnect_(on_disconnect),
      out_(loop, "forward: to the program", socket_.get(), InheritedOutput::WasOpen::Yes) {
    if (!to.empty()) open(to);
    watch_ = loop.watch(
        "forward: from the program", socket_.get(), [this] { return wanted(); },
        [this](short) { on_readable(); });
}

short ForwardedConnection::wanted() const {
    if (state_ == State::Handshake) return POLLIN;
    if (state_ == State::Over || has_sent_all_ || run_->is_finished()) return 0;
    return run_->stdin_room() > 0 ? short{POLLIN} : short{0};
}

void ForwardedConnection::on_readable() {
    char buffer[kReadSize];
    std::size_t size = sizeof buffer;
    if (run_ != nullptr) size = std::min(size, run_->stdin_room());
    const ssize_t got = ::recv(socket_.get(), buffer, size, MSG_DONTWAIT);
    if (got == -1 && (errno == EAGAIN || errno == EINTR)) return;
    if (state_ == State::Handshake) {
        if (got <= 0) return close();
        return on_handshake({buffer, static_cast<std::size_t>(got)});
    }
    if (got > 0) return run_->append_stdin({buffer, static_cast<std::size_t>(got)});
    has_sent_all_ = true;
    if (got == 0) {
        run_->finish_stdin();
    } else {
        run_->cancel();
    }
}

void ForwardedConnection::on_handshake(std::string_view bytes) {
    send_answer(socks_.take(bytes));
    if (socks_.state() == SocksRequest::State::Refused) return close();
    if (socks_.state() != SocksRequest::State::Complete) return;
    open(socks_.to());
    run_->append_stdin(socks_.rest());
}

void ForwardedConnection::open(const std::vector<std::string>& to) {
    to_ = to;
    msg::Open open;
    open.run = new_run_id();
    open.mode = msg::Open::Mode::Connect;
    open.args = to;
    open.on_disconnect = on_disconnect_;
    state_ = State::Open;
    run_ = &server_.open(std::move(open), out_, err_);
    if (socks_.state() != SocksRequest::State::Complete) return;
    // Called before the first byte of the peer is written. A resume may call it again.
    run_->on_start([this, is_answered = false]() mutable {
        if (!std::exchange(is_answered, true)) send_answer(socks_.answer(0));
    });
}

// The program waits for these few bytes, so the kernel's buffer is empty and takes them.
void ForwardedConnection::send_answer(const std::string& bytes) {
    if (bytes.empty()) return;
    (void)::send(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

void ForwardedConnection::progress() {
    if (state_ != State::Open) return;
    if (run_->is_finished()) return conclude();
    if (!has_received_all_ && run_->has_ended(StreamId::Stdout) && out_.is_drained()) {
        has_received_all_ = true;
        (void)::shutdown(socket_.get(), SHUT_WR);
    }
}

void ForwardedConnection::conclude() {
    if (const auto* const failure = std::get_if<NotStarted>(&run_->outcome())) {
        report_failure(*failure);
        return close();
    }
    if (!run_->has_exited()) {
        log::info("forwarding to " + escape_controls(destination_text(to_)) +
                  ": the connection was reset");
        return reset();
    }
    if (out_.is_drained()) close();
}

void ForwardedConnection::report_failure(const NotStarted& failure) {
    const std::string to = destination_text(to_);
    std::string why = failure.message;
    if (why.starts_with(to + ": ")) why.erase(0, to.size() + 2);
    if (why.empty()) why = std::strerror(failure.error);
    log::error(escape_controls("forwarding to " + to + ": " + why));
    if (socks_.state() != SocksRequest::State::Complete) return;
    const bool has_errno = failure.stage == "connect" && failure.error != 0;
    send_answer(socks_.answer(has_errno ? std::optional(failure.error) : std::nullopt));
}

void ForwardedConnection::reset() {
    if (state_ == State::Over) return;
    const linger at_once{1, 0};  // Makes close(2) send a RST instead of a FIN.
    (void)::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close();
}

void ForwardedConnection::close() {
    state_ = State::Over;
    watch_.reset();
    if (run_ != nullptr) server_.forget(*std::exchange(run_, nullptr));
    socket_.close();
}

}  // namespace frsh
