#include "common/base/byte_queue.hpp"

#include <algorithm>
#include <cstddef>
#include <random>
#include <string>
#include <string_view>

#include <doctest/doctest.h>

using frsh::ByteQueue;

namespace {

std::string content(const ByteQueue& queue) {
    std::string all;
    while (all.size() < queue.size()) {
        const std::string_view piece = queue.piece(all.size());
        REQUIRE_FALSE(piece.empty());
        all += piece;
    }
    return all;
}

}  // namespace

TEST_CASE("byte queue: bytes come out in order for all sizes") {
    std::mt19937 random(7);
    ByteQueue queue;
    std::string expected;
    for (int step = 0; step < 3000; ++step) {
        const std::size_t size = random() % (random() % 10 == 0 ? 200'000 : 3'000);
        if (random() % 2 == 0) {
            std::string bytes(size, '\0');
            for (char& c : bytes)
                c = static_cast<char>(random());
            if (random() % 2 == 0) {
                queue.append(bytes);
            } else {
                std::size_t room = 0;
                char* const place = queue.room(room);
                REQUIRE(room > 0);
                bytes.resize(std::min(room, bytes.size()));
                bytes.copy(place, bytes.size());
                queue.commit(bytes.size());
            }
            expected += bytes;
        } else {
            const std::size_t count = std::min(size, expected.size());
            queue.drop(count);
            expected.erase(0, count);
        }
        REQUIRE(queue.size() == expected.size());
        REQUIRE(queue.is_empty() == expected.empty());
        if (expected.size() < 400'000 && step % 10 == 0) REQUIRE(content(queue) == expected);
    }
}

TEST_CASE("byte queue: a piece beyond the end is empty") {
    ByteQueue queue;
    CHECK(queue.piece().empty());
    queue.append("abc");
    CHECK(queue.piece(1) == "bc");
    CHECK(queue.piece(3).empty());
    CHECK(queue.piece(1000).empty());
    queue.clear();
    CHECK(queue.is_empty());
    CHECK(queue.piece().empty());
}

TEST_CASE("byte queue: a piece stays in place while bytes are appended") {
    ByteQueue queue;
    queue.append("lent");
    const std::string_view lent = queue.piece();
    queue.append(std::string(10 * ByteQueue::kBlockSize, 'x'));
    CHECK(queue.piece().data() == lent.data());
    CHECK(lent == "lent");
}

TEST_CASE("byte queue: room that is not committed is offered again") {
    ByteQueue queue;
    std::size_t size = 0;
    (void)queue.room(size);
    CHECK(queue.is_empty());
    CHECK(queue.piece().empty());
    queue.append("x");
    CHECK(content(queue) == "x");
}
