// The examples of PROTOCOL.md are parsed here, so that the page cannot rot.
#include "common/proto/checksum.hpp"
#include "common/proto/message.hpp"

#include <cstdlib>
#include <fstream>
#include <sstream>

#include <doctest/doctest.h>

namespace {

std::string unescaped(const std::string& text) {
    std::string bytes;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\') {
            bytes += text[i];
            continue;
        }
        ++i;
        bytes += text[i] == 'n' ? '\n' : text[i] == '0' ? '\0' : text[i];
    }
    return bytes;
}

// Each block: the length in hexadecimal, the header, the payload if any.
std::vector<std::string> example_frames() {
    // Elsewhere for a user who may not read this tree; see support/unprivileged.py.
    const char* const moved = std::getenv("FRSH_TEST_SOURCE");
    const std::string source = moved != nullptr ? moved : FRSH_SOURCE_DIR;
    std::ifstream page(source + "/common/proto/PROTOCOL.md");
    REQUIRE(page);
    std::vector<std::string> frames;
    for (std::string line; std::getline(page, line);) {
        if (line != "```frame") continue;
        std::string length;
        std::string header;
        std::string payload;
        std::getline(page, length);
        std::getline(page, header);
        std::getline(page, payload);
        std::string frame;
        std::istringstream bytes(length);
        for (unsigned value = 0; bytes >> std::hex >> value;)
            frame += static_cast<char>(value);
        CHECK(frame.size() == 4);
        frame += header;
        if (payload != "```") frame += unescaped(payload);
        frames.push_back(frame);
    }
    return frames;
}

}  // namespace

TEST_CASE("PROTOCOL.md: every example is a whole frame and a correct message") {
    const auto frames = example_frames();
    CHECK(frames.size() >= 15);
    for (const std::string& frame : frames) {
        CAPTURE(frame);
        frsh::MessageDecoder decoder;
        decoder.frames().feed(frame);
        const auto message = decoder.next();
        CHECK(message.has_value());
        CHECK(decoder.frames().buffered() == 0);
    }
}

TEST_CASE("PROTOCOL.md: the example's counts and checksums are those of its bytes") {
    frsh::MessageDecoder decoder;
    std::optional<frsh::msg::End> end;
    std::string out;
    std::string err;
    for (const std::string& frame : example_frames()) {
        decoder.frames().feed(frame);
        const auto message = decoder.next();
        REQUIRE(message);
        if (const auto* const data = std::get_if<frsh::msg::Data>(&*message)) {
            if (data->stream == frsh::StreamId::Stdout) out += data->bytes;
            if (data->stream == frsh::StreamId::Stderr) err += data->bytes;
        }
        if (const auto* const one = std::get_if<frsh::msg::End>(&*message)) end = *one;
    }
    REQUIRE(end);
    frsh::Crc32 out_sum;
    out_sum.update(out);
    frsh::Crc32 err_sum;
    err_sum.update(err);
    CHECK(end->out.bytes == out.size());
    CHECK(end->out.crc32 == out_sum.value());
    CHECK(end->err.bytes == err.size());
    CHECK(end->err.crc32 == err_sum.value());
    CHECK(frsh::exit_code(end->outcome) == 3);
}
