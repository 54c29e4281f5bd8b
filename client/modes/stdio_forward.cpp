#include "client/modes/stdio_forward.hpp"

#include "client/cli/forward_spec.hpp"
#include "client/connection/connect.hpp"
#include "client/connection/server_connection.hpp"
#include "client/connection/stage_error.hpp"
#include "client/forward/forwarded_connection.hpp"
#include "client/forward/remote_forwards.hpp"
#include "client/io/output_sink.hpp"
#include "client/run/interrupt_ladder.hpp"
#include "client/run/stdin_source.hpp"
#include "common/base/last_word.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/sys/event_loop.hpp"
#include "common/sys/signals.hpp"

#include <csignal>
#include <string>
#include <utility>
#include <variant>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace frsh {
namespace {

class StdioForward {
  public:
    StdioForward(const ClientOptions& options, const std::vector<std::string>& to,
                 const StandardStreams& streams)
        : signals_(without_ignored({SIGINT, SIGTERM, SIGHUP})),
          to_(destination_text(to)),
          out_(loop_, "stdout", STDOUT_FILENO,
               streams.was_open[STDOUT_FILENO] ? InheritedOutput::WasOpen::Yes
                                               : InheritedOutput::WasOpen::No),
          server_(loop_, connect_to(options)),
          run_(open(options, to)),
          in_(loop_, STDIN_FILENO, run_) {
        watch_ = loop_.watch(
            "signals: to leave", signals_.fd(), [] { return short{POLLIN}; },
            [this](short) {
                for (const int number : signals_.take())
                    told_ = number;
            });
    }

    int run() {
        while (told_ == 0 && !(run_.is_finished() && out_.is_drained())) {
            server_.turn();
            if (server_.is_known_to_lack("connect")) {
                throw StageError("server", "-W: this server makes no connections for its clients");
            }
            end_output();
        }
        if (told_ != 0) server_.leave();
        server_.finish(EventLoop::Clock::now() + kLeaveGracePeriod);
        return told_ != 0 ? 128 + told_ : conclude();
    }

  private:
    RemoteRun& open(const ClientOptions& options, const std::vector<std::string>& to) {
        msg::Open open;
        open.run = new_run_id();
        open.mode = msg::Open::Mode::Connect;
        open.args = to;
        open.on_disconnect = forward_grace(options);
        return server_.open(std::move(open), out_, err_);
    }

    // Passes the end of the peer's direction on. The other one may go on.
    void end_output() {
        const bool has_ended = !run_.is_finished() && run_.has_ended(StreamId::Stdout);
        if (is_output_ended_ || !has_ended || !out_.is_drained()) return;
        is_output_ended_ = true;
        // If stdin is the same socket, closing this descriptor would not be seen.
        (void)::shutdown(STDOUT_FILENO, SHUT_WR);
        out_.close();
    }

    int conclude() {
        if (run_.has_exited()) return 0;
        const auto* const failure = std::get_if<NotStarted>(&run_.outcome());
        std::string why = "the connection was reset";
        if (failure != nullptr) {
            why = reason_of(*failure, to_);
        } else if (server_.is_down() && !server_.problem().empty()) {
            why = server_.problem();
        }
        log::last_word(escape_controls("-W " + to_ + ": " + why));
        return 255;
    }

    EventLoop loop_;
    Signals signals_;
    std::string to_;
    InheritedOutput out_;
    NullSink err_{0};
    ServerConnection server_;
    RemoteRun& run_;
    StdinSource in_;
    int told_ = 0;  // The signal that ends this client.
    bool is_output_ended_ = false;
    EventLoop::Watch watch_;
};

}  // namespace

int run_stdio_forward(const ClientOptions& options, const std::vector<std::string>& to,
                      const StandardStreams& streams) {
    if (!options.words.empty()) log::error("-W: the command is not run");
    return StdioForward(options, to, streams).run();
}

}  // namespace frsh
