// Reads a journal (journal.hpp has the format), while it is being written or later.
#pragma once

#include "common/proto/checksum.hpp"
#include "common/proto/message.hpp"
#include "common/proto/stream.hpp"
#include "server/kept/journal_record.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>

namespace frsh {

class JournalSegment;

// The content of a journal is not what was written.
class JournalDamaged : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

// Uses whole records only. An incomplete record at the very end is the present end: the writer is
// still writing it, or died there. A wrong record elsewhere is damage.
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
        std::uint32_t crc32;  // The checksum of all bytes below `to`.
    };
    struct Eof {};
    using Piece = std::variant<Data, Gap, Eof>;

    JournalReader(std::string folder, StreamId stream);
    ~JournalReader();
    JournalReader(JournalReader&&) noexcept;
    JournalReader& operator=(JournalReader&&) noexcept;

    // Returns the next piece, with at most `most` bytes of data. With 0, data that is next is an
    // empty piece. Returns nothing at the present end, where later calls may find more. Throws
    // JournalDamaged or SysError.
    std::optional<Piece> next(std::size_t most);
    // The offset of the next piece, and the checksum of all bytes below it.
    [[nodiscard]] Offset at() const { return at_; }
    [[nodiscard]] std::uint32_t sum() const { return sum_.value(); }
    // Returns true once next() has returned Eof.
    [[nodiscard]] bool is_at_eof() const { return is_at_eof_; }
    // Moves forward or back to `to`. If `to` lies in a hole, moves to the end of the hole. Stops at
    // the present end, and before Eof. Throws as next().
    void seek(Offset to);
    void seek_end();

  private:
    [[nodiscard]] std::unique_ptr<JournalSegment> open(Offset start) const;
    [[nodiscard]] std::unique_ptr<JournalSegment> find_next(Offset from);
    [[nodiscard]] std::unique_ptr<JournalSegment> find_before(Offset to);
    [[nodiscard]] bool has_beginning(JournalSegment& segment);
    bool read_frame(std::string_view& frame);
    std::optional<Piece> take(std::string_view frame, std::size_t most);
    std::optional<Piece> take_gap(const msg::Gap& gap, bool is_beginning);
    Piece part(std::size_t most);
    void enter(std::unique_ptr<JournalSegment> segment);
    [[nodiscard]] Message decode(std::string_view frame, Offset near);
    [[noreturn]] void damaged(Offset near, const std::string& why) const;

    std::string folder_;
    StreamId stream_;
    Offset at_ = 0;
    Crc32 sum_;
    bool is_at_eof_ = false;
    std::unique_ptr<JournalSegment> segment_;
    MessageDecoder decoder_{kJournalLimits};
    // The bytes of the last record that were not returned yet. Lent by the decoder.
    std::string_view rest_;
    std::uint64_t rest_time_us_ = 0;
};

// Returns the offset that the last whole record reaches. Fast: checks no checksums, and decodes
// only the last record. Throws SysError.
[[nodiscard]] Offset journal_reach(const std::string& folder, StreamId stream);

}  // namespace frsh
