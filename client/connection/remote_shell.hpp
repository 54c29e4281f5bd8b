// A stateful shell on the server, seen from the client: opened, opened anew where the last one was
// when it died, and told apart from the runs that are evaluated in it.
#pragma once

#include "client/connection/server_connection.hpp"

#include <optional>
#include <string>

namespace frsh {

class RemoteShell {
  public:
    // Lent. The owner passes the link's messages of shells to on_message().
    RemoteShell(ServerConnection& server, std::vector<std::string> env,
                std::optional<std::string> cwd, OnDisconnect on_disconnect);

    void on_message(const Message& message);
    // A run in it has ended.
    void note_end(const RemoteRun& run);

    [[nodiscard]] ShellId id() const { return id_; }
    [[nodiscard]] bool is_ready() const { return is_ready_; }
    [[nodiscard]] const std::string& kind() const { return kind_; }
    [[nodiscard]] const std::string& cwd() const { return cwd_; }
    [[nodiscard]] const std::string& home() const { return home_; }
    // How it ended, where it has; reopen() makes this nothing again.
    [[nodiscard]] const std::optional<Outcome>& ended() const { return ended_; }

    // Another one, in the folder where the last run left; not if the one before was for there too
    // and never came to be.
    void reopen();
    // Makes this the opening of a run in the shell, which has a folder and an environment already.
    void place(msg::Open& open) const;
    // An end of its own, as at the end of its input, with its EXIT trap; waited for until
    // `deadline`.
    void close(EventLoop::Time deadline);

  private:
    void open();
    void ask();

    ServerConnection& server_;
    OnDisconnect on_disconnect_;
    std::vector<std::string> env_;
    std::optional<std::string> first_cwd_;
    ShellId id_ = 0;
    bool is_ready_ = false;
    std::string kind_;
    std::string cwd_;
    std::string home_;
    std::optional<Outcome> ended_;
};

}  // namespace frsh
