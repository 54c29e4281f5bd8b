#include "client/forward/socks.hpp"

#include <cerrno>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>

namespace frsh {
namespace {

// A greeting is at most 257 bytes, a request of SOCKS 5 at most 262. SOCKS 4a has two texts.
constexpr std::size_t kMaxRequest = 1024;

// The replies of RFC 1928, section 6.
enum Reply : char {
    kOk = 0,
    kFailed = 1,
    kNotAllowed = 2,
    kNetUnreachable = 3,
    kHostUnreachable = 4,
    kRefused = 5,
    kTimedOut = 6,
    kNoSuchCommand = 7,
    kNoSuchAddressType = 8,
};

std::string reply_v4(bool is_ok) {
    return {'\0', is_ok ? '\x5a' : '\x5b', '\0', '\0', '\0', '\0', '\0', '\0'};
}

std::string reply_v5(char code) {
    return {'\5', code, '\0', '\1', '\0', '\0', '\0', '\0', '\0', '\0'};
}

char code_for(std::optional<int> error) {
    if (!error) return kHostUnreachable;
    switch (*error) {
        case 0:
            return kOk;
        case EPERM:
        case EACCES:
            return kNotAllowed;
        case ENETUNREACH:
            return kNetUnreachable;
        case EHOSTUNREACH:
            return kHostUnreachable;
        case ECONNREFUSED:
            return kRefused;
        case ETIMEDOUT:
            return kTimedOut;
        default:
            return kFailed;
    }
}

unsigned byte_at(const std::string& bytes, std::size_t at) {
    return static_cast<unsigned char>(bytes[at]);
}

unsigned port_at(const std::string& bytes, std::size_t at) {
    return byte_at(bytes, at) << 8U | byte_at(bytes, at + 1);
}

std::string address_text(int family, const char* address) {
    char text[INET6_ADDRSTRLEN] = {};
    ::inet_ntop(family, address, text, sizeof text);
    return text;
}

}  // namespace

std::string SocksRequest::take(std::string_view bytes) {
    if (state_ != State::Reading) {
        pending_ += bytes;
        return "";
    }
    pending_ += bytes;
    if (version_ == 0 && !pending_.empty()) version_ = pending_[0];
    if (version_ == 4) return read_v4();
    if (version_ != 5) return pending_.empty() ? "" : refuse("");
    std::string answer;
    if (!is_greeted_) answer = greet();
    if (is_greeted_ && state_ == State::Reading) answer += read_v5();
    return answer;
}

std::string SocksRequest::greet() {
    if (pending_.size() < 2) return "";
    const std::size_t size = 2 + byte_at(pending_, 1);
    if (pending_.size() < size) return "";
    if (pending_.substr(2, size - 2).find('\0') == std::string::npos) return refuse("\5\xff");
    pending_.erase(0, size);
    is_greeted_ = true;
    return {'\5', '\0'};
}

// RFC 1928, section 4: version, command, reserved, address type, address, port.
std::string SocksRequest::read_v5() {
    if (pending_.size() < 5) return "";
    if (pending_[0] != 5) return refuse(reply_v5(kFailed));
    if (pending_[1] != 1) return refuse(reply_v5(kNoSuchCommand));
    const char type = pending_[3];
    if (type != 1 && type != 3 && type != 4) return refuse(reply_v5(kNoSuchAddressType));
    const std::size_t begin = type == 3 ? 5 : 4;
    const std::size_t size = type == 1 ? 4 : type == 4 ? 16 : byte_at(pending_, 4);
    if (pending_.size() < begin + size + 2) return "";
    std::string host = pending_.substr(begin, size);
    if (type != 3) host = address_text(type == 1 ? AF_INET : AF_INET6, host.data());
    const unsigned port = port_at(pending_, begin + size);
    if (host.empty() || host.find('\0') != std::string::npos || port == 0) {
        return refuse(reply_v5(kFailed));
    }
    complete(std::move(host), port, begin + size + 2);
    return "";
}

// Version, command, port, address, user, NUL. In 4a the address is 0.0.0.x, and a name and a NUL
// follow.
std::string SocksRequest::read_v4() {
    if (pending_.size() < 9) return "";
    const unsigned port = port_at(pending_, 2);
    if (pending_[1] != 1 || port == 0) return refuse(reply_v4(false));
    const std::size_t user_end = pending_.find('\0', 8);
    if (user_end == std::string::npos) {
        return pending_.size() > kMaxRequest ? refuse(reply_v4(false)) : "";
    }
    const bool has_name =
        pending_.compare(4, 3, std::string(3, '\0')) == 0 && byte_at(pending_, 7) != 0;
    if (!has_name) {
        complete(address_text(AF_INET, pending_.data() + 4), port, user_end + 1);
        return "";
    }
    const std::size_t name_end = pending_.find('\0', user_end + 1);
    if (name_end == std::string::npos) {
        return pending_.size() > kMaxRequest ? refuse(reply_v4(false)) : "";
    }
    std::string name = pending_.substr(user_end + 1, name_end - user_end - 1);
    if (name.empty()) return refuse(reply_v4(false));
    complete(std::move(name), port, name_end + 1);
    return "";
}

std::string SocksRequest::refuse(std::string answer) {
    state_ = State::Refused;
    return answer;
}

void SocksRequest::complete(std::string host, unsigned port, std::size_t used) {
    state_ = State::Complete;
    to_ = {std::move(host), std::to_string(port)};
    pending_.erase(0, used);
}

std::string SocksRequest::answer(std::optional<int> error) const {
    return version_ == 4 ? reply_v4(error == 0) : reply_v5(code_for(error));
}

}  // namespace frsh
