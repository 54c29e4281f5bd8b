// LentRun is one run that a borrower started through the link holder. To the borrower it is the
// server's end of a channel, to the server it is a client's run.
//
//     borrower ── data of stdin ──▶ LentRun ──▶ RemoteRun ──▶ server
//              ◀── data, eof, end ──       ◀── OutputSink ──
//
// Flow control has two hops, each with a window of its own. The holder asks the server for more
// once it has sent the bytes on, so it stores at most two windows of each stream.
//
//     Running ── its end was sent ──▶ Told ── end_ack ──▶ Over
//        └────── the borrower has gone ──▶ Abandoned ── the run has ended ──▶ Over
#pragma once

#include "client/connection/server_connection.hpp"
#include "client/io/output_sink.hpp"
#include "client/run/remote_run.hpp"
#include "common/link/link.hpp"
#include "common/proto/message.hpp"
#include "common/proto/stream.hpp"
#include "common/sys/event_loop.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace frsh {

class LentRun : public Link::Source {
  public:
    // Requests the run from the server. Both are lent and outlive this.
    LentRun(Link& borrower, ServerConnection& server, msg::Open open);
    ~LentRun() override;
    LentRun(const LentRun&) = delete;
    LentRun& operator=(const LentRun&) = delete;

    // Handles the borrower's message for this channel. Throws ProtocolError.
    void on_message(const Message& message);
    // The borrower has gone. Sends its signal to the run, and cancels the run two seconds later.
    void abandon(const std::string& signal, EventLoop::Time now);
    void tick(EventLoop::Time now);
    [[nodiscard]] EventLoop::Time next_deadline() const;
    // Returns how many bytes of stdin, stdout and stderr were passed on since the last call.
    [[nodiscard]] Offset take_passed();
    // Returns true once nothing of the run is left to be done.
    [[nodiscard]] bool is_over() const;

    [[nodiscard]] bool has_output() const override;
    void put_control(std::string& out) override;
    void put_chunk(std::string& out, std::size_t most) override;

  private:
    enum class State { Running, Told, Abandoned, Over };

    // Passes a stream of the run on to the borrower.
    class Output : public OutputSink {
      public:
        Output(StreamId id, Offset window) : id_(id), stream_(window) {}

        void write(std::string_view bytes) override;
        void skip(Offset to, std::uint32_t crc32) override;
        Offset take_used() override;
        [[nodiscard]] Offset sent() const { return sent_; }
        [[nodiscard]] bool is_drained() const override { return stream_.held() == 0; }
        [[nodiscard]] int failure() const override { return failure_; }

        void credit(const msg::Credit& credit) { stream_.credit(credit.consumed, credit.limit); }
        // The borrower wants no more of it.
        void stop();
        // Drops what is stored and what follows, and counts it as used.
        void drop() { is_dropped_ = true; }
        void finish() { stream_.finish(); }
        [[nodiscard]] bool is_stopped() const { return failure_ != 0; }
        [[nodiscard]] bool has_output() const;
        [[nodiscard]] bool is_sent() const;
        // Appends at most one frame. Returns false if there is nothing to send.
        bool put(std::string& out, Channel channel, std::size_t most);

      private:
        struct Gap {
            Offset from;
            Offset to;
            std::uint32_t crc32;
        };
        StreamId id_;
        SendStream stream_;
        std::optional<Gap> gap_;  // Not sent yet.
        // Bytes without those of a gap.
        Offset appended_ = 0;
        Offset sent_ = 0;
        Offset taken_ = 0;  // Counted by take_used().
        bool is_dropped_ = false;
        int failure_ = 0;
    };

    Output& output(StreamId stream);
    [[nodiscard]] bool is_end_due() const;
    void put_end(std::string& out);

    Link& borrower_;
    ServerConnection& server_;
    Channel channel_;
    Output out_;
    Output err_;
    ReceiveStream in_;
    RemoteRun& run_;  // After the outputs, which it uses. Owned by the server's connection.
    State state_ = State::Running;
    bool is_stop_sent_ = false;  // Stdin is wanted no more, and the borrower has been told.
    bool are_streams_finished_ = false;
    EventLoop::Time cancel_at_ = EventLoop::kNever;
    Offset passed_ = 0;  // Counted by take_passed().
};

}  // namespace frsh
