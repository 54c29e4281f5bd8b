#include "common/base/log.hpp"

#include "common/base/last_word.hpp"
#include "common/base/log_sink.hpp"
#include "common/base/prompt_write.hpp"
#include "common/base/text.hpp"

#include <string>
#include <utility>

#include <unistd.h>

namespace frsh::log {
namespace {

Level current = Level::Notice;
std::string program = "frsh";
int descriptor = STDERR_FILENO;
LineEnd line_end = LineEnd::Plain;
bool may_drop = false;
unsigned dropped = 0;  // Lines of this process since the last one that was written.

// Returns false if the reader of the log is slow or gone.
bool write_or_drop(const std::string& line) {
    if (write_promptly(descriptor, line) != PromptWrite::Dropped) return true;
    ++dropped;
    return false;
}

void say_promptly(const std::string& line) {
    if (dropped > 0) {
        const unsigned lines = std::exchange(dropped, 0);
        if (!write_or_drop(program + ": lines of the log that were dropped because nothing read " +
                           "it in time: " + std::to_string(lines) + "\n")) {
            dropped += lines;
            return;
        }
    }
    (void)write_or_drop(line);
}

void say(std::string_view text) {
    std::string line = program;
    line += ": ";
    line += escape_controls(text);
    const bool is_raw = line_end == LineEnd::Raw && descriptor == STDERR_FILENO;
    line += is_raw ? "\r\n" : "\n";
    if (may_drop) return say_promptly(line);
    std::string_view rest = line;
    while (!rest.empty()) {
        const ssize_t written = ::write(descriptor, rest.data(), rest.size());
        if (written <= 0) return;  // There is no place left to report this.
        rest.remove_prefix(static_cast<std::size_t>(written));
    }
}

}  // namespace

void set_program(std::string_view name) {
    program = name;
}
void never_wait_for_reader() {
    may_drop = true;
    make_pipe_prompt(descriptor);
}
void set_descriptor(int fd) {
    descriptor = fd;
}
void set_level(Level level) {
    current = level;
}
Level level() {
    return current;
}

void set_line_end(LineEnd end) {
    line_end = end;
}

void last_word(std::string_view text) {
    say(text);
}
void error(std::string_view text) {
    if (current >= Level::Error) say(text);
}
void notice(std::string_view text) {
    if (current >= Level::Notice) say(text);
}
void info(std::string_view text) {
    if (current >= Level::Info) say(text);
}
void debug(std::string_view text) {
    if (current >= Level::Debug) say(text);
}

}  // namespace frsh::log
