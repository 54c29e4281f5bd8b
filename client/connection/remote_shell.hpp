// A stateful shell on the server, seen from the client. Runs are evaluated in it. If the shell
// ends, reopen() starts another one in the folder where the last run left it.
#pragma once

#include "client/connection/server_connection.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace frsh {

class RemoteShell {
  public:
    // `server` is lent. The owner passes the link's messages about shells to on_message().
    // `pty` is the terminal on which commands are to run, if the server can do that.
    RemoteShell(ServerConnection& server, std::vector<std::string> env,
                std::optional<std::string> cwd, OnDisconnect on_disconnect,
                std::optional<msg::Pty> pty = {});

    void on_message(const Message& message);
    // Records that a run in the shell has ended, and the folder where it left the shell.
    void note_end(const RemoteRun& run);

    [[nodiscard]] ShellId id() const { return id_; }
    [[nodiscard]] bool is_ready() const { return is_ready_; }
    [[nodiscard]] const std::string& kind() const { return kind_; }
    // Returns true if commands can run on a terminal of the shell.
    [[nodiscard]] bool has_terminal() const { return has_terminal_; }
    // Returns true if the shell runs without the start-up files of its user, which it could not
    // read to their end.
    [[nodiscard]] bool lacks_startup() const { return lacks_startup_; }
    // Returns true, once, if the server has reported that the terminal of a ready shell has output
    // that no run has carried.
    [[nodiscard]] bool take_news() { return std::exchange(has_news_, false); }
    [[nodiscard]] const std::string& cwd() const { return cwd_; }
    [[nodiscard]] const std::string& home() const { return home_; }
    // Returns how the shell ended; nothing while it lives, and again after reopen().
    [[nodiscard]] const std::optional<Outcome>& ended() const { return ended_; }

    // Starts another shell, in the folder where the last run left the shell. If the shell before
    // did not start there, starts the new one in the default folder.
    void reopen();
    // Changes the request to one that runs in the shell, which has its own folder and environment.
    void place(msg::Open& open) const;
    // Ends the shell as the end of its input does, so that its EXIT trap runs. Blocks up to
    // `deadline`.
    void close(EventLoop::Time deadline);

  private:
    void open();
    void ask();

    ServerConnection& server_;
    OnDisconnect on_disconnect_;
    std::vector<std::string> env_;
    std::optional<std::string> first_cwd_;
    std::optional<msg::Pty> pty_;
    ShellId id_ = 0;
    bool is_ready_ = false;
    bool has_news_ = false;
    bool has_terminal_ = false;
    bool lacks_startup_ = false;
    std::string kind_;
    std::string cwd_;
    std::string home_;
    std::optional<Outcome> ended_;
};

}  // namespace frsh
