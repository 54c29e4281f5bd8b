#include "client/cli/forward_spec.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <doctest/doctest.h>

using frsh::ForwardSpec;
using frsh::parse_forward;

namespace {

using SpecKind = ForwardSpec::Kind;
using Words = std::vector<std::string>;

ForwardSpec good(SpecKind kind, std::string_view text) {
    const auto parsed = parse_forward(kind, text);
    const auto* const why = std::get_if<std::string>(&parsed);
    REQUIRE_MESSAGE(why == nullptr, *why);
    return std::get<ForwardSpec>(parsed);
}

std::string refusal(SpecKind kind, std::string_view text) {
    const auto parsed = parse_forward(kind, text);
    REQUIRE_MESSAGE(std::holds_alternative<std::string>(parsed), text);
    return std::get<std::string>(parsed);
}

}  // namespace

TEST_CASE("forward spec: -L takes each form of ssh") {
    CHECK(good(SpecKind::Local, "8080:db:80") ==
          ForwardSpec{SpecKind::Local, {}, 8080, "", {"db", "80"}});
    CHECK(good(SpecKind::Local, "0.0.0.0:8080:db:80").bind == "0.0.0.0");
    CHECK(good(SpecKind::Local, ":8080:db:80").bind == "");
    CHECK(good(SpecKind::Local, "*:8080:db:80").bind == "*");
    CHECK(good(SpecKind::Local, "[::1]:8080:[fe80::2]:80") ==
          ForwardSpec{SpecKind::Local, "::1", 8080, "", {"fe80::2", "80"}});
    CHECK(good(SpecKind::Local, "0:db:80").port == 0);
    CHECK(good(SpecKind::Local, "8080:/run/x.sock").to == Words{"/run/x.sock"});
    CHECK(good(SpecKind::Local, "localhost:8080:/run/x.sock").bind == "localhost");
    CHECK(good(SpecKind::Local, "/tmp/own:db:80").path == "/tmp/own");
    CHECK(good(SpecKind::Local, "/tmp/own:/run/x.sock") ==
          ForwardSpec{SpecKind::Local, {}, 0, "/tmp/own", {"/run/x.sock"}});
}

TEST_CASE("forward spec: -D takes a port, and an address before it") {
    CHECK(good(SpecKind::Dynamic, "1080") == ForwardSpec{SpecKind::Dynamic, {}, 1080, "", {}});
    CHECK(good(SpecKind::Dynamic, "[::1]:1080").bind == "::1");
    CHECK(good(SpecKind::Dynamic, "0").port == 0);
}

TEST_CASE("forward spec: -R takes each form of ssh, also without a destination") {
    CHECK(good(SpecKind::Remote, "8080:db:80") ==
          ForwardSpec{SpecKind::Remote, {}, 8080, "", {"db", "80"}});
    CHECK(good(SpecKind::Remote, "127.0.0.2:8080:/run/x.sock") ==
          ForwardSpec{SpecKind::Remote, "127.0.0.2", 8080, "", {"/run/x.sock"}});
    CHECK(good(SpecKind::Remote, "/tmp/there:db:80").path == "/tmp/there");
    CHECK(good(SpecKind::Remote, "1080") == ForwardSpec{SpecKind::Remote, {}, 1080, "", {}});
    CHECK(good(SpecKind::Remote, "[::1]:0") == ForwardSpec{SpecKind::Remote, "::1", 0, "", {}});
    CHECK(good(SpecKind::Remote, "1080:[socks]:0") ==
          ForwardSpec{SpecKind::Remote, {}, 1080, "", {}});
    for (const std::string_view text :
         {"", "8080:db", "x:db:80", "65536", "8080:db:0", "socks:0:1:2:3", ":::"}) {
        CAPTURE(text);
        CHECK(refusal(SpecKind::Remote, text).find("Bad remote forwarding specification '") == 0);
    }
}

TEST_CASE("forward spec: a malformed text is refused by name") {
    for (const std::string_view text :
         {"", "8080", "8080:db", "8080:db:", "8080::80", "8080:db:0", "8080:db:65536", "8080:db:x",
          "x:db:80", "65536:db:80", "-1:db:80", "a:b:8080:db:80", "[::1:8080:db:80",
          "[::1]8080:db:80", ":::", "::1:8080:db:80", ":db:80", "8080:/a:80", "[]"}) {
        CAPTURE(text);
        CHECK(refusal(SpecKind::Local, text).find("Bad local forwarding specification '") == 0);
    }
    for (const std::string_view text : {"", "x", "1:2:3", "65536", "1080:host", "[::1]"}) {
        CAPTURE(text);
        CHECK(refusal(SpecKind::Dynamic, text).find("Bad dynamic forwarding specification '") == 0);
    }
    CHECK(refusal(SpecKind::Local, std::string_view("1:a\0b:2", 7)).find("NUL") !=
          std::string::npos);
    CHECK(refusal(SpecKind::Local, "1:/" + std::string(107, 'x')).find("too long") !=
          std::string::npos);
}

TEST_CASE("forward spec: parts of ssh's configuration are joined") {
    Words forwards;
    CHECK(!frsh::add_forward(forwards, SpecKind::Local, {"8080", "db:80"}));
    CHECK(!frsh::add_forward(forwards, SpecKind::Dynamic, {"1080"}));
    CHECK(!frsh::add_forward(forwards, SpecKind::Remote, {"8080", "[db]:80"}));
    CHECK(frsh::add_forward(forwards, SpecKind::Local, {"8080"}).has_value());
    CHECK(forwards == Words{"L 8080:db:80", "D 1080", "R 8080:[db]:80"});
    for (const std::string& forward : forwards)
        CHECK(std::holds_alternative<ForwardSpec>(parse_forward(forward)));
    CHECK(std::holds_alternative<std::string>(parse_forward("8080:db:80")));
}
