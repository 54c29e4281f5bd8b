// Writes lines for a reader that may be slow or gone, and never waits for it.
#pragma once

#include <cstddef>
#include <string_view>

namespace frsh {

enum class PromptWrite {
    Written,
    Dropped,  // The reader of the pipe, FIFO, socket or terminal is slow or gone.
    Failed,   // errno is set.
};

// Writes the whole line, or as much of it as there is room for. Never blocks, except for a disk: a
// pipe has to be non-blocking for that if other processes write to it as well.
// Sets `*written` to the bytes that were written, unless it is null.
[[nodiscard]] PromptWrite write_promptly(int fd, std::string_view line,
                                         std::size_t* written = nullptr);

// Makes a pipe or FIFO non-blocking for this process and its children only. Other processes that
// have the pipe open are not affected. Changes nothing if /proc is not there.
void make_pipe_prompt(int fd);

}  // namespace frsh
