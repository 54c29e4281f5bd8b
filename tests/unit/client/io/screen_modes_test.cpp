#include "client/io/screen_modes.hpp"

#include <string>
#include <string_view>

#include <doctest/doctest.h>

namespace {

std::string reset_after(std::string_view output) {
    frsh::ScreenModes whole;
    whole.feed(output);
    frsh::ScreenModes cut;
    for (const char byte : output)
        cut.feed({&byte, 1});
    CHECK(whole.reset() == cut.reset());
    return whole.reset();
}

TEST_CASE("screen modes: what an editor switched on is switched off again") {
    CHECK(reset_after("\x1b[?1049h\x1b[?25l") == "\x1b[?1049l\x1b[?25h");
    CHECK(reset_after("\x1b[?1000h\x1b[?1002h\x1b[?1003h\x1b[?1006h") ==
          "\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l");
    CHECK(reset_after("\x1b[?1;2004h") == "\x1b[?2004l\x1b[?1l");
    CHECK(reset_after("\x1b[4h\x1b=\x1b(0") == "\x1b>\x1b[4l\x1b(B");
    CHECK(reset_after("\x1b[1;31mred") == "\x1b[0m");
}

TEST_CASE("screen modes: what the program undid itself is not undone again") {
    CHECK(reset_after("\x1b[?1049h\x1b[?25l text \x1b[?25h\x1b[?1049l").empty());
    CHECK(reset_after("\x1b[31mred\x1b[0m").empty());
    CHECK(reset_after("\x1b[31mred\x1b[m").empty());
    CHECK(reset_after("\x1b[4h\x1b[4l\x1b=\x1b>\x1b(0\x1b(B").empty());
    CHECK(reset_after("\x1b[?1049h\x1b[1m\x1b"
                      "c")
              .empty());
}

TEST_CASE("screen modes: other output changes nothing") {
    CHECK(reset_after("plain text\r\n[?1049h").empty());
    CHECK(reset_after("\x1b]0;\x07title").empty());
    CHECK(reset_after("\x1b[2J\x1b[10;20H\x1b[>4;2m\x1b[?12h").empty());
    CHECK(reset_after("\x1b[?1049\x18h").empty());
    CHECK(reset_after("\x1b[?" + std::string(10000, '1') + "h").empty());
}

TEST_CASE("screen modes: a text of the terminal hides no sequence behind it") {
    CHECK(reset_after("\x1b]0;[?1049h\x07\x1b[?25l") == "\x1b[?25h");
    CHECK(reset_after("\x1b]0;title\x1b\\\x1b[?25l") == "\x1b[?25h");
}

}  // namespace
