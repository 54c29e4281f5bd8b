#include "client/modes/kept_runs.hpp"

#include "client/connection/connect.hpp"
#include "client/connection/server_connection.hpp"
#include "client/run/run_record.hpp"
#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include <sys/ioctl.h>
#include <unistd.h>

namespace frsh {
namespace {

// The most bytes that a list may have: many times what a server keeps.
constexpr std::size_t kMaxListed = 64 * 1024 * 1024;
// The exit code of kill(1) if the process does not exist.
constexpr int kNothingToKill = 1;

const char* state_of(const msg::Kept& kept) {
    if (std::holds_alternative<Lost>(kept.outcome)) return "lost";
    if (!std::holds_alternative<Running>(kept.outcome)) return "ended";
    return kept.is_shell ? "shell" : "running";
}

std::string age_in_words(std::uint64_t seconds) {
    struct Unit {
        std::uint64_t seconds;
        char name;
    };
    for (const Unit unit : {Unit{86'400, 'd'}, Unit{3600, 'h'}, Unit{60, 'm'}}) {
        if (seconds >= 2 * unit.seconds) return std::to_string(seconds / unit.seconds) + unit.name;
    }
    return std::to_string(seconds) + "s";
}

std::string command_in_words(const msg::Kept& kept) {
    using Mode = msg::Open::Mode;
    if (kept.mode == Mode::Argv) {
        std::vector<std::string> quoted;
        for (const std::string& arg : kept.args)
            quoted.push_back(shell_quote(arg));
        return join_words(quoted);
    }
    if (kept.mode == Mode::Login && !kept.is_shell) return "(a login shell)";
    return (kept.mode == Mode::Subsystem ? "(subsystem) " : "") + join_words(kept.args);
}

struct Row {
    std::string run, state, age, out, err, outcome, command;
};

std::string in_columns(const Row& row) {
    std::string line;
    const auto pad = [](std::size_t width, const std::string& text) {
        return std::string(text.size() < width ? width - text.size() : 0, ' ');
    };
    const auto add = [&](const std::string& text, std::size_t width) {
        line += text + pad(width, text) + "  ";
    };
    const auto add_number = [&](const std::string& text, std::size_t width) {
        line += pad(width, text) + text + "  ";
    };
    add(row.run, 16);
    add(row.state, 7);
    add_number(row.age, 4);
    add_number(row.out, 9);
    add_number(row.err, 9);
    add(row.outcome, 13);
    return line + row.command;
}

// Returns the first `columns` columns of well-formed UTF-8. Every character from CJK on counts as
// two columns: a line that is cut early is better than one that wraps.
std::string cut_to(const std::string& text, unsigned columns) {
    std::size_t at = 0;
    while (at < text.size()) {
        const auto first = static_cast<unsigned char>(text[at]);
        const std::size_t length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
        const unsigned needs = first < 0xE1 ? 1 : 2;
        if (needs > columns) break;
        columns -= needs;
        at += length;
    }
    return text.substr(0, at);
}

unsigned width_of_stdout() {
    winsize size{};
    const bool is_known =
        ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;  // False if stdout is no terminal.
    return is_known ? size.ws_col : 0;
}

// Sends one request at a time on one link. The answers belong to no run.
class Asker {
  public:
    explicit Asker(const ClientOptions& options)
        : server_(loop_, connect_to(options),
                  [this](const Message& message) { on_message(message); }) {}
    // Leaves attached runs, so that the server does not reserve their place for this client.
    ~Asker() {
        server_.leave();
        server_.finish(EventLoop::Clock::now() + kLeaveGracePeriod);
    }
    Asker(const Asker&) = delete;
    Asker& operator=(const Asker&) = delete;

    struct Runs {
        std::vector<msg::Kept> kept;
        std::uint64_t now = 0;  // The server's clock.
    };
    Runs list() {
        server_.link().send(msg::List{take_channel()});
        await([this] { return is_answered_; });
        if (refusal_) throw UserError(escape_controls(refusal_->message));
        return std::move(listed_);
    }

    // Returns false if the run lives in another session than an earlier one of this link: such a
    // request has to be the first of a link.
    [[nodiscard]] bool forget(const std::string& run) {
        server_.link().send(msg::Forget{take_channel(), run});
        await([this] { return is_answered_; });
        if (!refusal_) return true;
        if (has_asked_before_ && refusal_->reason == "elsewhere") return false;
        throw UserError(run + ": " + escape_controls(refusal_->message));
    }

    // Attaches at the present end of the output. With Follow, waits for the end of the run.
    enum class Until { Now, Attached, End };
    const RemoteRun& attach(const std::string& id, Until until) {
        msg::Attach request;
        request.run = id;
        request.out = request.err = std::nullopt;
        request.follow = until != Until::Now;
        run_ = &server_.attach(std::move(request), unwanted_, unwanted_);
        await([&] {
            return run_->is_finished() || (until == Until::Attached && run_->has_started());
        });
        check_run(id);
        return *run_;
    }
    const Outcome& follow() {
        await([this] { return run_->is_finished(); });
        check_run(run_->id());
        return run_->outcome();
    }
    RemoteRun& run() { return *run_; }

  private:
    Channel take_channel() {
        has_asked_before_ = channel_ != 0;
        is_answered_ = false;
        refusal_.reset();
        channel_ = server_.take_channel();
        return channel_;
    }

    template <typename IsThere>
    void await(IsThere is_there) {
        for (;;) {
            if (server_.is_known_to_lack("kept")) throw UserError("this server keeps no runs");
            if (is_there()) return;
            if (server_.is_down()) {
                const std::string& why = server_.problem();
                throw UserError(why.empty() ? "the connection closed before the answer" : why);
            }
            server_.turn();
        }
    }

    // `lost` from the server is an outcome. A missing `end` frame is an error of this request.
    void check_run(const std::string& id) const {
        if (run_->refusal()) throw UserError(id + ": " + escape_controls(*run_->refusal()));
        if (run_->is_finished() && !run_->end()) throw UserError(describe(run_->outcome()));
    }

    void on_message(const Message& message) {
        if (const auto* const kept = std::get_if<msg::Kept>(&message)) {
            take(*kept);
        } else if (const auto* const refused = std::get_if<msg::Refused>(&message)) {
            refusal_ = *refused;
            is_answered_ = refused->channel == channel_;
        } else if (const auto* const listed = std::get_if<msg::Listed>(&message)) {
            is_answered_ = listed->channel == channel_;
            listed_.now = listed->now;
        } else if (const auto* const forgotten = std::get_if<msg::Forgotten>(&message)) {
            is_answered_ = forgotten->channel == channel_;
        }
    }

    void take(const msg::Kept& kept) {
        if (is_answered_ || kept.channel != channel_)
            throw ProtocolError("a kept run that was not requested");
        for (const std::string& arg : kept.args)
            listed_bytes_ += arg.size();
        listed_bytes_ += sizeof kept;
        if (listed_bytes_ > kMaxListed) throw ProtocolError("a list of runs that does not end");
        listed_.kept.push_back(kept);
    }

    EventLoop loop_;
    NullSink unwanted_{EPIPE};
    ServerConnection server_;
    RemoteRun* run_ = nullptr;
    Channel channel_ = 0;
    bool is_answered_ = true;
    Runs listed_;
    std::size_t listed_bytes_ = 0;
    std::optional<msg::Refused> refusal_;
    bool has_asked_before_ = false;
};

int print_runs(const ClientOptions& options) {
    const auto [runs, now] = Asker(options).list();
    const unsigned width = width_of_stdout();
    std::string text;
    if (width != 0 && !runs.empty() && !options.json) text = kept_heading(width) + "\n";
    for (const msg::Kept& kept : runs)
        text += (options.json ? kept_json(kept) : kept_line(kept, now, width)) + "\n";
    try {
        write_all(STDOUT_FILENO, text);
    } catch (const SysError& error) {
        if (error.code().value() == EPIPE) return 128 + SIGPIPE;
        throw UserError(std::string("stdout: ") + error.code().message());
    }
    return 0;
}

int nothing_to_kill(const RemoteRun& run) {
    log::error(run.id() + ": has ended already: " + describe(run.outcome()));
    return kNothingToKill;
}

int kill_run(Asker& asker, const ClientOptions& options, const std::string& run_id) {
    const RemoteRun& before = asker.attach(run_id, Asker::Until::Now);
    const std::string id = before.id();
    if (!std::holds_alternative<Running>(before.outcome())) return nothing_to_kill(before);
    const RemoteRun& run = asker.attach(id, Asker::Until::Attached);
    if (run.is_finished()) return nothing_to_kill(run);
    if (!options.signal.empty()) {
        asker.run().signal(options.signal);
        // The server answers once it has sent the signal.
        asker.attach(id, Asker::Until::Now);
        return 0;
    }
    asker.run().cancel();
    log::info(id + ": " + describe(asker.follow()));
    return 0;
}

// Applies `act` to each run, also after one of them failed. Returns the exit code of the first
// failure, or 0.
template <typename Act>
int for_each_run(const std::vector<std::string>& runs, Act&& act) {
    int code = 0;
    for (const std::string& run : runs) {
        int result = 0;
        try {
            result = act(run);
        } catch (const UserError& error) {
            if (runs.size() == 1) throw;
            log::error(error.what());
            result = 255;
        }
        if (code == 0) code = result;
    }
    return code;
}

std::vector<std::string> requested_runs(Asker& asker, const KeptRequest& request) {
    std::vector<std::string> runs;
    if (request.all_ended) {
        for (const msg::Kept& kept : asker.list().kept) {
            const bool is_over = !std::holds_alternative<Running>(kept.outcome);
            if (is_over) runs.push_back(kept.run);
        }
        return runs;
    }
    runs.push_back(request.run);
    runs.insert(runs.end(), request.more.begin(), request.more.end());
    return runs;
}

}  // namespace

std::string kept_heading(unsigned width) {
    return cut_to(in_columns({"RUN", "STATE", "AGE", "STDOUT", "STDERR", "OUTCOME", "COMMAND"}),
                  width);
}

std::string kept_line(const msg::Kept& kept, std::uint64_t now, unsigned width) {
    const bool is_over = !std::holds_alternative<Running>(kept.outcome);
    const std::uint64_t age = now > kept.started_at ? now - kept.started_at : 0;
    const std::string line = escape_controls(
        in_columns({kept.run, state_of(kept), age_in_words(age), std::to_string(kept.out),
                    std::to_string(kept.err), is_over ? describe(kept.outcome) : "-",
                    command_in_words(kept)}));
    return width == 0 ? line : cut_to(line, width);
}

std::string kept_json(const msg::Kept& kept) {
    JsonObject record;
    record.add_text("run", kept.run);
    record.add_text("state", state_of(kept));
    record.add_whole("started_at", kept.started_at);
    if (kept.ended_at) record.add_whole("ended_at", *kept.ended_at);
    const bool is_argv = kept.mode == msg::Open::Mode::Argv;
    if (!kept.is_shell) add_command(record, {"", kept.args, is_argv});
    record.add_object("outcome", to_json(kept.outcome));
    for (const auto& [stream, bytes] : {std::pair("stdout", kept.out), {"stderr", kept.err}}) {
        JsonObject summary;
        summary.add_whole("bytes", bytes);
        record.add_object(stream, summary);
    }
    return record.dump();
}

int run_kept_request(const ClientOptions& options) {
    switch (options.request->kind) {
        case KeptRequest::Kind::List:
            return print_runs(options);
        default:
            break;
    }
    std::optional<Asker> asker(std::in_place, options);
    const auto runs = requested_runs(*asker, *options.request);
    if (options.request->kind == KeptRequest::Kind::Kill) {
        return for_each_run(runs, [&](const std::string& run) {
            if (run != runs.front()) asker.emplace(options);
            return kill_run(*asker, options, run);
        });
    }
    return for_each_run(runs, [&](const std::string& run) {
        while (!asker->forget(run))
            asker.emplace(options);
        return 0;
    });
}

}  // namespace frsh
