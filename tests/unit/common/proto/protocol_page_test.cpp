// Parses the examples of PROTOCOL.md and compares its list of messages with the code.
#include "common/proto/checksum.hpp"
#include "common/proto/message.hpp"
#include "common/proto/message_table.hpp"

#include <cstddef>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

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

// Returns the bytes of each block. A block has the length in hexadecimal, the header in one or more
// lines, and the payload if there is one.
std::vector<std::string> example_frames() {
    std::ifstream page = open_page();
    std::vector<std::string> frames;
    for (std::string line; std::getline(page, line);) {
        if (line != "```frame") continue;
        std::string length;
        std::getline(page, length);
        std::string frame;
        std::istringstream bytes(length);
        std::size_t header_size = 0;
        for (unsigned value = 0; bytes >> std::hex >> value;) {
            frame += static_cast<char>(value);
            header_size = header_size << 8 | value;
        }
        CHECK(frame.size() == 4);
        // A long header continues on the next line.
        for (std::string header; frame.size() < 4 + header_size && std::getline(page, header);)
            frame += header;
        CHECK(frame.size() == 4 + header_size);
        std::string payload;
        std::getline(page, payload);
        if (payload != "```") frame += unescaped(payload);
        frames.push_back(frame);
    }
    return frames;
}

}  // namespace

TEST_CASE("PROTOCOL.md: every example is one whole, valid message") {
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

TEST_CASE("PROTOCOL.md: the example's counts and checksums are right") {
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

TEST_CASE("PROTOCOL.md: the list of all messages is the code's") {
    std::string listed;
    std::ifstream page = open_page();
    bool is_list = false;
    for (std::string line; std::getline(page, line);) {
        is_list |= line == "## All messages";
        if (is_list && (line.starts_with("- ") || line.starts_with("  "))) listed += line + "\n";
    }
    std::string expected;
    for (const std::string_view type : frsh::message_types())
        expected += frsh::message_list_item(type);
    CHECK(listed == expected);
}

TEST_CASE("message list: nested, optional and payload keys are marked") {
    CHECK(frsh::message_list_item("credit") == "- `credit`: `ch`, `stream`, `consumed`, `limit`\n");
    CHECK(frsh::message_list_item("acceptable") == "- `acceptable`: `key`?\n");
    CHECK(frsh::message_list_item("auth_pending") == "- `auth_pending`\n");
    CHECK(frsh::message_list_item("auth") == "- `auth`: + payload\n");
    const auto keys = frsh::message_keys("end");
    REQUIRE(keys.size() > 3);
    CHECK(keys[0].key == "ch");
    CHECK(keys[2].type == "object");
    CHECK(keys.back().key == "payload");
}
