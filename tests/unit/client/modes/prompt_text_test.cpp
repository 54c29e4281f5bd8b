#include "client/modes/prompt_text.hpp"

#include <cerrno>
#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace {

using frsh::Canceled;
using frsh::Completeness;
using frsh::Exited;
using frsh::Lost;
using frsh::NotStarted;
using frsh::Signaled;
using frsh::TimedOut;

TEST_CASE("prompt text: a check without an answer is never a complete command") {
    using frsh::completeness_of;
    CHECK((completeness_of(Exited{0}, "") == Completeness::Complete));
    CHECK((completeness_of(Exited{2}, "bash: syntax error near `)'") == Completeness::Complete));
    CHECK((completeness_of(Exited{2}, "bash: line 2: syntax error: unexpected end of file") ==
           Completeness::Incomplete));
    CHECK((completeness_of(Exited{2}, "sh: 1: Syntax error: end of file unexpected") ==
           Completeness::Incomplete));
    CHECK((completeness_of(Lost{"the connection closed"}, "") == Completeness::Unknown));
    CHECK((completeness_of(NotStarted{"fork", EAGAIN, ""}, "") == Completeness::Unknown));
    CHECK((completeness_of(TimedOut{"wall", {}}, "") == Completeness::Unknown));
    CHECK((completeness_of(Canceled{}, "") == Completeness::Unknown));
    CHECK((completeness_of(Signaled{"KILL", 9, false}, "") == Completeness::Unknown));
}

TEST_CASE("prompt text: an odd number of backslashes continues the line") {
    CHECK(frsh::ends_in_continuation("echo \\"));
    CHECK(!frsh::ends_in_continuation("echo \\\\"));
    CHECK(frsh::ends_in_continuation("\\"));
    CHECK(!frsh::ends_in_continuation("echo"));
    CHECK(!frsh::ends_in_continuation(""));
}

TEST_CASE("prompt text: the home folder is a tilde, and controls are escaped") {
    CHECK(frsh::prompt_text({"ann", "box", "/home/ann/x", "/home/ann"}) == "ann@box:~/x$ ");
    CHECK(frsh::prompt_text({"ann", "box", "/home/anna", "/home/ann"}) == "ann@box:/home/anna$ ");
    CHECK(frsh::prompt_text({"root", "box", "/", "/root", 3}) == "[3] root@box:/# ");
    CHECK(frsh::prompt_text({"ann", "\x1b", "/", "/"}).find('\x1b') == std::string::npos);
}

}  // namespace
