#include "server/run/pipe_drain.hpp"

#include <cstddef>
#include <utility>

#include <poll.h>

namespace frsh {
namespace {

constexpr std::size_t kMaxDrainedPipes = 64;

}  // namespace

void PipeDrain::add(Fd pipe) {
    if (pipes_.size() == kMaxDrainedPipes) pipes_.erase(pipes_.begin());
    auto drained = std::make_unique<Drained>();
    Drained* const lent = drained.get();
    drained->pipe = std::move(pipe);
    drained->watch = loop_.watch(
        "shell: bytes of a run that is over", lent->pipe.get(), [] { return short{POLLIN}; },
        [this, lent](short) {
            char ignored[16384];
            if (read_some(lent->pipe.get(), ignored, sizeof ignored).status !=
                IoResult::Status::EndOfFile) {
                return;
            }
            std::erase_if(pipes_, [lent](const auto& one) { return one.get() == lent; });
        });
    pipes_.push_back(std::move(drained));
}

}  // namespace frsh
