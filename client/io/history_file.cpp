#include "client/io/history_file.hpp"

#include "common/base/log.hpp"
#include "common/sys/fd.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <optional>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace frsh {
namespace {

constexpr off_t kLargeFile = 4 * 1024 * 1024;  // Bytes. A larger file is written anew.
constexpr off_t kMostRead = 2 * kLargeFile;    // Only the end of a larger file counts.
constexpr std::size_t kLargestEntry = 256 * 1024;
constexpr std::string_view kHeadOfLibedit = "_HiStOrY_V2_";

bool is_octal(char c) {
    return c >= '0' && c <= '7';
}

// Returns nothing for a damaged line.
std::optional<std::string> decode_entry(std::string_view line) {
    std::string entry;
    for (std::size_t at = 0; at < line.size(); ++at) {
        const char c = line[at];
        const auto byte = static_cast<unsigned char>(c);
        if (byte < ' ' || byte == 0x7F) return std::nullopt;
        if (c != '\\') {
            entry += c;
            continue;
        }
        const std::string_view digits = line.substr(at + 1, 3);
        if (digits.size() < 3 || digits[0] > '3' ||
            !std::all_of(digits.begin(), digits.end(), is_octal)) {
            return std::nullopt;
        }
        entry +=
            static_cast<char>((digits[0] - '0') << 6 | (digits[1] - '0') << 3 | (digits[2] - '0'));
        at += 3;
    }
    return entry;
}

// Returns the end of the file, from the start of a line on.
std::string read_end(int file, off_t size) {
    const off_t begin = std::max<off_t>(0, size - kMostRead);
    std::string content(static_cast<std::size_t>(size - begin), '\0');
    std::size_t filled = 0;
    while (filled < content.size()) {
        const ssize_t got = ::pread(file, content.data() + filled, content.size() - filled,
                                    begin + static_cast<off_t>(filled));
        if (got == -1 && errno == EINTR) continue;
        if (got <= 0) break;
        filled += static_cast<std::size_t>(got);
    }
    content.resize(filled);
    if (begin > 0) content.erase(0, std::min(content.size(), content.find('\n')));
    return content;
}

// Waits for the lock of a file. Compaction holds it for milliseconds.
bool lock_shared(int file) {
    int result = 0;
    do {
        result = ::flock(file, LOCK_SH);
    } while (result == -1 && errno == EINTR);
    return result == 0;
}

// Returns true if the path still leads to the open file: write_anew() replaces it.
bool is_at(const std::string& path, const struct stat& open_file) {
    struct stat now {};
    return ::stat(path.c_str(), &now) == 0 && now.st_ino == open_file.st_ino &&
           now.st_dev == open_file.st_dev;
}

void keep_newest(std::vector<std::string>& entries) {
    if (entries.size() <= HistoryFile::kMostEntries) return;
    const auto surplus = static_cast<std::ptrdiff_t>(entries.size() - HistoryFile::kMostEntries);
    entries.erase(entries.begin(), entries.begin() + surplus);
}

}  // namespace

std::string encode_entry(std::string_view entry) {
    std::string line;
    for (const char c : entry) {
        const auto byte = static_cast<unsigned char>(c);
        const bool is_plain = byte >= ' ' && byte != 0x7F && c != '\\';
        // An entry must not look like the head of the file.
        if (is_plain && (!line.empty() || entry != kHeadOfLibedit)) {
            line += c;
            continue;
        }
        line += '\\';
        for (const int shift : {6, 3, 0})
            line += static_cast<char>('0' + (byte >> shift & 7));
    }
    return line + "\n";
}

HistoryContent parse_history(std::string_view content) {
    HistoryContent result;
    bool is_first = true;
    while (!content.empty()) {
        const std::size_t end = std::min(content.size(), content.find('\n'));
        const std::string_view line = content.substr(0, end);
        content.remove_prefix(std::min(content.size(), end + 1));
        const bool is_head = std::exchange(is_first, false) && line == kHeadOfLibedit;
        if (is_head || line.empty()) continue;
        auto entry = decode_entry(line);
        if (!entry) {
            ++result.damaged_lines;
        } else if (result.entries.empty() || result.entries.back() != *entry) {
            result.entries.push_back(std::move(*entry));
        }
    }
    return result;
}

std::vector<std::string> HistoryFile::load() const {
    const Fd file(::open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
    struct stat info {};
    if (!file.is_open() || ::fstat(file.get(), &info) == -1 || !S_ISREG(info.st_mode)) return {};
    HistoryContent content = parse_history(read_end(file.get(), info.st_size));
    if (content.damaged_lines > 0) {
        log::error(path_ + ": " + std::to_string(content.damaged_lines) +
                   " lines are damaged and are left out; the old file is " + path_ + ".damaged");
    }
    if (content.damaged_lines > 0 || info.st_size > kLargeFile) write_anew();
    keep_newest(content.entries);
    return std::move(content.entries);
}

// Replaces the file by its newest entries. Does nothing while another prompt has the lock.
void HistoryFile::write_anew() const {
    const Fd file(::open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY));
    struct stat info {};
    if (!file.is_open() || ::flock(file.get(), LOCK_EX | LOCK_NB) == -1) return;
    if (::fstat(file.get(), &info) == -1 || !is_at(path_, info)) return;
    HistoryContent content = parse_history(read_end(file.get(), info.st_size));
    keep_newest(content.entries);
    std::string text;
    for (const std::string& entry : content.entries)
        text += encode_entry(entry);

    const std::string shorter = path_ + ".new";
    (void)::unlink(shorter.c_str());  // A prompt was killed; this one has the lock.
    const Fd next(
        ::open(shorter.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!next.is_open()) return;
    const ssize_t written = ::write(next.get(), text.data(), text.size());
    if (written != static_cast<ssize_t>(text.size())) {
        (void)::unlink(shorter.c_str());
        return;
    }
    if (content.damaged_lines > 0) {
        const std::string damaged = path_ + ".damaged";
        (void)::unlink(damaged.c_str());
        // Without a copy the damaged lines are lost; the history itself is not.
        if (::link(path_.c_str(), damaged.c_str()) == -1) log::info(damaged + ": not kept");
    }
    (void)::rename(shorter.c_str(), path_.c_str());
}

void HistoryFile::append(std::string_view entry) const {
    std::string text = encode_entry(entry);
    if (text.size() > kLargestEntry) return;
    constexpr int kMostReplacements = 10;
    for (int attempt = 0; attempt < kMostReplacements; ++attempt) {
        const Fd file(::open(
            path_.c_str(), O_RDWR | O_APPEND | O_CREAT | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0600));
        struct stat info {};
        if (!file.is_open() || !lock_shared(file.get())) return;
        if (::fstat(file.get(), &info) == -1 || !S_ISREG(info.st_mode)) return;
        if (!is_at(path_, info)) continue;
        if ((info.st_mode & 077) != 0) (void)::fchmod(file.get(), 0600);
        // A full disk may have cut the entry before.
        char last = '\n';
        if (info.st_size > 0) (void)!::pread(file.get(), &last, 1, info.st_size - 1);
        if (last != '\n') text.insert(0, 1, '\n');
        (void)!::write(file.get(), text.data(), text.size());
        return;
    }
}

}  // namespace frsh
