// Lesson 1, the addresses: which ports may be had, and the same calls in AF_UNIX.
#include "client/demo/actor.hpp"
#include "client/demo/kernel_view.hpp"
#include "client/demo/lessons.hpp"
#include "common/base/error.hpp"
#include "common/sys/process.hpp"

#include <chrono>
#include <cstring>
#include <filesystem>

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace frsh::demo {
namespace {

constexpr uid_t kNobody = 65534;
constexpr int kRounds = 200;

int try_bind(std::uint16_t port) {
    const Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in address = loopback(port);
    return ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0
               ? 0
               : errno;
}

// The same by a user without rights: a child that gives its own up. -1 where that is impossible.
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
    server.tell(call, error == 0 ? "0" : "-1 " + error_name(error),
                fill({"as uid {0}, in a child process", "在子进程里，以 uid {0} 的身份"}, kNobody));
    story.claim(
        error == EACCES,
        {"Ports below {0} are refused to ordinary users: EACCES. You are root, and root may "
         "have them; so a child became uid {1} first, to show it.",
         "普通用户不能使用 {0} 以下的端口：EACCES。你是 root，root 是可以的；"
         "所以先让一个子进程变成 uid {1} 再试给你看。"},
        border, kNobody);
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

// A folder that goes when this does.
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
    story.claim(
        peer.pid == ::getpid() && peer.uid == ::geteuid(),
        {"In AF_UNIX the kernel vouches for who is calling: process {0}, user {1}. No TCP "
         "peer can be known that way.",
         "在 AF_UNIX 里，内核直接担保对方是谁：进程 {0}，用户 {1}。TCP 的对端做不到这一点。"},
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
