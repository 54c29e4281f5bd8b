// Lesson 1, continued: ends of connections, the queue before accept, ports, and AF_UNIX.
#include "client/demo/lessons/lessons.hpp"
#include "client/demo/stage/actor.hpp"
#include "client/demo/stage/kernel_view.hpp"
#include "common/base/error.hpp"
#include "common/sys/process.hpp"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace frsh::demo {
namespace {

constexpr uid_t kNobody = 65534;
constexpr int kRounds = 200;

std::string outcome_of(int error) {
    return error == 0 ? "0" : "-1 " + error_name(error);
}

int try_bind(std::uint16_t port) {
    const Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in address = loopback(port);
    return ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0
               ? 0
               : errno;
}

// Calls bind(2) as an unprivileged user, in a child process that gives up its rights. Returns 0,
// errno, or -1 if the child cannot give up its rights.
int try_bind_as_nobody(std::uint16_t port) {
    const pid_t pid = check(::fork(), "fork");
    if (pid == 0) {
        if (::setresuid(kNobody, kNobody, kNobody) != 0) ::_exit(255);
        ::_exit(try_bind(port));
    }
    const ExitStatus status = wait_for(pid);
    return status.signaled || status.code == 255 ? -1 : status.code;
}

void low_ports(Story& story, Actor& server) {
    const long border = kernel_setting("/proc/sys/net/ipv4/ip_unprivileged_port_start", 1024);
    if (border < 2) {
        story.say(
            {"On this machine every port may be had by everybody "
             "(net.ipv4.ip_unprivileged_port_start is {0}), so nothing is refused here.",
             "这台机器上任何人都可以使用任何端口（net.ipv4.ip_unprivileged_port_start 是 {0}），"
             "所以看不到拒绝。"},
            border);
        return;
    }
    const auto port = static_cast<std::uint16_t>(border - 1);
    const std::string call = "bind(fd, 127.0.0.1:" + std::to_string(port) + ")";
    if (::geteuid() != 0) {
        const int error = try_bind(port);
        server.tell(call, "-1 " + error_name(error));
        story.claim(error == EACCES,
                    {"Ports below {0} are refused to ordinary users: EACCES.",
                     "普通用户不能使用 {0} 以下的端口：EACCES。"},
                    border);
        return;
    }
    const int error = try_bind_as_nobody(port);
    if (error == -1) {
        story.say({"You are root and cannot become an ordinary user here, so the refusal of ports "
                   "below {0} cannot be shown.",
                   "你是 root，而这里又无法变成普通用户，所以无法演示 {0} 以下端口被拒绝。"},
                  border);
        return;
    }
    server.tell(call, outcome_of(error),
                fill({"as uid {0}, in a child process", "在子进程里，以 uid {0} 的身份"}, kNobody));
    story.claim(
        error == EACCES,
        {"Ports below {0} are refused to ordinary users: EACCES. You are root, and root may "
         "have them; so a child became uid {1} first, to show it.",
         "普通用户不能使用 {0} 以下的端口：EACCES。你是 root，root 是可以的；"
         "所以先让一个子进程变成 uid {1} 再试给你看。"},
        border, kNobody);
}

// A port is 16 bits. What a program writes beyond them is cut off by htons(3), without an error.
void port_bounds(Story& story, Actor& server) {
    const long border = kernel_setting("/proc/sys/net/ipv4/ip_unprivileged_port_start", 1024);
    bool is_as_said = true;
    for (const unsigned wanted : {1023U, 1024U, 65535U, 65536U}) {
        const auto port = static_cast<std::uint16_t>(wanted);
        int error = port != 0 && port < border ? try_bind_as_nobody(port) : try_bind(port);
        const bool is_unknown =
            error == -1 && ::geteuid() == 0;  // A child with another uid is not possible here.
        if (error == -1) error = try_bind(port);
        const std::string result = outcome_of(error);
        const Text note =
            wanted > 65535
                ? Text{"16 bits are left: port 0, and the kernel picks one",
                       "只剩 16 位：变成 0，由内核任选一个端口"}
                : (port < border ? Text{"as an ordinary user", "以普通用户的身份"} : Text{});
        server.tell("bind(fd, 127.0.0.1:htons(" + std::to_string(wanted) + "))", result, note);
        const bool may_fail = port != 0 && port < border && !is_unknown;
        is_as_said = is_as_said &&
                     (may_fail ? error == EACCES : error == 0 || error == EADDRINUSE || is_unknown);
    }
    story.claim(
        is_as_said,
        {"Ports below {0} need a right; {0} is the first free one, 65535 the last there is, "
         "and 65536 silently becomes 0.",
         "{0} 以下的端口需要权限；{0} 是第一个人人可用的，65535 是最后一个，"
         "65536 会悄悄变成 0。"},
        border);
}

// Waits until a thread of this process sleeps in the kernel. Returns false after two seconds.
bool is_asleep(pid_t thread) {
    return eventually([&] { return process_state(thread) == 'S'; });
}

Fd listen_on(std::uint16_t port, bool reuse, int& error) {
    Fd fd(check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
    const int on = reuse ? 1 : 0;
    check(::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "SO_REUSEADDR");
    const sockaddr_in address = loopback(port);
    const bool bound =
        ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
        ::listen(fd.get(), 1) == 0;
    error = bound ? 0 : errno;
    return fd;
}

struct Restart {
    bool waits = false;  // The old connection is in TIME_WAIT.
    int error = 0;       // errno of the second bind, or 0.
};

// Runs a server that closes its connection first, ends, and starts again on the same port.
Restart restart_server(bool reuse) {
    Restart result;
    Fd listener = listen_on(0, reuse, result.error);
    const std::uint16_t port = port_of(listener);
    Fd near = quiet_connect(port);
    const std::uint16_t theirs = port_of(near);
    Fd far(check(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC), "accept"));
    far.close();
    near.close();
    listener.close();
    result.waits = eventually([&] { return tcp_row(port, theirs) == TCP_TIME_WAIT; });
    static_cast<void>(listen_on(port, reuse, result.error));
    return result;
}

double microseconds_a_round(const Connection& connection) {
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < kRounds; ++i) {
        char byte = 'x';
        check(::send(connection.client.get(), &byte, 1, MSG_NOSIGNAL), "send");
        check(::recv(connection.server.get(), &byte, 1, 0), "recv");
        check(::send(connection.server.get(), &byte, 1, MSG_NOSIGNAL), "send");
        check(::recv(connection.client.get(), &byte, 1, 0), "recv");
    }
    const std::chrono::duration<double, std::micro> spent =
        std::chrono::steady_clock::now() - begin;
    return spent.count() / kRounds;
}

// A temporary folder. The destructor removes it.
class Folder {
  public:
    Folder() {
        path_ = (std::filesystem::temp_directory_path() / "frsh-demo-XXXXXX").string();
        if (::mkdtemp(path_.data()) == nullptr) throw SysError("mkdtemp");
    }
    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    [[nodiscard]] std::string file(const char* name) const { return path_ + "/" + name; }

  private:
    std::string path_;
};

sockaddr_un unix_address(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) throw UserError("TMPDIR is too long a path");
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

}  // namespace

void flow_ports(Story& story) {
    Actor server(story, Side::Server);
    story.heading({"Ports: taken, and not for everybody", "端口：被占用的，和不许用的"});
    const Fd first = server.socket(AF_INET, SOCK_STREAM);
    server.bind(first, 0);
    server.listen(first, 1);
    const Fd second = server.socket(AF_INET, SOCK_STREAM);
    const int error = server.bind(second, port_of(first));
    story.claim(error == EADDRINUSE,
                {"A port that somebody listens on cannot be had twice: EADDRINUSE.",
                 "已经有人监听的端口不能再用：EADDRINUSE（地址已被占用）。"});
    low_ports(story, server);
    port_bounds(story, server);
}

void flow_close(Story& story) {
    Actor client(story, Side::Client);
    Actor server(story, Side::Server);
    story.heading({"close is not a half-close; shutdown is", "close 不是半关闭，shutdown 才是"});
    story.ask({"The client has closed. What does the server's first send return?",
               "客户端已经 close，服务器第一次 send 返回什么？"},
              {{"-1 EPIPE", "-1 EPIPE"},
               {"success: the kernel takes the bytes", "成功：内核收下了"},
               {"-1 ECONNRESET", "-1 ECONNRESET"}},
              1,
              {"send only fills a buffer. The peer's kernel then answers with RST, and the second "
               "send fails.",
               "send 只是放进缓冲区；对方内核随后回 RST，第二次才失败。"});
    Connection closed = quiet_connection();
    const Connection half = quiet_connection();
    client.shutdown_writing(half.client, {"sends a FIN, and still reads", "发 FIN，但还能读"});
    const ssize_t answer = server.send(half.server, "answer");
    wait_queued(half.client.get(), 6);
    const Received read = client.recv(half.client, 64);
    client.close(closed.client, {"sends the same FIN, and reads no more", "同样发 FIN，但不再读"});
    becomes_readable(closed.server.get(), 2000);
    const ssize_t first =
        server.send(closed.server, "answer", 0,
                    {"taken; the peer's kernel answers RST", "收下了；对方内核回一个 RST"});
    const bool was_reset =
        eventually([&] { return tcp_view(closed.server.get()).state == TCP_CLOSE; });
    const ssize_t second = server.send(closed.server, "answer");
    const int error = errno;
    story.claim(
        answer == 6 && read.bytes == "answer" && first == 6 && was_reset && second == -1 &&
            error == EPIPE,
        {"The FIN looks alike to the peer. After shutdown(SHUT_WR) the answer arrives. After "
         "close the first send still succeeds, and the second fails with EPIPE.",
         "两种 FIN 在对方看来一样。shutdown(SHUT_WR) 之后应答能收到；"
         "close 之后，第一次 send 照样成功，第二次才失败：EPIPE。"});

    story.heading({"Where the server closes first", "如果服务器先关闭"});
    const Restart plain_restart = restart_server(false);
    server.tell("bind to its port again", outcome_of(plain_restart.error),
                {"its own old connection is in TIME_WAIT", "它自己的旧连接还在 TIME_WAIT"});
    const Restart reusing = restart_server(true);
    server.tell("bind, with SO_REUSEADDR", outcome_of(reusing.error));
    story.claim(plain_restart.waits && plain_restart.error == EADDRINUSE && reusing.waits &&
                    reusing.error == 0,
                {"A restarted server cannot have its port: EADDRINUSE. With SO_REUSEADDR it can. "
                 "Linux wants the option on both sockets, the old server's and the new one's.",
                 "服务器重启后拿不回自己的端口：EADDRINUSE。设置 SO_REUSEADDR 就可以；"
                 "Linux 要求新旧两个套接字都设置过它。"});
}

void flow_queue(Story& story) {
    Actor client(story, Side::Client);
    Actor server(story, Side::Server);
    story.heading({"accept waits, and so do clients", "accept 会等，客户端也会等"});
    {
        const Fd listener = quiet_listener();
        std::atomic<pid_t> thread{0};
        std::atomic<bool> has_returned{false};
        std::thread acceptor([&] {
            thread = ::gettid();
            const Fd fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
            has_returned = fd.is_open();
        });
        const bool began = eventually([&] { return thread != 0; });
        const bool slept = began && is_asleep(thread) && !has_returned;
        server.tell(
            "accept(" + std::to_string(listener.get()) + ") ...", "",
            {"no client yet: the thread sleeps (state S)", "还没有客户：线程在睡眠（状态 S）"});
        const Fd near = quiet_connect(port_of(listener));
        acceptor.join();
        server.tell("... accept returns", has_returned ? "a new socket" : "-1");
        story.claim(slept && has_returned,
                    {"accept blocks: the kernel puts the thread to sleep until a connection is "
                     "there.",
                     "accept 会阻塞：没有连接时，内核让线程睡眠，直到有连接到来。"});
    }
    constexpr int kBacklog = 4;
    const long most = kernel_setting("/proc/sys/net/core/somaxconn", 4096);
    const Fd listener = quiet_listener(kBacklog);
    std::vector<Fd> clients;
    for (int i = 0; i < kBacklog + 2; ++i) {
        Fd fd(check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket"));
        const sockaddr_in address = loopback(port_of(listener));
        static_cast<void>(
            ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address));
        clients.push_back(std::move(fd));
        if (i <= kBacklog) {
            eventually([&] { return tcp_view(clients.back().get()).state == TCP_ESTABLISHED; });
        }
    }
    int established = 0;
    for (int i = 0; i <= kBacklog; ++i)
        established +=
            tcp_view(clients[static_cast<std::size_t>(i)].get()).state == TCP_ESTABLISHED;
    const int last = tcp_view(clients.back().get()).state;
    client.tell("connect() by six clients, none accepted",
                std::to_string(established) + " ESTABLISHED, 1 " + state_name(last));
    server.tell("listen(" + std::to_string(listener.get()) + ", 4): queue",
                std::to_string(tcp_view(listener.get()).waiting));
    story.claim(established == kBacklog + 1 && last == TCP_SYN_SENT,
                {"listen(fd, 4) admits five: the kernel compares with \"greater than\". The sixth "
                 "client's SYN is dropped; it stays in {0} and tries again after a second. The "
                 "number is capped by net.core.somaxconn, here {1}.",
                 "listen(fd, 4) 放进五个：内核比较时用的是“大于”。第六个客户的 SYN 被丢弃，"
                 "它停在 {0}，一秒后重试。这个数字不会超过 net.core.somaxconn（这里是 {1}）。"},
                state_name(last), most);
}

void flow_unix(Story& story) {
    Actor client(story, Side::Client);
    Actor server(story, Side::Server);
    story.heading({"The same calls without a network: AF_UNIX", "同样的调用，不经过网络：AF_UNIX"});
    const Folder folder;
    const std::string path = folder.file("door");
    const sockaddr_un address = unix_address(path);
    const auto* const generic = reinterpret_cast<const sockaddr*>(&address);

    const Fd listener = server.socket(AF_UNIX, SOCK_STREAM);
    check(::bind(listener.get(), generic, sizeof address), "bind " + path);
    server.tell("bind(" + std::to_string(listener.get()) + ", \".../door\")", "0",
                {"a file, not a port", "是一个文件，不是端口"});
    server.listen(listener, 4);
    Connection local;
    local.client = client.socket(AF_UNIX, SOCK_STREAM);
    check(::connect(local.client.get(), generic, sizeof address), "connect " + path);
    client.tell("connect(" + std::to_string(local.client.get()) + ", \".../door\")", "0");
    local.server = server.accept(listener);
    ucred peer{};
    socklen_t size = sizeof peer;
    check(::getsockopt(local.server.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size), "SO_PEERCRED");
    server.tell("getsockopt(" + std::to_string(local.server.get()) + ", SO_PEERCRED)",
                "pid " + std::to_string(peer.pid) + ", uid " + std::to_string(peer.uid));
    story.claim(peer.pid == ::getpid() && peer.uid == ::geteuid(),
                {"In AF_UNIX the kernel vouches for who is calling: process {0}, user {1}. Across "
                 "machines no kernel can vouch for a TCP peer.",
                 "在 AF_UNIX 里，内核直接担保对方是谁：进程 {0}，用户 {1}。"
                 "跨机器时，没有哪个内核能为 TCP 的对端作保。"},
                peer.pid, peer.uid);

    const Connection tcp = quiet_connection();
    char over_tcp[32];
    char over_unix[32];
    std::snprintf(over_tcp, sizeof over_tcp, "%.1f µs", microseconds_a_round(tcp));
    std::snprintf(over_unix, sizeof over_unix, "%.1f µs", microseconds_a_round(local));
    Table table;
    table.head = {{"", ""}, plain("AF_INET 127.0.0.1"), plain("AF_UNIX")};
    table.rows = {
        {{"address", "地址"}, {"host and port", "主机和端口"}, {"a path", "文件路径"}},
        {{"reached from", "谁能连"},
         {"this machine only (loopback)", "只有本机（回环地址）"},
         {"this machine only", "只有本机"}},
        {{"who may connect", "谁有权连"},
         {"every local user", "本机所有用户"},
         {"the file's permissions say", "由文件权限决定"}},
        {{"handshake, TIME_WAIT", "握手、TIME_WAIT"}, {"yes", "有"}, {"none", "没有"}},
        {{"there and back, measured", "一来一回，实测"}, plain(over_tcp), plain(over_unix)},
        {{"boundaries between sends", "保留每次 send 的边界"}, {"no", "不保留"}, {"no", "不保留"}}};
    story.tell(table);
}

}  // namespace frsh::demo
