#include "client/io/screen.hpp"

#include <algorithm>
#include <cstdlib>

#include <unistd.h>

namespace frsh {

bool has_escapes() {
    const char* const term = std::getenv("TERM");
    return term != nullptr && *term != '\0' && std::string_view(term) != "dumb";
}

bool wants_colour() {
    return has_escapes() && std::getenv("NO_COLOR") == nullptr;
}

Screen::Screen(EventLoop& loop)
    : out_(loop, "stdout", STDOUT_FILENO, InheritedOutput::WasOpen::Yes),
      err_(loop, "stderr", STDERR_FILENO, InheritedOutput::WasOpen::Yes),
      out_sink_(out_, modes_, false, is_at_line_start_),
      err_sink_(err_, modes_, wants_colour() && ::isatty(STDERR_FILENO) == 1, is_at_line_start_) {}

void Screen::say(std::string_view text) {
    out_sink_.say(text);
}

void Screen::reset_modes() {
    say(modes_.reset());
    modes_ = {};
}

void Screen::begin_line() {
    if (!is_at_line_start_) say("\n");
    is_at_line_start_ = true;
}

void Screen::Sink::write(std::string_view bytes) {
    if (bytes.empty()) return;
    if (is_red_) say("\x1b[31m");
    modes_.feed(bytes);
    output_.write(bytes);
    if (is_red_) say("\x1b[39m");
    is_at_line_start_ = bytes.back() == '\n';
}

void Screen::Sink::say(std::string_view bytes) {
    own_ += bytes.size();
    output_.write(bytes);
}

Offset Screen::Sink::take_used() {
    const Offset used = output_.take_used();
    const Offset ours = std::min(used, own_);
    own_ -= ours;
    return used - ours;
}

}  // namespace frsh
