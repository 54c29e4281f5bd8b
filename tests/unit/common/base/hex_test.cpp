#include "common/base/hex.hpp"

#include <string>

#include <doctest/doctest.h>

TEST_CASE("hex: a line has an offset, 16 bytes and no control bytes") {
    const auto lines = frsh::hex_dump(std::string("\0\0\0\x17{\"type\":\"run\"}\n", 19), 64);
    REQUIRE(lines.size() == 2);
    CHECK(lines[0] ==
          "00000000  00 00 00 17 7b 22 74 79  70 65 22 3a 22 72 75 6e |....{\"type\":\"run|");
    CHECK(lines[1].starts_with("00000010  22 7d 0a "));
    CHECK(lines[0].size() <= 78);
    CHECK(frsh::hex_dump("abc", 64, 0x1234)[0].starts_with("00001234  61 62 63 "));
    CHECK(frsh::hex_dump(std::string(1000, 'x'), 64).size() == 4);
}
