// One run, seen from the client: asks for it, feeds its stdin, passes its output on, and checks
// that what arrived is what was sent. The only thing it ever reports is an outcome; where a byte or
// the record is missing, that outcome is Lost.
#pragma once

#include "client/sink.hpp"
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
    // `out` and `err` are lent and outlive this.
    RemoteRun(Link& link, msg::Open open, Sink& out, Sink& err);
    ~RemoteRun() override;

    [[nodiscard]] const std::string& id() const { return open_.run; }
    [[nodiscard]] Channel channel() const { return open_.channel; }

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
    void resize(const WindowSize& size) { resize_ = size; }

    // A message for this channel. Throws ProtocolError.
    void on_message(const Message& message);
    // The connection is gone: without an end, this run is lost.
    void link_down(const std::string& problem);
    // The server ended the connection in words. What it had not started by then, it never will.
    void refused(const std::string& why);

    [[nodiscard]] bool has_started() const { return has_started_; }
    // Called once it has, before anything that it wrote.
    void on_start(std::function<void()> callback) { on_start_ = std::move(callback); }
    // The outcome is known, checked and final. What was received may still wait in the sinks.
    [[nodiscard]] bool is_finished() const { return outcome_.has_value(); }
    [[nodiscard]] const Outcome& outcome() const { return *outcome_; }
    // As the server told it; without one where the connection went first.
    [[nodiscard]] const std::optional<msg::End>& end() const { return end_; }
    // What this side counted, for the record of a lost run.
    [[nodiscard]] StreamSummary received(StreamId stream) const;

    bool has_output() const override;
    void put_control(std::string& out) override;
    void put_chunk(std::string& out, std::size_t most) override;

  private:
    struct Incoming {
        Sink& sink;
        ReceiveStream stream;
        Crc32 sum;
        Offset delivered = 0;  // Bytes.
        std::optional<Offset> gap_at;
        bool stop_sent = false;
    };

    Incoming& incoming(StreamId stream);
    void on_end(const msg::End& end);
    [[nodiscard]] std::optional<std::string> mismatch(const Incoming& in, const StreamSummary& told,
                                                      std::string_view name) const;
    void lose(const std::string& why);

    Link& link_;
    msg::Open open_;
    SendStream in_;
    Incoming out_;
    Incoming err_;
    std::optional<WindowSize> resize_;
    bool has_started_ = false;
    std::function<void()> on_start_;
    std::optional<msg::End> end_;
    std::optional<Outcome> outcome_;
};

}  // namespace frsh
