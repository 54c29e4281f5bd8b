// Diagnostics: one line each, on stderr, starting with the program's name; never on stdout.
//
// The log's settings are the project's only globals. Every line passes through escape_controls
// (text.hpp), because texts contain foreign names, and a terminal obeys control bytes.
#pragma once

#include <string_view>

namespace frsh::log {

enum class Level { Quiet, Error, Notice, Info, Debug };

void set_program(std::string_view name);  // "frsh" or "frshd". Call it once, from main.
void set_descriptor(int fd);              // Replaces stderr. `fd` is lent and must stay open.
void set_level(Level level);
[[nodiscard]] Level level();
// Raw adds a carriage return: in raw mode a line feed does not return to the first column.
enum class LineEnd { Plain, Raw };
void set_line_end(LineEnd end);

// Each writes "name: text" and a line end with one write(2), so that lines of several processes
// never mix.
void error(std::string_view text);   // From level Error on: everything but Quiet.
void notice(std::string_view text);  // From level Notice on, which is the default.
void info(std::string_view text);    // From level Info on (-v).
void debug(std::string_view text);   // From level Debug on (-vv).

}  // namespace frsh::log
