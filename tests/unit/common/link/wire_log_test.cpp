#include "common/link/wire_log.hpp"

#include "common/base/error.hpp"
#include "common/proto/frame.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include <doctest/doctest.h>

using namespace frsh;

namespace {

std::string raw_frame(std::string_view header, std::string_view payload = {}) {
    std::string bytes;
    append_frame(bytes, header, payload);
    return bytes;
}

const std::string kHello = raw_frame(R"({"type":"hello"})");
const std::string kData = raw_frame(R"({"type":"data","len":6})", "hello\n");

struct Shown {
    std::string text;
    std::unique_ptr<WireLog> log =
        std::make_unique<WireLog>([this](std::string_view lines) { text += lines; });
    [[nodiscard]] bool has(std::string_view part) const {
        return text.find(part) != std::string::npos;
    }
};

}  // namespace

TEST_CASE("wire log: a frame is shown as length, header and payload") {
    Shown shown;
    shown.log->on_write(kData);
    CHECK(shown.text ==
          "-> send 1: 33 bytes, 0 to 32 of the stream\n"
          "-> frame 1: data, 33 bytes from 0: send 1 (33)\n"
          "     00000000  00 00 00 17   length of the header: 23\n"
          "     header    {\"type\":\"data\",\"len\":6}\n"
          "     payload   6 bytes\n"
          "     0000001b  68 65 6c 6c 6f 0a                                |hello.|\n");
}

TEST_CASE("wire log: frames of one read are shown apart, with that read") {
    Shown shown;
    shown.log->on_read(kHello + kData);
    CHECK(shown.has("<- frame 1: hello, 20 bytes from 0: recv 1 (20)\n"));
    CHECK(shown.has("<- frame 2: data, 33 bytes from 20: recv 1 (33)\n"));
}

TEST_CASE("wire log: a split frame lists the calls and their pieces") {
    Shown shown;
    shown.log->on_read(kHello + kData.substr(0, 2));
    CHECK(shown.has("     2 bytes of frame 2 so far\n"));
    shown.log->on_read(kData.substr(2, 30));
    shown.log->on_read(kData.substr(32) + kHello);
    CHECK(shown.has("<- frame 2: data, 33 bytes from 20: recv 1 (2), recv 2 (30), recv 3 (1)\n"));
    CHECK(shown.has("<- frame 3: hello, 20 bytes from 53: recv 3 (20)\n"));
}

TEST_CASE("wire log: every cutting shows the same frames") {
    const std::string stream = kHello + kData + kHello + kData;
    for (std::size_t size = 1; size <= stream.size(); ++size) {
        CAPTURE(size);
        Shown shown;
        for (std::size_t at = 0; at < stream.size(); at += size)
            shown.log->on_read(std::string_view(stream).substr(at, size));
        CHECK(shown.has("frame 1: hello, 20 bytes from 0:"));
        CHECK(shown.has("frame 2: data, 33 bytes from 20:"));
        CHECK(shown.has("frame 3: hello, 20 bytes from 53:"));
        CHECK(shown.has("frame 4: data, 33 bytes from 73:"));
        CHECK_FALSE(shown.has("frame 5: "));
    }
}

TEST_CASE("wire log: the two directions are counted apart") {
    Shown shown;
    shown.log->on_write(kHello);
    shown.log->on_read(kHello);
    CHECK(shown.has("-> frame 1: hello"));
    CHECK(shown.has("<- frame 1: hello"));
}

TEST_CASE("wire log: a long payload is cut and controls are escaped") {
    Shown shown;
    shown.log->on_read(raw_frame(R"({"type":"data","len":1000})", std::string(1000, '\x1b')));
    CHECK(shown.has("payload   1000 bytes, the first 64 of them\n"));
    shown.log->on_read(raw_frame("{\"type\":\"e\xC2\x9B\"}"));
    CHECK(shown.text.find('\x1b') == std::string::npos);
    CHECK(shown.text.find("\xC2\x9B") == std::string::npos);
}

TEST_CASE("wire log: bytes that are not frames are only counted") {
    Shown shown;
    shown.log->on_read(kHello + "SSH-2.0-OpenSSH\r\n");
    CHECK(shown.has("<- not a frame, at 20: a header of 1397966893 bytes"));
    shown.log->on_read(std::string(10000, 'x'));
    CHECK(shown.has("<- recv 2: 10000 bytes, 37 to 10036 of the stream\n"));
    CHECK_FALSE(shown.has("frame 2"));
}

TEST_CASE("wire log: a frame cut off at the end is reported") {
    Shown shown;
    shown.log->on_read(kData.substr(0, 5));
    shown.log.reset();
    CHECK(shown.has("<- cut off: 5 bytes of frame 1, which never became whole\n"));
}

TEST_CASE("wire log: after a failed write the log ends without an error") {
    int tries = 0;
    WireLog log([&](std::string_view) {
        ++tries;
        throw SysError("write", ENOSPC);
    });
    log.on_read(kHello);
    log.on_read(kData.substr(0, 3));
    CHECK(tries == 1);
}

TEST_CASE("tapped transport: it reports exactly the bytes that moved") {
    auto [ours, theirs] = make_socketpair();
    Shown shown;
    TappedTransport transport(std::make_unique<FdTransport>(std::move(ours)), std::move(shown.log));
    char buffer[256];
    CHECK(transport.read(buffer, sizeof buffer).status == IoResult::Status::WouldBlock);
    CHECK(shown.text.empty());
    CHECK(transport.write(kHello).bytes == kHello.size());
    CHECK(shown.has("-> frame 1: hello, 20 bytes from 0: send 1 (20)\n"));
    CHECK(write_some(theirs.get(), kData).bytes == kData.size());
    CHECK(transport.read(buffer, 30).bytes == 30);
    CHECK(transport.read(buffer, 30).bytes == 3);
    CHECK(shown.has("<- frame 1: data, 33 bytes from 0: recv 1 (30), recv 2 (3)\n"));
    theirs.close();
    CHECK(transport.read(buffer, sizeof buffer).status == IoResult::Status::EndOfFile);
}
