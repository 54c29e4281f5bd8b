// Reads what the kernel records about a connection or a process, while a lesson runs.
//
// Nothing here changes state. Lessons read facts from the kernel: how many bytes are queued, which
// state a connection has, how many packets were sent, whether a process is a zombie.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include <sys/types.h>

namespace frsh::demo {

// Polls until the condition is true, for two seconds at most. Returns whether it became true.
bool eventually(const std::function<bool()>& is_so);

// Returns the bytes that recv(2) would give without blocking (FIONREAD). UDP: of the next datagram.
[[nodiscard]] std::size_t queued(int fd);
bool wait_queued(int fd, std::size_t bytes);
// Returns whether data, end of file or an error arrives within so many milliseconds.
bool becomes_readable(int fd, int milliseconds);

// A part of TCP_INFO, see tcp(7).
struct TcpView {
    int state = 0;                    // TCP_ESTABLISHED ...
    std::uint32_t segments_out = 0;   // Packets, the handshake's included.
    std::uint32_t segments_in = 0;    //
    std::uint32_t data_segments = 0;  // Packets that carried data.
    std::uint32_t waiting = 0;        // Listening socket: connections not yet accepted.
};
[[nodiscard]] TcpView tcp_view(int fd);
[[nodiscard]] std::string state_name(int tcp_state);

// Returns the state of the connection between these two ports of 127.0.0.1, from /proc/net/tcp.
// Returns nothing if there is no such row.
[[nodiscard]] std::optional<int> tcp_row(std::uint16_t local_port, std::uint16_t remote_port);

// Returns the letter of /proc/PID/stat: R running, S sleeping, Z zombie; 0 if there is no process.
[[nodiscard]] char process_state(pid_t pid);

// Returns a number from a file under /proc/sys.
[[nodiscard]] long kernel_setting(const std::string& path, long otherwise);

}  // namespace frsh::demo
