// Bytes that wait: appended at one end, dropped at the other, in blocks that never move.
//
// A block is as large as the largest data frame, so a chunk for the wire is one piece of memory and
// nothing is copied to make it. Memory follows what is waiting, but for a few blocks that are kept
// for the bytes to come: what malloc(3) gets back at the end of its heap it hands to the kernel,
// and to have it again costs a page fault for each 4 KiB.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <string_view>
#include <vector>

namespace frsh {

class ByteQueue {
  public:
    static constexpr std::size_t kBlockSize = 64 * 1024;
    // Half of a usual window (stream.hpp): as much as one credit lets go of.
    static constexpr std::size_t kMostSpare = 8;

    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] bool is_empty() const { return size_ == 0; }

    void append(std::string_view bytes);
    // Room for the next bytes to be read to directly: never empty; then say how many came.
    char* room(std::size_t& size);
    void commit(std::size_t size);

    // Bytes from `skip` on that lie in one piece; empty only where nothing lies there.
    [[nodiscard]] std::string_view piece(std::size_t skip = 0) const;
    void drop(std::size_t size);
    void clear();

  private:
    struct Block {
        std::unique_ptr<char[]> bytes;
        std::size_t end = 0;
    };
    void drop_front();

    std::deque<Block> blocks_;
    std::size_t begin_ = 0;  // Of the first block's bytes, what has been dropped.
    std::size_t size_ = 0;
    std::vector<std::unique_ptr<char[]>> spares_;  // A steady flow allocates nothing.
};

}  // namespace frsh
