#include "common/base/text.hpp"

#include <doctest/doctest.h>

using namespace std::chrono_literals;

TEST_CASE("text: durations carry their unit, and seconds need none") {
    CHECK(frsh::parse_duration("250ms") == 250ms);
    CHECK(frsh::parse_duration("90") == 90s);
    CHECK(frsh::parse_duration("1.5m") == 90s);
    CHECK(frsh::parse_duration("2h") == 2h);
    CHECK(frsh::parse_duration("0") == 0ms);
}

TEST_CASE("text: what is no duration is refused") {
    for (const char* bad : {"", "s", "-1", "+1", " 1", "1 s", "1x", "1e3", "nan", "inf", "1e999",
                            "99999999999999999999d", "1ss"}) {
        CAPTURE(bad);
        CHECK_FALSE(frsh::parse_duration(bad));
    }
}

TEST_CASE("text: sizes are binary units, and overflow is refused") {
    CHECK(frsh::parse_size("4096") == 4096U);
    CHECK(frsh::parse_size("64K") == 65536U);
    CHECK(frsh::parse_size("16M") == 16U << 20);
    CHECK(frsh::parse_size("2g") == 2ULL << 30);
    for (const char* bad : {"", "K", "-1", "1.5M", "1T", "18446744073709551615G", "1KK"}) {
        CAPTURE(bad);
        CHECK_FALSE(frsh::parse_size(bad));
    }
}

TEST_CASE("text: UTF-8 is judged as RFC 3629 does") {
    CHECK(frsh::is_utf8(""));
    CHECK(frsh::is_utf8("a\xC3\xA9\xE7\xB2\x98\xF0\x9F\x90\x9A"));
    CHECK_FALSE(frsh::is_utf8("\xC0\x80"));          // An overlong NUL.
    CHECK_FALSE(frsh::is_utf8("\xED\xA0\x80"));      // A surrogate.
    CHECK_FALSE(frsh::is_utf8("\xF4\x90\x80\x80"));  // Above U+10FFFF.
    CHECK_FALSE(frsh::is_utf8("\xE7\xB2"));          // Cut short.
    CHECK_FALSE(frsh::is_utf8("\x80"));
}

TEST_CASE("text: a peer's text cannot move the cursor") {
    CHECK(frsh::escape_controls("a\x1b[2Jb\r\n\x7f") == "a\\x1b[2Jb\\x0d\\x0a\\x7f");
    CHECK(frsh::escape_controls("caf\xC3\xA9 \xFF \xC2\x9B") == "caf\xC3\xA9 \\xff \\xc2\\x9b");
}

TEST_CASE("text: base64 goes there and back, and has one spelling") {
    for (const char* plain : {"", "f", "fo", "foo", "foob", "fooba", "foobar"}) {
        CHECK(frsh::base64_decode(frsh::base64_encode(plain)) == plain);
    }
    CHECK(frsh::base64_encode("fooba") == "Zm9vYmE=");
    for (const char* bad : {"Zg", "Zg=", "Zh==", "Z===", "Zg==Zg==", "Zm9v\n", "Zm=v"}) {
        CAPTURE(bad);
        CHECK_FALSE(frsh::base64_decode(bad));
    }
}

TEST_CASE("text: a quoted word survives a shell") {
    CHECK(frsh::shell_quote("plain-1.0") == "plain-1.0");
    CHECK(frsh::shell_quote("") == "''");
    CHECK(frsh::shell_quote("it's $HOME") == "'it'\\''s $HOME'");
}
