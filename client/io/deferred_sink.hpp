// DeferredSink stores output until let_through(), then passes it on to the real sink. So output
// appears in the order of the commands, however many run at once.
#pragma once

#include "client/io/output_sink.hpp"

#include <string_view>

namespace frsh {

class DeferredSink : public OutputSink {
  public:
    void write(std::string_view bytes) override;
    // Stored bytes count as used: they are spooled to a file.
    Offset take_used() override;
    [[nodiscard]] bool is_drained() const override { return true; }
    [[nodiscard]] int failure() const override;

    // Passes on only as much as the sink takes now, so that stored output stays out of memory.
    // Returns true once all stored output has been passed on. `sink` is lent from then on.
    bool let_through(OutputSink& sink);
    [[nodiscard]] const SpooledOutput& held() const { return held_; }

  private:
    SpooledOutput held_;
    Offset passed_on_ = 0;
    OutputSink* sink_ = nullptr;  // Set once all stored output has been passed on.
};

}  // namespace frsh
