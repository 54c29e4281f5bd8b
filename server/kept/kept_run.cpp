#include "server/kept/kept_run.hpp"

#include "server/kept/journal_channel.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

namespace frsh {
namespace {

std::optional<std::string> in_words(const JournalWriter& out, const JournalWriter& err) {
    std::string text;
    for (const auto& [writer, name] : {std::pair(&out, "stdout: "), std::pair(&err, "stderr: ")}) {
        if (writer->left_out() == 0) continue;
        text += (text.empty() ? "" : "; ") + std::string(name) +
                std::to_string(writer->left_out()) +
                " bytes not kept: " + std::strerror(writer->problem());
    }
    if (text.empty()) return std::nullopt;
    return text;
}

}  // namespace

KeptRun::KeptRun(EventLoop& loop, const msg::Open& open, const LaunchContext& context,
                 std::unique_ptr<RunFolder> folder, std::uint64_t cap)
    : KeptJob(open.run, std::move(folder)),
      run_(loop, open, context),
      out_(path(), StreamId::Stdout, cap),
      err_(path(), StreamId::Stderr, cap),
      wish_(open.on_disconnect) {}

void KeptRun::write_down() {
    if (end()) return;
    out_.hold_for(needed_from(StreamId::Stdout));
    err_.hold_for(needed_from(StreamId::Stderr));
    if (run_.write_down(out_, err_)) has_more();
    if (!run_.is_written_down()) return;
    msg::End record = *run_.record();
    record.journal = in_words(out_, err_);
    write_end(std::move(record));
}

std::optional<Offset> KeptRun::needed_from(StreamId stream) const {
    std::optional<Offset> first;
    for (const JournalChannel* const follower : followers_) {
        const auto needed = follower->needed_from(stream);
        if (needed) first = std::min(*needed, first.value_or(*needed));
    }
    return first;
}

EventLoop::Time KeptRun::next_deadline() const {
    // A follower may have read on since write_down(), without an event that ends the wait.
    const bool has_new_room =
        (out_.room() == 0 && out_.room_for(needed_from(StreamId::Stdout)) > 0) ||
        (err_.room() == 0 && err_.room_for(needed_from(StreamId::Stderr)) > 0);
    return has_new_room && !end() ? Time() : run_.next_deadline();
}

void KeptRun::set_holder(const JournalChannel& journal_channel, const OnDisconnect& wish) {
    holder_ = &journal_channel;
    wish_ = wish;
}

void KeptRun::abandon(const JournalChannel& journal_channel, Termination::First first, Time now) {
    if (holder_ != &journal_channel) return;
    holder_ = nullptr;
    if (wish_.kind != OnDisconnect::Kind::Keep) run_.end_all(first, now);
}

}  // namespace frsh
