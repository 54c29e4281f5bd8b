#include "common/proto/json.hpp"

#include "common/base/error.hpp"

#include <cmath>
#include <limits>
#include <random>

#include <doctest/doctest.h>

using frsh::Json;
using frsh::ProtocolError;

namespace {

Json random_value(std::mt19937& random, int depth) {
    switch (random() % (depth > 0 ? 9 : 7)) {
        case 0:
            return nullptr;
        case 1:
            return random() % 2 == 0;
        case 2:
            return (std::uint64_t{random()} << 32) | random();
        case 3:
            return -static_cast<std::int64_t>(random());
        case 4:
            return static_cast<double>(random()) / 1024 + 0.5;
        case 5:
        case 6: {
            std::string text;
            for (unsigned i = random() % 8; i > 0; --i) {
                constexpr const char* kPieces[] = {"a",    "\"",   "\\",       "\n",
                                                   "\x01", "\x7F", "\xC3\xA9", "\xF0\x9F\x90\x9A",
                                                   "/",    "\t"};
                text += kPieces[random() % std::size(kPieces)];
            }
            return text;
        }
        case 7: {
            Json::Array items;
            for (unsigned i = random() % 4; i > 0; --i)
                items.push_back(random_value(random, depth - 1));
            return items;
        }
        default: {
            Json::Object members;
            for (unsigned i = random() % 4; i > 0; --i) {
                members.emplace_back("key" + std::to_string(i), random_value(random, depth - 1));
            }
            return members;
        }
    }
}

}  // namespace

TEST_CASE("json: what is written is read back as the same text") {
    std::mt19937 random(3);
    for (int i = 0; i < 3000; ++i) {
        const std::string text = random_value(random, 7).dump();
        CAPTURE(text);
        REQUIRE(text.find('\n') == std::string::npos);
        REQUIRE(Json::parse(text).dump() == text);
    }
}

TEST_CASE("json: whole numbers keep every digit, and are told from fractions") {
    for (const char* const text : {"0", "1", "9007199254740993", "18446744073709551615"}) {
        const Json json = Json::parse(text);
        REQUIRE(json.whole());
        CHECK(std::to_string(*json.whole()) == text);
        CHECK(json.dump() == text);
    }
    CHECK(*Json::parse("-9223372036854775808").negative() == INT64_MIN);
    for (const char* const text : {"1.0", "1e3", "-0.5", "18446744073709551616", "1E+2"}) {
        const Json json = Json::parse(text);
        CHECK_FALSE(json.whole());
        CHECK_FALSE(json.negative());
        double value = 0;
        CHECK(json.number(value));
    }
    CHECK(Json(-0.0).dump() == "-0");
    CHECK(Json(std::numeric_limits<double>::infinity()).dump() == "null");
    CHECK(Json(std::nan("")).dump() == "null");
}

TEST_CASE("json: eight levels are fine and nine are not") {
    const auto nested = [](int depth, const char* open, const char* close) {
        std::string text;
        for (int i = 0; i < depth; ++i)
            text += open;
        text += "1";
        for (int i = 0; i < depth; ++i)
            text += close;
        return text;
    };
    CHECK_NOTHROW((void)Json::parse(nested(8, "[", "]")));
    CHECK_THROWS_AS((void)Json::parse(nested(9, "[", "]")), ProtocolError);
    CHECK_NOTHROW((void)Json::parse(nested(8, R"({"a":)", "}")));
    CHECK_THROWS_AS((void)Json::parse(nested(9, R"({"a":)", "}")), ProtocolError);
    CHECK_THROWS_AS((void)Json::parse(std::string(500'000, '[')), ProtocolError);
    CHECK_NOTHROW((void)Json::parse("[[],[],[],[],[],[],[],[],[],[],[]]"));
}

TEST_CASE("json: a key twice in one object is refused, in two objects it is not") {
    CHECK_THROWS_AS((void)Json::parse(R"({"a":1,"a":1})"), ProtocolError);
    CHECK_THROWS_AS((void)Json::parse(R"({"a":1,"\u0061":1})"), ProtocolError);
    CHECK_THROWS_AS((void)Json::parse(R"([{"x":{"":1,"":2}}])"), ProtocolError);
    CHECK_NOTHROW((void)Json::parse(R"([{"a":1},{"a":1,"b":{"a":1}}])"));
}

TEST_CASE("json: what RFC 8259 does not know is refused") {
    for (const char* const text :
         {"",         " ",      "{",        "}",           "[1,]", "{\"a\":1,}",
          "{\"a\"}",  "{a:1}",  "'a'",      "nul",         "True", "+1",
          ".5",       "1.",     "0x1",      "1e",          "--1",  "NaN",
          "Infinity", "\"\n\"", "\"\\x\"",  "\"\\u12\"",   "1 2",  "[] []",
          "// x\n1",  "/* */1", "\"\xFF\"", "\"\\uD800\"", "1e999"}) {
        CAPTURE(text);
        CHECK_THROWS_AS((void)Json::parse(text), ProtocolError);
    }
    CHECK_THROWS_AS((void)Json::parse(std::string_view("1\0", 2)), ProtocolError);
}

TEST_CASE("json: bytes that are no text are repaired when written, never passed on") {
    CHECK(Json("a\xFF\xC3z").dump() == "\"a\xEF\xBF\xBD\xEF\xBF\xBDz\"");
}

TEST_CASE("json: looking for a member is safe on everything") {
    CHECK(Json::parse("[1]").find("a") == nullptr);
    CHECK(Json().find("a") == nullptr);
    CHECK(Json::parse(R"({"a":null})").find("a")->is_null());
}
