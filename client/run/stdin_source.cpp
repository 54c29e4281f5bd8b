#include "client/run/stdin_source.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"

#include <algorithm>
#include <cstddef>
#include <string>

namespace frsh {

StdinSource::StdinSource(EventLoop& loop, int fd, RemoteRun& run) : input_(fd), run_(run) {
    watch_ = loop.watch(
        "stdin: bytes from the caller", input_.fd(),
        [this]() -> short {
            const bool wanted =
                !is_done_ && !is_paused_ && !run_.is_finished() && run_.stdin_room() > 0;
            return wanted ? POLLIN : short{0};
        },
        [this](short) { on_readable(); });
}

void StdinSource::on_readable() {
    char buffer[64 * 1024];
    const std::size_t size = std::min(sizeof buffer, run_.stdin_room());
    IoResult result;
    try {
        result = input_.read(buffer, size);
    } catch (const SysError& error) {
        log::error(std::string("stdin: ") + error.what());
        result = {IoResult::Status::EndOfFile};
    }
    if (result.status == IoResult::Status::WouldBlock) return;
    if (result.status == IoResult::Status::EndOfFile) {
        is_done_ = true;
        run_.finish_stdin();
        return;
    }
    run_.append_stdin({buffer, result.bytes});
}

}  // namespace frsh
