// A segment of a journal (journal.hpp): the name of its file, and reading it record by record.
#pragma once

#include "common/proto/stream.hpp"
#include "common/sys/fd.hpp"
#include "server/kept/journal_record.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace frsh {

// The bytes of a first read; the bytes of a read when the one before was used up.
inline constexpr std::size_t kSmallRead = std::size_t{4} * 1024;
inline constexpr std::size_t kLargeRead = std::size_t{128} * 1024;

[[nodiscard]] std::string segment_path(const std::string& folder, StreamId stream, Offset start);
// Returns where the stream's segments start, sorted; nothing if the folder is gone. Throws
// SysError.
[[nodiscard]] std::vector<Offset> list_segments(const std::string& path, StreamId stream);
// Returns a closed Fd if there is no such file. Never blocks on a FIFO or device. Throws SysError.
[[nodiscard]] Fd open_segment(const std::string& path);
// Reads `size` bytes, or fewer if the file ends before. Returns how many. Throws SysError.
std::size_t read_at(int fd, std::uint64_t offset, char* into, std::size_t size);
// Returns false for a length that no record has.
[[nodiscard]] bool is_sane(const RecordPrefix& prefix);

// An open segment file. It stays readable when its name is removed.
class JournalSegment {
  public:
    enum class Found {
        Frame,
        End,    // The file ends here.
        Torn,   // The file ends with an incomplete record.
        Wrong,  // A record here is damaged, and the file goes on behind it.
    };

    JournalSegment(Fd file, Offset start) : file_(std::move(file)), start_(start) {}

    [[nodiscard]] Offset start() const { return start_; }
    [[nodiscard]] bool is_at_start() const { return position_ == 0; }

    // Reads the frame at this position, without moving on. The frame is lent until the next call.
    // Throws SysError.
    Found read(std::string_view& frame);
    void step_over(std::string_view frame);
    void step_back() { position_ = last_; }
    // Drops buffered bytes: the writer may have changed what follows them.
    void forget_read();

  private:
    std::string_view fetch(std::size_t least);
    [[nodiscard]] bool is_blank_from(std::uint64_t position) const;

    Fd file_;
    Offset start_;
    std::uint64_t position_ = 0;  // The place of the next record in the file.
    std::uint64_t last_ = 0;      // The place of the record before it.
    std::string buffer_;
    std::uint64_t buffer_start_ = 0;
    bool is_fast_ = false;  // The last read filled its buffer: read more at once.
};

}  // namespace frsh
