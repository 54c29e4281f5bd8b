#include "common/sys/terminal_modes.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include <unistd.h>

namespace frsh {
namespace {

// In the protocol, the value 255 means that the character is switched off (RFC 4254, section 8).
constexpr std::uint32_t kNoCharacter = 255;

struct SpecialCharacter {
    std::string_view name;
    std::size_t index;  // The index in termios::c_cc.
};
constexpr std::array kCharacters = {
    SpecialCharacter{"VINTR", VINTR},       SpecialCharacter{"VQUIT", VQUIT},
    SpecialCharacter{"VERASE", VERASE},     SpecialCharacter{"VKILL", VKILL},
    SpecialCharacter{"VEOF", VEOF},         SpecialCharacter{"VEOL", VEOL},
    SpecialCharacter{"VEOL2", VEOL2},       SpecialCharacter{"VSTART", VSTART},
    SpecialCharacter{"VSTOP", VSTOP},       SpecialCharacter{"VSUSP", VSUSP},
    SpecialCharacter{"VREPRINT", VREPRINT}, SpecialCharacter{"VWERASE", VWERASE},
    SpecialCharacter{"VLNEXT", VLNEXT},     SpecialCharacter{"VDISCARD", VDISCARD},
};

struct Flag {
    std::string_view name;
    tcflag_t termios::*word;
    tcflag_t bit;
};
constexpr std::array kFlags = {
    Flag{"IGNPAR", &termios::c_iflag, IGNPAR}, Flag{"PARMRK", &termios::c_iflag, PARMRK},
    Flag{"INPCK", &termios::c_iflag, INPCK},   Flag{"ISTRIP", &termios::c_iflag, ISTRIP},
    Flag{"INLCR", &termios::c_iflag, INLCR},   Flag{"IGNCR", &termios::c_iflag, IGNCR},
    Flag{"ICRNL", &termios::c_iflag, ICRNL},   Flag{"IUCLC", &termios::c_iflag, IUCLC},
    Flag{"IXON", &termios::c_iflag, IXON},     Flag{"IXANY", &termios::c_iflag, IXANY},
    Flag{"IXOFF", &termios::c_iflag, IXOFF},   Flag{"IMAXBEL", &termios::c_iflag, IMAXBEL},
    Flag{"IUTF8", &termios::c_iflag, IUTF8},   Flag{"ISIG", &termios::c_lflag, ISIG},
    Flag{"ICANON", &termios::c_lflag, ICANON}, Flag{"XCASE", &termios::c_lflag, XCASE},
    Flag{"ECHO", &termios::c_lflag, ECHO},     Flag{"ECHOE", &termios::c_lflag, ECHOE},
    Flag{"ECHOK", &termios::c_lflag, ECHOK},   Flag{"ECHONL", &termios::c_lflag, ECHONL},
    Flag{"NOFLSH", &termios::c_lflag, NOFLSH}, Flag{"TOSTOP", &termios::c_lflag, TOSTOP},
    Flag{"IEXTEN", &termios::c_lflag, IEXTEN}, Flag{"ECHOCTL", &termios::c_lflag, ECHOCTL},
    Flag{"ECHOKE", &termios::c_lflag, ECHOKE}, Flag{"PENDIN", &termios::c_lflag, PENDIN},
    Flag{"OPOST", &termios::c_oflag, OPOST},   Flag{"OLCUC", &termios::c_oflag, OLCUC},
    Flag{"ONLCR", &termios::c_oflag, ONLCR},   Flag{"OCRNL", &termios::c_oflag, OCRNL},
    Flag{"ONOCR", &termios::c_oflag, ONOCR},   Flag{"ONLRET", &termios::c_oflag, ONLRET},
    Flag{"PARENB", &termios::c_cflag, PARENB}, Flag{"PARODD", &termios::c_cflag, PARODD},
};

struct Speed {
    speed_t code;
    std::uint32_t baud;
};
constexpr std::array kSpeeds = {
    Speed{B50, 50},           Speed{B75, 75},           Speed{B110, 110},
    Speed{B134, 134},         Speed{B150, 150},         Speed{B200, 200},
    Speed{B300, 300},         Speed{B600, 600},         Speed{B1200, 1200},
    Speed{B1800, 1800},       Speed{B2400, 2400},       Speed{B4800, 4800},
    Speed{B9600, 9600},       Speed{B19200, 19200},     Speed{B38400, 38400},
    Speed{B57600, 57600},     Speed{B115200, 115200},   Speed{B230400, 230400},
    Speed{B460800, 460800},   Speed{B921600, 921600},   Speed{B1000000, 1000000},
    Speed{B2000000, 2000000}, Speed{B3000000, 3000000}, Speed{B4000000, 4000000},
};

void add_speed(TerminalModes& modes, const char* name, speed_t code) {
    for (const Speed& speed : kSpeeds) {
        if (speed.code == code) modes[name] = speed.baud;
    }
}

void set_speed(termios& to, std::string_view name, std::uint32_t baud) {
    for (const Speed& speed : kSpeeds) {
        if (speed.baud != baud) continue;
        if (name == "TTY_OP_ISPEED") (void)::cfsetispeed(&to, speed.code);
        if (name == "TTY_OP_OSPEED") (void)::cfsetospeed(&to, speed.code);
    }
}

}  // namespace

TerminalModes modes_of(const termios& from) {
    TerminalModes modes;
    for (const SpecialCharacter& one : kCharacters) {
        const cc_t character = from.c_cc[one.index];
        modes[std::string(one.name)] = character == _POSIX_VDISABLE ? kNoCharacter : character;
    }
    for (const Flag& flag : kFlags)
        modes[std::string(flag.name)] = (from.*flag.word & flag.bit) != 0 ? 1 : 0;
    modes["CS7"] = (from.c_cflag & CSIZE) == CS7 ? 1 : 0;
    modes["CS8"] = (from.c_cflag & CSIZE) == CS8 ? 1 : 0;
    add_speed(modes, "TTY_OP_ISPEED", ::cfgetispeed(&from));
    add_speed(modes, "TTY_OP_OSPEED", ::cfgetospeed(&from));
    return modes;
}

void set_modes(termios& to, const TerminalModes& modes) {
    for (const auto& [name, value] : modes) {
        for (const SpecialCharacter& one : kCharacters) {
            if (one.name != name || value > kNoCharacter) continue;
            to.c_cc[one.index] =
                value == kNoCharacter ? cc_t{_POSIX_VDISABLE} : static_cast<cc_t>(value);
        }
        for (const Flag& flag : kFlags) {
            if (flag.name != name) continue;
            to.*flag.word &= ~flag.bit;
            if (value != 0) to.*flag.word |= flag.bit;
        }
        if (value != 0 && (name == "CS7" || name == "CS8")) {
            to.c_cflag = (to.c_cflag & ~tcflag_t{CSIZE}) | (name == "CS7" ? CS7 : CS8);
        }
        set_speed(to, name, value);
    }
}

}  // namespace frsh
