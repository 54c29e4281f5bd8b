// The client's end of a connection: greets, hands each message to the run it belongs to, and knows
// what the server had to say where it would not serve. Where the connection is lost and a run asked
// for a grace, it gets another.
//
//     Up ── lost ──▶ Away ── reached ──▶ Resuming ── the server goes on ──▶ Up
//                     ▲                     │ lost again
//                     └─────────────────────┘            the time is over, or nobody is there: Down
#pragma once

#include "client/connection/connect.hpp"
#include "client/connection/reconnect.hpp"
#include "client/run/remote_run.hpp"

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace frsh {

// From the moment our reader has gone, or that we were told to leave, until we do.
inline constexpr std::chrono::seconds kPatience{2};

class ServerConnection : private Link::Handler {
  public:
    // Messages that belong to no run: those of shells, and answers on a channel of take_channel().
    using OnOther = std::function<void(const Message&)>;

    ServerConnection(EventLoop& loop, Connection connection, OnOther on_other = {});
    ~ServerConnection() override;

    // Asks for a run, with a channel of its own. The sinks are lent and outlive it.
    RemoteRun& open(msg::Open open, OutputSink& out, OutputSink& err);
    // The same for one that somebody started before.
    RemoteRun& attach(msg::Attach attach, OutputSink& out, OutputSink& err);
    // For a request of another kind.
    [[nodiscard]] Channel take_channel() { return next_channel_++; }
    // A run that is finished, or that nobody wants to know of any more.
    void forget(RemoteRun& run);

    [[nodiscard]] Link& link() { return link_; }
    // Writes what can be written, and turns the loop once, until `deadline` at most.
    void turn(EventLoop::Time deadline = EventLoop::kNever);
    // Something else than runs wants this connection back when it is lost.
    void outlast(const OnDisconnect& wish) { lasting_ = std::max(lasting_, wish.grace); }
    // Nothing more will come. Every run is finished then, well or not.
    [[nodiscard]] bool is_down() const {
        return state_ == State::Down || (state_ == State::Up && link_.is_down());
    }
    // The server hears what is said now, or as good as: the connection is not known to be lost.
    [[nodiscard]] bool is_up() const { return state_ == State::Up && !link_.is_down(); }
    // Why it is down, in words; empty where the server closed without any.
    [[nodiscard]] const std::string& problem() const { return problem_; }
    // What the server said of itself, once it has.
    [[nodiscard]] const std::optional<msg::Hello>& server() const { return server_; }
    // It has said what it can do, and this was not among it.
    [[nodiscard]] bool is_known_to_lack(std::string_view feature) const;

    // We want to go, by that signal if one told us to: says so, and nothing more is read or said.
    // No run is told.
    void leave(std::optional<std::string> signal = {});
    // Says nothing more, writes what was said, and waits for a server that we started to end; until
    // `deadline` at most.
    void finish(EventLoop::Time deadline);

  private:
    template <typename Request>
    RemoteRun& add(Request request, OutputSink& out, OutputSink& err);
    // Whom we started for this connection will not end with it.
    [[nodiscard]] bool has_lasting_child() const;
    void on_message(const Message& message) override;
    void on_link_down(const std::string& problem) override;
    // From time to time: has the login been answered, is the peer's machine still there?
    void watch_peer();
    void arm_timer();
    void on_timer();
    void give_up(const std::string& problem);

    enum class State { Up, Away, Resuming, Down };
    void take_terms(Connection& connection);
    void greet(const std::optional<msg::Auth>& auth);
    [[nodiscard]] std::string refusal_text();
    // How long somebody wants us to try again; nothing if nobody does.
    [[nodiscard]] std::chrono::milliseconds grace() const;
    void go_away(const std::string& problem);
    void come_back(Connection connection);
    void on_resumed(const msg::Resumed& resumed);
    void go_down(const std::string& problem);

    EventLoop& loop_;
    OnOther on_other_;
    std::unique_ptr<TlsContext> tls_context_;  // Before the link, whose transport uses it.
    std::optional<Spawned> child_;
    // Of the login; empty where there is none.
    std::string login_name_;
    std::string login_tried_;
    EventLoop::Time login_deadline_;
    std::function<void()> on_login_;
    std::function<void()> on_login_refused_;
    KeepAlive keep_alive_;
    int watched_socket_ = -1;           // Lent by the transport; see watch_peer().
    std::optional<msg::Hello> server_;  // As it was at first.
    bool is_greeted_ = false;           // On this connection.
    std::optional<msg::Error> refusal_;
    std::string problem_;
    Channel next_channel_ = 1;
    State state_ = State::Up;
    std::string session_ = new_run_id();  // Our name for the session behind it.
    Connector redial_;
    std::chrono::milliseconds lasting_{0};
    std::string outage_;                 // What the connection was lost by.
    std::vector<Spawned> old_children_;  // Of connections that were lost.
    Link link_;
    std::map<Channel, std::unique_ptr<RemoteRun>> runs_;  // After the link, which they use.
    Fd timer_;
    EventLoop::Watch timer_watch_;
    std::unique_ptr<Reconnect> reconnect_;  // While Away or Resuming.
};

}  // namespace frsh
