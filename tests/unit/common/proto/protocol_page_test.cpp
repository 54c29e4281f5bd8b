// The examples of PROTOCOL.md are parsed here, so that the page cannot rot.
#include "common/proto/checksum.hpp"
#include "common/proto/message.hpp"
#include "common/proto/message_table.hpp"

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

std::ifstream open_page() {
    std::ifstream page(std::string(FRSH_SOURCE_DIR) + "/common/proto/PROTOCOL.md");
    REQUIRE(page);
    return page;
}

// Each block: the length in hexadecimal, the header, the payload if any.
std::vector<std::string> example_frames() {
    std::ifstream page = open_page();
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

TEST_CASE("PROTOCOL.md: the table of all messages lists the keys that the code has") {
    std::vector<std::string> listed;
    std::ifstream page = open_page();
    bool is_table = false;
    for (std::string line; std::getline(page, line);) {
        if (line == "## All messages") is_table = true;
        if (is_table && line.starts_with("| `")) listed.push_back(line);
    }
    std::vector<std::string> expected;
    for (const std::string_view type : frsh::message_types())
        expected.push_back(frsh::message_table_row(type));
    REQUIRE(listed.size() == expected.size());
    for (std::size_t i = 0; i < listed.size(); ++i)
        CHECK(listed[i] == expected[i]);
}

TEST_CASE("message table: nested, optional and payload keys are told apart") {
    CHECK(frsh::message_table_row("credit") ==
          "| `credit` | `ch`, `stream`, `consumed`, `limit` | |");
    CHECK(frsh::message_table_row("acceptable") == "| `acceptable` | `key`? | |");
    const auto keys = frsh::message_keys("end");
    REQUIRE(keys.size() > 3);
    CHECK(keys[0].key == "ch");
    CHECK(keys[2].type == "object");
    CHECK(keys.back().key == "payload");
}
