// ShellTerminal is the terminal of a stateful shell, for the life of the shell.
//
// If the client asked for it, commands run on it: then the run of a command borrows both directions
// from the beginning of the command to its end. What is printed at other times is held, up to a
// limit, and goes to the next run. Above the limit, what prints waits. Otherwise the terminal is
// private: commands have pipes, and what is printed on the terminal is dropped.
#pragma once

#include "common/base/terminal.hpp"
#include "common/proto/message.hpp"
#include "common/sys/event_loop.hpp"
#include "common/sys/pty.hpp"
#include "server/run/command_streams.hpp"

#include <optional>
#include <string>

namespace frsh {

class ShellTerminal {
  public:
    // Throws SysError. `wanted` is the client's terminal, if commands are to run on this one.
    ShellTerminal(EventLoop& loop, const std::optional<msg::Pty>& wanted);

    [[nodiscard]] int master() const { return pty_.master.get(); }
    [[nodiscard]] int slave() const { return pty_.slave.get(); }
    [[nodiscard]] const std::string& name() const { return pty_.name; }
    [[nodiscard]] bool is_for_commands() const { return is_for_commands_; }

    // Lends the terminal to a run. Throws UserError if a run has it or it is private.
    [[nodiscard]] CommandStreams lend(const WindowSize& size);
    // Returns what was printed while no run had the terminal.
    [[nodiscard]] std::string take_held();
    void give_back() { is_lent_ = false; }
    // Takes what was typed and no program has read.
    [[nodiscard]] std::string take_unread() { return frsh::take_unread(slave()); }
    void resize(const WindowSize& size) { set_window_size(master(), size); }

  private:
    void on_printed();

    // Both sides are held: if the server closed the slave, the terminal would hang up whenever no
    // process of the shell has it open.
    Pty pty_;
    bool is_for_commands_;
    bool is_lent_ = false;
    std::string held_;
    EventLoop::Watch watch_;
};

}  // namespace frsh
