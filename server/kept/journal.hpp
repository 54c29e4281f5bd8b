// One output stream of a kept run, on disk: written from its first byte on, and read from there by
// everybody who follows the run.
//
// A journal is a row of segments: files "stdout-OFFSET" and so on, OFFSET being that of its first
// byte in 16 hexadecimal digits. A segment is a row of records (journal_record.hpp), each with a
// frame as of PROTOCOL.md: data, gap or eof, on channel 0.
//
// Every segment but that at 0 begins with a gap frame whose "to" is its OFFSET and whose "crc32" is
// the checksum of all below: so reading can begin at any. A segment takes a tenth of the cap. The
// first five stay, and of those behind them the latest five; between the two there is then a hole,
// which a reader finds by the offsets and tells as a gap. What a full disk did not take is a hole
// of the same kind.
//
// A record that is whole is never taken back, so a reader may believe it at once. One that is not
// is cut off again by the writer, and never believed.
#pragma once

#include "common/proto/checksum.hpp"
#include "common/proto/message.hpp"
#include "common/sys/fd.hpp"
#include "server/kept/journal_record.hpp"
#include "server/run/output_consumer.hpp"

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <variant>

namespace frsh {

// Writing must never stand in the command's way: no function here throws, and what cannot be
// written is left out, counted, and tried again with the next. SIGXFSZ must be ignored.
class JournalWriter : public OutputConsumer {
  public:
    // `folder` is a path; `cap` in bytes on disk, of this stream, and at least 16 KiB.
    JournalWriter(std::string folder, StreamId stream, std::uint64_t cap);

    // Each begins where the one before has ended.
    void data(Offset offset, std::uint64_t time_us, std::string_view bytes) override;
    void gap(const msg::Gap& gap) override;
    // May be said again where it could not be written.
    void eof(Offset offset) override;

    // The errno of the first thing that could not be written; 0 while all is well.
    [[nodiscard]] int problem() const { return problem_; }
    // Bytes that were to be kept and are not, for want of room on the disk.
    [[nodiscard]] Offset left_out() const { return left_out_; }

  private:
    bool put(const Message* message);
    bool begin_segment();
    void drop_segment();
    void note(int error);

    std::string folder_;
    StreamId stream_;
    std::uint64_t segment_size_;  // The most that a segment takes, in bytes.
    Offset at_ = 0;               // Of the next byte that the command writes.
    Crc32 sum_;                   // Of everything below at_, kept or not.
    Offset told_ = 0;             // What is on disk covers all below this, with data or gaps.
    Fd file_;                     // The current segment.
    Offset file_start_ = 0;
    std::uint64_t file_size_ = 0;
    std::size_t begun_ = 0;     // Segments, of those that stay.
    std::deque<Offset> later_;  // The others, as far as they are still there.
    Offset left_out_ = 0;
    int problem_ = 0;
    std::string records_;  // Being written; here to be allocated once.
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
    ~JournalReader();
    JournalReader(JournalReader&&) noexcept;
    JournalReader& operator=(JournalReader&&) noexcept;

    // The next piece, of data at most `most` bytes (with 0, data that is next is an empty piece);
    // nothing at the present end, where later calls may find more. Throws JournalDamaged or
    // SysError.
    std::optional<Piece> next(std::size_t most);
    // The offset of what comes next, and the checksum of everything below it.
    [[nodiscard]] Offset at() const { return at_; }
    [[nodiscard]] std::uint32_t sum() const { return sum_.value(); }
    // The end of the stream has been read.
    [[nodiscard]] bool is_at_eof() const { return is_at_eof_; }
    // Reads on or anew until at() is this, or what comes first behind it (where it is in a hole),
    // or the present end. An end of the stream is left to next(). Throws as next().
    void seek(Offset to);
    void seek_end();

  private:
    class Segment;
    [[nodiscard]] std::unique_ptr<Segment> open(Offset start) const;
    [[nodiscard]] std::unique_ptr<Segment> find_next(Offset from);
    [[nodiscard]] std::unique_ptr<Segment> find_before(Offset to);
    [[nodiscard]] bool has_beginning(Segment& segment);
    bool read_frame(std::string_view& frame);
    std::optional<Piece> take(std::string_view frame, std::size_t most);
    std::optional<Piece> take_gap(const msg::Gap& gap, bool is_beginning);
    Piece part(std::size_t most);
    void enter(std::unique_ptr<Segment> segment);
    [[nodiscard]] Message decode(std::string_view frame, Offset near);
    [[noreturn]] void damaged(Offset near, const std::string& why) const;

    std::string folder_;
    StreamId stream_;
    Offset at_ = 0;
    Crc32 sum_;
    bool is_at_eof_ = false;
    std::unique_ptr<Segment> segment_;
    MessageDecoder decoder_{kJournalLimits};
    // Of a record that was read: what was not given out yet. Lent by the decoder.
    std::string_view rest_;
    std::uint64_t rest_time_us_ = 0;
};

// How far the command had got when the last whole record was written. Fast: nothing is summed, and
// nothing but the last record is looked at.
[[nodiscard]] Offset journal_reach(const std::string& folder, StreamId stream);

}  // namespace frsh
