// Diagnostics: one line each, on stderr, starting with the program's name; never on stdout.
//
// The level is the project's only global. Text that came from a peer must pass through
// escape_controls (text.hpp) before it gets here, since a terminal obeys what it is shown.
#pragma once

#include <string_view>

namespace frsh::log {

enum class Level { Quiet, Error, Notice, Info, Debug };

void set_program(std::string_view name);  // "frsh" or "frshd"; kept as it is for the whole life.
void set_descriptor(int fd);              // Instead of stderr; lent for the whole life.
void set_level(Level level);
[[nodiscard]] Level level();

// Each writes "name: text\n" with one write(2), so that lines of several processes never mix.
void error(std::string_view text);   // Said unless quiet.
void notice(std::string_view text);  // The same, unless only errors are wanted.
void info(std::string_view text);    // Said with -v.
void debug(std::string_view text);   // Said with -vv.

}  // namespace frsh::log
