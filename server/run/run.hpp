// One run: a command, its three streams, its limits, and the one record of how it ended.
//
//     state       leaves it when                                         for
//     Running     the main process ends                                  Draining
//     Draining    both streams ended, or whoever still holds one open    Ended
//                 has been silent for the linger time
//     Ended       all data and then `end` have been sent                 Told
//     Told        the client has acknowledged, or is gone                (removed by the session)
//
// A timeout, a cancel or a lost client begins an Termination beside this; the run then ends as soon
// as the main process is reaped and nothing it started is left.
#pragma once

#include "common/sys/pty.hpp"
#include "server/run/launch.hpp"
#include "server/run/output_reader.hpp"
#include "server/run/shell.hpp"
#include "server/run/stdin_writer.hpp"
#include "server/run/termination.hpp"

#include <array>
#include <memory>
#include <optional>

namespace frsh {

class Run : public Link::Source, private Evaluation {
  public:
    using Time = EventLoop::Time;

    // Starts the command. Where it cannot be started the run is born Ended, with NotStarted.
    Run(EventLoop& loop, const msg::Open& open, const LaunchContext& context);
    // The same, to be evaluated in a shell, which is lent until the run or the shell is over.
    Run(EventLoop& loop, const msg::Open& open, Shell& shell);
    // Never starts.
    Run(EventLoop& loop, const msg::Open& open, NotStarted why);
    ~Run() override;

    [[nodiscard]] Channel channel() const { return channel_; }
    [[nodiscard]] const std::string& id() const { return id_; }
    [[nodiscard]] pid_t pid() const { return pid_; }
    // A child of ours that has not been waited for: only then is a status of that pid this run's.
    [[nodiscard]] bool awaits(pid_t pid) const { return pid_ == pid && !origin_.reaped; }

    // From the client. Throw ProtocolError where it breaks the rules.
    void on(const msg::Data& data);
    void on(const msg::Eof& eof);
    void on(const msg::Credit& credit);
    void on(const msg::Stop& stop);
    void on(const msg::Signal& signal);
    void on(const msg::Cancel& cancel);
    void on(const msg::Resize& resize);
    // The client is gone for good: end everything, and tell nobody.
    void disconnect(Termination::First first, Time now);
    // The client has come back on a new connection, with so much of each stream; what it has not
    // got is said again. Returns how much of stdin has arrived. Throws ProtocolError.
    Offset resume(const msg::Resume::Point& point);
    // For one that is kept, instead of all of this: somebody else gives it its stdin from here on.
    Offset resume_stdin() { return in_->resume(); }
    [[nodiscard]] bool has_stdin_ended() const { return in_->has_ended(); }
    [[nodiscard]] bool has_stdin_control() const { return in_->has_control(); }
    void put_stdin_control(std::string& out, Channel channel) { in_->put_control(out, channel); }
    // Gives the two consumers all output that has arrived. Returns true if there was any.
    bool write_down(OutputConsumer& out, OutputConsumer& err);
    // All of it has been, and there is a record.
    [[nodiscard]] bool is_written_down() const;
    // End everything it started, and go on to tell how.
    void end_all(Termination::First first, Time now) {
        begin_ending(Reason::Disconnected, first, now);
    }
    [[nodiscard]] bool is_disconnected() const { return is_disconnected_; }
    [[nodiscard]] const OnDisconnect& on_disconnect() const { return on_disconnect_; }

    // From the system.
    void exited(const ExitStatus& status);
    void tick(Time now);
    [[nodiscard]] Time next_deadline() const;

    // Once it has ended.
    [[nodiscard]] const std::optional<msg::End>& record() const { return record_; }
    [[nodiscard]] bool is_told() const { return state_ == State::Told; }
    // Nobody waits for it any more, and nothing of it is left to be ended.
    [[nodiscard]] bool is_over() const;

    bool has_output() const override;
    void put_control(std::string& out) override;
    void put_chunk(std::string& out, std::size_t most) override;

  private:
    enum class State { Running, Draining, Ended, Told };
    enum class Reason { None, Wall, Idle, Canceled, Disconnected };

    explicit Run(const msg::Open& open);
    void start(EventLoop& loop, const msg::Open& open, const LaunchContext& context);
    void take_streams(EventLoop& loop, const msg::Open& open, CommandStreams streams);
    // Its three streams, ours and, in `theirs`, the command's own ends.
    CommandStreams make_pipes(const msg::Open& open, SpawnRequest& request,
                              std::array<Fd, 3>& theirs);
    CommandStreams make_terminal(const msg::Open& open, SpawnRequest& request,
                                 std::array<Fd, 3>& theirs);
    // As when a window is closed: whoever uses the terminal gets HUP, and it is of no use any more.
    void hang_up();
    void fail(EventLoop& loop, NotStarted why);
    void evaluation_ended(int code, const std::string& cwd) override;
    void shell_died(const ExitStatus& status) override;
    void evaluation_never_began() override;
    void shell_gone() override { shell_ = nullptr; }
    void begin_ending(Reason reason, Termination::First first, Time now);
    // The command is over: what is still in its pipes, then the end.
    void drain_rest(Time now);
    void check_progress(Time now);
    void end(Time now);
    [[nodiscard]] Time idle_deadline() const;
    [[nodiscard]] Time linger_deadline() const;
    [[nodiscard]] Outcome outcome() const;
    [[nodiscard]] std::optional<Usage> usage(Time now) const;
    [[nodiscard]] std::vector<ProcessName> find_holders() const;

    Channel channel_;
    std::string id_;
    pid_t pid_ = 0;
    ProcessOrigin origin_;  // The same, for finding what it started.
    State state_ = State::Running;
    Time started_;
    std::optional<Time> wall_deadline_;
    std::optional<std::chrono::milliseconds> idle_timeout_;
    std::optional<std::chrono::milliseconds> linger_;
    OnDisconnect on_disconnect_;
    Time ended_at_{};  // The main process.
    std::optional<ExitStatus> status_;
    std::shared_ptr<const OomKills> oom_kills_;
    std::optional<std::uint64_t> oom_kills_before_;
    std::optional<NotStarted> not_started_;
    Pty terminal_;  // Its master, of which both streams have a duplicate; on pipes there is none.
    std::unique_ptr<OutputReader> out_;
    std::unique_ptr<OutputReader> err_;
    std::unique_ptr<StdinWriter> in_;
    OutputReader* next_ = nullptr;  // Whose turn it is to send.
    OutputReader* after_next_ = nullptr;
    Reason reason_ = Reason::None;
    std::optional<Termination> termination_;
    // In a shell.
    Shell* shell_ = nullptr;                   // Null again once it is gone.
    bool has_turn_ = false;                    // What the shell evaluates, or will, is this.
    Time shell_deadline_ = EventLoop::kNever;  // Interrupted; after this the shell itself is ended.
    std::optional<std::string> cwd_;
    std::optional<msg::End> record_;
    bool is_disconnected_ = false;
};

}  // namespace frsh
