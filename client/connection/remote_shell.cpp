#include "client/connection/remote_shell.hpp"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace frsh {
namespace {

// Adds what programs look at to find out which colours the terminal has.
std::vector<std::string> shell_variables(std::vector<std::string> env) {
    if (const char* const colours = std::getenv("COLORTERM"))
        env.insert(env.begin(), std::string("COLORTERM=") + colours);
    return env;
}

}  // namespace

RemoteShell::RemoteShell(ServerConnection& server, std::vector<std::string> env,
                         std::optional<std::string> cwd, OnDisconnect on_disconnect,
                         std::optional<msg::Pty> pty)
    : server_(server),
      on_disconnect_(on_disconnect),
      env_(pty ? shell_variables(std::move(env)) : std::move(env)),
      first_cwd_(std::move(cwd)),
      pty_(std::move(pty)) {
    server_.outlast(on_disconnect_);
    open();
}

void RemoteShell::open() {
    ++id_;
    is_ready_ = false;
    has_news_ = false;
    ended_.reset();
    ask();
}

void RemoteShell::ask() {
    msg::ShellOpen open{id_, first_cwd_, env_, on_disconnect_, pty_};
    if (!cwd_.empty()) open.cwd = cwd_;
    server_.link().send(open);
}

void RemoteShell::reopen() {
    if (!is_ready_) cwd_.clear();  // The shell did not start: its folder may no longer exist.
    open();
}

void RemoteShell::place(msg::Open& open) const {
    open.shell = id_;
    open.env.clear();
    open.forwarded.clear();
    open.cwd.reset();
}

void RemoteShell::close(EventLoop::Time deadline) {
    server_.link().send(msg::ShellClose{id_});
    while (!ended_ && !server_.is_down() && EventLoop::Clock::now() < deadline)
        server_.turn(deadline);
    // Without it, the server would keep the report of the end for a client that returns.
    if (ended_) server_.link().send(msg::Bye{});
}

void RemoteShell::on_message(const Message& message) {
    if (const auto* const ready = std::get_if<msg::ShellReady>(&message)) {
        if (ready->shell != id_) return;
        has_news_ = std::exchange(is_ready_, true);
        kind_ = ready->kind;
        has_terminal_ = ready->has_terminal;
        lacks_startup_ = ready->lacks_startup;
        cwd_ = ready->cwd;
        home_ = ready->home;
    } else if (const auto* const ended = std::get_if<msg::ShellEnded>(&message)) {
        if (ended->shell == id_) ended_ = ended->outcome;
    } else if (const auto* const resumed = std::get_if<msg::Resumed>(&message)) {
        const auto& shells = resumed->shells;
        if (ended_ || std::find(shells.begin(), shells.end(), id_) != shells.end()) return;
        if (is_ready_) {
            ended_ = Lost{"it ended while the connection was lost"};
        } else {
            ask();  // The server may not have received the request.
        }
    }
}

void RemoteShell::note_end(const RemoteRun& run) {
    if (run.end() && run.end()->cwd) cwd_ = *run.end()->cwd;
}

}  // namespace frsh
