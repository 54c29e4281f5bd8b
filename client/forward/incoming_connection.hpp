// IncomingConnection is a connection that the session has accepted (-R): this client connects to
// its destination, and a run of mode `accept` carries its bytes.
//
//     Requesting ── the program has requested a destination (only SOCKS) ──▶ Connecting
//                ── no SOCKS, or the program has left ──▶ Refused
//     Connecting ── the destination has accepted ──▶ Open
//                ── it has not ──▶ Refused
//     Open       ── both directions have ended, or a side reset the connection ──▶ Over
//     Refused    ── the answer has arrived, and the program has left ──▶ Over
#pragma once

#include "client/connection/server_connection.hpp"
#include "client/forward/late_output.hpp"
#include "client/forward/socket_pump.hpp"
#include "client/forward/socks.hpp"
#include "client/io/output_sink.hpp"
#include "common/net/forward_connector.hpp"
#include "common/sys/event_loop.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace frsh {

class IncomingConnection {
  public:
    // Connects to `to`; if `to` is empty, to what a SOCKS request names. `number` is the session's
    // number of the connection. `server` is lent: destroy this object first, or let progress()
    // bring the connection to its end. Throws SysError.
    IncomingConnection(EventLoop& loop, ServerConnection& server, std::uint64_t number,
                       const std::vector<std::string>& to, OnDisconnect on_disconnect);
    ~IncomingConnection();
    IncomingConnection(const IncomingConnection&) = delete;
    IncomingConnection& operator=(const IncomingConnection&) = delete;

    [[nodiscard]] std::uint64_t number() const { return number_; }
    // Passes the ends of the directions on. Call it after each turn of the loop.
    void progress();
    [[nodiscard]] bool is_over() const { return state_ == State::Over; }
    void reset();

    // Resets a connection that this client does not want.
    static void refuse(ServerConnection& server, std::uint64_t number);

  private:
    enum class State { Requesting, Connecting, Open, Refused, Over };

    void read_request();
    void connect(const std::vector<std::string>& to);
    void on_result(ForwardConnector::Result result);
    void on_failure(const ConnectFailure& failure);
    void open_run();
    void close();

    EventLoop& loop_;
    ServerConnection& server_;
    std::uint64_t number_;
    OnDisconnect on_disconnect_;
    std::vector<std::string> to_;
    State state_ = State::Connecting;
    SocksRequest socks_;
    NullSink err_{0};
    LateOutput out_;
    std::unique_ptr<ForwardConnector> connector_;
    std::optional<SocketPump> pump_;
    RemoteRun* run_ = nullptr;  // Owned by server_. Unused once the pump has it.
};

}  // namespace frsh
