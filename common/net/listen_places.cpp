#include "common/net/listen_places.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/net/address.hpp"
#include "common/net/socket.hpp"

#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace frsh {
namespace {

constexpr int kPortAttempts = 10;

// Returns false if no interface of this machine has the address, or the kernel lacks its family.
bool is_local(const Address& address) {
    const Fd socket(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    return socket.is_open() && ::bind(socket.get(), address.get(), address.size) == 0;
}

// Returns the addresses of both families that this machine has.
std::vector<Address> pair_of(const char* v4, const char* v6, unsigned port) {
    std::vector<Address> found;
    for (const char* const host : {v4, v6}) {
        if (!is_local(resolve({host, 0}, true).front())) continue;
        found.push_back(resolve({host, port}, true).front());
    }
    if (found.empty()) throw UserError("this machine has no such address");
    return found;
}

bool is_number(const std::string& host) {
    in6_addr address{};
    // A link-local address has its interface behind a percent sign.
    const std::string plain = host.substr(0, host.find('%'));
    return ::inet_pton(AF_INET, host.c_str(), &address) == 1 ||
           ::inet_pton(AF_INET6, plain.c_str(), &address) == 1;
}

std::vector<Address> addresses_of(const std::string& host, unsigned port, ListenHost allowed) {
    if (host == "localhost") return pair_of("127.0.0.1", "::1", port);
    if (host.empty() || host == "*") return pair_of("0.0.0.0", "::", port);
    if (allowed == ListenHost::Numbers && !is_number(host)) {
        throw UserError("listen " + escape_controls(host) + ":" + std::to_string(port) +
                        ": is no address; write it in numbers");
    }
    return resolve({host, port}, true);
}

}  // namespace

std::vector<Fd> listen_at(const std::string& host, unsigned port, ListenHost allowed) {
    for (int attempt = 1;; ++attempt) {
        std::vector<Fd> sockets;
        unsigned chosen = port;
        try {
            for (const Address& address : addresses_of(host, port, allowed)) {
                // All addresses get the port that the kernel chose for the first one.
                const HostPort place{address.host_text(), chosen};
                sockets.push_back(listen_tcp(resolve(place, true).front()));
                chosen = local_address(sockets.back().get()).port();
            }
            return sockets;
        } catch (const UserError&) {
            if (port != 0 || sockets.empty() || attempt >= kPortAttempts) throw;
        }
    }
}

Fd listen_at_path(const std::string& path, UnlinksSocket unlinks, unsigned mask) {
    struct stat info {};
    if (unlinks == UnlinksSocket::Yes && ::lstat(path.c_str(), &info) == 0 &&
        S_ISSOCK(info.st_mode)) {
        (void)::unlink(path.c_str());
    }
    Fd listening = listen_unix(path);
    if (mask != kUsualSocketMask) check(::chmod(path.c_str(), 0666 & ~mask), "chmod " + path);
    return listening;
}

void at_close(int socket, AtClose how) {
    const linger value{how == AtClose::Reset ? 1 : 0, 0};
    (void)::setsockopt(socket, SOL_SOCKET, SO_LINGER, &value, sizeof value);
}

}  // namespace frsh
