// One output stream of a kept run, on disk: written from its first byte on, and read from there by
// everybody who follows the run.
//
// A journal is a row of segments: files "stdout-OFFSET" and so on, OFFSET being that of its first
// byte in 16 hexadecimal digits. A segment is a row of records:
//
//     4 bytes, most significant first   the length of the frame
//     4 bytes, most significant first   its CRC-32
//     that many bytes                   a frame as of PROTOCOL.md: data, gap or eof, on channel 0
//
// Every segment but that at 0 begins with a gap frame whose "to" is its OFFSET and whose "crc32" is
// the checksum of all below: so reading can begin at any. Past the cap the first half stays where
// it is and of what follows the latest segments stay; between the two there is a hole, which a
// reader finds by the offsets and tells as a gap. What a full disk did not take is a hole of the
// same kind.
#pragma once

#include "common/proto/checksum.hpp"
#include "common/proto/message.hpp"
#include "common/sys/fd.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

namespace frsh {

// Writing must never stand in the command's way: no function here throws, and what cannot be
// written is left out, counted, and tried again with the next.
class JournalWriter {
  public:
    // `folder` is a path; `cap` in bytes on disk, of this stream.
    JournalWriter(std::string folder, StreamId stream, std::uint64_t cap);

    void data(Offset offset, std::uint64_t time_us, std::string_view bytes);
    void gap(const msg::Gap& gap);
    void eof(Offset offset);

    // The errno of the first thing that could not be written; 0 while all is well.
    [[nodiscard]] int problem() const { return problem_; }

  private:
    int problem_ = 0;
};

// What was written is not what is there.
class JournalDamaged : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

// Only complete records are ever believed. A record that is not whole at the very end is the
// present end: somebody is writing it, or died writing it. One that is wrong elsewhere is damage.
class JournalReader {
  public:
    struct Data {
        Offset offset;
        std::uint64_t time_us;
        std::string_view bytes;  // Lent until the next call.
    };
    struct Gap {
        Offset from;
        Offset to;
        std::uint32_t crc32;  // Of everything below `to`.
    };
    struct Eof {};
    using Piece = std::variant<Data, Gap, Eof>;

    JournalReader(std::string folder, StreamId stream);

    // The next piece, of data at most `most` bytes; nothing at the present end, where later calls
    // may find more. Throws JournalDamaged or SysError.
    std::optional<Piece> next(std::size_t most);
    // The offset of what comes next, and the checksum of everything below it.
    [[nodiscard]] Offset at() const;
    [[nodiscard]] std::uint32_t sum() const;
    // The end of the stream has been read.
    [[nodiscard]] bool is_at_eof() const;
    // Reads on or anew until at() is this, or what comes first behind it (where it is in a hole),
    // or the present end. Throws as next().
    void seek(Offset to);
    void seek_end();
};

}  // namespace frsh
