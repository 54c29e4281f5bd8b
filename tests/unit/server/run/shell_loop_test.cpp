#include "server/run/shell_loop.hpp"

#include <string_view>

#include <doctest/doctest.h>

using namespace frsh;

TEST_CASE("shell loop: the embedded loops are quoted and have no comments") {
    for (const std::string_view loop : {kBashLoop, kShLoop}) {
        CAPTURE(loop);
        CHECK(loop.starts_with("\n"));
        CHECK(loop.ends_with("\n"));
        CHECK(loop.find("\n#") == std::string_view::npos);
        const auto begin = loop.find("\n__frsh_loop='");
        REQUIRE(begin != std::string_view::npos);
        CHECK(loop.find("'\n", begin) != std::string_view::npos);
    }
}
