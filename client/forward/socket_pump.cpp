#include "client/forward/socket_pump.hpp"

#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/net/listen_places.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <string_view>
#include <utility>
#include <variant>

#include <poll.h>
#include <sys/socket.h>

namespace frsh {
namespace {

constexpr std::size_t kReadSize = 64 * 1024;  // Bytes of one read.

}  // namespace

SocketPump::SocketPump(EventLoop& loop, ServerConnection& server, Fd socket)
    : server_(server),
      socket_(std::move(socket)),
      out_(loop, "forward: to the program", socket_.get(), InheritedOutput::WasOpen::Yes),
      watch_(loop.watch(
          "forward: from the program", socket_.get(), [this] { return wanted(); },
          [this](short) { on_readable(); })) {}

void SocketPump::begin(RemoteRun& run, std::string to,
                       std::function<void(const NotStarted&)> on_failure) {
    run_ = &run;
    to_ = std::move(to);
    on_failure_ = std::move(on_failure);
    at_close(socket_.get(), AtClose::Reset);
}

short SocketPump::wanted() const {
    if (run_ == nullptr || has_sent_all_ || run_->is_finished()) return 0;
    return run_->stdin_room() > 0 ? short{POLLIN} : short{0};
}

void SocketPump::on_readable() {
    char buffer[kReadSize];
    const std::size_t size = std::min(sizeof buffer, run_->stdin_room());
    const ssize_t got = ::recv(socket_.get(), buffer, size, MSG_DONTWAIT);
    if (got == -1 && (errno == EAGAIN || errno == EINTR)) return;
    if (got > 0) return run_->append_stdin({buffer, static_cast<std::size_t>(got)});
    has_sent_all_ = true;
    if (got == 0) {
        run_->finish_stdin();
    } else {
        run_->cancel();
    }
}

void SocketPump::progress() {
    if (run_ == nullptr) return;
    if (run_->is_finished()) return conclude();
    if (!has_received_all_ && run_->has_ended(StreamId::Stdout) && out_.is_drained()) {
        has_received_all_ = true;
        (void)::shutdown(socket_.get(), SHUT_WR);
    }
}

void SocketPump::conclude() {
    if (const auto* const failure = std::get_if<NotStarted>(&run_->outcome())) {
        on_failure_(*failure);
        at_close(socket_.get(), AtClose::Finish);
        return close();
    }
    if (!run_->has_exited()) {
        log::info("forwarding to " + escape_controls(to_) + ": the connection was reset");
        return reset();
    }
    if (!out_.is_drained()) return;
    at_close(socket_.get(), AtClose::Finish);
    close();
}

void SocketPump::reset() {
    if (is_over()) return;
    at_close(socket_.get(), AtClose::Reset);
    close();
}

void SocketPump::close() {
    watch_.reset();
    if (run_ != nullptr) server_.forget(*std::exchange(run_, nullptr));
    socket_.close();
}

}  // namespace frsh
