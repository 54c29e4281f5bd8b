// Run is one run: a command, its three streams, its limits, and the one record of how it ended.
//
//     state       leaves it when                                           for
//     Running     the command ends                                         Draining
//     Draining    both streams ended, or processes that still hold one     Ended
//                 open have been silent for the linger time
//     Ended       all data and then `end` have been sent                   Told
//     Told        the client has acknowledged, or is gone                  (removed by the session)
//
// A timeout, a cancel or a lost client makes the executor end the command. Then the run ends as
// soon as the command has been waited for and no process that it started is left.
#pragma once

#include "common/link/link.hpp"
#include "common/proto/message.hpp"
#include "common/proto/outcome.hpp"
#include "common/sys/event_loop.hpp"
#include "common/sys/process.hpp"
#include "server/run/command_streams.hpp"
#include "server/run/executor.hpp"
#include "server/run/launch.hpp"
#include "server/run/output_consumer.hpp"
#include "server/run/output_reader.hpp"
#include "server/run/shell.hpp"
#include "server/run/stdin_writer.hpp"
#include "server/run/termination.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <sys/types.h>

namespace frsh {

class Run : public Link::Source, private Executor::Owner {
  public:
    using Time = EventLoop::Time;

    // Starts the command. If it cannot be started, the run is Ended at once, with NotStarted.
    Run(EventLoop& loop, const msg::Open& open, const LaunchContext& context);
    // Gives the command to a shell, which is lent until the run or the shell is destroyed.
    Run(EventLoop& loop, const msg::Open& open, Shell& shell);
    // Starts nothing: the run is Ended at once.
    Run(EventLoop& loop, const msg::Open& open, NotStarted why);
    ~Run() override = default;
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;

    [[nodiscard]] Channel channel() const { return channel_; }
    [[nodiscard]] const std::string& id() const { return id_; }
    // Returns 0 in a shell, and if nothing was started.
    [[nodiscard]] pid_t pid() const { return executor_ ? executor_->pid() : 0; }
    // Returns true if this is the command's process and it has not been waited for.
    [[nodiscard]] bool awaits(pid_t pid) const { return executor_ && executor_->awaits(pid); }

    // Messages of the client. They throw ProtocolError if the client breaks the protocol.
    void on(const msg::Data& data);
    void on(const msg::Eof& eof);
    void on(const msg::Credit& credit);
    void on(const msg::Stop& stop);
    void on(const msg::Signal& signal);
    void on(const msg::Cancel& cancel);
    void on(const msg::Resize& resize);
    // Ends everything, and sends no record. Called when the client is gone for good.
    void disconnect(Termination::First first, Time now);
    // The client is back on a new connection and has this much of each stream; sends the rest
    // again. Returns how much of stdin has arrived. Throws ProtocolError.
    Offset resume(const msg::Resume::Point& point);

    // For a kept run, whose output goes to a journal and whose stdin comes from its current holder.
    Offset resume_stdin() { return in_->resume(); }
    [[nodiscard]] bool has_stdin_ended() const { return in_->has_ended(); }
    [[nodiscard]] bool has_stdin_control() const { return in_->has_control(); }
    void put_stdin_control(std::string& out, Channel channel) { in_->put_control(out, channel); }
    // Gives the two consumers all output that has arrived. Returns true if there was any.
    bool write_down(OutputConsumer& out, OutputConsumer& err);
    // Returns true once the consumers have all output and there is a record.
    [[nodiscard]] bool is_written_down() const;
    // Ends everything the run started; the record is still made.
    void end_all(Termination::First first, Time now) {
        begin_ending(EndReason::Disconnected, first, now);
    }

    // In a shell with a name: its generation, for the record.
    void set_generation(std::uint64_t generation) {
        generation_ = generation;
        if (record_) record_->generation = generation;
    }

    [[nodiscard]] bool is_disconnected() const { return is_disconnected_; }
    [[nodiscard]] const OnDisconnect& on_disconnect() const { return on_disconnect_; }

    // Reports that the command's process was reaped.
    void exited(const ExitStatus& status);
    void tick(Time now);
    [[nodiscard]] Time next_deadline() const;

    // Returns the record once the run has ended.
    [[nodiscard]] const std::optional<msg::End>& record() const { return record_; }
    [[nodiscard]] bool is_told() const { return state_ == State::Told; }
    // Returns true once no client waits for the run and all that it started has ended.
    [[nodiscard]] bool is_over() const;

    bool has_output() const override;
    void put_control(std::string& out) override;
    void put_chunk(std::string& out, std::size_t most) override;

  private:
    enum class State { Running, Draining, Ended, Told };
    struct Limits {
        std::optional<Time> wall_deadline;
        std::optional<std::chrono::milliseconds> idle_timeout;
        std::optional<std::chrono::milliseconds> linger;
    };

    explicit Run(const msg::Open& open);
    void take_streams(EventLoop& loop, const msg::Open& open, CommandStreams streams);
    void fail(EventLoop& loop, NotStarted why);
    void command_ended(const ExitStatus& status) override;
    void command_never_began(NotStarted why) override;
    void hang_up();
    void begin_ending(EndReason reason, Termination::First first, Time now);
    void drain_rest(Time now);
    void check_progress(Time now);
    void end(Time now);
    [[nodiscard]] bool has_ended() const { return state_ >= State::Ended; }
    [[nodiscard]] const Termination* termination() const;
    [[nodiscard]] bool is_output_delivered() const;
    [[nodiscard]] Time idle_deadline() const;
    [[nodiscard]] Time linger_deadline() const;
    [[nodiscard]] Outcome outcome() const;
    [[nodiscard]] std::optional<Usage> usage(Time now) const;
    [[nodiscard]] std::vector<ProcessName> find_holders() const;

    // 17 members: identity, state and times, the executor with its result, and three streams. Each
    // group alone has no function that does not need another one.
    Channel channel_;
    std::string id_;
    OnDisconnect on_disconnect_;
    State state_ = State::Running;
    bool is_disconnected_ = false;  // The client is gone for good.
    Time started_;
    Time ended_at_{};  // When the command ended.
    Limits limits_;
    EndReason reason_ = EndReason::None;
    std::unique_ptr<Executor> executor_;  // Null if nothing was started.
    std::variant<std::monostate, ExitStatus, NotStarted> result_;
    std::unique_ptr<OutputReader> out_;  // Null if nothing was started, like err_.
    std::unique_ptr<OutputReader> err_;
    std::unique_ptr<StdinWriter> in_;
    StreamId first_to_send_ = StreamId::Stdout;  // Changes with each chunk.
    std::optional<std::uint64_t> generation_;
    std::optional<std::string> unread_;  // Typed ahead, on a terminal that goes on.
    std::optional<msg::End> record_;
};

}  // namespace frsh
