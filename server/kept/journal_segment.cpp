#include "server/kept/journal_segment.hpp"

#include "common/base/error.hpp"
#include "common/proto/message.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <memory>
#include <optional>

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

namespace frsh {
namespace {

constexpr std::size_t kOffsetDigits = 16;

std::optional<Offset> start_of(std::string_view name, StreamId stream) {
    const std::string_view prefix = name_of(stream);
    if (!name.starts_with(prefix)) return std::nullopt;
    name.remove_prefix(prefix.size());
    if (name.size() != 1 + kOffsetDigits || name[0] != '-') return std::nullopt;
    name.remove_prefix(1);
    if (name.find_first_not_of("0123456789abcdef") != std::string_view::npos) return std::nullopt;
    Offset start = 0;
    std::from_chars(name.data(), name.data() + name.size(), start, 16);
    return start;
}

}  // namespace

std::string segment_path(const std::string& folder, StreamId stream, Offset start) {
    std::string digits(kOffsetDigits, '0');
    char hex[kOffsetDigits];
    const std::size_t size =
        static_cast<std::size_t>(std::to_chars(hex, hex + sizeof hex, start, 16).ptr - hex);
    digits.replace(kOffsetDigits - size, size, hex, size);
    return folder + "/" + std::string(name_of(stream)) + "-" + digits;
}

std::vector<Offset> list_segments(const std::string& path, StreamId stream) {
    std::vector<Offset> starts;
    const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(path.c_str()), &::closedir);
    if (!folder) {
        if (errno == ENOENT) return starts;
        throw SysError("open " + path);
    }
    while (const dirent* const entry = ::readdir(folder.get())) {
        if (const auto start = start_of(entry->d_name, stream)) starts.push_back(*start);
    }
    std::sort(starts.begin(), starts.end());
    return starts;
}

Fd open_segment(const std::string& path) {
    Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
    if (!file.is_open() && errno != ENOENT) throw SysError("open " + path);
    return file;
}

std::size_t read_at(int fd, std::uint64_t offset, char* into, std::size_t size) {
    std::size_t total = 0;
    while (total < size) {
        const ssize_t got =
            ::pread(fd, into + total, size - total, static_cast<off_t>(offset + total));
        if (got == -1 && errno == EINTR) continue;
        if (check(got, "read of a journal") == 0) break;
        total += static_cast<std::size_t>(got);
    }
    return total;
}

bool is_sane(const RecordPrefix& prefix) {
    return prefix.length > 0 && prefix.length <= kMaxJournalFrame;
}

JournalSegment::Found JournalSegment::read(std::string_view& frame) {
    std::string_view bytes = fetch(kRecordPrefix);
    if (bytes.empty()) return Found::End;
    if (bytes.size() < kRecordPrefix) return Found::Torn;
    const RecordPrefix prefix = record_prefix(bytes);
    if (!is_sane(prefix)) return is_blank_from(position_) ? Found::Torn : Found::Wrong;
    const std::size_t size = kRecordPrefix + prefix.length;
    bytes = fetch(size);
    if (bytes.size() < size) return Found::Torn;
    frame = bytes.substr(kRecordPrefix, prefix.length);
    if (is_intact(prefix, frame)) return Found::Frame;
    return is_blank_from(position_ + size) ? Found::Torn : Found::Wrong;
}

void JournalSegment::step_over(std::string_view frame) {
    last_ = position_;
    position_ += kRecordPrefix + frame.size();
}

void JournalSegment::forget_read() {
    buffer_ = {};
    is_fast_ = false;
}

// Returns the bytes from this position on: at least `least`, unless the file ends before.
std::string_view JournalSegment::fetch(std::size_t least) {
    if (position_ < buffer_start_ || position_ + least > buffer_start_ + buffer_.size()) {
        const std::size_t size = std::max(least, is_fast_ ? kLargeRead : kSmallRead);
        buffer_.resize(size);
        buffer_start_ = position_;
        buffer_.resize(read_at(file_.get(), position_, buffer_.data(), size));
        is_fast_ = buffer_.size() == size;
    }
    return std::string_view(buffer_).substr(static_cast<std::size_t>(position_ - buffer_start_));
}

// Returns true if the file has only zeros from this position on. After a power failure, a file
// system may leave zeros at the end of a file.
bool JournalSegment::is_blank_from(std::uint64_t position) const {
    char bytes[kSmallRead];
    while (const std::size_t got = read_at(file_.get(), position, bytes, sizeof bytes)) {
        if (std::any_of(bytes, bytes + got, [](char c) { return c != 0; })) return false;
        position += got;
    }
    return true;
}

}  // namespace frsh
