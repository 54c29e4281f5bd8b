// What the teacher writes to its stdout.
#pragma once

#include "common/base/error.hpp"
#include "common/sys/fd.hpp"

#include <cerrno>
#include <csignal>
#include <string_view>

#include <unistd.h>

namespace frsh::demo {

// Writes all bytes. If the reader has gone (`frsh-demo all | head`), ends the process by SIGPIPE,
// without a word, as other programs do. Throws SysError otherwise.
inline void write_out(std::string_view bytes) {
    try {
        write_all(STDOUT_FILENO, bytes);
    } catch (const SysError& error) {
        if (error.code().value() != EPIPE) throw;
        std::signal(SIGPIPE, SIG_DFL);
        std::raise(SIGPIPE);
    }
}

}  // namespace frsh::demo
