#include "common/proto/frame.hpp"

#include "common/base/error.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <doctest/doctest.h>

using frsh::FrameDecoder;
using frsh::ProtocolError;

namespace {

std::string frame(const std::string& header, const std::string& payload = "") {
    std::string bytes;
    frsh::append_frame(bytes, header, payload);
    return bytes;
}

}  // namespace

TEST_CASE("frame: two frames that arrive in one read are both delivered") {
    FrameDecoder decoder;
    decoder.feed(frame(R"({"type":"a","len":3})", "one") + frame(R"({"type":"b"})"));
    const auto first = decoder.next();
    REQUIRE(first);
    CHECK(first->payload == "one");
    const auto second = decoder.next();
    REQUIRE(second);
    CHECK(second->header.text("type", 1) == "b");
    CHECK_FALSE(decoder.next());
    CHECK(decoder.buffered() == 0);
}

TEST_CASE("frame: a frame in two pieces is delivered at its last byte") {
    const std::string bytes = frame(R"({"type":"a","len":4})", std::string("\0\xFF\n{", 4));
    for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
        CAPTURE(cut);
        FrameDecoder decoder;
        decoder.feed(std::string_view(bytes).substr(0, cut));
        CHECK_FALSE(decoder.next());
        decoder.feed(std::string_view(bytes).substr(cut));
        const auto whole = decoder.next();
        REQUIRE(whole);
        CHECK(whole->payload == std::string_view("\0\xFF\n{", 4));
    }
}

TEST_CASE("frame: frames cut into single bytes are whole and in order") {
    std::string bytes;
    for (int i = 0; i < 50; ++i) {
        const std::string payload(static_cast<std::size_t>(i), static_cast<char>('a' + i % 26));
        bytes +=
            frame(R"({"n":)" + std::to_string(i) + R"(,"len":)" + std::to_string(i) + "}", payload);
    }
    FrameDecoder decoder;
    std::uint64_t expected = 0;
    for (const char byte : bytes) {
        decoder.feed({&byte, 1});
        while (const auto one = decoder.next()) {
            CHECK(one->header.whole("n", UINT64_MAX) == expected);
            CHECK(one->payload.size() == expected);
            ++expected;
        }
    }
    CHECK(expected == 50);
}

TEST_CASE("frame: a length above the limit is refused before its bytes") {
    for (const std::string& length : {std::string("\0\2\0\1", 4), std::string("\x80\0\0\0", 4),
                                      std::string("\xFF\xFF\xFF\xFF", 4), std::string(4, '\0')}) {
        FrameDecoder decoder;
        decoder.feed(length);
        CHECK_THROWS_AS((void)decoder.next(), ProtocolError);
    }
    FrameDecoder decoder;
    decoder.feed(frame(R"({"len":1048577})"));
    CHECK_THROWS_AS((void)decoder.next(), ProtocolError);
}

TEST_CASE("frame: an unauthenticated peer gets smaller limits") {
    FrameDecoder decoder(frsh::kStrangerLimits);
    decoder.feed(frame(R"({"len":16385})"));
    CHECK_THROWS_AS((void)decoder.next(), ProtocolError);
    FrameDecoder later(frsh::kStrangerLimits);
    later.set_limits(frsh::kFrameLimits);
    later.feed(frame(R"({"len":16385})", std::string(16385, 'x')));
    CHECK(later.next());
}

TEST_CASE("frame: a malformed header is refused") {
    for (const char* header : {"[]",
                               "1",
                               "null",
                               R"("text")",
                               "{",
                               "{}x",
                               R"({"len":-1})",
                               R"({"len":1.5})",
                               R"({"len":1.0})",
                               R"({"len":1e308})",
                               R"({"len":"3"})",
                               R"({"len":null})",
                               R"({"len":1,"len":1})",
                               R"({"a":1,"b":2,"a":3})",
                               R"({"a":{"b":1,"b":1}})",
                               R"({"a":[[[[[[[[1]]]]]]]]})",
                               "{\"a\":\"\xFF\"}",
                               "{\"\xC0\x80\":1}",
                               R"({"a":"\ud800"})",
                               R"({"len":18446744073709551616})",
                               "{'a':1}",
                               "{\"a\":01}",
                               "\xEF\xBB\xBF{}"}) {
        CAPTURE(header);
        FrameDecoder decoder;
        decoder.feed(frame(header));
        CHECK_THROWS_AS((void)decoder.next(), ProtocolError);
    }
}

TEST_CASE("frame: a header with a NUL is refused") {
    FrameDecoder decoder;
    decoder.feed(frame(std::string("{}\0{\"len\":5}", 12)));
    CHECK_THROWS_AS((void)decoder.next(), ProtocolError);
}

TEST_CASE("frame: nesting to the limit and unknown keys are accepted") {
    for (const char* header : {"{}", R"({"a":[[[[[[[1]]]]]]]})", R"({"later":{"x":[1.5,-2,null]}})",
                               R"({"len":0})", " {\"a\" : \"\\u7c98\\u5305\"} "}) {
        CAPTURE(header);
        FrameDecoder decoder;
        decoder.feed(frame(header));
        CHECK(decoder.next());
    }
}

TEST_CASE("frame: the largest frame passes, read into the decoder") {
    FrameDecoder decoder;
    const std::string payload(1024 * 1024, 'p');
    const std::string bytes = frame(R"({"len":1048576})", payload);
    for (std::size_t at = 0; at < bytes.size();) {
        std::size_t size = 0;
        char* const room = decoder.room(1000, size);
        REQUIRE(size >= 1000);
        const std::size_t count = bytes.copy(room, std::min<std::size_t>(size, 70000), at);
        decoder.commit(count);
        at += count;
        const auto whole = decoder.next();
        CHECK(whole.has_value() == (at == bytes.size()));
        if (whole) CHECK(whole->payload == payload);
    }
}
