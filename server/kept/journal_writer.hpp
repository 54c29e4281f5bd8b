// Writes a journal (journal.hpp has the format).
#pragma once

#include "common/proto/checksum.hpp"
#include "common/proto/message.hpp"
#include "common/proto/stream.hpp"
#include "common/sys/fd.hpp"
#include "server/run/output_consumer.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

namespace frsh {

// No function throws: a disk error must not stop the command. Bytes that cannot be written are left
// out and counted, and the next call tries again. The caller ignores SIGXFSZ.
class JournalWriter : public OutputConsumer {
  public:
    // `folder` is a path. `cap` is the most that this stream takes on disk, in bytes; values below
    // 16 KiB count as 16 KiB.
    JournalWriter(std::string folder, StreamId stream, std::uint64_t cap);

    // A live reader needs the bytes from this offset on; nothing: there is no live reader. No
    // segment is removed that such a reader still needs: the writer has no room instead.
    void hold_for(std::optional<Offset> reader) { needed_from_ = reader; }
    [[nodiscard]] std::size_t room() const override { return room_for(needed_from_); }
    // Returns what room() would be after hold_for().
    [[nodiscard]] std::size_t room_for(std::optional<Offset> reader) const;
    // Each call begins at the offset where the one before ended.
    void data(Offset offset, std::uint64_t time_us, std::string_view bytes) override;
    void gap(const msg::Gap& gap) override;
    // May be called again after a failure.
    void eof(Offset offset) override;

    // Returns the errno of the first failed write, or 0.
    [[nodiscard]] int problem() const { return problem_; }
    // Returns how many bytes were left out because they could not be written.
    [[nodiscard]] Offset left_out() const { return left_out_; }

  private:
    [[nodiscard]] bool begins_segment(std::uint64_t record_size) const {
        return !file_.is_open() || (file_size_ > 0 && file_size_ + record_size > segment_size_);
    }
    bool put(const Message* message);
    [[nodiscard]] std::size_t write_records();
    bool begin_segment();
    void drop_segment();
    void note(int error);

    std::string folder_;
    StreamId stream_;
    std::uint64_t segment_size_;  // The most that a segment takes, in bytes.
    Offset at_ = 0;               // The offset of the command's next byte.
    Crc32 sum_;                   // The checksum of all bytes below at_, kept or left out.
    Offset covered_ = 0;          // Data or gap records on disk cover all bytes below this.
    Fd file_;                     // The current segment, with where it starts and its size.
    Offset file_start_ = 0;
    std::uint64_t file_size_ = 0;
    std::size_t staying_ = 0;   // How many of the segments that stay have been begun.
    std::deque<Offset> later_;  // Where the later segments start that are still on disk.
    std::optional<Offset> needed_from_;
    Offset left_out_ = 0;
    int problem_ = 0;
    std::string records_;  // The records being written; a member so that it is allocated once.
};

}  // namespace frsh
