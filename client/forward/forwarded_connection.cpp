#include "client/forward/forwarded_connection.hpp"

#include "client/cli/forward_spec.hpp"
#include "client/run/remote_run.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/proto/message.hpp"

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <optional>
#include <utility>

#include <poll.h>
#include <sys/socket.h>

namespace frsh {
namespace {

constexpr std::size_t kHandshakeSize = 4096;  // Bytes of one read.

}  // namespace

std::string reason_of(const NotStarted& failure, const std::string& to) {
    std::string why = failure.message;
    if (why.starts_with(to + ": ")) why.erase(0, to.size() + 2);
    return why.empty() ? std::strerror(failure.error) : why;
}

ForwardedConnection::ForwardedConnection(EventLoop& loop, ServerConnection& server, Fd socket,
                                         const std::vector<std::string>& to,
                                         OnDisconnect on_disconnect)
    : server_(server), on_disconnect_(on_disconnect), pump_(loop, server, std::move(socket)) {
    if (!to.empty()) {
        open(to);
        return;
    }
    watch_ = loop.watch(
        "forward: a request of SOCKS", pump_.socket(), [] { return short{POLLIN}; },
        [this](short) { on_readable(); });
}

void ForwardedConnection::on_readable() {
    char buffer[kHandshakeSize];
    const ssize_t got = ::recv(pump_.socket(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (got == -1 && (errno == EAGAIN || errno == EINTR)) return;
    if (got > 0) return on_handshake({buffer, static_cast<std::size_t>(got)});
    watch_.reset();
    pump_.close();
}

void ForwardedConnection::on_handshake(std::string_view bytes) {
    send_answer(socks_.take(bytes));
    if (socks_.state() == SocksRequest::State::Reading) return;
    watch_.reset();
    if (socks_.state() == SocksRequest::State::Refused) return pump_.close();
    RemoteRun& run = open(socks_.to());
    run.append_stdin(socks_.rest());
    // Called before the first byte of the peer is written. A resume may call it again.
    run.on_start([this, is_answered = false]() mutable {
        if (!std::exchange(is_answered, true)) send_answer(socks_.answer(0));
    });
}

RemoteRun& ForwardedConnection::open(const std::vector<std::string>& to) {
    msg::Open open;
    open.run = new_run_id();
    open.mode = msg::Open::Mode::Connect;
    open.args = to;
    open.on_disconnect = on_disconnect_;
    RemoteRun& run = server_.open(std::move(open), pump_.out(), err_);
    const std::string text = destination_text(to);
    pump_.begin(run, text,
                [this, text](const NotStarted& failure) { report_failure(text, failure); });
    return run;
}

// The program waits for these few bytes, so the kernel's buffer is empty and takes them.
void ForwardedConnection::send_answer(const std::string& bytes) {
    if (bytes.empty()) return;
    (void)::send(pump_.socket(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

void ForwardedConnection::report_failure(const std::string& to, const NotStarted& failure) {
    log::error(escape_controls("forwarding to " + to + ": " + reason_of(failure, to)));
    if (socks_.state() != SocksRequest::State::Complete) return;
    const bool has_errno = failure.stage == "connect" && failure.error != 0;
    send_answer(socks_.answer(has_errno ? std::optional(failure.error) : std::nullopt));
}

}  // namespace frsh
