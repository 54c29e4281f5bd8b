#include "client/demo/stage/actor.hpp"

#include "client/demo/stage/loopback_tap.hpp"
#include "common/base/error.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace frsh::demo {
namespace {

std::string name(const Fd& fd) {
    return std::to_string(fd.get());
}

std::string outcome(ssize_t result) {
    return result == -1 ? "-1 " + error_name(errno) : std::to_string(result);
}

const sockaddr* generic(const sockaddr_in& address) {
    return reinterpret_cast<const sockaddr*>(&address);
}

}  // namespace

void Actor::tell(std::string call, std::string result, const Text& note) {
    story_.tell(Call{side_, std::move(call), std::move(result), note});
    story_.packets();
}

Fd Actor::socket(int domain, int type, const Text& note) {
    Fd fd(check(::socket(domain, type | SOCK_CLOEXEC, 0), "socket"));
    set_timeout(fd);
    tell(std::string("socket(") + (domain == AF_UNIX ? "AF_UNIX" : "AF_INET") +
             (type == SOCK_DGRAM ? ", SOCK_DGRAM" : ", SOCK_STREAM") + ", 0)",
         name(fd), note);
    return fd;
}

int Actor::bind(const Fd& fd, std::uint16_t port, const Text& note) {
    const sockaddr_in address = loopback(port);
    const int result = ::bind(fd.get(), generic(address), sizeof address);
    const int error = result == 0 ? 0 : errno;
    tell("bind(" + name(fd) + ", 127.0.0.1:" + std::to_string(port) + ")", outcome(result), note);
    return error;
}

int Actor::listen(const Fd& fd, int backlog, const Text& note) {
    const int result = ::listen(fd.get(), backlog);
    const int error = result == 0 ? 0 : errno;
    tell("listen(" + name(fd) + ", " + std::to_string(backlog) + ")", outcome(result), note);
    return error;
}

int Actor::connect(const Fd& fd, std::uint16_t port, const Text& note) {
    const sockaddr_in address = loopback(port);
    const int result = ::connect(fd.get(), generic(address), sizeof address);
    const int error = result == 0 ? 0 : errno;
    const std::string said = outcome(result);
    if (error == 0) story_.watch_from_first_packet(fd.get());
    tell("connect(" + name(fd) + ", 127.0.0.1:" + std::to_string(port) + ")", said, note);
    return error;
}

Fd Actor::accept(const Fd& listener, const Text& note) {
    sockaddr_in peer{};
    socklen_t size = sizeof peer;
    Fd fd(check(::accept4(listener.get(), reinterpret_cast<sockaddr*>(&peer), &size, SOCK_CLOEXEC),
                "accept"));
    set_timeout(fd);
    const std::string from =
        peer.sin_family == AF_INET ? "peer 127.0.0.1:" + std::to_string(ntohs(peer.sin_port)) : "";
    story_.watch_from_first_packet(fd.get());
    tell("accept(" + name(listener) + (from.empty() ? "" : ", " + from) + ")", name(fd), note);
    return fd;
}

ssize_t Actor::send(const Fd& fd, std::string_view bytes, int flags, const Text& note) {
    story_.watch(fd.get());
    const double begin = capture_clock();
    const ssize_t put = ::send(fd.get(), bytes.data(), bytes.size(), flags | MSG_NOSIGNAL);
    const int error = errno;
    const std::string said = outcome(put);
    story_.sent(fd.get(), put, begin);
    tell("send(" + name(fd) + ", " + quoted(bytes) + ", " + std::to_string(bytes.size()) + ")",
         said, note);
    errno = error;
    return put;
}

Received Actor::recv(const Fd& fd, std::size_t size, int flags, const Text& note) {
    story_.watch(fd.get());
    std::string buffer(size, '\0');
    const ssize_t got = ::recv(fd.get(), buffer.data(), size, flags);
    const int error = got == -1 ? errno : 0;
    std::string result = outcome(got);
    story_.received(fd.get(), got, capture_clock());
    buffer.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    if (got > 0) result += "  " + quoted(buffer, 14);
    tell("recv(" + name(fd) + ", buf, " + std::to_string(size) + ")", result, note);
    return {buffer, error};
}

void Actor::shutdown_writing(const Fd& fd, const Text& note) {
    story_.watch(fd.get());
    const int result = ::shutdown(fd.get(), SHUT_WR);
    tell("shutdown(" + name(fd) + ", SHUT_WR)", outcome(result), note);
}

void Actor::close(Fd& fd, const Text& note) {
    const std::string number = name(fd);
    story_.watch(fd.get());
    fd.close();
    tell("close(" + number + ")", "0", note);
}

void Actor::set_option(const Fd& fd, int level, int option, int value, const char* spelling,
                       const Text& note) {
    story_.watch(fd.get());
    const int result = ::setsockopt(fd.get(), level, option, &value, sizeof value);
    tell("setsockopt(" + name(fd) + ", " + spelling + ", " + std::to_string(value) + ")",
         outcome(result), note);
}

Fd quiet_listener(int backlog) {
    Fd fd(check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
    const sockaddr_in address = loopback(0);
    check(::bind(fd.get(), generic(address), sizeof address), "bind 127.0.0.1");
    check(::listen(fd.get(), backlog), "listen");
    set_timeout(fd);
    return fd;
}

Fd quiet_connect(std::uint16_t port) {
    Fd fd(check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
    set_timeout(fd);
    const sockaddr_in address = loopback(port);
    check(::connect(fd.get(), generic(address), sizeof address), "connect 127.0.0.1");
    return fd;
}

Connection quiet_connection() {
    const Fd listener = quiet_listener();
    Connection connection;
    connection.client = quiet_connect(port_of(listener));
    connection.server =
        Fd(check(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC), "accept"));
    set_timeout(connection.server);
    return connection;
}

Connection quiet_unix_connection() {
    int ends[2];
    check(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), "socketpair");
    Connection connection{Fd(ends[0]), Fd(ends[1])};
    set_timeout(connection.client);
    set_timeout(connection.server);
    return connection;
}

Fd quiet_udp() {
    Fd fd(check(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket"));
    const sockaddr_in address = loopback(0);
    check(::bind(fd.get(), generic(address), sizeof address), "bind 127.0.0.1");
    set_timeout(fd);
    return fd;
}

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

std::uint16_t port_of(const Fd& fd) {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    check(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
    return ntohs(address.sin_port);
}

void set_timeout(const Fd& fd) {
    const timeval limit{3, 0};
    check(::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), "setsockopt");
    check(::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit), "setsockopt");
}

std::string quoted(std::string_view bytes, std::size_t most) {
    std::string text = "\"";
    for (const char byte : bytes) {
        char one[8] = {byte, '\0'};
        if (byte == '\n') {
            std::snprintf(one, sizeof one, "\\n");
        } else if (byte == '"' || byte == '\\') {
            std::snprintf(one, sizeof one, "\\%c", byte);
        } else if (byte < 0x20 || byte > 0x7E) {
            std::snprintf(one, sizeof one, "\\x%02x", static_cast<unsigned char>(byte));
        }
        if (text.size() + std::strlen(one) > most + 1) return text + "\"...";
        text += one;
    }
    return text + "\"";
}

std::string error_name(int error) {
    const char* const name = ::strerrorname_np(error);
    return name == nullptr ? std::to_string(error) : name;
}

}  // namespace frsh::demo
