#include "server/kept/kept_run.hpp"

#include <cstring>

namespace frsh {
namespace {

std::optional<std::string> in_words(const JournalWriter& out, const JournalWriter& err) {
    std::string text;
    for (const auto& [writer, name] : {std::pair(&out, "stdout: "), std::pair(&err, "stderr: ")}) {
        if (writer->problem() == 0) continue;
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
    if (run_.write_down(out_, err_)) has_more();
    if (!run_.is_written_down()) return;
    msg::End record = *run_.record();
    record.journal = in_words(out_, err_);
    write_end(std::move(record));
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
