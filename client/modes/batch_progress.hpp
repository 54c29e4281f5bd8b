// One line on the terminal of stderr: how far a batch is. It is there only while the batch waits,
// and gone at the end.
#pragma once

#include "common/sys/event_loop.hpp"

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace frsh {

class BatchProgress {
  public:
    struct Counts {
        std::size_t done = 0;
        std::size_t failed = 0;
        std::size_t running = 0;
        std::size_t begun = 0;  // Lines that were read, blank ones included.
    };

    // Shows nothing if stderr is no terminal, or with -q.
    BatchProgress();
    ~BatchProgress() { clear(); }
    BatchProgress(const BatchProgress&) = delete;
    BatchProgress& operator=(const BatchProgress&) = delete;

    [[nodiscard]] bool is_shown() const { return is_shown_; }
    // Writes the line if it has changed, at most ten times a second.
    void show(const Counts& counts);
    // Removes the line. Call it before anything else is written to the terminal.
    void clear();
    // Removes the line before these bytes go to a terminal. A text without a line end stays alone.
    void make_room(std::string_view bytes);
    // Returns when the line changes by itself, because of its time.
    [[nodiscard]] EventLoop::Time next_change() const;

  private:
    const bool is_shown_;
    const EventLoop::Time begun_at_;
    std::optional<std::size_t> lines_;  // The lines of stdin, if it is a file.
    EventLoop::Time shown_at_{};
    std::string line_;           // On the terminal at present; empty: none.
    bool is_in_a_line_ = false;  // The last output has no line end.
};

// Returns the line. `lines`: how many there are in all, if that is known.
[[nodiscard]] std::string progress_text(const BatchProgress::Counts& counts,
                                        std::optional<std::size_t> lines,
                                        std::chrono::seconds time);

}  // namespace frsh
