#include "client/demo/stage/small_network.hpp"

#include "client/demo/lessons/layers_kept.hpp"

#include <stdexcept>
#include <string>

#include <doctest/doctest.h>

using frsh::demo::from_lines;
using frsh::demo::to_lines;

TEST_CASE("captured frames survive the way to text and back, with every byte value") {
    std::string bytes;
    for (int i = 0; i < 256; ++i)
        bytes += static_cast<char>(i);
    const auto frames = from_lines(to_lines({{"alice", 0, bytes}, {"router left", 0.5, ""}}));
    REQUIRE(frames.size() == 2);
    CHECK(frames[0].place == "alice");
    CHECK(frames[0].bytes == bytes);
    CHECK(frames[1].place == "router left");
    CHECK(frames[1].seconds == 0.5);
    CHECK(frames[1].bytes.empty());
}

TEST_CASE("a line of another form is refused") {
    CHECK_THROWS_AS(from_lines("alice|0.5"), std::runtime_error);
    CHECK_THROWS_AS(from_lines("alice|0.5|zz\n"), std::exception);
}

TEST_CASE("the kept capture is whole: 18 frames, and each is an Ethernet frame of ARP or IPv4") {
    const auto frames = from_lines(frsh::demo::kKeptJourney);
    REQUIRE(frames.size() == 18);
    for (const auto& frame : frames) {
        REQUIRE(frame.bytes.size() >= 42);
        const std::string type = frame.bytes.substr(12, 2);
        const bool is_known =
            type == std::string("\x08\x06", 2) || type == std::string("\x08\x00", 2);
        CHECK(is_known);
    }
}
