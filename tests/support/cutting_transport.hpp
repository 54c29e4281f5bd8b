// A transport that is cut as no network would dare to: the same bytes in the same order, in other
// pieces, or not all of them.
//
// TCP is a byte stream without boundaries. Code that relies on a boundary fails here.
#pragma once

#include "common/net/transport.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <random>
#include <string>

#include <sys/socket.h>

namespace frsh::test {

struct Cutting {
    enum class Kind { Whole, ByteByByte, Glued, ShortWrites, Random };
    static constexpr std::size_t kNoDrop = SIZE_MAX;

    Kind kind = Kind::Whole;
    unsigned seed = 1;
    // Beyond this many bytes read, or written, the connection is gone.
    std::size_t drop_read = kNoDrop;
    std::size_t drop_written = kNoDrop;

    [[nodiscard]] std::string name() const {
        constexpr const char* kNames[] = {"whole", "byte by byte", "glued", "short writes",
                                          "random"};
        return std::string(kNames[static_cast<int>(kind)]) + " " + std::to_string(seed);
    }
};

class CuttingTransport : public Transport {
  public:
    CuttingTransport(std::unique_ptr<Transport> inner, Cutting cutting)
        : inner_(std::move(inner)), cutting_(cutting), random_(cutting.seed) {}

    IoResult read(char* buffer, std::size_t size) override {
        size = std::min(size, cutting_.drop_read - read_);
        if (is_dropped_ || size == 0) return drop();
        IoResult result;
        switch (cutting_.kind) {
            case Cutting::Kind::ByteByByte:
                result = inner_->read(buffer, 1);
                break;
            case Cutting::Kind::Glued:
                result = read_all(buffer, size);
                break;
            case Cutting::Kind::Random:
                if (random_() % 4 == 0) return {IoResult::Status::WouldBlock};
                result = inner_->read(buffer, random_size(size));
                break;
            case Cutting::Kind::Whole:
            case Cutting::Kind::ShortWrites:
                result = inner_->read(buffer, size);
                break;
        }
        read_ += result.bytes;
        return result;
    }

    IoResult write(std::string_view bytes) override {
        bytes = bytes.substr(0, cutting_.drop_written - written_);
        if (is_dropped_ || bytes.empty()) return drop();
        switch (cutting_.kind) {
            case Cutting::Kind::ByteByByte:
                bytes = bytes.substr(0, 1);
                break;
            case Cutting::Kind::ShortWrites:
                would_block_next_ = !would_block_next_;
                if (would_block_next_) return {IoResult::Status::WouldBlock};
                bytes = bytes.substr(0, 1 + random_() % 7);
                break;
            case Cutting::Kind::Random:
                if (random_() % 4 == 0) return {IoResult::Status::WouldBlock};
                bytes = bytes.substr(0, random_size(bytes.size()));
                break;
            case Cutting::Kind::Whole:
            case Cutting::Kind::Glued:
                break;
        }
        const IoResult result = inner_->write(bytes);
        written_ += result.bytes;
        return result;
    }

    void finish_writing() override { inner_->finish_writing(); }
    [[nodiscard]] int read_fd() const override { return inner_->read_fd(); }
    [[nodiscard]] int write_fd() const override { return inner_->write_fd(); }

  private:
    IoResult drop() {
        is_dropped_ = true;
        ::shutdown(inner_->read_fd(), SHUT_RDWR);
        return {IoResult::Status::EndOfFile};
    }

    // All that has arrived, in one piece, however it was sent.
    IoResult read_all(char* buffer, std::size_t size) {
        std::size_t total = 0;
        while (total < size) {
            const IoResult result = inner_->read(buffer + total, size - total);
            if (result.status != IoResult::Status::Done) {
                if (total == 0) return result;
                break;
            }
            total += result.bytes;
        }
        return {IoResult::Status::Done, total};
    }

    std::size_t random_size(std::size_t most) {
        const std::size_t size = random_() % 3 == 0 ? random_() % 9 : random_() % 70'000;
        return std::clamp<std::size_t>(size, 1, most);
    }

    std::unique_ptr<Transport> inner_;
    Cutting cutting_;
    std::mt19937 random_;
    std::size_t read_ = 0;
    std::size_t written_ = 0;
    bool is_dropped_ = false;
    bool would_block_next_ = false;
};

}  // namespace frsh::test
