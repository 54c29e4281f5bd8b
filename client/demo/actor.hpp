// One side of a conversation: makes system calls, and tells each with what came of it.
//
// What is told is what was done, with the result the kernel gave. All sockets are on loopback or in
// AF_UNIX, and none waits longer than three seconds for anything.
#pragma once

#include "client/demo/story.hpp"
#include "common/sys/fd.hpp"

#include <cstdint>

#include <netinet/in.h>

namespace frsh::demo {

struct Received {
    std::string bytes;
    int error = 0;  // errno, where recv said -1.
};

class Actor {
  public:
    Actor(Story& story, Side side) : story_(story), side_(side) {}

    Fd socket(int domain, int type, const Text& note = {});
    // These return errno, or 0.
    int bind(const Fd& fd, std::uint16_t port, const Text& note = {});
    int listen(const Fd& fd, int backlog, const Text& note = {});
    int connect(const Fd& fd, std::uint16_t port, const Text& note = {});
    Fd accept(const Fd& listener, const Text& note = {});
    // How many bytes the kernel took; -1 and errno where it refused.
    ssize_t send(const Fd& fd, std::string_view bytes, int flags = 0, const Text& note = {});
    Received recv(const Fd& fd, std::size_t size, int flags = 0, const Text& note = {});
    void shutdown_writing(const Fd& fd, const Text& note = {});
    void close(Fd& fd, const Text& note = {});
    void set_option(const Fd& fd, int level, int option, int value, const char* spelling,
                    const Text& note = {});
    // A call that this class has no method for: only told.
    void tell(std::string call, std::string result, const Text& note = {});

  private:
    Story& story_;
    Side side_;
};

// The same, without a word.
struct Connection {
    Fd client;
    Fd server;
};
[[nodiscard]] Fd quiet_listener(int backlog = 16);
[[nodiscard]] Fd quiet_connect(std::uint16_t port);
[[nodiscard]] Connection quiet_connection();
[[nodiscard]] Connection quiet_unix_connection();
// A UDP socket on a free port.
[[nodiscard]] Fd quiet_udp();

[[nodiscard]] sockaddr_in loopback(std::uint16_t port);
[[nodiscard]] std::uint16_t port_of(const Fd& fd);
void set_timeout(const Fd& fd);

// "\"echo hello\\n\"", as C would write it, cut after `most` characters.
[[nodiscard]] std::string quoted(std::string_view bytes, std::size_t most = 18);
[[nodiscard]] std::string error_name(int error);  // "ECONNRESET"

}  // namespace frsh::demo
