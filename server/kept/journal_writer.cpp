#include "server/kept/journal_writer.hpp"

#include "common/base/error.hpp"
#include "server/kept/journal_record.hpp"
#include "server/kept/journal_segment.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace frsh {
namespace {

constexpr std::uint64_t kMinCap = std::uint64_t{16} * 1024;
constexpr std::size_t kSegments = 10;
constexpr std::size_t kStaying = kSegments / 2;
// More bytes than the record of a gap takes.
constexpr std::size_t kGapRecord = 160;
// More bytes than the record of data takes beside the data.
constexpr std::size_t kDataRecord = 160;

}  // namespace

JournalWriter::JournalWriter(std::string folder, StreamId stream, std::uint64_t cap)
    : folder_(std::move(folder)),
      stream_(stream),
      segment_size_(std::max(cap, kMinCap) / kSegments) {}

std::size_t JournalWriter::room_for(std::optional<Offset> reader) const {
    const auto most =
        static_cast<std::size_t>(std::min<std::uint64_t>(kMaxData, segment_size_ / 4));
    // The next segment takes the place of the first of the later ones, if those are complete.
    const bool is_full = staying_ == kStaying && later_.size() >= kSegments - kStaying;
    if (!reader || !is_full || *reader >= later_[1]) return most;
    return begins_segment(most + kDataRecord + kGapRecord) ? 0 : most;
}

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
        (is_kept ? covered_ : left_out_) += piece.size();
    }
}

void JournalWriter::gap(const msg::Gap& gap) {
    must(gap.offset == at_ && gap.to >= at_, "a journal's bytes follow each other");
    at_ = gap.to;
    sum_ = Crc32(gap.crc32);
    if (covered_ < at_) put(nullptr);
}

void JournalWriter::eof(Offset offset) {
    must(offset == at_, "a journal's bytes follow each other");
    const Message message = msg::Eof{0, stream_, at_};
    put(&message);
}

// Writes a gap record for a hole that is not covered yet, and then the message if there is one.
// Returns true if all of it is written.
bool JournalWriter::put(const Message* message) {
    records_.clear();
    if (message != nullptr) append_record(records_, *message);
    if (begins_segment(records_.size() + kGapRecord)) file_.close();
    if (!file_.is_open() && !begin_segment()) return false;

    std::string before;
    if (covered_ < at_ || (file_size_ == 0 && file_start_ != 0)) {
        append_record(before, msg::Gap{0, stream_, covered_, at_, sum_.value()});
        records_.insert(0, before);
    }
    const std::size_t written = write_records();
    if (written == records_.size()) {
        file_size_ += records_.size();
        covered_ = at_;
        return true;
    }
    note(errno);
    // A reader may have used the first of two records already: a whole record stays.
    if (!before.empty() && written >= before.size()) {
        file_size_ += before.size();
        covered_ = at_;
    }
    if (::ftruncate(file_.get(), static_cast<off_t>(file_size_)) == -1) {
        file_.close();
    } else if (file_size_ == 0) {
        drop_segment();
    }
    return false;
}

// Returns how many bytes of `records_` were written; sets errno if that is not all.
std::size_t JournalWriter::write_records() {
    std::string_view rest = records_;
    while (!rest.empty()) {
        errno = ENOSPC;  // For a write(2) that takes nothing and reports no error.
        const ssize_t put = ::write(file_.get(), rest.data(), rest.size());
        if (put == -1 && errno == EINTR) continue;
        if (put <= 0) break;
        rest.remove_prefix(static_cast<std::size_t>(put));
    }
    return records_.size() - rest.size();
}

bool JournalWriter::begin_segment() {
    const bool stays = staying_ < kStaying;
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
        ++staying_;
    } else {
        later_.push_back(at_);
    }
    return true;
}

// Removes the current segment, to which nothing could be written.
void JournalWriter::drop_segment() {
    ::unlink(segment_path(folder_, stream_, file_start_).c_str());
    file_.close();
    if (later_.empty()) {
        --staying_;
    } else {
        later_.pop_back();
    }
}

void JournalWriter::note(int error) {
    if (problem_ == 0) problem_ = error;
}

}  // namespace frsh
