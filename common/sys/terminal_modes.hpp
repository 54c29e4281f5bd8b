// Converts a terminal's modes between this machine's termios(3) and the names of the protocol.
#pragma once

#include "common/base/terminal.hpp"

#include <termios.h>

namespace frsh {

// Returns all modes that have a name in the protocol and exist on this machine.
[[nodiscard]] TerminalModes modes_of(const termios& from);

// Sets the named modes. Names and values that this machine does not have change nothing.
void set_modes(termios& to, const TerminalModes& modes);

}  // namespace frsh
