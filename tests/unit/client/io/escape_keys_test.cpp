#include "client/io/escape_keys.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

namespace {

using frsh::EscapeKeys;
using Action = EscapeKeys::Action;

struct TakenKeys {
    std::string keys;             // The keys that were sent to the other side,
    std::vector<Action> actions;  // and the actions that were requested here.
};

// Typed in pieces of that many bytes.
TakenKeys typed(const std::string& text, std::optional<char> character = '~',
                std::size_t piece = SIZE_MAX) {
    EscapeKeys escapes(character);
    TakenKeys taken;
    std::string_view rest = text;
    while (!rest.empty()) {
        std::string_view now = rest.substr(0, piece);
        rest.remove_prefix(now.size());
        while (!now.empty()) {
            const Action action = escapes.take(now, taken.keys);
            if (action != Action::None) taken.actions.push_back(action);
        }
    }
    return taken;
}

using Actions = std::vector<Action>;

}  // namespace

TEST_CASE("escapes: they count only at the start of a line") {
    for (const std::size_t piece : {std::size_t{1}, std::size_t{2}, SIZE_MAX}) {
        CAPTURE(piece);
        CHECK(typed("~.", '~', piece).actions == Actions{Action::Leave});
        CHECK(typed("ls\r~.", '~', piece).actions == Actions{Action::Leave});
        CHECK(typed("ls\n~.", '~', piece).actions == Actions{Action::Leave});
        CHECK(typed("~\x1A", '~', piece).actions == Actions{Action::Suspend});
        CHECK(typed("~?", '~', piece).actions == Actions{Action::Help});
        CHECK(typed("a~.", '~', piece).actions.empty());
        CHECK(typed("a~.", '~', piece).keys == "a~.");
        CHECK(typed("cd ~/x\r", '~', piece).keys == "cd ~/x\r");
    }
}

TEST_CASE("escapes: two send one, and other keys get it unchanged") {
    CHECK(typed("~~").keys == "~");
    CHECK(typed("~~.").keys == "~.");
    CHECK(typed("~~.").actions.empty());
    CHECK(typed("~x").keys == "~x");
    CHECK(typed("~\r~.").keys == "~\r");
    CHECK(typed("~\r~.").actions == Actions{Action::Leave});
    CHECK(typed("~").keys.empty());  // Held back until more is known.
}

TEST_CASE("escapes: keys around an escape pass in order") {
    const TakenKeys taken = typed(
        "a\r~?~?b\r~\x1A"
        "c~.");
    CHECK(taken.keys == "a\rb\rc~.");
    CHECK(taken.actions == Actions{Action::Help, Action::Help, Action::Suspend});
}

TEST_CASE("escapes: the character can be changed or switched off") {
    CHECK(typed("~.\r~?", std::nullopt).keys == "~.\r~?");
    CHECK(typed("~.\r~?", std::nullopt).actions.empty());
    CHECK(typed("~.\r%.", '%').actions == Actions{Action::Leave});
    CHECK(typed("~.\r%.", '%').keys == "~.\r");
    CHECK(typed("\x01\x01", '\x01').keys == "\x01");
    CHECK(EscapeKeys('\x1d').help().find("^].") != std::string::npos);
}

TEST_CASE("escapes: every byte value passes through") {
    std::string every;
    for (int i = 0; i < 256; ++i)
        every += static_cast<char>(i);
    CHECK(typed(every).keys == every);
}
