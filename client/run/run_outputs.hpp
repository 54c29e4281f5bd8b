// RunOutputs owns the places where the output of one run goes: the streams of frsh, or a spool for
// the record of --json, or nowhere.
#pragma once

#include "client/io/output_sink.hpp"
#include "client/io/screen_modes.hpp"
#include "common/sys/event_loop.hpp"
#include "common/sys/startup.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace frsh {

class RunOutputs {
  public:
    enum class To {
        Streams,  // stdout and stderr of frsh.
        Record,   // A spool: the record of --json contains the output.
        Journal,  // Nowhere; the server's journal has it (--detach).
        Nowhere,  // The server need not send it (--wait).
    };
    // What a closed stdout means. ssh writes to /dev/null if its stdout was closed from the start,
    // goes on if the reader leaves, and exits as the command does.
    enum class ClosedStdout { Matters, Ignored };
    RunOutputs(EventLoop& loop, const StandardStreams& streams, To to, ClosedStdout closed);

    // The sinks to pass to the run.
    [[nodiscard]] OutputSink& out();
    [[nodiscard]] OutputSink& err() { return sink(err_, spooled_err_); }
    [[nodiscard]] InheritedOutput& standard_out() { return out_; }
    [[nodiscard]] const InheritedOutput& standard_out() const { return out_; }
    // Return the output for the record; nullptr if it goes elsewhere, or could not be stored.
    [[nodiscard]] const SpooledOutput* spooled_out() const { return spool(spooled_out_); }
    [[nodiscard]] const SpooledOutput* spooled_err() const { return spool(spooled_err_); }
    // Undoes what the output has changed on the user's terminal, for a program that cannot.
    void reset_screen();
    // Requests no further output of a detached run: only its outcome is of interest.
    void stop_detached() { unseen_.fail(EPIPE); }

    [[nodiscard]] bool is_drained() const { return out_.is_drained() && err_.is_drained(); }
    // Returns true if the reader of stdout has closed it, and that matters.
    [[nodiscard]] bool has_lost_reader() const;
    // Logs each failure but EPIPE. Returns the exit code with them taken into account.
    [[nodiscard]] int report_failures(int code) const;

  private:
    OutputSink& sink(OutputSink& stream, SpooledOutput& spooled);
    [[nodiscard]] const SpooledOutput* spool(const SpooledOutput& spooled) const {
        return to_ == To::Record && spooled.failure() == 0 ? &spooled : nullptr;
    }

    // Passes output on to a terminal and records the modes that it changes there.
    class ScreenSink : public OutputSink {
      public:
        explicit ScreenSink(InheritedOutput& screen) : screen_(screen) {}
        void write(std::string_view bytes) override;
        Offset take_used() override { return screen_.take_used(); }
        [[nodiscard]] bool is_drained() const override { return screen_.is_drained(); }
        [[nodiscard]] int failure() const override { return screen_.failure(); }
        [[nodiscard]] std::string reset() const { return modes_.reset(); }

      private:
        InheritedOutput& screen_;
        ScreenModes modes_;
    };

    To to_;
    ClosedStdout closed_;
    InheritedOutput out_;
    InheritedOutput err_;
    std::optional<ScreenSink> screen_;  // If stdout is a terminal.
    SpooledOutput spooled_out_;
    SpooledOutput spooled_err_;
    NullSink unseen_{0};
    NullSink unwanted_{EPIPE};
};

}  // namespace frsh
