#include "client/modes/editing_log.hpp"

#include "common/base/log.hpp"

#include <unistd.h>

namespace frsh {

EditingLog::EditingLog() : pipe_(make_pipe()) {
    set_nonblocking(pipe_.read_end.get());
    set_nonblocking(pipe_.write_end.get());
    log::set_descriptor(pipe_.write_end.get());
}

EditingLog::~EditingLog() {
    log::set_descriptor(STDERR_FILENO);
    (void)write_some(STDERR_FILENO, take());
}

std::string EditingLog::take() {
    std::string lines;
    char bytes[4096];
    for (;;) {
        const IoResult result = read_some(pipe_.read_end.get(), bytes, sizeof bytes);
        if (result.bytes == 0) return lines;
        lines.append(bytes, result.bytes);
    }
}

}  // namespace frsh
