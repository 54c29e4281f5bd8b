// The second half of lesson 8: a hundred clients of a server that forks, of one with threads and
// of one with epoll(7); and what is left of each after a crash.
#include "client/demo/lessons/lessons.hpp"
#include "client/demo/stage/actor.hpp"
#include "client/demo/stage/kernel_view.hpp"
#include "common/base/error.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace frsh::demo {
namespace {

constexpr std::size_t kCrowd = 100;
constexpr std::size_t kSilentOnes = 10;
constexpr char kAsk = '?';
constexpr char kAnswer = '.';
constexpr char kBug = '!';  // The handler of this request has a bug, and aborts.

// Answers one byte. Returns false if the client has left.
bool answer_one(int connection) {
    char request = 0;
    if (::recv(connection, &request, 1, 0) != 1) return false;
    if (request == kBug) ::abort();
    return ::send(connection, &kAnswer, 1, MSG_NOSIGNAL) == 1;
}

void answer_all(int connection) {
    while (answer_one(connection)) {
    }
    ::close(connection);
}

void fork_for_each(int listener) {
    std::signal(SIGCHLD, SIG_IGN);  // The kernel then keeps no zombies of this process.
    for (;;) {
        const int connection = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
        if (connection == -1) return;
        const pid_t pid = ::fork();
        if (pid == 0) {
            ::close(listener);
            answer_all(connection);
            ::_exit(0);
        }
        ::close(connection);
    }
}

void thread_for_each(int listener) {
    for (;;) {
        const int connection = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
        if (connection == -1) return;
        std::thread(answer_all, connection).detach();
    }
}

void epoll_for_all(int listener) {
    const int set = ::epoll_create1(EPOLL_CLOEXEC);
    const auto add = [set](int fd) {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.fd = fd;
        return ::epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) == 0;
    };
    if (!add(listener)) return;
    for (;;) {
        std::array<epoll_event, 64> events{};
        const int count = ::epoll_wait(set, events.data(), static_cast<int>(events.size()), -1);
        for (int i = 0; i < count; ++i) {
            const int ready = events[static_cast<std::size_t>(i)].data.fd;
            if (ready == listener) {
                if (!add(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC))) return;
            } else if (!answer_one(ready)) {
                ::close(ready);
            }
        }
    }
}

struct ServerKind {
    const char* name;
    void (*run)(int listener);
};
constexpr std::array<ServerKind, 3> kServerKinds = {
    {{"fork", fork_for_each}, {"threads", thread_for_each}, {"epoll", epoll_for_all}}};

// A server in a process group of its own. The destructor ends the group.
class ServerGroup {
  public:
    explicit ServerGroup(const ServerKind& kind) {
        const Fd listener = quiet_listener(static_cast<int>(kCrowd) + 28);
        port_ = port_of(listener);
        const pid_t parent = ::getpid();
        pid_ = check(::fork(), "fork");
        if (pid_ != 0) {
            ::setpgid(pid_, pid_);
            return;
        }
        ::setpgid(0, 0);
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != parent) ::_exit(1);
        const rlimit no_core{0, 0};
        ::setrlimit(RLIMIT_CORE, &no_core);
        const timeval no_limit{0, 0};  // accept(2) passes the listener's timeout on.
        ::setsockopt(listener.get(), SOL_SOCKET, SO_RCVTIMEO, &no_limit, sizeof no_limit);
        kind.run(listener.get());
        ::_exit(1);
    }
    ~ServerGroup() {
        ::kill(-pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    ServerGroup(const ServerGroup&) = delete;
    ServerGroup& operator=(const ServerGroup&) = delete;
    [[nodiscard]] pid_t pid() const { return pid_; }
    [[nodiscard]] std::uint16_t port() const { return port_; }

  private:
    pid_t pid_ = -1;
    std::uint16_t port_ = 0;
};

// What /proc reports about a process group.
struct Footprint {
    std::size_t processes = 0;
    std::size_t threads = 0;
    long kib = 0;  // Pss: a page that n processes share counts as 1/n.
};

bool is_in_group(const std::filesystem::path& process, pid_t group) {
    std::ifstream file(process / "stat");
    std::string stat;
    std::getline(file, stat);
    const std::size_t name = stat.rfind(')');
    if (name == std::string::npos) return false;
    char state = 0;
    int parent = 0;
    int found = 0;
    return std::sscanf(stat.c_str() + name + 1, " %c %d %d", &state, &parent, &found) == 3 &&
           found == group && state != 'Z';
}

long shared_memory_of(const std::filesystem::path& process) {
    std::ifstream file(process / "smaps_rollup");
    std::string line;
    while (std::getline(file, line)) {
        if (line.starts_with("Pss:")) return std::strtol(line.c_str() + 4, nullptr, 10);
    }
    return 0;
}

Footprint footprint_of(pid_t group) {
    namespace fs = std::filesystem;
    Footprint footprint;
    for (const auto& entry : fs::directory_iterator("/proc")) {
        const std::string name = entry.path().filename();
        if (name.find_first_not_of("0123456789") != std::string::npos) continue;
        if (!is_in_group(entry.path(), group)) continue;
        ++footprint.processes;
        footprint.kib += shared_memory_of(entry.path());
        std::error_code gone;
        fs::directory_iterator task(entry.path() / "task", gone);
        for (; !gone && task != fs::directory_iterator(); task.increment(gone))
            ++footprint.threads;
    }
    return footprint;
}

// Returns how long one question took in microseconds, or -1 without an answer.
long ask_server(const Fd& client) {
    const auto begin = std::chrono::steady_clock::now();
    char answer = 0;
    if (::send(client.get(), &kAsk, 1, MSG_NOSIGNAL) != 1) return -1;
    if (::recv(client.get(), &answer, 1, 0) != 1 || answer != kAnswer) return -1;
    const auto spent = std::chrono::steady_clock::now() - begin;
    return static_cast<long>(std::chrono::duration_cast<std::chrono::microseconds>(spent).count());
}

struct Crowd {
    std::size_t answered = 0;
    long first_median = 0;  // Microseconds from the question to the first answer of a connection.
    long median = 0;        // The same for the second question.
    long slowest = 0;
    Footprint footprint;
};

// The silent clients come first; all stay connected until the end.
Crowd serve_a_crowd(const ServerKind& kind) {
    const ServerGroup server(kind);
    std::vector<Fd> clients;
    std::vector<long> first;
    std::vector<long> second;
    for (std::size_t i = 0; i < kCrowd; ++i) {
        clients.push_back(quiet_connect(server.port()));
        if (i >= kSilentOnes) first.push_back(ask_server(clients.back()));
    }
    for (std::size_t i = kSilentOnes; i < kCrowd; ++i)
        second.push_back(ask_server(clients[i]));
    Crowd crowd;
    for (std::size_t i = 0; i < first.size(); ++i)
        crowd.answered += first[i] >= 0 && second[i] >= 0 ? 1 : 0;
    std::sort(first.begin(), first.end());
    std::sort(second.begin(), second.end());
    crowd.first_median = first[first.size() / 2];
    crowd.median = second[second.size() / 2];
    crowd.slowest = second.back();
    // A walk through /proc is no snapshot: on a busy machine one may miss a process.
    eventually([&] {
        crowd.footprint = footprint_of(server.pid());
        return crowd.footprint.threads == kCrowd + 1 || crowd.footprint.threads == 1;
    });
    return crowd;
}

void reset(Fd& client) {
    const linger at_once{1, 0};
    ::setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    client.close();
}

struct Aftermath {
    bool survives_reset = false;
    bool survives_crash = false;
    bool is_up = false;  // The first process, as /proc reports it.
};

Aftermath crash_a_handler(const ServerKind& kind) {
    const ServerGroup server(kind);
    Aftermath aftermath;
    const Fd bystander = quiet_connect(server.port());
    if (ask_server(bystander) < 0) return aftermath;
    Fd leaving = quiet_connect(server.port());
    static_cast<void>(ask_server(leaving));
    reset(leaving);
    aftermath.survives_reset = ask_server(bystander) >= 0;
    const Fd buggy = quiet_connect(server.port());
    check(::send(buggy.get(), &kBug, 1, MSG_NOSIGNAL), "send");
    char end = 0;
    static_cast<void>(::recv(buggy.get(), &end, 1, 0));  // Returns when its handler is gone.
    aftermath.survives_crash = ask_server(bystander) >= 0;
    const auto is_down = [&] { return process_state(server.pid()) == 'Z'; };
    aftermath.is_up = aftermath.survives_crash ? !is_down() : !eventually(is_down);
    return aftermath;
}

}  // namespace

void server_crowd(Story& story) {
    story.heading({"A hundred clients, ten of them silent", "一百个客户，其中十个一言不发"});
    story.say(
        {"The same service three times: a process for each client, a thread for each client, "
         "and one thread that waits for all of them with epoll. The ten silent clients "
         "connect first and stay.",
         "同样的服务写三遍：每个客户一个进程；每个客户一个线程；"
         "一个线程用 epoll 等所有客户。十个沉默的客户先连上来，一直不走。"});
    story.ask({"Which of the three needs the least memory for 100 clients?",
               "服务 100 个客户，三种里哪一种用的内存最少？"},
              {{"fork", "fork"}, {"threads", "线程"}, {"epoll", "epoll"}}, 2,
              {"One thread has one stack. A waiting client is an entry in a table of the kernel.",
               "一个线程只有一个栈；等待中的客户只是内核表里的一项。"});
    Table table;
    table.head = {{"server", "服务器"},
                  {"processes", "进程"},
                  {"threads", "线程"},
                  {"memory, KiB", "内存 KiB"},
                  {"first answer, µs", "首次应答 µs"},
                  {"median, µs", "中位 µs"},
                  {"slowest, µs", "最慢 µs"}};
    std::vector<Crowd> all;
    for (const ServerKind& kind : kServerKinds) {
        const Crowd crowd = serve_a_crowd(kind);
        all.push_back(crowd);
        const auto number = [](auto value) { return plain(std::to_string(value)); };
        table.rows.push_back({plain(kind.name), number(crowd.footprint.processes),
                              number(crowd.footprint.threads), number(crowd.footprint.kib),
                              number(crowd.first_median), number(crowd.median),
                              number(crowd.slowest)});
    }
    story.tell(table);
    const std::size_t talking = kCrowd - kSilentOnes;
    story.claim(std::all_of(all.begin(), all.end(),
                            [&](const Crowd& one) { return one.answered == talking; }),
                {"All three answered {0} of {0} clients twice, with {1} silent ones connected.",
                 "三种都给 {0} 个客户各应答了两次，{1} 个沉默的客户一直连着。"},
                talking, kSilentOnes);
    const Footprint& forked = all[0].footprint;
    const Footprint& threaded = all[1].footprint;
    const Footprint& polled = all[2].footprint;
    story.claim(forked.processes == kCrowd + 1 && threaded.processes == 1 &&
                    threaded.threads == kCrowd + 1 && polled.threads == 1,
                {"The kernel counts {0} processes, or {1} threads, or one of each.",
                 "内核数得：{0} 个进程，或 {1} 个线程，或各一个。"},
                forked.processes, threaded.threads);
    story.claim(polled.kib < threaded.kib && polled.kib < forked.kib,
                {"epoll takes the least memory: {0} KiB, threads {1}, fork {2}. Pages that "
                 "processes share are divided among them.",
                 "epoll 用的内存最少：{0} KiB；线程 {1}，fork {2}。进程共用的页已经均摊。"},
                polled.kib, threaded.kib, forked.kib);
}

void server_crash(Story& story) {
    story.heading(
        {"A client that resets, and a handler that crashes", "客户强行断开；处理程序崩溃"});
    story.ask({"A handler crashes on one client's request. Which server goes on?",
               "处理一个客户的请求时崩溃了，哪种服务器还能继续？"},
              {{"all three", "三种都能"}, {"fork", "fork"}, {"none", "都不能"}}, 1,
              {"A crash ends a process. Only fork gives each client a process of its own.",
               "崩溃结束的是进程；只有 fork 让每个客户有自己的进程。"});
    Table table;
    table.head = {{"server", "服务器"},
                  {"after a client's reset", "客户强行断开之后"},
                  {"after a handler's abort()", "处理程序 abort() 之后"}};
    const Text good{"answers the others", "照常应答其他客户"};
    const Text bad{"is gone, with all clients", "没了，所有客户一起断"};
    std::vector<Aftermath> all;
    for (const ServerKind& kind : kServerKinds) {
        all.push_back(crash_a_handler(kind));
        table.rows.push_back({plain(kind.name), all.back().survives_reset ? good : bad,
                              all.back().survives_crash ? good : bad});
    }
    story.tell(table);
    story.claim(std::all_of(all.begin(), all.end(),
                            [](const Aftermath& one) { return one.survives_reset; }),
                {"A client that crashes leaves each server up: its recv fails for that one "
                 "connection, and the server checks what recv returns.",
                 "客户崩溃，三种服务器都还在：只有那一条连接的 recv 失败，"
                 "而服务器检查了 recv 的返回值。"});
    story.claim(all[0].survives_crash && all[0].is_up && !all[1].is_up && !all[2].is_up,
                {"A handler that crashes ends its process: with fork that is one client's, with "
                 "threads and epoll it is the whole server (state Z in /proc).",
                 "处理程序崩溃会结束它的进程：fork 时只是一个客户的，"
                 "线程和 epoll 时是整个服务器（/proc 里状态为 Z）。"});
}

}  // namespace frsh::demo
