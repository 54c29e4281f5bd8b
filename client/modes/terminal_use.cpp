#include "client/modes/terminal_use.hpp"

#include "client/run/terminal_session.hpp"
#include "common/base/log.hpp"

#include <csignal>

#include <unistd.h>

namespace frsh {

TerminalUse terminal_use(const ClientOptions& options) {
    const bool has_keys = !options.stdin_null && ::isatty(STDIN_FILENO) == 1;
    if (options.tty == Tty::Forced) {
        return has_keys ? TerminalUse::ScreenAndKeys : TerminalUse::ScreenOnly;
    }
    if (options.tty != Tty::Wanted) return TerminalUse::None;
    if (has_keys) return TerminalUse::ScreenAndKeys;
    log::error("-t: stdin is no terminal, so the command gets none (-tt insists)");
    return TerminalUse::None;
}

std::vector<int> signals_for(TerminalUse use) {
    // rsync sends SIGUSR1 to end the remote shell that it started.
    std::vector<int> numbers{SIGINT, SIGTERM, SIGHUP, SIGUSR1};
    if (use != TerminalUse::ScreenAndKeys) return numbers;
    for (const int number : TerminalSession::signals())
        numbers.push_back(number);
    return numbers;
}

}  // namespace frsh
