#include "server/listener/lingering_closes.hpp"

#include "common/base/error.hpp"

#include <algorithm>
#include <utility>

#include <sys/socket.h>

namespace frsh {
namespace {

// Reads and drops what the client has sent. Returns true once the client has closed or the
// connection is broken.
bool drain(const Fd& socket) {
    char ignored[4096];
    try {
        IoResult result;
        do {
            result = read_some(socket.get(), ignored, sizeof ignored);
        } while (result.status == IoResult::Status::Done);
        return result.status == IoResult::Status::EndOfFile;
    } catch (const SysError&) {
        return true;
    }
}

}  // namespace

void LingeringCloses::add(Fd socket, std::string_view last_words, Time now) {
    try {
        (void)write_some(socket.get(), last_words);
    } catch (const SysError&) {
        return;
    }
    ::shutdown(socket.get(), SHUT_WR);
    if (closings_.size() == kMost) closings_.erase(closings_.begin());
    closings_.push_back({std::move(socket), now + timeout_});
}

void LingeringCloses::tick(Time now) {
    std::erase_if(closings_, [now](const Closing& closing) {
        return drain(closing.socket) || now >= closing.deadline;
    });
}

LingeringCloses::Time LingeringCloses::next_deadline() const {
    return closings_.empty() ? EventLoop::kNever : closings_.front().deadline;
}

}  // namespace frsh
