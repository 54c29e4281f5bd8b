// The form of a frame in a journal file: its length and its checksum come before it. So a reader
// finds a frame that was not written completely or was changed later.
//
//     4 bytes, most significant first   the length of the frame
//     4 bytes, most significant first   its CRC-32
//     that many bytes                   the frame
//
// This file does no I/O.
#pragma once

#include "common/proto/message.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace frsh {

inline constexpr std::size_t kRecordPrefix = 8;
// The longest frame of a journal, in bytes: one of data.
inline constexpr FrameLimits kJournalLimits{kFrameLimits.header, kMaxData};
inline constexpr std::size_t kMaxJournalFrame = 4 + kJournalLimits.header + kJournalLimits.payload;

// Returns the first four bytes as a number, most significant byte first.
[[nodiscard]] std::uint32_t read_u32(std::string_view bytes);

struct RecordPrefix {
    std::uint32_t length = 0;  // The size of the frame in bytes.
    std::uint32_t crc32 = 0;
};
// Decodes a prefix. `bytes` has at least kRecordPrefix bytes.
[[nodiscard]] RecordPrefix record_prefix(std::string_view bytes);
[[nodiscard]] bool is_intact(const RecordPrefix& prefix, std::string_view frame);

void append_record(std::string& out, std::string_view frame);
void append_record(std::string& out, const Message& message);

}  // namespace frsh
