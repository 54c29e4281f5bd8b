#include "client/io/line_reader.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"

#include <algorithm>
#include <utility>

namespace frsh {

LineReader::LineReader(EventLoop& loop, int fd, std::function<bool()> wanted) : input_(fd) {
    watch_ = loop.watch(
        "stdin: lines", input_.fd(),
        [this, wanted = std::move(wanted)]() -> short {
            const bool has_line = buffer_.find('\n', searched_) != std::string::npos;
            return !ended_ && !has_line && wanted() ? POLLIN : short{0};
        },
        [this](short) { on_readable(); });
}

void LineReader::on_readable() {
    char piece[64 * 1024];
    try {
        const IoResult result = input_.read(piece, sizeof piece);
        if (result.status == IoResult::Status::WouldBlock) return;
        ended_ = result.status == IoResult::Status::EndOfFile;
        buffer_.append(piece, result.bytes);
    } catch (const SysError& error) {
        log::error(std::string("stdin: ") + error.what());
        ended_ = true;
    }
}

std::optional<std::string> LineReader::take() {
    const std::size_t end = buffer_.find('\n', std::max(begin_, searched_));
    if (end == std::string::npos) {
        searched_ = buffer_.size();
        if (!ended_ || begin_ == buffer_.size()) return std::nullopt;
        std::string rest = buffer_.substr(begin_);
        buffer_.clear();
        begin_ = searched_ = 0;
        return rest;
    }
    std::string line = buffer_.substr(begin_, end - begin_);
    begin_ = searched_ = end + 1;
    if (begin_ > buffer_.size() / 2) {
        buffer_.erase(0, begin_);
        begin_ = searched_ = 0;
    }
    return line;
}

}  // namespace frsh
