#include "client/run/run_outputs.hpp"

#include "client/run/exit_report.hpp"
#include "common/base/log.hpp"

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include <unistd.h>

namespace frsh {

RunOutputs::RunOutputs(EventLoop& loop, const StandardStreams& streams, To to, ClosedStdout closed)
    : to_(to),
      closed_(closed),
      out_(loop, "stdout", STDOUT_FILENO,
           streams.was_open[1] || closed == ClosedStdout::Ignored ? InheritedOutput::WasOpen::Yes
                                                                  : InheritedOutput::WasOpen::No),
      err_(loop, "stderr", STDERR_FILENO, InheritedOutput::WasOpen::Yes) {
    if (::isatty(STDOUT_FILENO) == 1) screen_.emplace(out_);
}

void RunOutputs::ScreenSink::write(std::string_view bytes) {
    modes_.feed(bytes);
    screen_.write(bytes);
}

void RunOutputs::reset_screen() {
    if (screen_ && to_ == To::Streams) out_.write(screen_->reset());
}

OutputSink& RunOutputs::out() {
    if (screen_) return sink(*screen_, spooled_out_);
    return sink(out_, spooled_out_);
}

OutputSink& RunOutputs::sink(OutputSink& stream, SpooledOutput& spooled) {
    switch (to_) {
        case To::Record:
            return spooled;
        case To::Journal:
            return unseen_;
        case To::Nowhere:
            return unwanted_;
        case To::Streams:
            break;
    }
    return stream;
}

bool RunOutputs::has_lost_reader() const {
    return closed_ == ClosedStdout::Matters && out_.failure() == EPIPE;
}

int RunOutputs::report_failures(int code) const {
    for (const auto& [sink, name] : {std::pair(&out_, "stdout"), {&err_, "stderr"}}) {
        const int error = sink->failure();
        if (error != 0 && error != EPIPE) {
            log::error(std::string(name) + ": " + std::strerror(error));
        }
        const bool is_lost_reader = sink == &out_ && has_lost_reader();
        code = code_after_failures(code, is_lost_reader ? EPIPE : 0, error);
    }
    for (const SpooledOutput* const spooled : {&spooled_out_, &spooled_err_}) {
        if (spooled->failure() != 0) log::error(spooled->problem());
        code = code_after_failures(code, 0, spooled->failure());
    }
    return code;
}

}  // namespace frsh
