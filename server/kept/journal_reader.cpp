#include "server/kept/journal_reader.hpp"

#include "common/base/error.hpp"
#include "common/proto/json.hpp"
#include "server/kept/journal_segment.hpp"

#include <algorithm>
#include <utility>

#include <sys/stat.h>

namespace frsh {
namespace {

// How often a folder is listed again if each time the segment to be opened has been removed.
constexpr int kMaxListings = 100;

// Returns the offset behind the bytes that this frame covers. `bytes` are the first of the frame.
std::optional<Offset> end_of(std::string_view bytes) {
    if (bytes.size() < 4) return std::nullopt;
    const std::size_t header_size = read_u32(bytes);
    if (header_size > bytes.size() - 4) return std::nullopt;
    try {
        const JsonObject header = JsonObject::parse(bytes.substr(4, header_size));
        if (const auto to = header.maybe_whole("to", UINT64_MAX)) return to;
        const auto offset = header.maybe_whole("off", UINT64_MAX);
        if (!offset) return std::nullopt;
        const Offset size = header.maybe_whole("len", UINT64_MAX).value_or(0);
        return *offset + std::min<Offset>(size, kMaxData);
    } catch (const ProtocolError&) {
        return std::nullopt;
    }
}

}  // namespace

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

std::unique_ptr<JournalSegment> JournalReader::open(Offset start) const {
    Fd file = open_segment(segment_path(folder_, stream_, start));
    if (!file.is_open()) return nullptr;
    return std::make_unique<JournalSegment>(std::move(file), start);
}

// Returns true if the first record is whole. A segment without it is not used. Throws
// JournalDamaged.
bool JournalReader::has_beginning(JournalSegment& segment) {
    if (segment.start() == 0) return true;
    std::string_view frame;
    if (segment.read(frame) != JournalSegment::Found::Frame) return false;
    const Message message = decode(frame, segment.start());
    const auto* const gap = std::get_if<msg::Gap>(&message);
    const bool fits = gap != nullptr && gap->stream == stream_ && gap->to == segment.start() &&
                      gap->offset <= gap->to;
    if (!fits) damaged(segment.start(), "a segment does not begin with what is before it");
    return true;
}

// Returns the first segment that starts at `from` or behind it.
std::unique_ptr<JournalSegment> JournalReader::find_next(Offset from) {
    for (int listing = 0; listing < kMaxListings; ++listing) {
        const auto starts = list_segments(folder_, stream_);
        const auto found = std::lower_bound(starts.begin(), starts.end(), from);
        if (found == starts.end()) return nullptr;
        auto segment = open(*found);
        if (!segment) continue;  // The writer removed it after the listing; list again.
        if (has_beginning(*segment)) return segment;
        // The writer removes a segment that it could not begin before it begins another.
        if (found + 1 != starts.end()) damaged(*found, "a segment's beginning is not whole");
        return nullptr;
    }
    return nullptr;
}

// Returns the last segment that starts at `to` or before it.
std::unique_ptr<JournalSegment> JournalReader::find_before(Offset to) {
    for (int listing = 0; listing < kMaxListings; ++listing) {
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

// Reads the next frame from this segment or the one after it. Returns false at the present end.
bool JournalReader::read_frame(std::string_view& frame) {
    using Found = JournalSegment::Found;
    for (;;) {
        if (!segment_) segment_ = find_next(at_);
        if (!segment_) return false;
        if (segment_->read(frame) == Found::Frame) return true;
        // The writer begins another segment only when this one is complete. So the end of this
        // segment is final if another exists; what was torn above may be whole by now.
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
        // While the reader waits for more it holds no buffer, and no file that the writer may
        // remove.
        segment_->forget_read();
        decoder_ = MessageDecoder(kJournalLimits);
        if (segment_->is_at_start()) segment_.reset();
        return false;
    }
}

// Returns nothing for a record without content.
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
    // If `to` lies in the record that was read, no search is needed.
    if (to > at_ && to - at_ <= rest_.size()) {
        (void)part(static_cast<std::size_t>(to - at_));
        return;
    }
    // The search uses the decoder, which lent `rest_`.
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

// Continues at the start of the segment, with the offset and the checksum of its first record. A
// null segment is the journal's beginning.
void JournalReader::enter(std::unique_ptr<JournalSegment> segment) {
    segment_ = std::move(segment);
    at_ = 0;
    sum_ = {};
    is_at_eof_ = false;
    if (!segment_ || segment_->start() == 0) return;
    std::string_view frame;
    if (segment_->read(frame) != JournalSegment::Found::Frame)
        damaged(segment_->start(), "it is another");
    const Message message = decode(frame, segment_->start());
    const auto& gap = std::get<msg::Gap>(message);
    at_ = gap.to;
    sum_ = Crc32(gap.crc32);
    segment_->step_over(frame);
}

Offset journal_reach(const std::string& folder, StreamId stream) {
    const auto starts = list_segments(folder, stream);
    if (starts.empty()) return 0;
    const Fd file = open_segment(segment_path(folder, stream, starts.back()));
    if (!file.is_open()) return starts.back();
    struct stat info {};
    check(::fstat(file.get(), &info), "stat of a journal");
    const auto size = static_cast<std::uint64_t>(info.st_size);
    // Steps from one record to the next over their content. One read covers many small records.
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
