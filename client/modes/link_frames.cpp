#include "client/modes/link_frames.hpp"

#include "client/connection/connect.hpp"
#include "client/connection/connection.hpp"
#include "client/connection/stage_error.hpp"
#include "client/io/inherited_input.hpp"
#include "client/io/output_sink.hpp"
#include "client/run/interrupt_ladder.hpp"
#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/proto/message.hpp"
#include "common/sys/event_loop.hpp"
#include "common/sys/process.hpp"
#include "common/sys/signals.hpp"

#include <array>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include <poll.h>
#include <unistd.h>

namespace frsh {
namespace {

constexpr std::size_t kPassedAtOnce = 64 * 1024;

class FramePassage {
  public:
    FramePassage(const ClientOptions& options, const StandardStreams& streams)
        : signals_(without_ignored({SIGINT, SIGTERM, SIGHUP})),
          input_(STDIN_FILENO),
          output_(
              loop_, "stdout", STDOUT_FILENO,
              streams.was_open[1] ? InheritedOutput::WasOpen::Yes : InheritedOutput::WasOpen::No),
          connection_(connect_to(options)) {
        if (connection_.login) encode(to_server_, connection_.login->auth);
        watch();
    }

    int run() {
        while (state_ != State::Ended) {
            if (state_ == State::Greeting && EventLoop::Clock::now() >= deadline()) {
                throw UserError("the server did not answer the login in time");
            }
            if (state_ == State::Leaving && EventLoop::Clock::now() >= leave_at_) break;
            // poll(2) cannot see what TLS has decrypted already.
            if (connection_.transport->has_buffered() && output_.is_drained()) {
                read_server();
            } else {
                loop_.run_once(deadline());
            }
            if (output_.failure() != 0) leave(output_.failure() == EPIPE ? 128 + SIGPIPE : 255);
        }
        while (!output_.is_drained() && EventLoop::Clock::now() < leave_at_)
            loop_.run_once(leave_at_);
        finish();
        if (!refusal_.empty()) throw StageError("login", refusal_);
        return code_;
    }

  private:
    // Greeting ── hello ──▶ Open ── end of stdin, a signal, no reader ──▶ Leaving: `bye` is sent
    // Any state ── the server closed, or the connection failed ──▶ Ended
    enum class State { Greeting, Open, Leaving, Ended };

    [[nodiscard]] EventLoop::Time deadline() const {
        if (state_ == State::Leaving) return leave_at_;
        return state_ == State::Greeting ? connection_.hello_deadline : EventLoop::kNever;
    }

    void watch() {
        signal_watch_ = loop_.watch(
            "signals: to leave", signals_.fd(), [] { return short{POLLIN}; },
            [this](short) {
                for (const int number : signals_.take())
                    leave(128 + number, signal_name(number));
            });
        input_watch_ = loop_.watch(
            "frames of the program", input_.fd(),
            [this] {
                const bool wants = state_ <= State::Open && to_server_.size() < kPassedAtOnce;
                return short(wants ? POLLIN : 0);
            },
            [this](short) { read_program(); });
        Transport& transport = *connection_.transport;
        read_watch_ = loop_.watch(
            "frames of the server", transport.read_fd(),
            [this, &transport] {
                const bool wants = state_ != State::Ended && output_.is_drained();
                return wants ? transport.read_events() : short{0};
            },
            [this](short) { read_server(); });
        write_watch_ = loop_.watch(
            "frames for the server", transport.write_fd(),
            [this, &transport] {
                const bool wants = !to_server_.empty() || transport.has_unsent();
                return wants && state_ != State::Ended ? transport.write_events() : short{0};
            },
            [this](short) { write_server(); });
    }

    void read_program() {
        const IoResult result = input_.read(buffer_.data(), buffer_.size());
        if (result.status == IoResult::Status::EndOfFile) leave(0);
        if (result.status == IoResult::Status::Done) {
            to_server_.append(buffer_.data(), result.bytes);
        }
    }

    void read_server() {
        try {
            const IoResult result = connection_.transport->read(buffer_.data(), buffer_.size());
            if (result.status == IoResult::Status::EndOfFile) return end("");
            if (result.status == IoResult::Status::WouldBlock) return;
            const std::string_view bytes(buffer_.data(), result.bytes);
            if (state_ == State::Greeting) look_at(bytes);
            output_.write(bytes);
        } catch (const std::exception& error) {
            end(error.what());
        }
    }

    void write_server() {
        try {
            const IoResult result = connection_.transport->write(to_server_);
            if (result.status == IoResult::Status::Done) to_server_.erase(0, result.bytes);
            // What the server sent before it closed still arrives.
            if (result.status == IoResult::Status::EndOfFile) to_server_.clear();
        } catch (const std::exception& error) {
            end(error.what());
        }
    }

    // Acts on the server's first message; the program gets it as well.
    void look_at(std::string_view bytes) {
        first_.frames().feed(bytes);
        const auto message = first_.next();
        if (!message) return;
        state_ = State::Open;
        const auto& login = connection_.login;
        if (const auto* const error = std::get_if<msg::Error>(&*message)) {
            refusal_ = "the server says: " + escape_controls(error->message);
            if (login && error->reason == "denied") {
                refusal_ = login->name +
                           ": Permission denied (publickey): " + escape_controls(error->message) +
                           "; " + login->tried;
                if (login->on_refused) login->on_refused();
            }
        } else if (login && login->on_accepted) {
            login->on_accepted();
        }
    }

    void leave(int code, std::optional<std::string> signal = {}) {
        if (state_ == State::Leaving || state_ == State::Ended) return;
        state_ = State::Leaving;
        code_ = code;
        leave_at_ = EventLoop::Clock::now() + kLeaveGracePeriod;
        encode(to_server_, msg::Bye{std::move(signal)});
    }

    void end(const std::string& problem) {
        if (state_ == State::Open || state_ == State::Greeting) {
            code_ = 255;
            leave_at_ = EventLoop::Clock::now() + kLeaveGracePeriod;
            if (refusal_.empty())
                log::error(problem.empty() ? "the server closed the connection" : problem);
        }
        state_ = State::Ended;
    }

    // Closes the connection and waits for the end of its child process.
    void finish() {
        state_ = State::Ended;
        read_watch_.reset();
        write_watch_.reset();
        connection_.transport.reset();
        if (!connection_.child) return;
        bool has_ended = false;
        const auto watch = loop_.watch(
            "the child process of the connection has ended", connection_.child->pidfd.get(),
            [] { return short{POLLIN}; }, [&has_ended](short) { has_ended = true; });
        const auto until = EventLoop::Clock::now() + kLeaveGracePeriod;
        while (!has_ended && EventLoop::Clock::now() < until)
            loop_.run_once(until);
        (void)reap(connection_.child->pid);
    }

    // One member more than usual: each direction has its bytes and its watch.
    EventLoop loop_;
    Signals signals_;
    InheritedInput input_;
    InheritedOutput output_;
    Connection connection_;
    std::string to_server_;
    std::array<char, kPassedAtOnce> buffer_;
    MessageDecoder first_;
    std::string refusal_;
    State state_ = State::Greeting;
    int code_ = 0;
    EventLoop::Time leave_at_ = EventLoop::kNever;
    EventLoop::Watch signal_watch_;
    EventLoop::Watch input_watch_;
    EventLoop::Watch read_watch_;
    EventLoop::Watch write_watch_;
};

}  // namespace

int run_link_frames(const ClientOptions& options, const StandardStreams& streams) {
    return FramePassage(options, streams).run();
}

}  // namespace frsh
