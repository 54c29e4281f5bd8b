#include "client/modes/batch_progress.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/sys/fd.hpp"

#include <algorithm>
#include <chrono>

#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace frsh {
namespace {

using namespace std::chrono_literals;

constexpr auto kShortestShow = 100ms;
constexpr off_t kMostCounted = 64 * 1024 * 1024;

// Returns the lines of stdin from its offset on; nothing if it is no file, or a very long one.
std::optional<std::size_t> count_lines() {
    struct stat info {};
    const off_t begin = ::lseek(STDIN_FILENO, 0, SEEK_CUR);
    if (begin == -1 || ::fstat(STDIN_FILENO, &info) == -1 || !S_ISREG(info.st_mode) ||
        info.st_size - begin > kMostCounted) {
        return std::nullopt;
    }
    std::size_t lines = 0;
    char last = '\n';
    char buffer[65536];
    for (off_t at = begin;;) {
        const auto size = ::pread(STDIN_FILENO, buffer, sizeof buffer, at);
        if (size <= 0) break;
        lines += static_cast<std::size_t>(std::count(buffer, buffer + size, '\n'));
        last = buffer[size - 1];
        at += size;
    }
    return last == '\n' ? lines : lines + 1;
}

std::size_t width_of_stderr() {
    winsize size{};
    if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == -1 || size.ws_col == 0) return 80;
    return size.ws_col;
}

void put(std::string_view bytes) {
    try {
        write_all(STDERR_FILENO, bytes);
    } catch (const SysError&) {
        // The terminal has gone.
    }
}

}  // namespace

std::string progress_text(const BatchProgress::Counts& counts, std::optional<std::size_t> lines,
                          std::chrono::seconds time) {
    std::string text = std::to_string(counts.done) + " done, " + std::to_string(counts.failed) +
                       " failed, " + std::to_string(counts.running) + " running, ";
    if (lines) text += std::to_string(*lines - std::min(*lines, counts.begun)) + " left, ";
    const std::string seconds = std::to_string(time.count() % 60);
    return text + std::to_string(time.count() / 60) + (seconds.size() == 1 ? ":0" : ":") + seconds;
}

BatchProgress::BatchProgress()
    : is_shown_(::isatty(STDERR_FILENO) == 1 && log::level() != log::Level::Quiet),
      begun_at_(EventLoop::Clock::now()) {
    if (is_shown_) lines_ = count_lines();
}

void BatchProgress::show(const Counts& counts) {
    const auto now = EventLoop::Clock::now();
    if (!is_shown_ || is_in_a_line_ || now - shown_at_ < kShortestShow) return;
    const auto time = std::chrono::duration_cast<std::chrono::seconds>(now - begun_at_);
    const std::string text = progress_text(counts, lines_, time)
                                 .substr(0, std::max<std::size_t>(width_of_stderr(), 2) - 1);
    if (text == line_) return;
    shown_at_ = now;
    line_ = text;
    // The cursor stays at the beginning: a message of another part overwrites the line.
    put("\r\x1b[K" + text + "\r");
}

void BatchProgress::clear() {
    if (line_.empty()) return;
    line_.clear();
    put("\r\x1b[K");
}

void BatchProgress::make_room(std::string_view bytes) {
    if (bytes.empty()) return;
    clear();
    is_in_a_line_ = bytes.back() != '\n';
}

EventLoop::Time BatchProgress::next_change() const {
    if (!is_shown_ || is_in_a_line_) return EventLoop::kNever;
    return EventLoop::Clock::now() + (line_.empty() ? kShortestShow : 1000ms);
}

}  // namespace frsh
