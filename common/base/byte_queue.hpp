// Bytes that wait: appended at one end, dropped at the other, in blocks that never move.
//
// A block is as large as the largest data frame, so a chunk for the wire is one piece of memory and
// nothing is copied to make it. Memory follows what is waiting; an empty queue holds none.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <string_view>

namespace frsh {

class ByteQueue {
  public:
    static constexpr std::size_t kBlockSize = 64 * 1024;

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
    std::deque<Block> blocks_;
    std::size_t begin_ = 0;  // Of the first block's bytes, what has been dropped.
    std::size_t size_ = 0;
    std::unique_ptr<char[]> spare_;  // The block dropped last: a steady flow allocates nothing.
};

}  // namespace frsh
