#include "common/net/socket.hpp"

#include "common/base/error.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace frsh {
namespace {

// The most finished connections that the kernel queues until accept(2) takes them. The kernel
// lowers this limit to /proc/sys/net/core/somaxconn.
constexpr std::chrono::milliseconds kFullQueuePause{10};
constexpr int kBacklog = 4096;
// With more unsent bytes than this in the kernel, the socket is not writable. A higher value makes
// a signal wait longer behind data. With a lower one the network may run dry between two loop
// turns.
constexpr int kNotSentLow = 32 * 1024;
// The limits of tcp(7) for TCP_KEEPIDLE, TCP_KEEPINTVL (seconds) and TCP_KEEPCNT.
constexpr std::int64_t kMaxInterval = 32767;
constexpr unsigned kMaxCount = 127;

sockaddr_un unix_address(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    // unix(7): the path must fit with its NUL, 107 bytes on Linux.
    if (path.size() >= sizeof address.sun_path) throw UserError(path + ": path too long");
    path.copy(address.sun_path, path.size());
    return address;
}

std::string advice(int error, unsigned port) {
    if (error == EACCES && port < 1024) {
        return " (ports below 1024 need root or CAP_NET_BIND_SERVICE)";
    }
    if (error == EADDRINUSE) return " (another program listens there; port 0 takes a free one)";
    if (error == EADDRNOTAVAIL) return " (no interface of this machine has that address)";
    return "";
}

}  // namespace

Fd listen_tcp(const Address& address) {
    // socket(2) makes an endpoint without an address. bind(2) gives it one. listen(2) makes the
    // kernel complete TCP handshakes and queue the connections. accept(2) takes one off the queue.
    Fd listening(
        check(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket"));
    const int on = 1;
    // The side that closes first keeps the connection in TIME_WAIT for a minute (RFC 9293, 3.6.1),
    // so that late segments cannot reach a new connection. Without this option a restarted server
    // could not bind its own port meanwhile. It never lets two listeners share a port.
    check(::setsockopt(listening.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "setsockopt");
    if (address.family() == AF_INET6) {
        check(::setsockopt(listening.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on),
              "setsockopt");
    }
    if (::bind(listening.get(), address.get(), address.size) == -1 ||
        ::listen(listening.get(), kBacklog) == -1) {
        const int error = errno;
        throw UserError("listen " + address.text() + ": " + std::strerror(error) +
                        advice(error, address.port()));
    }
    return listening;
}

Fd listen_unix(const std::string& path) {
    const sockaddr_un address = unix_address(path);
    const auto* const generic = reinterpret_cast<const sockaddr*>(&address);
    struct stat info {};
    if (::lstat(path.c_str(), &info) == 0) {
        if (!S_ISSOCK(info.st_mode)) throw UserError(path + ": exists and is no socket");
        try {
            // A server whose accept queue is full listens, too. This call must not wait for it.
            (void)connect_unix(path, EventLoop::Time{});
            throw UserError(path + ": another server listens there");
        } catch (const SysError& error) {
            // A socket file outlives its server. Only ECONNREFUSED proves that no server listens.
            if (error.code().value() != ECONNREFUSED) throw;
        }
        check(::unlink(path.c_str()), "unlink " + path);
    }
    Fd listening(check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket"));
    // bind(2) makes the file with the mode that the umask leaves. With chmod(2) instead, others
    // could connect for a moment.
    const mode_t before = ::umask(0177);
    const int bound = ::bind(listening.get(), generic, sizeof address);
    const int error = errno;
    ::umask(before);
    if (bound == -1) throw SysError("listen " + path, error);
    check(::listen(listening.get(), kBacklog), "listen " + path);
    return listening;
}

std::optional<Fd> accept_connection(int listening) {
    const int fd = ::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) return Fd(fd);
    switch (errno) {
        // Linux reports errors of the new connection as errors of accept(2). They do not concern
        // the listening socket (accept(2), "Error handling").
        case EAGAIN:
        case EINTR:
        case ECONNABORTED:
        case EPROTO:
        case ENETDOWN:
        case ENOPROTOOPT:
        case EHOSTDOWN:
        case ENONET:
        case EHOSTUNREACH:
        case EOPNOTSUPP:
        case ENETUNREACH:
        case EPERM:
        case ETIMEDOUT:
            return std::nullopt;
        default:
            throw SysError("accept");
    }
}

Fd begin_connect(const Address& address, const Address* own) {
    Fd socket(
        check(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket"));
    if (own != nullptr) {
        check(::bind(socket.get(), own->get(), own->size), "bind " + own->host_text());
    }
    if (::connect(socket.get(), address.get(), address.size) == -1 && errno != EINPROGRESS) {
        throw SysError("connect " + address.text());
    }
    return socket;
}

void finish_connect(int socket, const Address& address, const WaitLimit& limit) {
    const std::string attempt = "connect " + address.text();
    // The socket becomes writable when the TCP handshake has ended, whether it succeeded or failed.
    if (!wait_for_events(socket, POLLOUT, limit)) throw SysError(attempt, ETIMEDOUT);
    int error = 0;
    socklen_t size = sizeof error;
    check(::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size), "getsockopt");
    if (error != 0) throw SysError(attempt, error);
}

Fd connect_tcp(const Address& address, const WaitLimit& limit) {
    Fd socket = begin_connect(address);
    finish_connect(socket.get(), address, limit);
    return socket;
}

Fd connect_unix(const std::string& path, const WaitLimit& limit) {
    const sockaddr_un address = unix_address(path);
    // poll(2) does not report room in the server's accept queue, so a full one is tried again.
    Fd socket(check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket"));
    while (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
           -1) {
        if (errno != EAGAIN && errno != EINTR) throw SysError("connect " + path);
        const auto now = EventLoop::Clock::now();
        if (now >= limit.deadline) throw SysError("connect " + path, ETIMEDOUT);
        const auto again = std::min<EventLoop::Time>(limit.deadline, now + kFullQueuePause);
        (void)wait_for_events(-1, 0, {again, limit.cancel_fd});
    }
    return socket;
}

void tune_tcp(int socket, const KeepAlive& keep_alive) {
    const int on = 1;
    check(::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "setsockopt");
    check(::setsockopt(socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &kNotSentLow, sizeof kNotSentLow),
          "setsockopt");
    check(::setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on), "setsockopt");
    const int interval =
        static_cast<int>(std::clamp<std::int64_t>(keep_alive.interval.count(), 1, kMaxInterval));
    // The first probe leaves after one interval (TCP_KEEPIDLE), so one probe less is needed.
    const int count = static_cast<int>(std::clamp(keep_alive.count, 2U, kMaxCount) - 1);
    for (const auto& [option, value] :
         {std::pair(TCP_KEEPIDLE, interval), {TCP_KEEPINTVL, interval}, {TCP_KEEPCNT, count}}) {
        check(::setsockopt(socket, IPPROTO_TCP, option, &value, sizeof value), "setsockopt");
    }
}

bool is_silence(unsigned unanswered, std::chrono::milliseconds since_last_answer,
                const KeepAlive& keep_alive) {
    // Keepalive makes a living peer answer in every interval, so an old last answer means that the
    // peer is gone. If the peer's program does not read, its kernel answers with a window of 0, and
    // no segment is unanswered.
    return unanswered > 0 && since_last_answer > keep_alive.interval * keep_alive.count;
}

bool is_peer_silent(int socket, const KeepAlive& keep_alive) {
    tcp_info info{};
    socklen_t size = sizeof info;
    if (::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) == -1) return false;
    return is_silence(info.tcpi_unacked, std::chrono::milliseconds(info.tcpi_last_ack_recv),
                      keep_alive);
}

uid_t peer_uid(int unix_socket) {
    ucred credentials{};
    socklen_t size = sizeof credentials;
    check(::getsockopt(unix_socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size), "getsockopt");
    return credentials.uid;
}

}  // namespace frsh
