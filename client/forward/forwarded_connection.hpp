// ForwardedConnection carries one accepted connection through the server: what its program sends is
// stdin of a run of mode `connect`, and stdout of that run goes back to the program.
//
//     Handshake ── the program has requested a destination (only -D) ──▶ Open
//     Open      ── both directions have ended, or a side reset the connection ──▶ Over
//     Handshake ── no SOCKS, or the program has left ──▶ Over
//
// A direction ends as TCP ends it. A reset here is a `cancel`, and a `lost` is a reset here.
#pragma once

#include "client/connection/server_connection.hpp"
#include "client/forward/socks.hpp"
#include "client/io/output_sink.hpp"
#include "client/run/remote_run.hpp"
#include "common/sys/event_loop.hpp"
#include "common/sys/fd.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace frsh {

class ForwardedConnection {
  public:
    // Connects to `to`; if `to` is empty, to what a SOCKS request names. `server` is lent. It must
    // not use the run any more once this object is destroyed: destroy it first, or let progress()
    // bring the connection to its end.
    ForwardedConnection(EventLoop& loop, ServerConnection& server, Fd socket,
                        std::vector<std::string> to, OnDisconnect on_disconnect);
    ForwardedConnection(const ForwardedConnection&) = delete;
    ForwardedConnection& operator=(const ForwardedConnection&) = delete;

    // Passes the ends of the directions on. Call it after each turn of the loop.
    void progress();
    [[nodiscard]] bool is_over() const { return state_ == State::Over; }
    // Ends the connection with a reset.
    void reset();

  private:
    enum class State { Handshake, Open, Over };

    [[nodiscard]] short wanted() const;
    void on_readable();
    void on_handshake(std::string_view bytes);
    void open(const std::vector<std::string>& to);
    void send_answer(const std::string& bytes);
    void conclude();
    void report_failure(const NotStarted& failure);
    void close();

    ServerConnection& server_;
    Fd socket_;
    OnDisconnect on_disconnect_;
    std::vector<std::string> to_;
    SocksRequest socks_;
    State state_ = State::Handshake;
    bool has_sent_all_ = false;      // The program has ended its direction.
    bool has_received_all_ = false;  // The other direction was ended towards the program.
    InheritedOutput out_;
    NullSink err_{0};
    RemoteRun* run_ = nullptr;  // Owned by server_.
    EventLoop::Watch watch_;
};

}  // namespace frsh
