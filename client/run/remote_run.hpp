// One run, seen from the client: asks for it, or for one that was kept, feeds its stdin, passes its
// output on, and checks that what arrived is what was sent. The only thing it ever reports is an
// outcome; where a byte or the record is missing, that outcome is Lost.
#pragma once

#include "client/io/output_sink.hpp"
#include "common/link/link.hpp"
#include "common/proto/checksum.hpp"

#include <functional>
#include <optional>
#include <string>

namespace frsh {

// Not to be guessed, and never the same twice.
[[nodiscard]] std::string new_run_id();

class RemoteRun : public Link::Source {
  public:
    enum class Ask { Now, Later };
    // `out` and `err` are lent and outlive this. Later: the link cannot say anything now; ask()
    // when it can.
    RemoteRun(Link& link, msg::Open open, OutputSink& out, OutputSink& err, Ask ask = Ask::Now);
    // One that somebody started before. It is given no stdin here.
    RemoteRun(Link& link, msg::Attach attach, OutputSink& out, OutputSink& err, Ask ask = Ask::Now);
    ~RemoteRun() override;

    // Of one that is attached to, as it was asked for until the server has said the whole of it.
    [[nodiscard]] const std::string& id() const { return id_; }
    [[nodiscard]] Channel channel() const { return channel_; }
    // It can be asked for again by its id.
    [[nodiscard]] bool is_kept() const { return is_kept_; }
    // It goes on when its client leaves.
    [[nodiscard]] bool outlasts_client() const {
        return is_attached() || on_disconnect_.kind == OnDisconnect::Kind::Keep;
    }
    [[nodiscard]] bool is_in_lasting_shell() const { return is_in_lasting_shell_; }

    // stdin of the run. Room is how much may be appended now.
    [[nodiscard]] std::size_t stdin_room() const { return in_.room(); }
    void append_stdin(std::string_view bytes) { in_.append(bytes); }
    void finish_stdin() { in_.finish(); }
    // The command reads no more: whatever is appended is dropped.
    [[nodiscard]] bool is_stdin_unwanted() const { return in_.is_stopped(); }

    void signal(const std::string& name);
    void cancel();
    // Ctrl-C for the `time`th time: it is asked, then asked firmly, then ended.
    void interrupt(int time);

    // The run's terminal has this size from now on; of several that wait, only the last is told.
    void resize(const WindowSize& size) { resize_ = size_ = size; }

    // A message for this channel. Throws ProtocolError.
    void on_message(const Message& message);
    // The connection is gone: without an end, this run is lost.
    void link_down(const std::string& problem);

    // The connection is gone and another is to come: until then nothing is said.
    void suspend() { is_suspended_ = true; }
    // What has arrived, for the server to go on from.
    [[nodiscard]] msg::Resume::Point point() const;
    // The other has come, and the server goes on; of stdin it has everything below this. Throws
    // ProtocolError.
    void resume(Offset in);
    // The server does not know this run. That it was never asked for is one reason: then it is now.
    void ask();
    [[nodiscard]] const OnDisconnect& on_disconnect() const { return on_disconnect_; }
    // The server ended the connection in words. What it had not started by then, it never will.
    void refused(const std::string& why);

    [[nodiscard]] bool has_started() const { return has_started_; }
    // On the server's machine; 0: there is none, or it was not told yet.
    [[nodiscard]] std::int64_t pid() const { return pid_; }
    // Why there is no such run, or not for us, where the server said so.
    [[nodiscard]] const std::optional<std::string>& refusal() const { return refusal_; }
    // Called once it has, before anything that it wrote.
    void on_start(std::function<void()> callback) { on_start_ = std::move(callback); }
    // The outcome is known, checked and final. What was received may still wait in the sinks.
    [[nodiscard]] bool is_finished() const { return outcome_.has_value(); }
    [[nodiscard]] const Outcome& outcome() const { return *outcome_; }
    // As the server told it; without one where the connection went first.
    [[nodiscard]] const std::optional<msg::End>& end() const { return end_; }
    // What this side counted, for the record of a lost run.
    [[nodiscard]] StreamSummary received(StreamId stream) const;
    // Where the output that came here begins.
    [[nodiscard]] Offset begun_at(StreamId stream) const;

    bool has_output() const override;
    void put_control(std::string& out) override;
    void put_chunk(std::string& out, std::size_t most) override;

  private:
    struct Incoming {
        OutputSink& sink;
        ReceiveStream stream;
        Crc32 sum;
        Offset begun_at = 0;   // What lies below is not for the sink.
        Offset delivered = 0;  // Bytes.
        std::optional<Offset> gap_at;
        bool stop_sent = false;
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
    // What was said meanwhile follows.
    void go_on();
    void lose(const std::string& why);
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
    std::optional<WindowSize> resize_;  // To be said.
    std::optional<WindowSize> size_;    // As it was said last.
    bool has_started_ = false;
    std::int64_t pid_ = 0;
    std::optional<std::string> refusal_;
    bool is_suspended_ = false;
    std::vector<Message> held_back_;  // Signals of meanwhile.
    std::function<void()> on_start_;
    std::optional<msg::End> end_;
    std::optional<Outcome> outcome_;
};

}  // namespace frsh
