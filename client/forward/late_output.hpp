// LateOutput takes the output of a run before it is known where the output goes. It stores at most
// the stream's window, because the bytes do not count as used.
#pragma once

#include "client/io/output_sink.hpp"

#include <string>
#include <string_view>
#include <utility>

namespace frsh {

class LateOutput : public OutputSink {
  public:
    // Returns the stored bytes, which count as used from now on.
    [[nodiscard]] std::string take() {
        used_ += stored_.size();
        return std::exchange(stored_, {});
    }
    // Passes what is stored, and all that follows, on. `next` is lent.
    void pass_to(OutputSink& next) {
        next_ = &next;
        next_->write(std::exchange(stored_, {}));
    }

    void write(std::string_view bytes) override {
        if (next_ != nullptr) return next_->write(bytes);
        stored_ += bytes;
    }
    Offset take_used() override {
        return std::exchange(used_, 0) + (next_ != nullptr ? next_->take_used() : 0);
    }
    [[nodiscard]] bool is_drained() const override {
        return next_ != nullptr ? next_->is_drained() : stored_.empty();
    }
    [[nodiscard]] int failure() const override { return next_ != nullptr ? next_->failure() : 0; }

  private:
    std::string stored_;
    Offset used_ = 0;
    OutputSink* next_ = nullptr;
};

}  // namespace frsh
