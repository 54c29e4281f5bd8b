// What the kernel knows about a connection or a process, read while a lesson runs.
//
// Nothing here changes anything. Lessons ask the kernel instead of asserting: how many bytes are
// queued, which state a connection is in, how many packets left, whether a process is a zombie.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include <sys/types.h>

namespace frsh::demo {

// Asks again and again until it is so, two seconds long at most. No lesson sleeps and hopes.
bool eventually(const std::function<bool()>& is_so);

// Bytes that could be received now without waiting (FIONREAD); of the next datagram for UDP.
[[nodiscard]] std::size_t queued(int fd);
bool wait_queued(int fd, std::size_t bytes);
// Does anything (data, end of file, an error) come within so many milliseconds?
bool becomes_readable(int fd, int milliseconds);

// TCP_INFO, in part.
struct TcpView {
    int state = 0;                    // TCP_ESTABLISHED ...
    std::uint32_t segments_out = 0;   // Packets, the handshake's included.
    std::uint32_t segments_in = 0;    //
    std::uint32_t data_segments = 0;  // Packets that carried bytes of ours.
    std::uint32_t waiting = 0;        // Of a listening socket: connections nobody accepted yet.
};
[[nodiscard]] TcpView tcp_view(int fd);
[[nodiscard]] std::string state_name(int tcp_state);

// The state of the connection between these two ports of 127.0.0.1, as the row of /proc/net/tcp has
// it; nothing where there is no row.
[[nodiscard]] std::optional<int> tcp_row(std::uint16_t local_port, std::uint16_t remote_port);

// The letter of /proc/PID/stat: R running, S sleeping, Z zombie; 0 where there is no such process.
[[nodiscard]] char process_state(pid_t pid);

// A number the kernel keeps under /proc/sys.
[[nodiscard]] long kernel_setting(const std::string& path, long otherwise);

}  // namespace frsh::demo
