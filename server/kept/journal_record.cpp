#include "server/kept/journal_record.hpp"

#include "common/proto/checksum.hpp"

namespace frsh {
namespace {

void put_u32(char* at, std::uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8)
        *at++ = static_cast<char>(value >> shift & 0xFF);
}

std::uint32_t sum_of(std::string_view bytes) {
    Crc32 sum;
    sum.update(bytes);
    return sum.value();
}

// Fills in the prefix of a record. `out` has room for the prefix at `start`, and the frame behind
// it.
void seal(std::string& out, std::size_t start) {
    const std::string_view frame = std::string_view(out).substr(start + kRecordPrefix);
    put_u32(&out[start], static_cast<std::uint32_t>(frame.size()));
    put_u32(&out[start + 4], sum_of(frame));
}

}  // namespace

std::uint32_t read_u32(std::string_view bytes) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i)
        value = value << 8 | static_cast<unsigned char>(bytes[i]);
    return value;
}

RecordPrefix record_prefix(std::string_view bytes) {
    return {read_u32(bytes), read_u32(bytes.substr(4))};
}

bool is_intact(const RecordPrefix& prefix, std::string_view frame) {
    return frame.size() == prefix.length && sum_of(frame) == prefix.crc32;
}

void append_record(std::string& out, std::string_view frame) {
    const std::size_t start = out.size();
    out.append(kRecordPrefix, '\0').append(frame);
    seal(out, start);
}

void append_record(std::string& out, const Message& message) {
    const std::size_t start = out.size();
    out.append(kRecordPrefix, '\0');
    encode(out, message);
    seal(out, start);
}

}  // namespace frsh
