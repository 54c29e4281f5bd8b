#include "client/forward/hop_forward.hpp"

#include "client/cli/jump.hpp"
#include "client/cli/line_memory.hpp"
#include "client/cli/stdio_spec.hpp"
#include "client/cli/target.hpp"
#include "client/connection/connect.hpp"
#include "client/connection/hop_report.hpp"
#include "client/connection/server_connection.hpp"
#include "client/connection/stage_error.hpp"
#include "client/forward/forwarded_connection.hpp"
#include "client/io/output_sink.hpp"
#include "client/run/remote_run.hpp"
#include "client/run/stdin_source.hpp"
#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/keys/host_pattern.hpp"
#include "common/proto/message.hpp"
#include "common/sys/event_loop.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <exception>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace frsh {
namespace {

using namespace std::chrono_literals;

constexpr const char* kHopsFile = "hops";  // Lines "HOST frshd" and "HOST sshd".
// A firewall may drop the packets to frshd's port. sshd gets the time that is left.
constexpr std::chrono::milliseconds kTrialLimit = 3s;

class HopForward {
  public:
    HopForward(const ClientOptions& options, Connection connection, const HopReporter& reporter)
        : options_(options),
          name_(escape_controls(resolve_target(options).name)),
          reporter_(reporter),
          out_(loop_, "hop: to stdout", STDOUT_FILENO, InheritedOutput::WasOpen::Yes),
          server_(loop_, std::move(connection)),
          run_(server_.open(request(options), out_, err_)),
          input_(loop_, STDIN_FILENO, run_) {
        run_.on_start([this] { reporter_.up(); });
        // poll(2) reports the end of the reader whatever it is asked for. POLLPRI never occurs.
        reader_watch_ = loop_.watch(
            "hop: the reader of stdout is gone", STDOUT_FILENO,
            [this] { return has_reader_ ? short{POLLPRI} : short{0}; },
            [this](short) { has_reader_ = false; });
    }

    // Returns the exit code.
    int run() {
        while (has_reader_ && !(run_.is_finished() && out_.is_drained()) && out_.failure() == 0) {
            server_.turn();
            progress();
        }
        const bool is_whole = run_.has_exited();
        const std::optional<Outcome> outcome =
            run_.is_finished() ? std::optional(run_.outcome()) : std::nullopt;
        server_.leave();
        server_.finish(EventLoop::Clock::now() + kLeaveGracePeriod);
        if (outcome && !is_whole) report(*outcome);
        return is_whole ? 0 : 255;
    }

  private:
    enum class State { LoggingIn, Open, OutputEnded };

    static msg::Open request(const ClientOptions& options) {
        msg::Open open;
        open.run = new_run_id();
        open.mode = msg::Open::Mode::Connect;
        auto parsed = parse_stdio_forward(options.stdio_forward);
        if (const auto* const why = std::get_if<std::string>(&parsed)) throw UserError(*why);
        open.args = std::get<std::vector<std::string>>(std::move(parsed));
        return open;
    }

    void progress() {
        if (server_.is_known_to_lack("connect")) {
            throw StageError("server",
                             name_ + ": this server makes no connections for its clients");
        }
        if (server_.server() && state_ == State::LoggingIn) {
            state_ = State::Open;
            // Ctrl-C is for the remote command from now on.
            (void)std::signal(SIGINT, SIG_IGN);
            (void)std::signal(SIGQUIT, SIG_IGN);
            reporter_.at(name_ + " has not reached " + options_.stdio_forward);
        }
        const bool has_ended = run_.has_ended(StreamId::Stdout) && out_.is_drained();
        if (has_ended && state_ == State::Open) {
            state_ = State::OutputEnded;
            (void)::shutdown(STDOUT_FILENO, SHUT_WR);  // Fails for a pipe, which closes at the end.
        }
    }

    // Throws StageError: HopError's errno is that of the connection behind the hop.
    void report(const Outcome& outcome) const {
        const auto* const failure = std::get_if<NotStarted>(&outcome);
        if (failure == nullptr) {
            const auto* const lost = std::get_if<Lost>(&outcome);
            throw StageError("connect", name_ + ": the connection ended" +
                                            (lost != nullptr ? ": " + lost->message : ""));
        }
        if (failure->stage != "connect" || !server_.server()) {
            throw StageError(failure->stage, failure->message);
        }
        const std::string& to = options_.stdio_forward;
        throw HopError(
            "connect",
            name_ + " cannot connect to " + to + ": " + escape_controls(reason_of(*failure, to)),
            std::nullopt, failure->error);
    }

    const ClientOptions& options_;
    std::string name_;
    const HopReporter& reporter_;
    EventLoop loop_;
    InheritedOutput out_;
    NullSink err_{0};
    ServerConnection server_;  // After the sinks, which its runs use.
    RemoteRun& run_;
    StdinSource input_;
    bool has_reader_ = true;
    State state_ = State::LoggingIn;
    EventLoop::Watch reader_watch_;
};

// Returns only if no ssh can be executed. Throws UserError.
void become_ssh(const ClientOptions& options) {
    const JumpCommand command = resolve_sshd_hop(options, resolve_target(options));
    std::vector<std::string> words = command.argv;
    std::vector<char*> argv;
    for (std::string& word : words)
        argv.push_back(word.data());
    argv.push_back(nullptr);
    (void)::setenv(kHopDepth, command.depth.c_str(), 1);
    // secure_standard_streams() ignores SIGPIPE; a program inherits that.
    (void)std::signal(SIGPIPE, SIG_DFL);
    (void)std::signal(SIGINT, SIG_IGN);
    (void)std::signal(SIGQUIT, SIG_IGN);
    for (const std::string& program : command.programs)
        (void)::execv(program.c_str(), argv.data());
    throw UserError("ssh: cannot be executed: " + std::string(std::strerror(errno)));
}

// Returns true if the error means that no frshd answers on the host, and that it may have an sshd.
bool is_absence(const StageError& error) {
    if (error.stage() != "connect") return false;
    const int number = error.error_number();
    if (number == ECONNREFUSED || number == ETIMEDOUT) return true;
    // Another program answered, or none did in time. Not: a hop before this one failed.
    return number == 0 && dynamic_cast<const HopError*>(&error) == nullptr;
}

Connection connect_or_become_ssh(const ClientOptions& options) {
    if (!options.sshd_port) return connect_to(options);
    const std::string host = to_lower(resolve_target(options).asked);
    const std::string known = recall_line(kHopsFile, host);
    if (known == "sshd") become_ssh(options);
    ClientOptions trial = options;
    auto& limit = trial.settings.connect_timeout;
    const auto whole = connect_timeout_of(options.settings);
    if (known != "frshd")
        limit = whole.count() == 0 ? kTrialLimit : std::min(kTrialLimit, whole / 3);
    try {
        Connection connection = connect_to(trial);
        if (known != "frshd") remember_line(kHopsFile, host, "frshd");
        return connection;
    } catch (const StageError& error) {
        if (!is_absence(error)) throw;
        log::info(error.what());
        log::notice(escape_controls(host) +
                    ": no frshd answers there; from now on its sshd is used (ssh -W)");
        remember_line(kHopsFile, host, "sshd");
    }
    become_ssh(options);
    throw UserError("ssh: cannot be executed");
}

}  // namespace

int run_hop_forward(const ClientOptions& options) {
    const HopReporter reporter(options.hop_report);
    try {
        return HopForward(options, connect_or_become_ssh(options), reporter).run();
    } catch (const Interrupted&) {
        reporter.interrupted();
        throw;
    } catch (const std::exception& error) {
        if (!reporter.is_on()) throw;
        const auto* const staged = dynamic_cast<const StageError*>(&error);
        const auto* const hop = dynamic_cast<const HopError*>(&error);
        reporter.failed(hop != nullptr ? hop->error_number() : 0,
                        staged != nullptr ? staged->stage() : "usage", error.what());
        return 255;
    }
}

}  // namespace frsh
