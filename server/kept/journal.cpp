#include "server/kept/journal.hpp"

#include "common/base/error.hpp"

#include <algorithm>
#include <charconv>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace frsh {
namespace {

constexpr std::uint64_t kMinCap = std::uint64_t{16} * 1024;
constexpr std::size_t kSegments = 10;
constexpr std::size_t kStaying = kSegments / 2;
// More than the record of a gap takes.
constexpr std::size_t kGapRecord = 160;
constexpr std::size_t kOffsetDigits = 16;
constexpr std::size_t kSmallRead = std::size_t{4} * 1024;
constexpr std::size_t kLargeRead = std::size_t{128} * 1024;
// Looks at a folder that is always another when what was seen is to be opened.
constexpr int kLooks = 100;

std::string segment_path(const std::string& folder, StreamId stream, Offset start) {
    std::string digits(kOffsetDigits, '0');
    char hex[kOffsetDigits];
    const std::size_t size =
        static_cast<std::size_t>(std::to_chars(hex, hex + sizeof hex, start, 16).ptr - hex);
    digits.replace(kOffsetDigits - size, size, hex, size);
    return folder + "/" + std::string(name_of(stream)) + "-" + digits;
}

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

// In order. A folder that is gone has none.
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

// O_NONBLOCK: whatever lies there, opening it does not wait.
Fd open_segment(const std::string& path) {
    Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
    if (!file.is_open() && errno != ENOENT) throw SysError("open " + path);
    return file;
}

// As many bytes as there are, up to `size`.
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

}  // namespace

// --- writing -------------------------------------------------------------------------------------

JournalWriter::JournalWriter(std::string folder, StreamId stream, std::uint64_t cap)
    : folder_(std::move(folder)),
      stream_(stream),
      segment_size_(std::max(cap, kMinCap) / kSegments) {}

void JournalWriter::data(Offset offset, std::uint64_t time_us, std::string_view bytes) {
    must(offset == at_, "a journal's bytes follow each other");
    const auto most =
        static_cast<std::size_t>(std::min<std::uint64_t>(kMaxData, segment_size_ / 4));
    while (!bytes.empty()) {
        const std::string_view piece = bytes.substr(0, most);
        bytes.remove_prefix(piece.size());
        const Message message = msg::Data{0, stream_, at_, time_us, piece};
        const bool is_kept = put(&message);
        sum_.update(piece);
        at_ += piece.size();
        (is_kept ? told_ : left_out_) += piece.size();
    }
}

void JournalWriter::gap(const msg::Gap& gap) {
    must(gap.offset == at_ && gap.to >= at_, "a journal's bytes follow each other");
    at_ = gap.to;
    sum_ = Crc32(gap.crc32);
    if (told_ < at_) put(nullptr);
}

void JournalWriter::eof(Offset offset) {
    must(offset == at_, "a journal's bytes follow each other");
    const Message message = msg::Eof{0, stream_, at_};
    put(&message);
}

// Writes what is left to tell of a hole, and the message, if any; true if all of it is written.
bool JournalWriter::put(const Message* message) {
    records_.clear();
    if (message != nullptr) append_record(records_, *message);
    const std::uint64_t needed = file_size_ + records_.size() + kGapRecord;
    if (file_size_ > 0 && needed > segment_size_) file_.close();
    if (!file_.is_open() && !begin_segment()) return false;

    std::string before;
    if (told_ < at_ || (file_size_ == 0 && file_start_ != 0)) {
        append_record(before, msg::Gap{0, stream_, told_, at_, sum_.value()});
        records_.insert(0, before);
    }
    std::string_view rest = records_;
    while (!rest.empty()) {
        errno = ENOSPC;  // Where nothing is taken, and nothing said.
        const ssize_t put = ::write(file_.get(), rest.data(), rest.size());
        if (put == -1 && errno == EINTR) continue;
        if (put <= 0) break;
        rest.remove_prefix(static_cast<std::size_t>(put));
    }
    if (rest.empty()) {
        file_size_ += records_.size();
        told_ = at_;
        return true;
    }
    note(errno);
    // A reader may have believed the first of two already: what is whole stays.
    const std::size_t written = records_.size() - rest.size();
    if (!before.empty() && written >= before.size()) {
        file_size_ += before.size();
        told_ = at_;
    }
    if (::ftruncate(file_.get(), static_cast<off_t>(file_size_)) == -1) {
        file_.close();
    } else if (file_size_ == 0) {
        drop_segment();
    }
    return false;
}

bool JournalWriter::begin_segment() {
    const bool stays = begun_ < kStaying;
    if (!stays && later_.size() >= kSegments - kStaying) {
        ::unlink(segment_path(folder_, stream_, later_.front()).c_str());
        later_.pop_front();
    }
    file_ = Fd(::open(segment_path(folder_, stream_, at_).c_str(),
                      O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    file_start_ = at_;
    file_size_ = 0;
    if (!file_.is_open()) {
        note(errno);
        return false;
    }
    if (stays) {
        ++begun_;
    } else {
        later_.push_back(at_);
    }
    return true;
}

// Nothing could be written to the current one: as though it had not been begun.
void JournalWriter::drop_segment() {
    ::unlink(segment_path(folder_, stream_, file_start_).c_str());
    file_.close();
    if (later_.empty()) {
        --begun_;
    } else {
        later_.pop_back();
    }
}

void JournalWriter::note(int error) {
    if (problem_ == 0) problem_ = error;
}

// --- reading -------------------------------------------------------------------------------------

// A file of records, read from one to the next. Stays readable when its name has gone.
class JournalReader::Segment {
  public:
    enum class Found {
        Frame,
        End,    // Of the file.
        Torn,   // It ends with something that is no whole record,
        Wrong,  // or goes on behind that.
    };

    Segment(Fd file, Offset start) : file_(std::move(file)), start_(start) {}

    [[nodiscard]] Offset start() const { return start_; }
    [[nodiscard]] bool is_at_start() const { return position_ == 0; }

    // The frame at this position; lent until the next call.
    Found read(std::string_view& frame) {
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
    void step_over(std::string_view frame) {
        last_ = position_;
        position_ += kRecordPrefix + frame.size();
    }
    void step_back() { position_ = last_; }
    // What was read may be another by now.
    void forget_read() {
        buffer_ = {};
        is_fast_ = false;
    }

  private:
    // The bytes from here on, at least `least` unless the file ends before.
    std::string_view fetch(std::size_t least) {
        if (position_ < buffer_start_ || position_ + least > buffer_start_ + buffer_.size()) {
            const std::size_t size = std::max(least, is_fast_ ? kLargeRead : kSmallRead);
            buffer_.resize(size);
            buffer_start_ = position_;
            buffer_.resize(read_at(file_.get(), position_, buffer_.data(), size));
            is_fast_ = buffer_.size() == size;
        }
        return std::string_view(buffer_).substr(
            static_cast<std::size_t>(position_ - buffer_start_));
    }
    // A file system that lost its power may leave zeros where nothing was written yet.
    [[nodiscard]] bool is_blank_from(std::uint64_t position) const {
        char bytes[kSmallRead];
        while (const std::size_t got = read_at(file_.get(), position, bytes, sizeof bytes)) {
            if (std::any_of(bytes, bytes + got, [](char c) { return c != 0; })) return false;
            position += got;
        }
        return true;
    }

    Fd file_;
    Offset start_;
    std::uint64_t position_ = 0;  // In the file, of the next record.
    std::uint64_t last_ = 0;      // And of the one before it.
    std::string buffer_;
    std::uint64_t buffer_start_ = 0;
    bool is_fast_ = false;
};

JournalReader::JournalReader(std::string folder, StreamId stream)
    : folder_(std::move(folder)), stream_(stream) {}
JournalReader::~JournalReader() = default;
JournalReader::JournalReader(JournalReader&&) noexcept = default;
JournalReader& JournalReader::operator=(JournalReader&&) noexcept = default;

void JournalReader::damaged(Offset near, const std::string& why) const {
    throw JournalDamaged(std::string(name_of(stream_)) + ": what was kept is damaged at offset " +
                         std::to_string(near) + ": " + why);
}

Message JournalReader::decode(std::string_view frame, Offset near) {
    std::string why = "a record holds something else than one message";
    try {
        decoder_.frames().feed(frame);
        auto message = decoder_.next();
        if (message && decoder_.frames().buffered() == 0) return std::move(*message);
    } catch (const ProtocolError& error) {
        why = error.what();
    }
    decoder_ = MessageDecoder(kJournalLimits);
    damaged(near, why);
}

std::unique_ptr<JournalReader::Segment> JournalReader::open(Offset start) const {
    Fd file = open_segment(segment_path(folder_, stream_, start));
    if (!file.is_open()) return nullptr;
    return std::make_unique<Segment>(std::move(file), start);
}

// Whether its first record is there, without which it is not believed to be one.
bool JournalReader::has_beginning(Segment& segment) {
    if (segment.start() == 0) return true;
    std::string_view frame;
    if (segment.read(frame) != Segment::Found::Frame) return false;
    const Message message = decode(frame, segment.start());
    const auto* const gap = std::get_if<msg::Gap>(&message);
    const bool fits = gap != nullptr && gap->stream == stream_ && gap->to == segment.start() &&
                      gap->offset <= gap->to;
    if (!fits) damaged(segment.start(), "a segment does not begin with what is before it");
    return true;
}

// The first that begins at `from` or behind.
std::unique_ptr<JournalReader::Segment> JournalReader::find_next(Offset from) {
    for (int look = 0; look < kLooks; ++look) {
        const auto starts = list_segments(folder_, stream_);
        const auto found = std::lower_bound(starts.begin(), starts.end(), from);
        if (found == starts.end()) return nullptr;
        auto segment = open(*found);
        if (!segment) continue;  // Gone since; there are others now.
        if (has_beginning(*segment)) return segment;
        // The writer takes one away that it could not begin, before it begins another.
        if (found + 1 != starts.end()) damaged(*found, "a segment's beginning is not whole");
        return nullptr;
    }
    return nullptr;
}

// The last that begins at `to` or before.
std::unique_ptr<JournalReader::Segment> JournalReader::find_before(Offset to) {
    for (int look = 0; look < kLooks; ++look) {
        const auto starts = list_segments(folder_, stream_);
        auto found = std::upper_bound(starts.begin(), starts.end(), to);
        bool is_gone = false;
        while (found != starts.begin() && !is_gone) {
            auto segment = open(*--found);
            if (segment && has_beginning(*segment)) return segment;
            is_gone = !segment;
        }
        if (!is_gone) return nullptr;
    }
    return nullptr;
}

std::optional<JournalReader::Piece> JournalReader::next(std::size_t most) {
    std::string_view frame;
    for (;;) {
        if (!rest_.empty()) return part(most);
        if (is_at_eof_ || !read_frame(frame)) return std::nullopt;
        const auto piece = take(frame, most);
        segment_->step_over(frame);
        if (piece) return piece;
    }
}

// The next frame of this segment, or else of the next.
bool JournalReader::read_frame(std::string_view& frame) {
    using Found = Segment::Found;
    for (;;) {
        if (!segment_) segment_ = find_next(at_);
        if (!segment_) return false;
        if (segment_->read(frame) == Found::Frame) return true;
        // The writer goes on to another segment when it has done with this one: only once there is
        // another, what is read here is the last of it. And what was torn before may be whole now.
        auto next = find_next(segment_->start() + 1);
        segment_->forget_read();
        const Found found = segment_->read(frame);
        if (found == Found::Frame) return true;
        if (next) {
            if (found != Found::End) damaged(at_, "a record in the middle is not whole");
            segment_ = std::move(next);
            continue;
        }
        if (found == Found::Wrong) damaged(at_, "a record in the middle is not what was written");
        // Who waits for more holds no memory meanwhile, and no file that may be taken back.
        segment_->forget_read();
        decoder_ = MessageDecoder(kJournalLimits);
        if (segment_->is_at_start()) segment_.reset();
        return false;
    }
}

// Nothing where there is nothing to tell.
std::optional<JournalReader::Piece> JournalReader::take(std::string_view frame, std::size_t most) {
    const Message message = decode(frame, at_);
    const bool is_beginning = segment_->is_at_start() && segment_->start() != 0;
    if (const auto* const gap = std::get_if<msg::Gap>(&message); gap && gap->stream == stream_) {
        return take_gap(*gap, is_beginning);
    }
    if (const auto* const data = std::get_if<msg::Data>(&message);
        data && data->stream == stream_ && !is_beginning) {
        if (data->offset != at_) damaged(at_, "data of offset " + std::to_string(data->offset));
        rest_ = data->bytes;
        rest_time_us_ = data->time_us;
        if (rest_.empty()) return std::nullopt;
        return part(most);
    }
    if (const auto* const eof = std::get_if<msg::Eof>(&message);
        eof && eof->stream == stream_ && !is_beginning) {
        if (eof->offset != at_) damaged(at_, "an end at offset " + std::to_string(eof->offset));
        is_at_eof_ = true;
        return Eof{};
    }
    damaged(at_, "a record that has no place here");
}

std::optional<JournalReader::Piece> JournalReader::take_gap(const msg::Gap& gap,
                                                            bool is_beginning) {
    const Offset from = is_beginning ? std::min(gap.to, at_) : gap.offset;
    if (from != at_ || gap.to < at_) {
        damaged(at_, "a hole from " + std::to_string(gap.offset) + " to " + std::to_string(gap.to));
    }
    if (gap.to == at_) {
        if (gap.crc32 != sum()) damaged(at_, "the checksum of what is before is another");
        return std::nullopt;
    }
    at_ = gap.to;
    sum_ = Crc32(gap.crc32);
    return Gap{from, gap.to, gap.crc32};
}

JournalReader::Piece JournalReader::part(std::size_t most) {
    const std::string_view bytes = rest_.substr(0, most);
    rest_.remove_prefix(bytes.size());
    const Offset offset = at_;
    at_ += bytes.size();
    sum_.update(bytes);
    return Data{offset, rest_time_us_, bytes};
}

void JournalReader::seek(Offset to) {
    if (to == at_ || (to > at_ && is_at_eof_)) return;
    // The decoder is needed for the search, and a part of what it lent may be.
    if (to > at_ && to - at_ <= rest_.size()) {
        (void)part(static_cast<std::size_t>(to - at_));
        return;
    }
    sum_.update(rest_);
    at_ += rest_.size();
    rest_ = {};
    auto segment = find_before(to);
    if (to < at_ || (segment && segment->start() > at_)) enter(std::move(segment));
    while (at_ < to) {
        const auto piece = next(static_cast<std::size_t>(std::min<Offset>(to - at_, kMaxData)));
        if (!piece) return;
        if (!std::holds_alternative<Eof>(*piece)) continue;
        is_at_eof_ = false;
        segment_->step_back();
        return;
    }
}

void JournalReader::seek_end() {
    seek(UINT64_MAX);
}

// Reads from the beginning of it, or of all; the offset and the checksum are there.
void JournalReader::enter(std::unique_ptr<Segment> segment) {
    segment_ = std::move(segment);
    at_ = 0;
    sum_ = {};
    is_at_eof_ = false;
    if (!segment_ || segment_->start() == 0) return;
    std::string_view frame;
    if (segment_->read(frame) != Segment::Found::Frame) damaged(segment_->start(), "it is another");
    const Message message = decode(frame, segment_->start());
    const auto& gap = std::get<msg::Gap>(message);
    at_ = gap.to;
    sum_ = Crc32(gap.crc32);
    segment_->step_over(frame);
}

// --- counting ------------------------------------------------------------------------------------

namespace {

// The offset behind what this frame is about; `bytes` are its first.
std::optional<Offset> end_of(std::string_view bytes) {
    if (bytes.size() < 4) return std::nullopt;
    const std::size_t header_size = read_u32(bytes);
    if (header_size > bytes.size() - 4) return std::nullopt;
    try {
        const Json header = Json::parse(bytes.substr(4, header_size));
        const auto whole = [&](const char* key) {
            const Json* const value = header.find(key);
            return value != nullptr ? value->whole() : nullptr;
        };
        if (const auto* const to = whole("to")) return *to;
        const auto* const offset = whole("off");
        if (offset == nullptr) return std::nullopt;
        const auto* const size = whole("len");
        return *offset + (size != nullptr ? std::min<Offset>(*size, kMaxData) : 0);
    } catch (const ProtocolError&) {
        return std::nullopt;
    }
}

}  // namespace

Offset journal_reach(const std::string& folder, StreamId stream) {
    const auto starts = list_segments(folder, stream);
    if (starts.empty()) return 0;
    const Fd file = open_segment(segment_path(folder, stream, starts.back()));
    if (!file.is_open()) return starts.back();
    struct stat info {};
    check(::fstat(file.get(), &info), "stat of a journal");
    const auto size = static_cast<std::uint64_t>(info.st_size);
    // From one record to the next, over what they hold. Of small ones many are read at once.
    char buffer[kSmallRead];
    std::uint64_t buffer_start = 0;
    std::size_t buffered = 0;
    std::uint64_t last = size;
    for (std::uint64_t at = 0; at + kRecordPrefix <= size;) {
        if (at + kRecordPrefix > buffer_start + buffered) {
            buffer_start = at;
            buffered = read_at(file.get(), at, buffer, sizeof buffer);
            if (buffered < kRecordPrefix) break;
        }
        const RecordPrefix prefix = record_prefix({buffer + (at - buffer_start), kRecordPrefix});
        const std::uint64_t next = at + kRecordPrefix + prefix.length;
        if (!is_sane(prefix) || next > size) break;
        last = at;
        at = next;
    }
    if (last == size) return starts.back();
    buffered = read_at(file.get(), last + kRecordPrefix, buffer, sizeof buffer);
    return std::max(starts.back(), end_of({buffer, buffered}).value_or(0));
}

}  // namespace frsh
