// Diagnostics: one line each, on stderr, starting with the program's name; never on stdout.
//
// The level and the line end are the project's only globals. Text that came from a peer must pass
// through escape_controls (text.hpp) before it gets here, since a terminal obeys what it is shown.
#pragma once

#include <string_view>

namespace frsh::log {

enum class Level { Quiet, Error, Notice, Info, Debug };

void set_program(std::string_view name);  // "frsh" or "frshd"; kept as it is for the whole life.
void set_descriptor(int fd);              // Instead of stderr; lent for the whole life.
void set_level(Level level);
[[nodiscard]] Level level();
// Of a terminal in raw mode, where a line feed alone does not go back to the first column.
enum class LineEnd { Plain, Raw };
void set_line_end(LineEnd end);

// Each writes "name: text" and a line end with one write(2), so that lines of several processes
// never mix.
void error(std::string_view text);   // Said unless quiet.
void notice(std::string_view text);  // The same, unless only errors are wanted.
void info(std::string_view text);    // Said with -v.
void debug(std::string_view text);   // Said with -vv.

}  // namespace frsh::log
