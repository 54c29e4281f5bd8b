#include "server/run/typing.hpp"

#include <doctest/doctest.h>

using frsh::Typing;
using frsh::TypingModes;

TEST_CASE("typing: what is typed without echo may be a password until echo is back") {
    const TypingModes shown{true, true, '\x03'};
    const TypingModes question{false, true, '\x03'};
    const TypingModes keys{false, false, '\x03'};
    Typing typing;
    typing.after("ls\n", shown);
    CHECK_FALSE(typing.may_be_secret());
    typing.after("s3cret", question);
    CHECK(typing.may_be_secret());
    typing.after("x", shown);  // The line has not ended, so no program has read it.
    CHECK(typing.may_be_secret());
    typing.after("\n", question);
    CHECK(typing.may_be_secret());
    typing.after("x", shown);
    CHECK_FALSE(typing.may_be_secret());
    typing.after(":q", keys);
    CHECK(typing.may_be_secret());
    typing.after("x", shown);
    CHECK_FALSE(typing.may_be_secret());
}

TEST_CASE("typing: the key that interrupts is reported before it is typed") {
    int count = 0;
    Typing typing;
    typing.on_interrupt([&count] { ++count; });
    typing.before("ls\n", {true, true, '\x03'});
    typing.before("\x03", {false, false, {}});  // A raw terminal sends no signal.
    CHECK(count == 0);
    typing.before("a\x03", {true, true, '\x03'});
    CHECK(count == 1);
}
