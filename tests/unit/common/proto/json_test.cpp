#include "common/proto/json.hpp"

#include "common/base/error.hpp"
#include "common/proto/json_value.hpp"
#include "common/proto/object_reader.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

using frsh::JsonObject;
using frsh::JsonValue;
using frsh::ProtocolError;

namespace {

JsonValue random_value(std::mt19937& random, int depth) {
    switch (random() % (depth > 0 ? 9 : 7)) {
        case 0:
            return JsonValue();
        case 1:
            return JsonValue(random() % 2 == 0);
        case 2:
            return JsonValue((std::uint64_t{random()} << 32) | random());
        case 3:
            return JsonValue(-static_cast<std::int64_t>(random()));
        case 4:
            return frsh::json_number(static_cast<double>(random()) / 1024 + 0.5);
        case 5:
        case 6: {
            std::string text;
            for (unsigned i = random() % 8; i > 0; --i) {
                constexpr const char* kPieces[] = {"a",    "\"",   "\\",       "\n",
                                                   "\x01", "\x7F", "\xC3\xA9", "\xF0\x9F\x90\x9A",
                                                   "/",    "\t"};
                text += kPieces[random() % std::size(kPieces)];
            }
            return frsh::json_text(text);
        }
        case 7: {
            JsonValue items(JsonValue::value_t::array);
            for (unsigned i = random() % 4; i > 0; --i)
                items.push_back(random_value(random, depth - 1));
            return items;
        }
        default: {
            JsonValue members(JsonValue::value_t::object);
            for (unsigned i = random() % 4; i > 0; --i) {
                frsh::add_member(members, "key" + std::to_string(i),
                                 random_value(random, depth - 1));
            }
            return members;
        }
    }
}

std::string rewritten(std::string_view text) {
    return frsh::write_json(frsh::parse_json(text));
}

bool is_refused(std::string_view text) {
    try {
        (void)frsh::parse_json(text);
        return false;
    } catch (const ProtocolError&) {
        return true;
    }
}

// Returns the time of the fastest of several reads, because other processes disturb some of them.
std::chrono::nanoseconds time_to_read(std::size_t keys) {
    std::string text = "{";
    for (std::size_t i = 0; i < keys; ++i)
        text += "\"" + std::to_string(i) + "\":0,";
    text.back() = '}';
    auto fastest = std::chrono::nanoseconds::max();
    for (int i = 0; i < 20; ++i) {
        const auto begin = std::chrono::steady_clock::now();
        (void)JsonObject::parse(text);
        fastest =
            std::min<std::chrono::nanoseconds>(fastest, std::chrono::steady_clock::now() - begin);
    }
    return fastest;
}

}  // namespace

TEST_CASE("json: a written value reads back as the same text") {
    std::mt19937 random(3);
    for (int i = 0; i < 3000; ++i) {
        const std::string text = frsh::write_json(random_value(random, 7));
        CAPTURE(text);
        REQUIRE(text.find('\n') == std::string::npos);
        REQUIRE(rewritten(text) == text);
    }
}

TEST_CASE("json: a whole number keeps every digit") {
    for (const char* const text : {"0", "1", "9007199254740993", "18446744073709551615"}) {
        const JsonValue json = frsh::parse_json(text);
        REQUIRE(frsh::as_whole(json));
        CHECK(std::to_string(*frsh::as_whole(json)) == text);
        CHECK(frsh::write_json(json) == text);
    }
    CHECK(rewritten("-9223372036854775808") == "-9223372036854775808");
    CHECK(rewritten("-0") == "0");
}

TEST_CASE("json: a fraction, exponent or sign makes no whole number") {
    for (const char* const text :
         {"1.0", "1e3", "-0.5", "18446744073709551616", "1E+2", "-1", "-9223372036854775808"}) {
        const JsonValue json = frsh::parse_json(text);
        CHECK(json.is_number());
        CHECK(frsh::as_whole(json) == nullptr);
    }
}

TEST_CASE("json: a number without a fraction is written without one") {
    const auto written = [](double value) { return frsh::write_json(frsh::json_number(value)); };
    CHECK(written(0) == "0");
    CHECK(written(100000) == "100000");
    CHECK(written(-3) == "-3");
    CHECK(written(0.125) == "0.125");
    CHECK(written(std::numeric_limits<double>::infinity()) == "null");
    CHECK(written(std::nan("")) == "null");
}

TEST_CASE("json: eight levels are accepted and nine are refused") {
    const auto nested = [](int depth, const char* open, const char* close) {
        std::string text;
        for (int i = 0; i < depth; ++i)
            text += open;
        text += "1";
        for (int i = 0; i < depth; ++i)
            text += close;
        return text;
    };
    CHECK_FALSE(is_refused(nested(8, "[", "]")));
    CHECK(is_refused(nested(9, "[", "]")));
    CHECK_FALSE(is_refused(nested(8, R"({"a":)", "}")));
    CHECK(is_refused(nested(9, R"({"a":)", "}")));
    CHECK(is_refused(std::string(500'000, '[')));
    CHECK_FALSE(is_refused("[[],[],[],[],[],[],[],[],[],[],[]]"));
}

TEST_CASE("json: a repeated key is refused in one object only") {
    CHECK(is_refused(R"({"a":1,"a":1})"));
    CHECK(is_refused(R"({"a":1,"\u0061":1})"));
    CHECK(is_refused(R"({"b":1,"a":2,"c":3,"a":4})"));
    CHECK(is_refused(R"([{"x":{"":1,"":2}}])"));
    CHECK(is_refused(R"({"a":{},"b":{},"a":{}})"));
    CHECK_FALSE(is_refused(R"([{"a":1},{"a":1,"b":{"a":1}}])"));
}

TEST_CASE("json: the time for an object is not quadratic in its keys") {
    // The factor is 1,024 where each key is compared with all others, and about 32 otherwise.
    CHECK(time_to_read(30'000) < 300 * time_to_read(937));
}

TEST_CASE("json: syntax outside RFC 8259 is refused") {
    for (const char* const text :
         {"",         " ",      "{",        "}",           "[1,]", "{\"a\":1,}",
          "{\"a\"}",  "{a:1}",  "'a'",      "nul",         "True", "+1",
          ".5",       "1.",     "0x1",      "1e",          "--1",  "NaN",
          "Infinity", "\"\n\"", "\"\\x\"",  "\"\\u12\"",   "1 2",  "[] []",
          "// x\n1",  "/* */1", "\"\xFF\"", "\"\\uD800\"", "1e999"}) {
        CAPTURE(text);
        CHECK(is_refused(text));
    }
    CHECK(is_refused(std::string_view("1\0", 2)));
}

TEST_CASE("json: each byte that is not UTF-8 is written as U+FFFD") {
    CHECK(frsh::write_json(frsh::json_text("a\xFF\xC3z")) == "\"a\xEF\xBF\xBD\xEF\xBF\xBDz\"");
    CHECK(frsh::write_json(frsh::json_text("\xE2\x82z")) == "\"\xEF\xBF\xBD\xEF\xBF\xBDz\"");
}

TEST_CASE("json: a control character is written as an escape") {
    CHECK(frsh::write_json(frsh::json_text("\b\f\n\r\t\x01\x1F\x7F\\b\"/")) ==
          R"("\u0008\u000c\n\r\t\u0001\u001f\u007f\\b\"/")");
}

TEST_CASE("json: controls above U+007F are escaped and read back") {
    const std::string text =
        "\xC2\x80\xC2\x9F\xC2\xA0\xD8\x9C\xE2\x80\x8E\xE2\x80\xAE\xE2\x81\xA9\xE2\x82\xAC";
    const std::string json = frsh::write_json(frsh::json_text(text));
    CHECK(json == "\"\\u0080\\u009f\xC2\xA0\\u061c\\u200e\\u202e\\u2069\xE2\x82\xAC\"");
    CHECK(frsh::parse_json(json).get<std::string>() == text);
    // As a key, behind an escaped backslash.
    CHECK(rewritten("{\"\\\\\xC2\x9B\":1}") == "{\"\\\\\\u009b\":1}");
}

TEST_CASE("json: an object keeps the order of its members") {
    JsonObject inner;
    inner.add_whole("bytes", 7);
    JsonObject object;
    object.add_text("z", "\x7F");
    object.add_null("y");
    object.add_flag("x", true);
    object.add_number("w", 1.5);
    object.add_texts("v", {"a", "\xFF"});
    object.add_object("u", inner);
    object.add_objects("t", {inner, inner});
    object.add_bytes("s", "text");
    object.add_bytes("r", "\xFF");
    CHECK(object.dump() ==
          "{\"z\":\"\\u007f\",\"y\":null,\"x\":true,\"w\":1.5,"
          "\"v\":[\"a\",\"\xEF\xBF\xBD\"],\"u\":{\"bytes\":7},"
          "\"t\":[{\"bytes\":7},{\"bytes\":7}],\"s\":\"text\",\"r_b64\":\"/w==\"}");
    CHECK(JsonObject::parse(object.dump()).dump() == object.dump());
}

TEST_CASE("json: a member of another type is refused by name") {
    const JsonObject object = JsonObject::parse(R"({"n":5,"t":"text","l":["a"],"m":[1],"z":null})");
    CHECK(object.whole("n", 5) == 5);
    CHECK_THROWS_WITH((void)object.whole("n", 4), "\"n\" is above 4");
    CHECK_THROWS_WITH((void)object.whole("t", 4), "\"t\" is not a whole number");
    CHECK_THROWS_WITH((void)object.whole("x", 4), "\"x\" is missing");
    CHECK_FALSE(object.maybe_whole("x", 4));
    CHECK(object.text("t", 4) == "text");
    CHECK_THROWS_WITH((void)object.text("t", 3), "\"t\" is too long");
    CHECK(object.texts("l", 1) == std::vector<std::string>{"a"});
    CHECK_THROWS_AS((void)object.texts("l", 0), ProtocolError);
    CHECK_THROWS_AS((void)object.texts("m", 9), ProtocolError);
    CHECK_FALSE(object.flag("x"));
    CHECK_THROWS_AS((void)object.flag("z"), ProtocolError);
    CHECK(object.has("z"));
    CHECK_FALSE(object.find_text("n"));
    CHECK(object.find_text("t") == "text");
}

TEST_CASE("json: a value that is not an object is refused as a header") {
    for (const char* const text : {"[]", "1", "null", "\"{}\""})
        CHECK_THROWS_AS((void)JsonObject::parse(text), ProtocolError);
}
