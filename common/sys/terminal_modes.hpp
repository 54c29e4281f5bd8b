// A terminal's modes, between this machine's termios(3) and the names that travel.
#pragma once

#include "common/base/terminal.hpp"

#include <termios.h>

namespace frsh {

// All that has a name and that this machine has.
[[nodiscard]] TerminalModes modes_of(const termios& from);

// Sets what is named; names and values that mean nothing here change nothing.
void set_modes(termios& to, const TerminalModes& modes);

}  // namespace frsh
