#include "common/base/byte_queue.hpp"

#include <algorithm>
#include <cstring>

namespace frsh {

void ByteQueue::append(std::string_view bytes) {
    while (!bytes.empty()) {
        std::size_t size = 0;
        char* const place = room(size);
        const std::size_t count = std::min(size, bytes.size());
        std::memcpy(place, bytes.data(), count);
        commit(count);
        bytes.remove_prefix(count);
    }
}

char* ByteQueue::room(std::size_t& size) {
    if (blocks_.empty() || blocks_.back().end == kBlockSize) {
        // The block is not initialised: its bytes are written before they are read.
        if (spares_.empty()) spares_.emplace_back(new char[kBlockSize]);
        blocks_.push_back({std::move(spares_.back()), 0});
        spares_.pop_back();
    }
    Block& last = blocks_.back();
    size = kBlockSize - last.end;
    return last.bytes.get() + last.end;
}

void ByteQueue::commit(std::size_t size) {
    blocks_.back().end += size;
    size_ += size;
}

std::string_view ByteQueue::piece(std::size_t skip) const {
    std::size_t begin = begin_;
    for (const Block& block : blocks_) {
        if (begin + skip < block.end) {
            return {block.bytes.get() + begin + skip, block.end - begin - skip};
        }
        skip -= block.end - begin;
        begin = 0;
    }
    return {};
}

void ByteQueue::drop(std::size_t size) {
    size_ -= size;
    while (size > 0) {
        const std::size_t here = std::min(size, blocks_.front().end - begin_);
        begin_ += here;
        size -= here;
        if (begin_ < blocks_.front().end) return;
        drop_front();
    }
    if (size_ == 0) clear();
}

void ByteQueue::drop_front() {
    if (spares_.size() < kMostSpare) spares_.push_back(std::move(blocks_.front().bytes));
    blocks_.pop_front();
    begin_ = 0;
}

void ByteQueue::clear() {
    while (!blocks_.empty())
        drop_front();
    begin_ = size_ = 0;
}

}  // namespace frsh
