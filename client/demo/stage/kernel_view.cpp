#include "client/demo/stage/kernel_view.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/sys/fd.hpp"

#include <array>
#include <chrono>
#include <cstdio>
#include <sstream>

#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

namespace frsh::demo {

bool eventually(const std::function<bool()>& is_so) {
    using Clock = std::chrono::steady_clock;
    const auto deadline = Clock::now() + std::chrono::seconds(2);
    while (!is_so()) {
        if (Clock::now() > deadline) return false;
        const timespec pause{0, 500'000};
        ::nanosleep(&pause, nullptr);
    }
    return true;
}

std::size_t queued(int fd) {
    int bytes = 0;
    check(::ioctl(fd, FIONREAD, &bytes), "ioctl FIONREAD");
    return static_cast<std::size_t>(bytes);
}

bool wait_queued(int fd, std::size_t bytes) {
    return eventually([&] { return queued(fd) >= bytes; });
}

bool becomes_readable(int fd, int milliseconds) {
    pollfd watched{fd, POLLIN, 0};
    return check(::poll(&watched, 1, milliseconds), "poll") > 0;
}

TcpView tcp_view(int fd) {
    tcp_info info{};
    socklen_t size = sizeof info;
    check(::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size), "getsockopt TCP_INFO");
    return {info.tcpi_state, info.tcpi_segs_out, info.tcpi_segs_in, info.tcpi_data_segs_out,
            info.tcpi_unacked};
}

std::string state_name(int tcp_state) {
    // The names of include/net/tcp_states.h, which begin with 1.
    constexpr std::array kNames = {"ESTABLISHED", "SYN_SENT",  "SYN_RECV", "FIN_WAIT1",
                                   "FIN_WAIT2",   "TIME_WAIT", "CLOSE",    "CLOSE_WAIT",
                                   "LAST_ACK",    "LISTEN",    "CLOSING"};
    if (tcp_state < 1 || tcp_state > static_cast<int>(kNames.size())) return "?";
    return kNames[static_cast<std::size_t>(tcp_state - 1)];
}

std::optional<int> tcp_row(std::uint16_t local_port, std::uint16_t remote_port) {
    std::istringstream rows(read_file("/proc/net/tcp", 64 << 20));
    for (std::string row; std::getline(rows, row);) {
        unsigned local_address = 0;
        unsigned local = 0;
        unsigned remote_address = 0;
        unsigned remote = 0;
        unsigned state = 0;
        if (std::sscanf(row.c_str(), " %*d: %x:%x %x:%x %x", &local_address, &local,
                        &remote_address, &remote, &state) != 5) {
            continue;
        }
        const std::uint32_t loopback =
            htonl(INADDR_LOOPBACK);  // The kernel prints it in this byte order.
        if (local_address == loopback && remote_address == loopback && local == local_port &&
            remote == remote_port) {
            return static_cast<int>(state);
        }
    }
    return std::nullopt;
}

char process_state(pid_t pid) {
    try {
        const std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat", 4096);
        // The name is in parentheses and may contain parentheses, so search from the end.
        const std::size_t end = stat.rfind(") ");
        return end == std::string::npos || end + 2 >= stat.size() ? '\0' : stat[end + 2];
    } catch (const SysError&) {
        return '\0';
    }
}

long kernel_setting(const std::string& path, long otherwise) {
    try {
        std::string text = read_file(path, 4096);
        while (!text.empty() && text.back() == '\n')
            text.pop_back();
        const auto value = parse_number(text, 0, INT32_MAX);
        return value ? static_cast<long>(*value) : otherwise;
    } catch (const SysError&) {
        return otherwise;
    }
}

}  // namespace frsh::demo
