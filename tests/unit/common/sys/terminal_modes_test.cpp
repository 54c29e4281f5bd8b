#include "common/sys/terminal_modes.hpp"

#include "common/sys/pty.hpp"

#include <cstdint>

#include <doctest/doctest.h>
#include <unistd.h>

namespace {

// As a terminal begins.
termios usual() {
    termios modes{};
    const frsh::Pty pty = frsh::open_pty();
    REQUIRE(::tcgetattr(pty.slave.get(), &modes) == 0);
    return modes;
}

}  // namespace

TEST_CASE("terminal modes: all modes survive a round trip") {
    termios from = usual();
    from.c_cc[VINTR] = 7;
    from.c_cc[VEOL2] = _POSIX_VDISABLE;
    from.c_iflag |= IUTF8 | IXANY;
    from.c_lflag &= ~tcflag_t{ECHO | ICANON};
    from.c_oflag |= OCRNL;
    ::cfsetospeed(&from, B9600);
    ::cfsetispeed(&from, B9600);
    const frsh::TerminalModes modes = frsh::modes_of(from);
    CHECK(modes.at("VINTR") == 7);
    CHECK(modes.at("VEOL2") == 255);
    CHECK(modes.at("IUTF8") == 1);
    CHECK(modes.at("ECHO") == 0);
    CHECK(modes.at("TTY_OP_OSPEED") == 9600);
    termios to = usual();
    frsh::set_modes(to, modes);
    CHECK(to.c_iflag == from.c_iflag);
    CHECK(to.c_oflag == from.c_oflag);
    CHECK(to.c_lflag == from.c_lflag);
    CHECK(to.c_cc[VINTR] == 7);
    CHECK(to.c_cc[VEOL2] == _POSIX_VDISABLE);
    CHECK(::cfgetospeed(&to) == B9600);
    CHECK(frsh::modes_of(to) == modes);
}

TEST_CASE("terminal modes: each flag is set and cleared by its name") {
    for (const auto& [name, value] : frsh::modes_of(usual())) {
        CAPTURE(name);
        if (name.starts_with("TTY_OP") || name.starts_with("CS")) continue;
        const bool is_character = name.starts_with("V");
        for (const std::uint32_t wanted : {1U, is_character ? 255U : 0U}) {
            termios modes = usual();
            auto expected = frsh::modes_of(modes);
            frsh::set_modes(modes, {{name, wanted}});
            expected[name] = wanted;
            CHECK(frsh::modes_of(modes) == expected);
        }
    }
}

TEST_CASE("terminal modes: an unknown mode changes nothing") {
    termios modes = usual();
    const auto before = frsh::modes_of(modes);
    frsh::set_modes(modes, {{"VDSUSP", 25},
                            {"VSTATUS", 1},
                            {"LATER", 1},
                            {"", 1},
                            {"VINTR", 256},
                            {"TTY_OP_OSPEED", 12345},
                            {"CS7", 0}});
    CHECK(frsh::modes_of(modes) == before);
}

TEST_CASE("pty: its size, modes and EOF character can be read back") {
    const frsh::Pty pty = frsh::open_pty();
    frsh::set_window_size(pty.slave.get(), {132, 43, 1000, 800});
    CHECK(frsh::window_size(pty.master.get()) == frsh::WindowSize{132, 43, 1000, 800});
    CHECK(frsh::eof_character(pty.master.get()) == '\x04');
    frsh::set_terminal_modes(pty.slave.get(), {{"VEOF", 6}});
    CHECK(frsh::eof_character(pty.master.get()) == '\x06');
    frsh::set_terminal_modes(pty.slave.get(), {{"VEOF", 255}});
    CHECK_FALSE(frsh::eof_character(pty.master.get()));
    CHECK(pty.name == ::ttyname(pty.slave.get()));
    CHECK_FALSE(frsh::window_size(-1));
}
