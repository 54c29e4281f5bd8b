// RemoteRun is one run as the client sees it. It requests a new run or attaches to a kept one,
// sends stdin, passes output to sinks, and compares counts and checksums with the server's record.
// It reports an outcome; if a byte or the record is missing, that outcome is Lost.
#pragma once

#include "client/io/output_sink.hpp"
#include "client/run/interrupt_ladder.hpp"
#include "common/link/link.hpp"
#include "common/proto/checksum.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace frsh {

// Returns a random run id, unguessable and unique.
[[nodiscard]] std::string new_run_id();

class RemoteRun : public Link::Source {
  public:
    enum class Ask { Now, Later };
    // Requests a new run. `out` and `err` are lent and outlive this. With Ask::Later the request is
    // sent by ask(): the link is down now. A forwarded connection takes its windows from `budgets`,
    // which are lent.
    RemoteRun(Link& link, msg::Open open, OutputSink& out, OutputSink& err, Ask ask = Ask::Now,
              WindowBudgets* budgets = nullptr);
    // Attaches to a kept run. No stdin is sent to it.
    RemoteRun(Link& link, msg::Attach attach, OutputSink& out, OutputSink& err, Ask ask = Ask::Now);
    ~RemoteRun() override;

    // For an attached run: the prefix that the caller gave, until the server sends the whole id.
    [[nodiscard]] const std::string& id() const { return id_; }
    [[nodiscard]] Channel channel() const { return channel_; }
    // Returns true if a later client can attach to it by its id.
    [[nodiscard]] bool is_kept() const { return is_kept_; }
    // Returns true if it continues after the client leaves.
    [[nodiscard]] bool outlasts_client() const {
        return is_attached() || on_disconnect_.kind == OnDisconnect::Kind::Keep;
    }
    [[nodiscard]] bool is_in_lasting_shell() const { return is_in_lasting_shell_; }

    // The stdin of the run. Room is the number of bytes that may be appended now.
    [[nodiscard]] std::size_t stdin_room() const { return in_.room(); }
    void append_stdin(std::string_view bytes) { in_.append(bytes); }
    void finish_stdin() { in_.finish(); }
    // Returns how many bytes this connection has carried; fewer than before after a resume.
    [[nodiscard]] Offset stdin_sent() const { return in_.sent(); }
    // Returns true once the command reads no more; appended bytes are dropped then.
    [[nodiscard]] bool is_stdin_unwanted() const { return in_.is_stopped(); }

    void signal(const std::string& name);
    void cancel();
    // Sends INT, sends TERM or cancels the run. Step::Leave concerns the connection: it is ignored.
    void interrupt(InterruptLadder::Step step);

    // Sets the size of the run's terminal. Of several pending sizes only the last is sent.
    void resize(const WindowSize& size) { window_.to_send = window_.wanted = size; }

    // Handles a message for this channel. Throws ProtocolError.
    void on_message(const Message& message);
    // The connection is lost for good: a run without an end becomes Lost.
    void link_down(const std::string& problem);

    // The connection is lost and will be replaced: nothing is sent until resume() or ask().
    void suspend() { suspension_.is_on = true; }
    // Returns the offsets that have arrived, from which the server continues. Returns nothing if
    // the run is to be requested again in any case: an `attach` without an answer.
    [[nodiscard]] std::optional<msg::Resume::Point> point() const;
    // Returns how many bytes have arrived at either end: of output here, of stdin there.
    [[nodiscard]] Offset progress() const;
    // Returns how long ago the request was first sent, if it has no answer yet; else 0. Includes
    // the time during which the machine slept.
    [[nodiscard]] std::chrono::milliseconds age() const;
    // Continues on the new connection, as the server's answer states. Throws ProtocolError.
    void resume(const msg::Resumed::Point& point);
    // The server has never seen this run. If the run has not started, sends the request again, and
    // all of stdin; else the run is Lost.
    void ask();
    // The run is Lost.
    void lose(const std::string& why);
    [[nodiscard]] const OnDisconnect& on_disconnect() const { return on_disconnect_; }
    // The server closed the connection with an `error`: a run that has not started never will.
    // `retry_after` is in seconds.
    void refused(const std::string& why, const char* stage,
                 std::optional<std::uint64_t> retry_after);
    // The seconds after which a repetition may succeed, if the server named them.
    [[nodiscard]] const std::optional<std::uint64_t>& retry_after() const {
        return answer_.retry_after;
    }

    [[nodiscard]] bool has_started() const { return answer_.has_started; }
    // The process id on the server's machine; 0 if there is none, or none was received yet.
    [[nodiscard]] std::int64_t pid() const { return answer_.pid; }
    // The server's reason for refusing this run, if it refused.
    [[nodiscard]] const std::optional<std::string>& refusal() const { return answer_.refusal; }
    // `callback` is called once, when the run has started and before its first output.
    void on_start(std::function<void()> callback) { on_start_ = std::move(callback); }
    // Returns true once the outcome is final and checked. Sinks may still hold output.
    [[nodiscard]] bool is_finished() const { return outcome_.has_value(); }
    [[nodiscard]] const Outcome& outcome() const { return *outcome_; }
    // Returns true if the command ended by itself: it was not killed, lost or left.
    [[nodiscard]] bool has_exited() const {
        return outcome_ && std::holds_alternative<Exited>(*outcome_);
    }
    // The server's record; empty if the connection was lost before it arrived.
    [[nodiscard]] const std::optional<msg::End>& end() const { return answer_.end; }
    // What this client counted, for the record of a lost run.
    [[nodiscard]] StreamSummary received(StreamId stream) const;
    // Returns true once the end of the stream has arrived, behind all its bytes.
    [[nodiscard]] bool has_ended(StreamId stream) const {
        return (stream == StreamId::Stdout ? out_ : err_).stream.is_finished();
    }
    // The offset at which the received output begins.
    [[nodiscard]] Offset begun_at(StreamId stream) const;

    // Returns true if a gap was received that this request did not ask for (--max-output).
    [[nodiscard]] bool lacks_bytes() const;

    bool has_output() const override;
    void put_control(std::string& out) override;
    void put_chunk(std::string& out, std::size_t most) override;

  private:
    struct Incoming {
        OutputSink& sink;
        ReceiveStream stream;
        Crc32 sum;
        Offset begun_at = 0;   // Bytes below this are not passed to the sink.
        Offset delivered = 0;  // Bytes.
        std::optional<Offset> gap_at;
        bool stop_sent = false;
    };

    struct Window {
        std::optional<WindowSize> to_send;
        std::optional<WindowSize> wanted;  // Sent again after a resume.
    };
    // What the server sent about the run.
    struct Answer {
        bool has_started = false;
        std::int64_t pid = 0;
        std::optional<std::string> refusal;
        std::optional<std::uint64_t> retry_after;  // Seconds.
        std::optional<msg::End> end;
    };
    struct Suspension {
        bool is_on = false;
        std::vector<Message> held_back;  // Signals requested while it is on.
    };

    void begin(Ask ask);
    [[nodiscard]] bool is_attached() const { return std::holds_alternative<msg::Attach>(request_); }
    Incoming& incoming(StreamId stream);
    void on_started(std::int64_t pid);
    static void begin_at(Incoming& in, std::optional<Offset> wanted,
                         const msg::Attached::Point& point, std::string_view name);
    void on_attached(const msg::Attached& attached);
    void on_refused(const msg::Refused& refused);
    void on_end(const msg::End& end);
    [[nodiscard]] std::optional<std::string> mismatch(const Incoming& in, const StreamSummary& told,
                                                      std::string_view name) const;
    // Makes stdin continue at `in`, and credit, `stop` and the size be sent again.
    void repeat_streams(Offset in);
    // Sends what was held back while the connection was down.
    void go_on();
    void say(const Message& message);

    Link& link_;
    Message request_;  // An Open or an Attach.
    Channel channel_;
    std::string id_;
    OnDisconnect on_disconnect_;
    bool is_kept_;
    bool is_in_lasting_shell_ = false;
    SendStream in_;
    Incoming out_;
    Incoming err_;
    Window window_;
    Answer answer_;
    Suspension suspension_;
    std::optional<std::chrono::milliseconds> asked_at_;  // CLOCK_BOOTTIME, of the first request.
    std::function<void()> on_start_;
    std::optional<Outcome> outcome_;
};

}  // namespace frsh
