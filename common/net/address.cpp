#include "common/net/address.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

namespace frsh {
namespace {

constexpr std::chrono::milliseconds kCancelCheckInterval{100};

unsigned port_of(std::string_view text, std::string_view whole) {
    const auto port = parse_number(text, 0, 65535);
    if (!port) {
        throw UserError("'" + escape_controls(whole) + "': a port is a number from 0 to 65535");
    }
    return static_cast<unsigned>(*port);
}

const sockaddr_in& v4(const Address& address) {
    return reinterpret_cast<const sockaddr_in&>(address.storage);
}
const sockaddr_in6& v6(const Address& address) {
    return reinterpret_cast<const sockaddr_in6&>(address.storage);
}

std::string reason_of(int result) {
    return result == EAI_SYSTEM ? std::strerror(errno) : ::gai_strerror(result);
}

std::vector<Address> take_addresses(addrinfo* found) {
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
    std::vector<Address> addresses;
    for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
        Address address;
        std::memcpy(&address.storage, one->ai_addr, one->ai_addrlen);
        address.size = one->ai_addrlen;
        addresses.push_back(address);
    }
    return addresses;
}

}  // namespace

HostPort parse_host_port(std::string_view text, BarePort bare_port, const std::string& default_host,
                         unsigned default_port) {
    if (text.empty()) throw UserError("the address is empty");
    const bool all_digits = text.find_first_not_of("0123456789") == std::string_view::npos;
    if (all_digits && bare_port == BarePort::Allowed) return {default_host, port_of(text, text)};
    if (text[0] == '[') {
        const std::size_t close = text.find(']');
        if (close == std::string_view::npos) {
            throw UserError("'" + escape_controls(text) + "': no ']' after the address");
        }
        HostPort result{std::string(text.substr(1, close - 1)), default_port};
        const std::string_view rest = text.substr(close + 1);
        if (rest.empty()) return result;
        if (rest[0] != ':') {
            throw UserError("'" + escape_controls(text) + "': only a :PORT may follow ']'");
        }
        result.port = port_of(rest.substr(1), text);
        return result;
    }
    const auto colons = std::count(text.begin(), text.end(), ':');
    // Without a colon the text is a name; with two or more it is a bare V6 address.
    if (colons == 0 || colons > 1) return {std::string(text), default_port};
    const std::size_t colon = text.find(':');
    if (colon == 0) return {default_host, port_of(text.substr(1), text)};
    return {std::string(text.substr(0, colon)), port_of(text.substr(colon + 1), text)};
}

unsigned Address::port() const {
    return ntohs(family() == AF_INET6 ? v6(*this).sin6_port : v4(*this).sin_port);
}

bool Address::is_loopback() const {
    if (family() == AF_INET) return (ntohl(v4(*this).sin_addr.s_addr) >> 24) == 127;
    if (family() != AF_INET6) return false;
    const in6_addr& address = v6(*this).sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&address)) return address.s6_addr[12] == 127;
    return IN6_IS_ADDR_LOOPBACK(&address) != 0;
}

std::string Address::text() const {
    char host[NI_MAXHOST];
    char port_text[NI_MAXSERV];
    const int result = ::getnameinfo(get(), size, host, sizeof host, port_text, sizeof port_text,
                                     NI_NUMERICHOST | NI_NUMERICSERV);
    if (result != 0) return "?";
    std::string text = host;
    if (family() == AF_INET6) text.insert(0, 1, '[').append("]");
    return text.append(":").append(port_text);
}

std::string Address::host_text() const {
    char host[NI_MAXHOST];
    if (::getnameinfo(get(), size, host, sizeof host, nullptr, 0, NI_NUMERICHOST) != 0) return "?";
    constexpr std::string_view kMapped = "::ffff:";
    const std::string_view text = host;
    const bool is_mapped = text.starts_with(kMapped) && text.find('.') != std::string_view::npos;
    return std::string(is_mapped ? text.substr(kMapped.size()) : text);
}

std::vector<Address> resolve(const HostPort& where, bool passive) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV | (passive ? AI_PASSIVE : 0);
    addrinfo* found = nullptr;
    const std::string port = std::to_string(where.port);
    const int result = ::getaddrinfo(where.host.empty() ? nullptr : where.host.c_str(),
                                     port.c_str(), &hints, &found);
    if (result != 0) throw UserError(escape_controls(where.host) + ": " + reason_of(result));
    return take_addresses(found);
}

std::vector<Address> look_up(const HostPort& where, int family, const WaitLimit& limit) {
    const std::string failure = "Could not resolve hostname " + escape_controls(where.host) + ": ";
    // The question is on the heap. If the answer does not arrive in time, the question is leaked,
    // because the C library's look-up thread still writes into it.
    struct Question {
        std::string host;
        std::string port;
        addrinfo hints{};
        gaicb request{};
    };
    auto question = std::make_unique<Question>();
    question->host = where.host;
    question->port = std::to_string(where.port);
    question->hints.ai_family = family;
    question->hints.ai_socktype = SOCK_STREAM;
    question->hints.ai_flags = AI_NUMERICSERV | AI_NUMERICHOST;
    // A numeric address needs no look-up.
    addrinfo* found = nullptr;
    if (::getaddrinfo(where.host.c_str(), question->port.c_str(), &question->hints, &found) == 0) {
        return take_addresses(found);
    }
    question->hints.ai_flags = AI_NUMERICSERV;
    question->request.ar_name = question->host.c_str();
    question->request.ar_service = question->port.c_str();
    question->request.ar_request = &question->hints;
    gaicb* requests[] = {&question->request};
    int result = ::getaddrinfo_a(GAI_NOWAIT, requests, 1, nullptr);
    if (result != 0) throw UserError(failure + reason_of(result));
    const auto abandon = [&question] {
        if (::gai_cancel(&question->request) != EAI_CANCELED) (void)question.release();
    };
    while ((result = ::gai_error(&question->request)) == EAI_INPROGRESS) {
        auto left = limit.deadline - EventLoop::Clock::now();
        if (left.count() <= 0) {
            abandon();
            throw UserError(failure + "no answer in time (--connect-timeout)");
        }
        if (limit.cancel_fd != -1) {
            try {
                check_canceled(limit);
            } catch (const WaitCanceled&) {
                abandon();
                throw;
            }
            // gai_suspend(3) cannot wait for a descriptor as well.
            left = std::min<decltype(left)>(left, kCancelCheckInterval);
        }
        const auto whole = std::chrono::duration_cast<std::chrono::seconds>(left);
        const timespec wait{std::min<std::int64_t>(whole.count(), 3600),
                            std::chrono::nanoseconds(left - whole).count()};
        (void)::gai_suspend(requests, 1, &wait);
    }
    if (result != 0) throw UserError(failure + reason_of(result));
    return take_addresses(question->request.ar_result);
}

Address local_address(int socket) {
    Address address;
    address.size = sizeof address.storage;
    check(::getsockname(socket, reinterpret_cast<sockaddr*>(&address.storage), &address.size),
          "getsockname");
    return address;
}

Address peer_address(int socket) {
    Address address;
    address.size = sizeof address.storage;
    check(::getpeername(socket, reinterpret_cast<sockaddr*>(&address.storage), &address.size),
          "getpeername");
    return address;
}

}  // namespace frsh
