// RenewableConnection is the connection of a mode that runs independent commands one after another.
// Between two commands the server keeps nothing for the client, so its session ends with a lost
// connection. A new session then takes its place.
//
//     Open ── the session has ended ──▶ Lost ── renew() ──▶ Renewing
//     Renewing ── connected, and the server's hello has arrived ──▶ Open
//     Open ── the server refused, or there is no grace period ──▶ Closed
//     Renewing ── the server refused, or the grace period is over ──▶ Closed
#pragma once

#include "client/connection/connection.hpp"
#include "client/connection/reconnect.hpp"
#include "client/connection/server_connection.hpp"
#include "common/sys/event_loop.hpp"

#include <chrono>
#include <memory>
#include <string>

namespace frsh {

class RenewableConnection {
  public:
    // `on_other` is for the first session only. The grace period limits each renewal; 0, or a first
    // connection without a connector: the connection is never renewed.
    RenewableConnection(EventLoop& loop, Connection first, ServerConnection::OnOther on_other,
                        std::chrono::milliseconds grace);

    // The present session. renew() destroys it, and with it all of its runs.
    [[nodiscard]] ServerConnection& server() { return *server_; }
    // Returns true if commands can be started now.
    [[nodiscard]] bool is_open();
    // Returns true once no command can be started any more.
    [[nodiscard]] bool is_closed();
    // Begins a new session if the present one has ended. Call it again after each turn of the loop
    // until is_open() or is_closed().
    void renew();

  private:
    enum class State { Open, Lost, Renewing, Closed };

    // Moves the state on if the session was greeted or has ended.
    void update();
    [[nodiscard]] bool may_renew() const;
    void begin_to_renew(const std::string& why);
    void take(Connection connection);

    EventLoop& loop_;
    Connector connector_;
    std::chrono::milliseconds grace_;
    State state_ = State::Open;
    std::unique_ptr<ServerConnection> server_;
    std::unique_ptr<Reconnect> reconnect_;  // From the first renewal on.
    bool is_attempting_ = false;            // reconnect_ has no new connection yet.
};

}  // namespace frsh
