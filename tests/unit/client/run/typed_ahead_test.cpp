#include "client/run/typed_ahead.hpp"

#include "common/proto/message.hpp"

#include <optional>
#include <string>
#include <utility>

#include <doctest/doctest.h>

using frsh::typed_ahead;

namespace {

frsh::msg::End end_with(std::optional<frsh::Offset> typed, std::string unread) {
    frsh::msg::End end;
    end.typed = typed;
    end.unread = std::move(unread);
    return end;
}

}  // namespace

TEST_CASE("typed ahead: what no program has read comes back, then what came too late") {
    CHECK(typed_ahead(end_with(3, ""), "ls\n").empty());
    CHECK(typed_ahead(end_with(3, "ls\n"), "ls\n") == "ls\n");
    CHECK(typed_ahead(end_with(1, "l"), "ls\n") == "ls\n");
    CHECK(typed_ahead(end_with(0, ""), "ls\n") == "ls\n");
}

TEST_CASE("typed ahead: nothing comes back if it may be a password") {
    CHECK(typed_ahead(end_with(std::nullopt, ""), "s3cret\n").empty());
}

TEST_CASE("typed ahead: Ctrl-C, Ctrl-Z and Ctrl-\\ drop what was typed before them") {
    for (const char key : {'\x03', '\x1a', '\x1c'}) {
        CHECK(typed_ahead(end_with(0, ""), std::string("one") + key + "two") == "two");
    }
}
