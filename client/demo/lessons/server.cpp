// Lesson 8: a server for one client at a time, one that forks for each, and what zombies are.
#include "client/demo/lessons/lessons.hpp"
#include "client/demo/lessons/naive_shell.hpp"
#include "client/demo/stage/actor.hpp"
#include "client/demo/stage/kernel_view.hpp"
#include "common/base/error.hpp"
#include "common/sys/process.hpp"
#include "common/sys/signals.hpp"

#include <array>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace frsh::demo {
namespace {

constexpr int kPatienceMs = 300;

// A child process. The destructor ends it.
class Child {
  public:
    explicit Child(pid_t pid) : pid_(pid) {}
    Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
    Child& operator=(Child&&) = delete;
    ~Child() {
        if (pid_ <= 0) return;
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    [[nodiscard]] pid_t pid() const { return pid_; }
    void forget() { pid_ = -1; }  // It has been waited for.

  private:
    pid_t pid_;
};

// Serves commands until the client ends. Runs in the child; a failure ends only this process.
void serve(int connection) {
    char buffer[1024];
    for (;;) {
        const ssize_t got = ::recv(connection, buffer, sizeof buffer, 0);
        if (got <= 0) return;
        const Ran ran = run_command({buffer, static_cast<std::size_t>(got)});
        if (::send(connection, ran.output.data(), ran.output.size(), MSG_NOSIGNAL) == -1) return;
    }
}

void wait_without_limit(int connection) {
    const timeval none{0, 0};
    ::setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none);
}

// Serves one client at a time: the whole server.
[[noreturn]] void serve_one_by_one(int listener) {
    wait_without_limit(listener);
    for (;;) {
        const Fd connection(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
        if (!connection.is_open()) ::_exit(1);
        serve(connection.get());
    }
}

Child start_one_by_one(const Fd& listener) {
    const pid_t pid = check(::fork(), "fork");
    if (pid == 0) {
        try {
            serve_one_by_one(listener.get());
        } catch (const std::exception&) {
            ::_exit(1);
        }
    }
    return Child(pid);
}

// Called after accept: a child serves this connection, and holds no other descriptor.
Child fork_for(Actor& server, Fd& connection) {
    const pid_t pid = check(::fork(), "fork");
    if (pid == 0) {
        const int mine = check(::dup2(connection.get(), 3), "dup2");
        ::close_range(4, ~0U, 0);
        wait_without_limit(mine);
        try {
            serve(mine);
        } catch (const std::exception&) {
            ::_exit(1);
        }
        ::_exit(0);
    }
    server.tell("fork()", std::to_string(pid),
                {"the child serves this client", "由子进程服务这个客户"});
    return Child(pid);
}

class Watch {
  public:
    [[nodiscard]] double seconds() const {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
    }

  private:
    std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

void one_at_a_time(Story& story) {
    story.heading({"One client at a time", "一次只服务一个客户"});
    story.say(
        {"The server runs in a process of its own and serves one client until it leaves. "
         "Client A connects and says nothing. Client B connects and has a question.",
         "这个服务器跑在单独的进程里：accept 一个客户，服务到他离开为止。"
         "客户 A 连上来，一言不发；客户 B 连上来，有一条命令。"});
    story.ask({"A says nothing. When does B get its answer?", "A 一言不发，B 什么时候得到应答？"},
              {{"at once", "立刻"},
               {"when A has left", "等 A 离开之后"},
               {"never: connect fails", "永远不会：connect 失败"}},
              1,
              {"The server is in recv for A. B's connection and command wait in the kernel.",
               "服务器正卡在对 A 的 recv 里；B 的连接和命令都在内核里排队。"});
    Actor client(story, Side::Client);
    const Fd listener = quiet_listener();
    const Child server = start_one_by_one(listener);
    const Watch watch;
    Fd silent = quiet_connect(port_of(listener));
    client.tell("A: connect(...)", "0");
    const double joined = watch.seconds();
    const Fd asking = quiet_connect(port_of(listener));
    client.tell(
        "B: connect(...)", "0",
        {"the kernel accepts for the busy server: it queues", "服务器正忙，内核替它收下，排队"});
    client.send(asking, "echo hello");
    const bool early = becomes_readable(asking.get(), kPatienceMs);
    client.tell(
        "B: poll(POLLIN, " + std::to_string(kPatienceMs) + " ms)", early ? "1" : "0",
        {"no answer: the server is in recv, for A", "没有应答：服务器正卡在对 A 的 recv 里"});
    silent.close();
    client.tell("A: close()", "0");
    const double left = watch.seconds();
    const Received answer = client.recv(asking, 1024);
    const double answered = watch.seconds();
    using Kind = Span::Kind;
    story.tell(Timeline{{"B waits for A, who does nothing", "B 在等 A，而 A 什么都没做"},
                        {{{"client A", "客户 A"}, {{0, left, Kind::Idle}}},
                         {{"client B", "客户 B"},
                          {{joined, left, Kind::Waiting}, {left, answered, Kind::Served}}}}});
    story.claim(!early && answer.bytes == "hello\n",
                {"B was connected and had sent its command, and got no answer as long as silent A "
                 "stayed; {0} ms after A had left it came.",
                 "B 连上了，命令也发出了，但只要沉默的 A 还在，就得不到应答；A 一走，{0} "
                 "毫秒后应答就来了。"},
                static_cast<long>((answered - left) * 1000));
}

// Client A is silent and client B sends commands; each has a child. Returns the pieces of B.
struct Forked {
    Fd client;
    Fd parents_copy;
    Child child;
};

Forked fork_per_client(Story& story) {
    story.heading({"fork: a process for each client", "fork：每个客户一个进程"});
    Actor client(story, Side::Client);
    Actor server(story, Side::Server);
    const Fd listener = quiet_listener();
    const Watch watch;
    Fd silent = quiet_connect(port_of(listener));
    Fd silent_side = server.accept(listener, {"client A, silent again", "客户 A，依然沉默"});
    const Child for_silent = fork_for(server, silent_side);
    silent_side.close();
    const double joined = watch.seconds();
    Fd asking = quiet_connect(port_of(listener));
    Fd asking_side = server.accept(listener, {"client B", "客户 B"});
    Child for_asking = fork_for(server, asking_side);
    client.send(asking, "echo $PPID");
    const Received answer = client.recv(asking, 1024);
    const double answered = watch.seconds();
    client.send(silent, "echo A lives");
    const Received late = client.recv(silent, 1024, 0, {"A, still there", "A 还在"});
    using Kind = Span::Kind;
    story.tell(Timeline{{"B waits for nobody", "B 谁也不用等"},
                        {{{"client A", "客户 A"}, {{0, watch.seconds(), Kind::Idle}}},
                         {{"client B", "客户 B"}, {{joined, answered, Kind::Served}}}}});
    story.claim(
        answer.bytes == std::to_string(for_asking.pid()) + "\n" && late.bytes == "A lives\n",
        {"B was answered while A was connected, by process {0}, its own (the command asked "
         "for its parent); and A was answered by another.",
         "A 还连着，B 就得到了应答，应答来自专属于它的进程 {0}（命令打印的正是父进程号）；A "
         "由另一个进程服务。"},
        for_asking.pid());
    return {std::move(asking), std::move(asking_side), std::move(for_asking)};
}

void forgotten_copy(Story& story, Forked& forked) {
    story.heading({"The parent's copy of the socket", "父进程手里的那份套接字"});
    Actor client(story, Side::Client);
    Actor server(story, Side::Server);
    client.shutdown_writing(forked.client, {"B is done: its child gets 0 and exits",
                                            "B 说完了：它的子进程读到 0，退出"});
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(forked.child.pid()), &info, WEXITED | WNOWAIT);
    const bool ended_early = becomes_readable(forked.client.get(), kPatienceMs);
    client.tell("poll(POLLIN, " + std::to_string(kPatienceMs) + " ms)", ended_early ? "1" : "0",
                {"the child is gone, and yet no end", "子进程已经退出，却没有等到结束"});
    server.close(forked.parents_copy, {"the parent's copy", "父进程的那一份"});
    const Received end = client.recv(forked.client, 1024);
    story.claim(
        !ended_early && end.bytes.empty() && end.error == 0,
        {"A connection ends when its last copy is closed. After fork there are two: a parent "
         "that forgets to close its own leaves every client waiting, and runs out of "
         "descriptors.",
         "所有副本都关闭，连接才算关闭。fork 之后有两份：父进程忘了关自己那份，"
         "客户就永远等不到结束，描述符也迟早用光。"});
}

void zombie(Story& story, Child& child) {
    story.heading({"A zombie", "僵尸进程"});
    Actor server(story, Side::Server);
    const pid_t pid = child.pid();
    const std::string file = "/proc/" + std::to_string(pid) + "/stat";
    const char before = process_state(pid);
    server.tell("read " + file, std::string(1, before), {"Z: zombie", "Z：僵尸（zombie）"});
    const ExitStatus status = wait_for(pid);
    child.forget();
    server.tell("waitpid(" + std::to_string(pid) + ")",
                std::to_string(pid) + ", exit code " + std::to_string(status.code));
    const char after = process_state(pid);
    server.tell("read " + file, after == '\0' ? "-1 ENOENT" : std::string(1, after));
    story.claim(
        before == 'Z' && after == '\0' && status.code == 0,
        {"A process that has ended stays in the table, state Z, until its parent asks how it "
         "ended. It costs no memory to speak of, but its number, and numbers run out. "
         "waitpid took it away.",
         "进程结束后，仍以状态 Z 留在进程表里，直到父进程来问它是怎么结束的。"
         "它几乎不占内存，但占着进程号，而进程号会用完。waitpid 之后它才真正消失。"});
}

void one_signal_for_three(Story& story) {
    story.heading({"Three children, one SIGCHLD", "三个子进程，一个 SIGCHLD"});
    story.ask(
        {"Three children end before the parent looks. How many SIGCHLD does it get?",
         "三个子进程都结束了，父进程才去看，会收到几个 SIGCHLD？"},
        {{"3", "3"}, {"1", "1"}, {"0", "0"}}, 1,
        {"A pending signal is one bit, not a counter.", "待处理的信号只是一个比特，不是计数器。"});
    Actor server(story, Side::Server);
    Signals signals({SIGCHLD});
    std::vector<Child> children;
    static_cast<void>(signals.take());  // Drop the signals of earlier children.
    for (int i = 0; i < 3; ++i) {
        const pid_t pid = check(::fork(), "fork");
        if (pid == 0) ::_exit(0);
        children.emplace_back(pid);
        siginfo_t info{};
        ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT);
    }
    server.tell("fork()  × 3", {}, {"all three have exited", "三个都已退出"});
    const std::size_t told = signals.take().size();
    server.tell("read(signalfd)", std::to_string(told) + " × SIGCHLD");
    int reaped = 0;
    while (::waitpid(-1, nullptr, WNOHANG) > 0)
        ++reaped;
    for (Child& child : children)
        child.forget();
    server.tell("waitpid(-1, WNOHANG) until 0", std::to_string(reaped) + " children");
    story.claim(
        told == 1 && reaped == 3,
        {"Signals are not counted: three ends, {0} SIGCHLD. Who calls waitpid once for each "
         "signal keeps zombies; it must be a loop.",
         "信号不计数：三个子进程结束，只有 {0} 个 SIGCHLD。收到一次信号只 waitpid 一次，"
         "就会留下僵尸；必须循环 waitpid，直到没有为止。"},
        told);
}

}  // namespace

void lesson_server(Story& story, unsigned) {
    one_at_a_time(story);
    Forked forked = fork_per_client(story);
    forgotten_copy(story, forked);
    zombie(story, forked.child);
    one_signal_for_three(story);
    server_crowd(story);
    server_crash(story);
    story.source(
        "fork",
        {"One process for each connection, forked by one that only forks; the parent's copy is "
         "closed by its owner.",
         "每个连接一个进程，由一个只做 fork 的进程生出；父进程的那一份由它的主人关闭。"});
    story.source("reap-loop", {"The loop that leaves no zombie.", "不留僵尸的那个循环。"});
    story.source("signals", {"SIGCHLD as a descriptor in the same loop as everything else.",
                             "SIGCHLD 变成一个描述符，和其他事件在同一个循环里。"});
}

}  // namespace frsh::demo
