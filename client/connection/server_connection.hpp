// The client's end of a connection: greets the server, passes each message to the run it belongs
// to, and keeps the reason if the server refuses. If the connection is lost and a run has a grace
// period, it reconnects and resumes.
//
//     Greeting ── hello ──▶ Up
//         └──── lost ───┬───┘
//                       ▼         reconnected                 hello              resumed
//                     Away ─────────────────▶ GreetingAgain ────────▶ Resuming ──────────▶ Up
//                       ▲                          │ lost again          │
//                       └──────────────────────────┴─────────────────────┘
//     Any state ── leave(), a refusal, no grace period, or the grace period is over ──▶ Down
#pragma once

#include "client/connection/connection.hpp"
#include "client/connection/local_command.hpp"
#include "client/connection/peer_watch.hpp"
#include "client/connection/ping_watch.hpp"
#include "client/connection/reconnect.hpp"
#include "client/connection/stopped_watch.hpp"
#include "client/run/remote_run.hpp"
#include "common/link/link.hpp"
#include "common/proto/message.hpp"
#include "common/sys/event_loop.hpp"
#include "common/sys/process.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace frsh {

// It has more than 16 members because a connection is one thing in time: what it is made of, what
// it has learned from the server, and what outlives a loss.
class ServerConnection : private Link::Handler {
  public:
    // Called for messages that belong to no run: those of shells, and the answers on a channel of
    // take_channel().
    using OnOther = std::function<void(const Message&)>;

    ServerConnection(EventLoop& loop, Connection connection, OnOther on_other = {});
    ~ServerConnection() override;

    // Requests a new run, on a channel of its own. The sinks are lent and outlive the run.
    RemoteRun& open(msg::Open open, OutputSink& out, OutputSink& err);
    // Attaches to a run that was started before. The sinks are lent and outlive it.
    RemoteRun& attach(msg::Attach attach, OutputSink& out, OutputSink& err);
    // Returns an unused channel, for a request of another kind.
    [[nodiscard]] Channel take_channel() { return next_channel_++; }
    // Destroys a run. If it has not ended, its further messages are ignored.
    void forget(RemoteRun& run);

    [[nodiscard]] Link& link() { return link_; }
    // Writes what can be written, and turns the loop once. Blocks up to `deadline`.
    void turn(EventLoop::Time deadline = EventLoop::kNever);
    // Asks for a reconnect with this grace period, also if no run needs one.
    void outlast(const OnDisconnect& wish) {
        own_grace_period_ = std::max(own_grace_period_, wish.grace);
    }
    // Returns true once the connection has ended for good. Every run has then ended or failed.
    [[nodiscard]] bool is_down() const {
        return state_ == State::Down || (is_attached() && link_.is_down());
    }
    // Returns true while messages can be sent: the connection is not known to be lost.
    [[nodiscard]] bool is_up() const { return is_attached() && !link_.is_down(); }
    // Returns why the connection is down or was lost; empty if the server closed it without a
    // reason.
    [[nodiscard]] const std::string& problem() const { return problem_; }
    // Returns the error with which the server closed this connection, if it sent one.
    [[nodiscard]] const std::optional<msg::Error>& refusal() const { return refusal_; }
    // Returns the first hello of the server, once it has arrived.
    [[nodiscard]] const std::optional<msg::Hello>& server() const { return server_; }
    // Returns how TLS protects the connection, the last one after a reconnect; nothing without TLS.
    [[nodiscard]] const std::optional<TlsRecord>& tls() const { return connection_.tls; }
    // Returns how many bytes of its runs this connection has carried. The end of a run counts as
    // many bytes: a connection that brings ends is useful.
    [[nodiscard]] std::uint64_t carried() const { return carried_; }
    // Returns true if the server has sent its features and this one is not among them.
    [[nodiscard]] bool is_known_to_lack(std::string_view feature) const;

    // Sends `bye`, with the name of the signal that made this process leave, and closes the link.
    // The runs are not notified.
    void leave(std::optional<std::string> signal = {});
    // Closes the link, flushes it, and waits for the end of a child process. Blocks up to
    // `deadline`.
    void finish(EventLoop::Time deadline);

  private:
    enum class State { Greeting, Up, Away, GreetingAgain, Resuming, Down };

    // The runs are attached to this link: nothing was lost, or all was resumed.
    [[nodiscard]] bool is_attached() const {
        return state_ == State::Greeting || state_ == State::Up;
    }
    // The server's hello has arrived on this link.
    [[nodiscard]] bool is_greeted() const {
        return state_ == State::Up || state_ == State::Resuming;
    }
    template <typename Request>
    RemoteRun& add(Request request, OutputSink& out, OutputSink& err);
    // The child process will not end with this connection.
    [[nodiscard]] bool has_lasting_child() const;
    void on_message(const Message& message) override;
    void on_link_down(const std::string& problem) override;
    void on_peer_silent(const std::string& problem);
    void on_hello(const msg::Hello& hello);
    void begin_pings(const msg::Hello& hello);
    // Holds the link until LocalCommand has ended; then acts on the hello.
    void run_local_command(const msg::Hello& hello);
    void on_resumed(const msg::Resumed& resumed);
    void greet();
    [[nodiscard]] std::string refusal_text();
    // Returns the longest grace period that is wanted; 0: no reconnect.
    [[nodiscard]] std::chrono::milliseconds grace_period() const;
    void go_away(const std::string& problem);
    void begin_to_reconnect(std::chrono::milliseconds trying_for, const std::string& problem);
    void give_up(const std::string& last_problem);
    // Passes a message to its run, and counts what it brought.
    void pass_on(RemoteRun& run, const Message& message);
    void come_back(Connection connection);
    void go_down(const std::string& problem);

    EventLoop& loop_;
    OnOther on_other_;
    Connection connection_;  // Without its transport, which the link owns. Before the link.
    std::vector<MarkedChild> old_children_;  // Those of connections that were lost.
    std::optional<msg::Hello> server_;
    std::optional<msg::Error> refusal_;
    std::string problem_;
    Channel next_channel_ = 1;
    State state_ = State::Greeting;
    const std::string session_ = new_run_id();  // The client's name for its session on the server.
    std::chrono::milliseconds own_grace_period_{0};
    Link link_;
    WindowBudgets forward_budgets_;
    std::map<Channel, std::unique_ptr<RemoteRun>> runs_;  // After the link, which they use.
    std::unique_ptr<PeerWatch> peer_watch_;
    std::unique_ptr<StoppedWatch> stopped_watch_;
    std::unique_ptr<PingWatch> ping_watch_;  // On request, from the hello until a loss.
    std::unique_ptr<LocalCommand> local_command_;
    std::unique_ptr<Reconnect> reconnect_;     // From the first loss on.
    std::chrono::milliseconds trying_for_{0};  // The grace period at the last loss.
    std::uint64_t carried_ = 0;                // See carried(). Since the last `resumed`.
};

}  // namespace frsh
