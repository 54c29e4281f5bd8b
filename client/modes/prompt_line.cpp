#include "client/modes/prompt_line.hpp"

#include "client/modes/prompt_text.hpp"
#include "common/base/log.hpp"

#include <chrono>
#include <utility>

namespace frsh {

using namespace std::chrono_literals;

PromptLine::PromptLine(EventLoop& loop, Screen& screen, ServerConnection& server,
                       RemoteShell& shell, const ClientOptions& options,
                       std::function<void()> show_news)
    : loop_(loop),
      screen_(screen),
      server_(server),
      shell_(shell),
      options_(options),
      show_news_(std::move(show_news)),
      editor_(
          loop, [this] { turn(); }, History::of(options.target)) {
    editor_.set_suggests(options.suggests);
}

LineEditor::Result PromptLine::read(const std::string& prompt, std::string& line,
                                    const std::string& head) {
    if (options_.log_file.empty()) log_.emplace();
    const auto result = editor_.read(prompt, line, head);
    ends_of_input_ = result == LineEditor::Result::EndOfFile ? ends_of_input_ + 1 : 0;
    log_.reset();
    lost_since_.reset();
    editor_.set_note("");
    return result;
}

void PromptLine::turn() {
    server_.link().flush();
    if (!server_.is_down() && !shell_.ended()) {
        loop_.run_once(lost_since_ ? EventLoop::Clock::now() + 1s : EventLoop::kNever);
    }
    note_connection();
    if (const std::string lines = log_ ? log_->take() : ""; !lines.empty()) {
        show_above([&] { screen_.say(lines); });
    }
    if (shell_.take_news() && shell_.has_terminal()) show_above(show_news_);
    if (server_.is_down() || shell_.ended()) editor_.interrupt();
}

void PromptLine::show_above(const std::function<void()>& show) {
    editor_.hide();
    show();
    editor_.show();
}

void PromptLine::note_connection() {
    const Time now = EventLoop::Clock::now();
    if (!server_.is_up() && !server_.is_down()) {
        if (!lost_since_) lost_since_ = now;
        const auto seconds = std::chrono::floor<std::chrono::seconds>(now - *lost_since_);
        editor_.set_note("no connection: " + std::to_string(seconds.count()) + " s");
    } else if (lost_since_) {
        const Time since = *std::exchange(lost_since_, std::nullopt);
        editor_.set_note("");
        if (server_.is_up())
            log::error("the connection is back after " + duration_text(now - since));
    }
}

}  // namespace frsh
