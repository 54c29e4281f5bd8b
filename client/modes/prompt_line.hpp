// PromptLine reads the lines of the prompt. Meanwhile it turns the event loop, and shows above the
// line what comes: the log's lines and the output of jobs. While the connection is lost, a note at
// the right shows for how long.
#pragma once

#include "client/cli/client_options.hpp"
#include "client/connection/remote_shell.hpp"
#include "client/connection/server_connection.hpp"
#include "client/io/line_editor.hpp"
#include "client/io/screen.hpp"
#include "client/modes/editing_log.hpp"

#include <functional>
#include <optional>
#include <string>

namespace frsh {

class PromptLine {
  public:
    using Time = EventLoop::Time;

    // All are lent. `show_news` shows what the shell's terminal has printed.
    PromptLine(EventLoop& loop, Screen& screen, ServerConnection& server, RemoteShell& shell,
               const ClientOptions& options, std::function<void()> show_news);

    [[nodiscard]] LineEditor& editor() { return editor_; }
    // See LineEditor::read(). Ends with Interrupted also if the shell or the connection has ended.
    LineEditor::Result read(const std::string& prompt, std::string& line, const std::string& head);

    // Returns how many times in a row read() has returned EndOfFile.
    [[nodiscard]] int ends_of_input() const { return ends_of_input_; }

  private:
    void turn();
    void note_connection();
    void show_above(const std::function<void()>& show);

    EventLoop& loop_;
    Screen& screen_;
    ServerConnection& server_;
    RemoteShell& shell_;
    const ClientOptions& options_;
    std::function<void()> show_news_;
    LineEditor editor_;
    std::optional<EditingLog> log_;  // While a line is read, unless a file has the log.
    int ends_of_input_ = 0;
    std::optional<Time> lost_since_;  // Only while the connection is lost.
};

}  // namespace frsh
