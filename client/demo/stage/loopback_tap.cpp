#include "client/demo/stage/loopback_tap.hpp"

#include "common/base/error.hpp"
#include "common/sys/process.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

namespace frsh::demo {
namespace {

constexpr int kTapBuffer = 32 * 1024 * 1024;
constexpr std::size_t kLargestFrame = 128 * 1024;

void write_text(const std::string& path, const std::string& text) {
    const Fd file(check(::open(path.c_str(), O_WRONLY | O_CLOEXEC), path));
    check(::write(file.get(), text.data(), text.size()), path);
}

void switch_on_loopback() {
    const Fd socket(check(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "a socket"));
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    check(::ioctl(socket.get(), SIOCSIFFLAGS, &request), "switching on lo");
}

// Returns a packet socket on lo. Each packet passes there twice, sent and received: the filter
// takes what is sent, at the moment of its sending.
Fd open_tap() {
    Fd socket(
        check(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "a packet socket"));
    constexpr auto kType = static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_PKTTYPE);
    std::array<sock_filter, 4> steps = {{BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kType),
                                         BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 0, 1),
                                         BPF_STMT(BPF_RET | BPF_K, kLargestFrame),
                                         BPF_STMT(BPF_RET | BPF_K, 0)}};
    const sock_fprog program{static_cast<unsigned short>(steps.size()), steps.data()};
    check(::setsockopt(socket.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program),
          "SO_ATTACH_FILTER");
    // Root's buffer may be larger than net.core.rmem_max.
    if (::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kTapBuffer, sizeof kTapBuffer) != 0)
        ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &kTapBuffer, sizeof kTapBuffer);
    const int on = 1;
    check(::setsockopt(socket.get(), SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on), "SO_TIMESTAMPNS");
    sockaddr_ll to{};
    to.sll_family = AF_PACKET;
    to.sll_protocol = htons(ETH_P_ALL);
    to.sll_ifindex = static_cast<int>(::if_nametoindex("lo"));
    check(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to), "bind");
    return socket;
}

// What the child reports to the process that is to have the network.
struct MadeNetwork {
    int error = 0;
    bool has_user_namespace = false;
    std::array<char, 64> attempt{};
};

// Runs in a child, so that a network that turns out useless is gone with it.
MadeNetwork make_network() {
    MadeNetwork made;
    try {
        if (::unshare(CLONE_NEWNET) != 0) {
            const std::string user = std::to_string(::geteuid());
            const std::string group = std::to_string(::getegid());
            check(::unshare(CLONE_NEWUSER), "a user namespace");
            made.has_user_namespace = true;
            write_text("/proc/self/setgroups", "deny");
            write_text("/proc/self/uid_map", user + " " + user + " 1");
            write_text("/proc/self/gid_map", group + " " + group + " 1");
            check(::unshare(CLONE_NEWNET), "a network namespace");
        }
        switch_on_loopback();
        static_cast<void>(open_tap());
    } catch (const SysError& error) {
        const std::string text = error.what();  // "ATTEMPT: REASON"
        made.error = error.code().value();
        text.substr(0, text.rfind(": ")).copy(made.attempt.data(), made.attempt.size() - 1);
    }
    return made;
}

// The rights of this process, as capget(2) and capset(2) have them.
struct Rights {
    __user_cap_header_struct head{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> data{};
};

// Enters the namespaces of `child`. The process has the same rights as before in the end.
Fd enter_network_of(pid_t child, const MadeNetwork& made) {
    const std::string folder = "/proc/" + std::to_string(child) + "/ns/";
    const auto opened = [&](const char* name) {
        return Fd(check(::open((folder + name).c_str(), O_RDONLY | O_CLOEXEC), folder + name));
    };
    const Fd network = opened("net");
    Rights before;
    check(static_cast<int>(::syscall(SYS_capget, &before.head, before.data.data())), "capget");
    if (made.has_user_namespace)
        check(::setns(opened("user").get(), CLONE_NEWUSER), "setns to a user namespace");
    check(::setns(network.get(), CLONE_NEWNET), "setns to a network");
    Fd tap = open_tap();
    if (made.has_user_namespace)
        check(static_cast<int>(::syscall(SYS_capset, &before.head, before.data.data())), "capset");
    return tap;
}

Fd move_to_own_network() {
    Pipe report = make_pipe();
    Pipe done = make_pipe();
    const pid_t pid = check(::fork(), "fork");
    if (pid == 0) {
        done.write_end.close();
        const MadeNetwork made = make_network();
        char nothing = 0;
        if (::write(report.write_end.get(), &made, sizeof made) ==
            static_cast<ssize_t>(sizeof made))
            static_cast<void>(!::read(done.read_end.get(), &nothing, 1));
        ::_exit(0);
    }
    report.write_end.close();
    MadeNetwork made;
    const ssize_t got = ::read(report.read_end.get(), &made, sizeof made);
    try {
        if (got != static_cast<ssize_t>(sizeof made)) throw SysError("a network namespace", EIO);
        if (made.error != 0) throw SysError(made.attempt.data(), made.error);
        Fd tap = enter_network_of(pid, made);
        done.write_end.close();
        static_cast<void>(wait_for(pid));
        return tap;
    } catch (const SysError&) {
        done.write_end.close();
        static_cast<void>(wait_for(pid));
        throw;
    }
}

double seconds_of(const timespec& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

}  // namespace

double capture_clock() {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return seconds_of(now);
}

LoopbackTap::LoopbackTap()
    : socket_(move_to_own_network()), stop_(check(::eventfd(0, EFD_CLOEXEC), "eventfd")) {
    // The lesson's signals are for the lesson's thread.
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread([this] {
        std::array<pollfd, 2> watched = {{{socket_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}}};
        while (::poll(watched.data(), watched.size(), -1) >= 0 || errno == EINTR) {
            if (watched[1].revents != 0) return;
            const std::lock_guard lock(mutex_);
            drain();
        }
    });
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

LoopbackTap::~LoopbackTap() {
    const std::uint64_t one = 1;
    static_cast<void>(!::write(stop_.get(), &one, sizeof one));
    thread_.join();
}

// Reads every packet that the socket has now. The caller holds the mutex.
void LoopbackTap::drain() {
    static thread_local std::string buffer(kLargestFrame, '\0');
    std::array<char, 256> control{};
    for (;;) {
        iovec part{buffer.data(), buffer.size()};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        const ssize_t size = ::recvmsg(socket_.get(), &message, 0);
        if (size < 0) return;
        timespec time{};
        for (cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr;
             head = CMSG_NXTHDR(&message, head)) {
            if (head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_TIMESTAMPNS)
                std::memcpy(&time, CMSG_DATA(head), sizeof time);
        }
        frames_.push_back({seconds_of(time), buffer.substr(0, static_cast<std::size_t>(size))});
    }
}

std::vector<TappedFrame> LoopbackTap::take() {
    const std::lock_guard lock(mutex_);
    drain();
    return std::exchange(frames_, {});
}

std::size_t LoopbackTap::lost() const {
    tpacket_stats counted{};
    socklen_t size = sizeof counted;
    // The kernel counts from the last question on, so ask once, at the end.
    if (::getsockopt(socket_.get(), SOL_PACKET, PACKET_STATISTICS, &counted, &size) != 0) return 0;
    return counted.tp_drops;
}

}  // namespace frsh::demo
