// A transport that reports every byte it carries to a Tap, and changes nothing.
//
// It wraps another transport. So wire_log.hpp shows exactly what the link read and wrote, call by
// call. Over TLS, these are the bytes before encryption.
#pragma once

#include "common/net/transport.hpp"

#include <cstddef>
#include <memory>
#include <string_view>
#include <utility>

namespace frsh {

// Called after each call that moved bytes, with those bytes.
class Tap {
  public:
    virtual ~Tap() = default;
    virtual void on_read(std::string_view bytes) = 0;
    virtual void on_write(std::string_view bytes) = 0;
};

class TappedTransport : public Transport {
  public:
    TappedTransport(std::unique_ptr<Transport> inner, std::unique_ptr<Tap> tap)
        : tap_(std::move(tap)), inner_(std::move(inner)) {}

    IoResult read(char* buffer, std::size_t size) override {
        const IoResult result = inner_->read(buffer, size);
        if (result.status == IoResult::Status::Done) tap_->on_read({buffer, result.bytes});
        return result;
    }
    IoResult write(std::string_view bytes) override {
        const IoResult result = inner_->write(bytes);
        if (result.status == IoResult::Status::Done) tap_->on_write(bytes.substr(0, result.bytes));
        return result;
    }
    void finish_writing() override { inner_->finish_writing(); }
    [[nodiscard]] int read_fd() const override { return inner_->read_fd(); }
    [[nodiscard]] int write_fd() const override { return inner_->write_fd(); }
    [[nodiscard]] short read_events() const override { return inner_->read_events(); }
    [[nodiscard]] short write_events() const override { return inner_->write_events(); }
    [[nodiscard]] bool has_buffered() const override { return inner_->has_buffered(); }

  private:
    std::unique_ptr<Tap> tap_;
    std::unique_ptr<Transport> inner_;
};

}  // namespace frsh
