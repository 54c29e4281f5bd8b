// SocketPump carries one connection of this client through the server: what its program sends is
// stdin of a run, and stdout of that run goes back to the program.
//
// A direction ends as TCP ends it. A reset here is a `cancel`, and a `lost` is a reset here. Until
// both directions have ended, the kernel resets the connection when it is closed, also if this
// process is killed.
#pragma once

#include "client/connection/server_connection.hpp"
#include "client/io/output_sink.hpp"
#include "client/run/remote_run.hpp"
#include "common/sys/event_loop.hpp"
#include "common/sys/fd.hpp"

#include <functional>
#include <string>

namespace frsh {

class SocketPump {
  public:
    // `server` is lent. Nothing is read before begin().
    SocketPump(EventLoop& loop, ServerConnection& server, Fd socket);
    SocketPump(const SocketPump&) = delete;
    SocketPump& operator=(const SocketPump&) = delete;

    // Carries bytes from now on. `run` belongs to the server's connection, and out() is its sink.
    // `to` names the connection in messages. `on_failure` is called if there is no such run.
    void begin(RemoteRun& run, std::string to, std::function<void(const NotStarted&)> on_failure);
    // Passes the ends of the directions on. Call it after each turn of the loop.
    void progress();
    [[nodiscard]] bool is_over() const { return !socket_.is_open(); }
    // Closes the connection with a reset.
    void reset();
    // Closes the connection. The run must not use out() any more: it is forgotten.
    void close();

    [[nodiscard]] int socket() const { return socket_.get(); }
    [[nodiscard]] InheritedOutput& out() { return out_; }

  private:
    [[nodiscard]] short wanted() const;
    void on_readable();
    void conclude();

    ServerConnection& server_;
    Fd socket_;
    std::string to_;
    std::function<void(const NotStarted&)> on_failure_;
    bool has_sent_all_ = false;      // The program has ended its direction.
    bool has_received_all_ = false;  // The other direction was ended towards the program.
    InheritedOutput out_;
    RemoteRun* run_ = nullptr;  // Owned by server_.
    EventLoop::Watch watch_;
};

}  // namespace frsh
