// One side of a connection: makes system calls, and reports each with its result.
//
// A report shows the call, the kernel's result, and the packets that were captured during the call.
// All sockets are on loopback or in AF_UNIX. No
// call blocks for more than three seconds.
#pragma once

#include "client/demo/story.hpp"
#include "common/sys/fd.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <netinet/in.h>

namespace frsh::demo {

struct Received {
    std::string bytes;
    int error = 0;  // errno if recv returned -1.
};

class Actor {
  public:
    Actor(Story& story, Side side) : story_(story), side_(side) {}

    Fd socket(int domain, int type, const Text& note = {});
    // These return errno, or 0 for success.
    int bind(const Fd& fd, std::uint16_t port, const Text& note = {});
    int listen(const Fd& fd, int backlog, const Text& note = {});
    int connect(const Fd& fd, std::uint16_t port, const Text& note = {});
    Fd accept(const Fd& listener, const Text& note = {});
    // Returns how many bytes the kernel took, or -1 with errno set.
    ssize_t send(const Fd& fd, std::string_view bytes, int flags = 0, const Text& note = {});
    Received recv(const Fd& fd, std::size_t size, int flags = 0, const Text& note = {});
    void shutdown_writing(const Fd& fd, const Text& note = {});
    void close(Fd& fd, const Text& note = {});
    void set_option(const Fd& fd, int level, int option, int value, const char* spelling,
                    const Text& note = {});
    // Reports a call that was made elsewhere, without making it.
    void tell(std::string call, std::string result, const Text& note = {});

  private:
    Story& story_;
    Side side_;
};

// Makes the same calls without reporting them.
struct Connection {
    Fd client;
    Fd server;
};
[[nodiscard]] Fd quiet_listener(int backlog = 16);
[[nodiscard]] Fd quiet_connect(std::uint16_t port);
[[nodiscard]] Connection quiet_connection();
[[nodiscard]] Connection quiet_unix_connection();
// Returns a UDP socket on a free port, without a report.
[[nodiscard]] Fd quiet_udp();

[[nodiscard]] sockaddr_in loopback(std::uint16_t port);
[[nodiscard]] std::uint16_t port_of(const Fd& fd);
void set_timeout(const Fd& fd);

// Returns the bytes as a string literal of C, such as "\"echo hello\\n\"", cut after `most`
// characters.
[[nodiscard]] std::string quoted(std::string_view bytes, std::size_t most = 18);
[[nodiscard]] std::string error_name(int error);  // "ECONNRESET"

}  // namespace frsh::demo
