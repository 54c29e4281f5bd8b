// A queue of bytes: appended at one end, dropped at the other, in blocks that never move.
//
// A block is as large as the largest data frame, so a chunk for the wire is one piece of memory and
// nothing is copied to make it. Memory follows the size of the queue, except for a few spare blocks
// that are kept. free(3) returns memory at the end of the heap to the kernel, and allocating it
// again costs a page fault for each 4 KiB.
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
    // Spare blocks: half of a usual window (stream.hpp), which is what one credit releases.
    static constexpr std::size_t kMostSpare = 8;

    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] bool is_empty() const { return size_ == 0; }

    void append(std::string_view bytes);
    // Returns room to read the next bytes into; `size` is never 0. commit() adds what was read.
    char* room(std::size_t& size);
    void commit(std::size_t size);

    // Returns the bytes from `skip` on that lie in one piece; empty if `skip` is the end.
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
    std::size_t begin_ = 0;  // How many bytes of the first block have been dropped.
    std::size_t size_ = 0;
    std::vector<std::unique_ptr<char[]>> spares_;  // A steady flow allocates nothing.
};

}  // namespace frsh
