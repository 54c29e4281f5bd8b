// ForwardedConnection is a connection that this client has accepted (-L, -D): the server connects
// to its destination, and a run of mode `connect` carries its bytes.
//
//     Handshake ── the program has requested a destination (only -D) ──▶ Open
//     Open      ── both directions have ended, or a side reset the connection ──▶ Over
//     Handshake ── no SOCKS, or the program has left ──▶ Over
#pragma once

#include "client/connection/server_connection.hpp"
#include "client/forward/socket_pump.hpp"
#include "client/forward/socks.hpp"
#include "client/io/output_sink.hpp"
#include "common/sys/event_loop.hpp"
#include "common/sys/fd.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace frsh {

// Returns what a failure says, without the destination that messages begin with.
[[nodiscard]] std::string reason_of(const NotStarted& failure, const std::string& to);

class ForwardedConnection {
  public:
    // Connects to `to`; if `to` is empty, to what a SOCKS request names. `server` is lent. It must
    // not use the run any more once this object is destroyed: destroy it first, or let progress()
    // bring the connection to its end.
    ForwardedConnection(EventLoop& loop, ServerConnection& server, Fd socket,
                        const std::vector<std::string>& to, OnDisconnect on_disconnect);
    ForwardedConnection(const ForwardedConnection&) = delete;
    ForwardedConnection& operator=(const ForwardedConnection&) = delete;

    // Passes the ends of the directions on. Call it after each turn of the loop.
    void progress() { pump_.progress(); }
    [[nodiscard]] bool is_over() const { return pump_.is_over(); }
    // Ends the connection with a reset.
    void reset() { pump_.reset(); }

  private:
    void on_readable();
    void on_handshake(std::string_view bytes);
    RemoteRun& open(const std::vector<std::string>& to);
    void send_answer(const std::string& bytes);
    void report_failure(const std::string& to, const NotStarted& failure);

    ServerConnection& server_;
    OnDisconnect on_disconnect_;
    SocksRequest socks_;
    NullSink err_{0};
    SocketPump pump_;
    EventLoop::Watch watch_;  // In the state Handshake.
};

}  // namespace frsh
