#include "client/demo/stage/recorder.hpp"

#include "client/demo/lessons/wire.hpp"

#include <cstdint>
#include <cstring>
#include <string>

#include <doctest/doctest.h>

using namespace frsh::demo;

namespace {

// A frame of loopback: Ethernet, IPv4 with 20 bytes, TCP with 12 bytes of options, "hi".
std::string sample_frame() {
    std::string frame(14 + 20 + 32, '\0');
    frame += "hi";
    frame[12] = 8;
    frame[14] = 0x45;
    frame[17] = 20 + 32 + 2;
    frame[23] = 6;
    frame[34] = 1;         // From port 256.
    frame[37] = 7;         // To port 7.
    frame[41] = 5;         // Sequence number.
    frame[45] = 9;         // Acknowledged.
    frame[46] = '\x80';    // Eight words of header.
    frame[47] = 8 | 0x10;  // PSH and ACK.
    return frame;
}

std::uint32_t number_in(const std::string& bytes, std::size_t at) {
    std::uint32_t value = 0;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
}

}  // namespace

TEST_CASE("recorder: a segment is read with its options skipped") {
    const std::string frame = sample_frame();
    Segment4 segment;
    REQUIRE(parse_segment(frame, segment));
    CHECK(segment.from_port == 256);
    CHECK(segment.to_port == 7);
    CHECK(segment.sequence == 5);
    CHECK(segment.acknowledged == 9);
    CHECK(segment.data == "hi");
    CHECK(flag_names(segment.flags) == "PSH+ACK");
    CHECK(flag_names(0x12) == "SYN+ACK");
    CHECK(flag_names(0x11) == "FIN+ACK");
}

TEST_CASE("recorder: a frame that is cut or of another kind is no segment") {
    const std::string frame = sample_frame();
    Segment4 segment;
    for (std::size_t size = 0; size < frame.size(); ++size) {
        CAPTURE(size);
        CHECK_FALSE(parse_segment(frame.substr(0, size), segment));
    }
    std::string datagram = frame;
    datagram[23] = 17;
    CHECK_FALSE(parse_segment(datagram, segment));
    std::string long_header = frame;
    long_header[46] = '\xF0';
    CHECK_FALSE(parse_segment(long_header, segment));
    std::string long_ip = frame;
    long_ip[14] = 0x4F;
    CHECK_FALSE(parse_segment(long_ip, segment));
}

TEST_CASE("recorder: a capture file has a header, and times in nanoseconds") {
    const std::string file = to_pcap({{1.5, "frame"}});
    REQUIRE(file.size() == 24 + 16 + 5);
    CHECK(number_in(file, 0) == 0xA1B23C4D);
    CHECK(number_in(file, 20) == 1);
    CHECK(number_in(file, 24) == 1);
    CHECK(number_in(file, 28) == 500'000'000);
    CHECK(number_in(file, 32) == 5);
    CHECK(number_in(file, 36) == 5);
    CHECK(file.substr(40) == "frame");
}

TEST_CASE("wire: the log of --wire is read with its bytes, and other lines are skipped") {
    const WireText wire = parse_wire(
        "a banner\n"
        "<- recv 1: 64 bytes, 0 to 63 of the stream\n"
        "     64 bytes of frame 1 so far\n"
        "<- recv 2: 1 byte, 64 to 64 of the stream\n"
        "<- recv 3: 6 bytes, 65 to 70 of the stream\n"
        "<- frame 1: data, 66 bytes from 0: recv 1 (64), recv 2 (1), recv 3 (1)\n"
        "     00000000  00 00 00 38   length of the header: 56\n"
        "     header    {\"type\":\"data\",\"ch\":1,\"stream\":\"stdout\",\"off\":0,\"len\":6}\n"
        "     payload   6 bytes\n"
        "     0000003c  68 65 6c 6c 6f 0a                                |hello.|\n"
        "     5 bytes of frame 2 so far\n"
        "-> send 1: 10 bytes, 0 to 9 of the stream\n"
        "-> not a frame, at 0: a header of 0 bytes; from here on bytes are only counted\n");
    REQUIRE(wire.read.frames.size() == 1);
    const WireFrame& frame = wire.read.frames[0];
    CHECK(frame.type == "data");
    REQUIRE(frame.bytes.size() == 66);
    CHECK(frame.known == 66);
    CHECK(frame.bytes.substr(0, 4) == std::string("\0\0\0\x38", 4));
    CHECK(frame.bytes.substr(4, 7) == "{\"type\"");
    CHECK(frame.bytes.substr(60) == "hello\n");
    REQUIRE(wire.read.calls.size() == 3);
    CHECK(wire.read.calls[1].begin == 64);
    CHECK(wire.read.calls[1].end == 65);
    CHECK(wire.written.frames.empty());
    REQUIRE(wire.written.calls.size() == 1);
    CHECK(wire.written.calls[0].end == 10);
}
