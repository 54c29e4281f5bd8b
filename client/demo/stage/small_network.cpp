#include "client/demo/stage/small_network.hpp"

#include "common/base/error.hpp"
#include "common/sys/fd.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <utility>

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace frsh::demo {
namespace {

constexpr int kAnswerTimeout = 3000;  // Milliseconds.

void write_file(const char* path, const std::string& text) {
    const Fd file(check(::open(path, O_WRONLY | O_CLOEXEC), path));
    check(::write(file.get(), text.data(), text.size()), path);
}

sockaddr_in address(const char* ip, std::uint16_t port = 0) {
    sockaddr_in result{};
    result.sin_family = AF_INET;
    result.sin_port = htons(port);
    ::inet_pton(AF_INET, ip, &result.sin_addr);
    return result;
}

Fd this_network() {
    return Fd(check(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), "/proc/self/ns/net"));
}

void enter(const Fd& network) {
    check(::setns(network.get(), CLONE_NEWNET), "setns");
}

// Makes a network with no interface but lo, and enters it.
Fd new_network() {
    check(::unshare(CLONE_NEWNET), "unshare");
    Fd network = this_network();
    // Keeps IPv6's own packets out of the capture. A kernel without IPv6 has no such file.
    const Fd file(::open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC));
    if (file.is_open()) (void)!::write(file.get(), "1", 1);
    return network;
}

// Becomes root of a user namespace, to whom new networks belong.
void become_root_here() {
    const auto user = std::to_string(::geteuid());
    const auto group = std::to_string(::getegid());
    check(::unshare(CLONE_NEWUSER), "a user namespace");
    write_file("/proc/self/setgroups", "deny");
    write_file("/proc/self/uid_map", "0 " + user + " 1");
    write_file("/proc/self/gid_map", "0 " + group + " 1");
}

// A request of rtnetlink(7): a header, then attributes, some with attributes inside.
class LinkRequest {
  public:
    LinkRequest() : bytes_(NLMSG_HDRLEN + sizeof(ifinfomsg), '\0') {}

    std::size_t begin(std::uint16_t type) {
        const std::size_t at = bytes_.size();
        bytes_.append(RTA_LENGTH(0), '\0');
        put(at + 2, &type, sizeof type);
        return at;
    }
    void append(const void* data, std::size_t size) {
        bytes_.append(static_cast<const char*>(data), size);
    }
    void end(std::size_t at) {
        const auto size = static_cast<std::uint16_t>(bytes_.size() - at);
        put(at, &size, sizeof size);
        bytes_.resize(NLMSG_ALIGN(bytes_.size()), '\0');
    }
    void attribute(std::uint16_t type, const void* data, std::size_t size) {
        const std::size_t at = begin(type);
        append(data, size);
        end(at);
    }
    void text(std::uint16_t type, const std::string& value) {
        attribute(type, value.c_str(), value.size() + 1);
    }

    void send() {
        nlmsghdr head{};
        head.nlmsg_len = static_cast<std::uint32_t>(bytes_.size());
        head.nlmsg_type = RTM_NEWLINK;
        head.nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK;
        put(0, &head, sizeof head);
        const Fd socket(check(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE),
                              "a netlink socket"));
        check(::send(socket.get(), bytes_.data(), bytes_.size(), 0), "netlink");
        struct {
            nlmsghdr head;
            nlmsgerr error;
            char rest[1024];
        } answer{};
        check(::recv(socket.get(), &answer, sizeof answer, 0), "netlink");
        if (answer.error.error != 0) throw SysError("a pair of veth", -answer.error.error);
    }

  private:
    void put(std::size_t at, const void* data, std::size_t size) {
        std::memcpy(bytes_.data() + at, data, size);
    }
    std::string bytes_;
};

// Makes a cable: interface `name` here, and "eth0" in another network.
void add_cable(const std::string& name, const Fd& other_network) {
    LinkRequest request;
    request.text(IFLA_IFNAME, name);
    const std::size_t info = request.begin(IFLA_LINKINFO);
    request.text(IFLA_INFO_KIND, "veth");
    const std::size_t data = request.begin(IFLA_INFO_DATA);
    const std::size_t peer = request.begin(VETH_INFO_PEER);
    const ifinfomsg other{};
    request.append(&other, sizeof other);
    request.text(IFLA_IFNAME, "eth0");
    const auto network = static_cast<std::uint32_t>(other_network.get());
    request.attribute(IFLA_NET_NS_FD, &network, sizeof network);
    request.end(peer);
    request.end(data);
    request.end(info);
    request.send();
}

ifreq request_for(const std::string& interface) {
    ifreq request{};
    interface.copy(request.ifr_name, IFNAMSIZ - 1);
    return request;
}

// Sets the addresses of an interface of this network, with 24 bits of subnet, and switches it on.
// The MAC's last two bytes are those of the IP address, so that both are easy to recognize.
void set_up(const std::string& interface, const char* ip) {
    const Fd socket(check(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "a socket"));
    const sockaddr_in own = address(ip);
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(&own.sin_addr);
    ifreq request = request_for(interface);
    request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
    const std::array<std::uint8_t, 6> mac{2, 0, 0, 0, bytes[2], bytes[3]};
    std::memcpy(request.ifr_hwaddr.sa_data, mac.data(), mac.size());
    check(::ioctl(socket.get(), SIOCSIFHWADDR, &request), "SIOCSIFHWADDR");
    request = request_for(interface);
    std::memcpy(&request.ifr_addr, &own, sizeof own);
    check(::ioctl(socket.get(), SIOCSIFADDR, &request), "SIOCSIFADDR");
    const sockaddr_in mask = address("255.255.255.0");
    std::memcpy(&request.ifr_netmask, &mask, sizeof mask);
    check(::ioctl(socket.get(), SIOCSIFNETMASK, &request), "SIOCSIFNETMASK");
    request = request_for(interface);
    check(::ioctl(socket.get(), SIOCGIFFLAGS, &request), "SIOCGIFFLAGS");
    request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
    check(::ioctl(socket.get(), SIOCSIFFLAGS, &request), "SIOCSIFFLAGS");
}

void set_gateway(const char* ip) {
    const Fd socket(check(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "a socket"));
    const sockaddr_in gateway = address(ip);
    const sockaddr_in any = address("0.0.0.0");
    rtentry route{};
    std::memcpy(&route.rt_dst, &any, sizeof any);
    std::memcpy(&route.rt_genmask, &any, sizeof any);
    std::memcpy(&route.rt_gateway, &gateway, sizeof gateway);
    route.rt_flags = RTF_UP | RTF_GATEWAY;
    check(::ioctl(socket.get(), SIOCADDRT, &route), "SIOCADDRT");
}

struct Tap {
    std::string place;
    Fd socket;
};

Tap tap(const std::string& place, const std::string& interface) {
    Fd socket(check(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL)),
                    "a packet socket"));
    sockaddr_ll to{};
    to.sll_family = AF_PACKET;
    to.sll_protocol = htons(ETH_P_ALL);
    to.sll_ifindex = static_cast<int>(::if_nametoindex(interface.c_str()));
    check(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to), "bind");
    const int on = 1;
    check(::setsockopt(socket.get(), SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on), "SO_TIMESTAMPNS");
    return {place, std::move(socket)};
}

// Reads every frame that the tap has now. `seconds` is the kernel's time of each.
void drain(const Tap& tap, std::vector<CapturedFrame>& frames) {
    std::array<char, 2048> buffer{};
    std::array<char, 256> control{};
    while (true) {
        iovec part{buffer.data(), buffer.size()};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        const ssize_t size = ::recvmsg(tap.socket.get(), &message, 0);
        if (size <= 0) return;
        timespec time{};
        for (cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr;
             head = CMSG_NXTHDR(&message, head)) {
            if (head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_TIMESTAMPNS)
                std::memcpy(&time, CMSG_DATA(head), sizeof time);
        }
        frames.push_back(
            {tap.place, static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9,
             std::string(buffer.data(), static_cast<std::size_t>(size))});
    }
}

Fd udp_socket(const char* ip, std::uint16_t port) {
    Fd socket(check(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "a socket"));
    const sockaddr_in own = address(ip, port);
    check(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own), "bind");
    return socket;
}

void send_datagram(const Fd& from, const sockaddr_in& to, std::string_view text) {
    check(::sendto(from.get(), text.data(), text.size(), 0, reinterpret_cast<const sockaddr*>(&to),
                   sizeof to),
          "sendto");
}

void wait_readable(const Fd& fd, const char* what) {
    pollfd poll{fd.get(), POLLIN, 0};
    if (::poll(&poll, 1, kAnswerTimeout) != 1) throw SysError(what, ETIMEDOUT);
}

void receive_datagram(const Fd& at) {
    wait_readable(at, "a datagram through the router");
    std::array<char, 64> buffer{};
    check(::recv(at.get(), buffer.data(), buffer.size(), 0), "recv");
}

// The part that runs in a process of its own, since it changes namespaces.
std::vector<CapturedFrame> record_here() {
    become_root_here();
    const Fd router = new_network();
    write_file("/proc/sys/net/ipv4/ip_forward", "1");
    const Fd alice = new_network();
    const Fd bob = new_network();
    std::vector<Tap> taps;
    enter(router);
    add_cable("left", alice);
    add_cable("right", bob);
    set_up("left", "10.0.1.1");
    set_up("right", "10.0.2.1");
    taps.push_back(tap("router left", "left"));
    taps.push_back(tap("router right", "right"));
    enter(alice);
    set_up("eth0", "10.0.1.2");
    set_gateway("10.0.1.1");
    taps.push_back(tap("alice", "eth0"));
    const Fd near = udp_socket("10.0.1.2", 9000);
    enter(bob);
    set_up("eth0", "10.0.2.2");
    set_gateway("10.0.2.1");
    taps.push_back(tap("bob", "eth0"));
    const Fd far = udp_socket("10.0.2.2", 9001);

    send_datagram(near, address("10.0.2.2", 9001), "hello");
    receive_datagram(far);
    send_datagram(far, address("10.0.1.2", 9000), "hi");
    receive_datagram(near);
    std::vector<CapturedFrame> frames;
    for (const Tap& each : taps)
        drain(each, frames);
    send_datagram(near, address("10.0.1.9", 9001), "anyone?");
    for (const Tap& each : taps) {
        if (each.place == "alice") wait_readable(each.socket, "the question for 10.0.1.9");
    }
    for (const Tap& each : taps)
        drain(each, frames);
    std::stable_sort(frames.begin(), frames.end(),
                     [](const auto& a, const auto& b) { return a.seconds < b.seconds; });
    const double begin = frames.empty() ? 0 : frames.front().seconds;
    for (CapturedFrame& frame : frames)
        frame.seconds -= begin;
    return frames;
}

std::string read_all(const Fd& fd) {
    std::string all;
    std::array<char, 4096> buffer{};
    ssize_t size = 0;
    while ((size = ::read(fd.get(), buffer.data(), buffer.size())) > 0)
        all.append(buffer.data(), static_cast<std::size_t>(size));
    return all;
}

}  // namespace

std::string to_lines(const std::vector<CapturedFrame>& frames) {
    constexpr char kDigits[] = "0123456789abcdef";
    std::string lines;
    for (const CapturedFrame& frame : frames) {
        lines += frame.place + "|" + std::to_string(frame.seconds) + "|";
        for (const char c : frame.bytes) {
            const auto byte = static_cast<unsigned char>(c);
            lines += {kDigits[byte >> 4], kDigits[byte & 15]};
        }
        lines += '\n';
    }
    return lines;
}

std::vector<CapturedFrame> from_lines(std::string_view lines) {
    std::vector<CapturedFrame> frames;
    while (!lines.empty()) {
        const std::string_view line = lines.substr(0, lines.find('\n'));
        lines.remove_prefix(std::min(lines.size(), line.size() + 1));
        const auto first = line.find('|');
        const auto second = line.find('|', first + 1);
        if (first == std::string_view::npos || second == std::string_view::npos)
            throw std::runtime_error("a captured frame has no such form: " + std::string(line));
        CapturedFrame frame;
        frame.place = line.substr(0, first);
        frame.seconds = std::strtod(std::string(line.substr(first + 1)).c_str(), nullptr);
        for (std::size_t i = second + 1; i + 1 < line.size(); i += 2) {
            frame.bytes +=
                static_cast<char>(std::stoi(std::string(line.substr(i, 2)), nullptr, 16));
        }
        frames.push_back(std::move(frame));
    }
    return frames;
}

std::vector<CapturedFrame> record_journey() {
    std::array<int, 2> ends{};
    check(::pipe2(ends.data(), O_CLOEXEC), "pipe");
    const Fd reader(ends[0]);
    Fd writer(ends[1]);
    const pid_t pid = check(::fork(), "fork");
    if (pid == 0) {
        std::string report;
        try {
            report = to_lines(record_here());
        } catch (const SysError& error) {
            const std::string text = error.what();  // "ATTEMPT: REASON"
            report = "error " + std::to_string(error.code().value()) + " " +
                     text.substr(0, text.rfind(": "));
        }
        std::size_t done = 0;
        while (done < report.size()) {
            const auto put = ::write(writer.get(), report.data() + done, report.size() - done);
            if (put <= 0) break;
            done += static_cast<std::size_t>(put);
        }
        ::_exit(0);
    }
    writer = Fd();
    const std::string report = read_all(reader);
    while (::waitpid(pid, nullptr, 0) == -1 && errno == EINTR) {
    }
    if (report.rfind("error ", 0) == 0) {
        char* rest = nullptr;
        const auto error = static_cast<int>(std::strtol(report.c_str() + 6, &rest, 10));
        throw SysError(rest + 1, error);
    }
    if (report.empty()) throw SysError("a network of namespaces", EIO);
    return from_lines(report);
}

}  // namespace frsh::demo
