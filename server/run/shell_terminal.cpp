#include "server/run/shell_terminal.hpp"

#include "common/base/error.hpp"

#include <cstddef>
#include <utility>

#include <fcntl.h>
#include <poll.h>

namespace frsh {
namespace {

constexpr std::size_t kMaxHeld = 64 * 1024;  // Bytes.

Fd duplicate_terminal(int terminal) {
    return Fd(check(::fcntl(terminal, F_DUPFD_CLOEXEC, 3), "dup"));
}

}  // namespace

ShellTerminal::ShellTerminal(EventLoop& loop, const std::optional<msg::Pty>& wanted)
    : pty_(open_pty()), is_for_commands_(wanted.has_value()) {
    if (wanted) {
        set_terminal_modes(slave(), wanted->modes);
        set_window_size(master(), wanted->size);
    }
    watch_ = loop.watch(
        "shell: bytes on its terminal", master(),
        [this]() -> short { return !is_lent_ && held_.size() < kMaxHeld ? POLLIN : short{0}; },
        [this](short) { on_printed(); });
}

void ShellTerminal::on_printed() {
    char buffer[4096];
    const IoResult result = read_some(master(), buffer, sizeof buffer);
    if (is_for_commands_) held_.append(buffer, result.bytes);
}

CommandStreams ShellTerminal::lend(const WindowSize& size) {
    if (!is_for_commands_) throw UserError("this shell has no terminal for commands");
    if (is_lent_) throw UserError("another command has the terminal of this shell");
    CommandStreams streams{duplicate_terminal(master()), duplicate_terminal(master()), Fd()};
    resize(size);
    is_lent_ = true;
    return streams;
}

std::string ShellTerminal::take_held() {
    return std::exchange(held_, {});
}

}  // namespace frsh
