#include "common/base/text.hpp"

#include <string>

#include <doctest/doctest.h>

using namespace std::chrono_literals;

TEST_CASE("text: a duration without a unit is in seconds") {
    CHECK(frsh::parse_duration("250ms") == 250ms);
    CHECK(frsh::parse_duration("90") == 90s);
    CHECK(frsh::parse_duration("1.5m") == 90s);
    CHECK(frsh::parse_duration("2h") == 2h);
    CHECK(frsh::parse_duration("0") == 0ms);
    CHECK(frsh::parse_duration("1m30s") == 90s);
    CHECK(frsh::parse_duration("1d2h3m4s5ms") == 26h + 3min + 4s + 5ms);
    CHECK(frsh::parse_duration("1.5h1.5s") == 90min + 1500ms);
    for (const char* const wrong : {"1m30", "30s1m", "1m1m", "1 m", "1m 30s", "m", "1m-3s", "1x"}) {
        CHECK(!frsh::parse_duration(wrong));
    }
}

TEST_CASE("text: an invalid duration is refused") {
    for (const char* bad : {"", "s", "-1", "+1", " 1", "1 s", "1x", "1e3", "nan", "inf", "1e999",
                            "99999999999999999999d", "1ss"}) {
        CAPTURE(bad);
        CHECK_FALSE(frsh::parse_duration(bad));
    }
}

TEST_CASE("text: a size is in binary units and cannot overflow") {
    CHECK(frsh::parse_size("4096") == 4096U);
    CHECK(frsh::parse_size("64K") == 65536U);
    CHECK(frsh::parse_size("16M") == 16U << 20);
    CHECK(frsh::parse_size("2g") == 2ULL << 30);
    for (const char* bad : {"", "K", "-1", "1.5M", "1T", "18446744073709551615G", "1KK"}) {
        CAPTURE(bad);
        CHECK_FALSE(frsh::parse_size(bad));
    }
}

TEST_CASE("text: UTF-8 is judged by RFC 3629") {
    CHECK(frsh::is_utf8(""));
    CHECK(frsh::is_utf8("a\xC3\xA9\xE7\xB2\x98\xF0\x9F\x90\x9A"));
    CHECK_FALSE(frsh::is_utf8("\xC0\x80"));          // An overlong NUL.
    CHECK_FALSE(frsh::is_utf8("\xED\xA0\x80"));      // A surrogate.
    CHECK_FALSE(frsh::is_utf8("\xF4\x90\x80\x80"));  // Above U+10FFFF.
    CHECK_FALSE(frsh::is_utf8("\xE7\xB2"));          // Cut short.
    CHECK_FALSE(frsh::is_utf8("\x80"));
}

TEST_CASE("text: every control character is escaped, and no other") {
    const auto encode = [](char32_t c) {
        std::string bytes;
        if (c < 0x80) {
            bytes += static_cast<char>(c);
        } else if (c < 0x800) {
            bytes += static_cast<char>(0xC0 | c >> 6);
        } else {
            bytes += static_cast<char>(0xE0 | c >> 12);
            bytes += static_cast<char>(0x80 | (c >> 6 & 0x3F));
        }
        if (c >= 0x80) bytes += static_cast<char>(0x80 | (c & 0x3F));
        return bytes;
    };
    for (char32_t c = 0; c < 0x10000; ++c) {
        if (c >= 0xD800 && c < 0xE000) continue;  // UTF-8 has no surrogates.
        const bool is_control = c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x061C || c == 0x200E ||
                                c == 0x200F || (c >= 0x2028 && c <= 0x202E) ||
                                (c >= 0x2066 && c <= 0x206F);
        const std::string bytes = encode(c);
        CAPTURE(bytes);
        REQUIRE((frsh::escape_controls(bytes) != bytes) == is_control);
        REQUIRE(frsh::first_character(bytes).value == c);
    }
}

TEST_CASE("text: escaped text cannot move the cursor") {
    CHECK(frsh::escape_controls("a\x1b[2Jb\r\n\x7f") == "a\\x1b[2Jb\\x0d\\x0a\\x7f");
    CHECK(frsh::escape_controls("caf\xC3\xA9 \xFF \xC2\x9B") == "caf\xC3\xA9 \\xff \\xc2\\x9b");
    CHECK(frsh::escape_controls("\xE2\x80\xAEtxt.exe") == "\\xe2\\x80\\xaetxt.exe");
}

TEST_CASE("text: base64 survives a round trip and has one form") {
    for (const char* plain : {"", "f", "fo", "foo", "foob", "fooba", "foobar"}) {
        CHECK(frsh::base64_decode(frsh::base64_encode(plain)) == plain);
    }
    CHECK(frsh::base64_encode("fooba") == "Zm9vYmE=");
    for (const char* bad : {"Zg", "Zg=", "Zh==", "Z===", "Zg==Zg==", "Zm9v\n", "Zm=v"}) {
        CAPTURE(bad);
        CHECK_FALSE(frsh::base64_decode(bad));
    }
}

TEST_CASE("text: a shell reads a quoted word back unchanged") {
    CHECK(frsh::shell_quote("plain-1.0") == "plain-1.0");
    CHECK(frsh::shell_quote("") == "''");
    CHECK(frsh::shell_quote("it's $HOME") == "'it'\\''s $HOME'");
}
