// ClientConnection is one client of a session: it acts on the client's messages, and owns the runs
// and shells that live and die with the connection (or its grace period).
//
// A client whose connection was lost may resume over a new one. A new session receives that
// connection first, and hands it off to this one (handoff.hpp).
//
//     state          leaves it when                                              for
//     AwaitingHello  the client's hello is accepted                              Attended
//     Attended       the client asks for what another session owns               HandingOff
//     HandingOff     the other session takes the connection                      HandedOff
//                    it does not, and the request is processed again             Attended
//     HandedOff      the other session closes the connection                     Over
//     Disconnected   another session hands off a new connection of the client    Attended
//     Closing        all runs have ended, and the link is flushed (or timed out) Over
//     any of the first two: the connection is lost                               Disconnected
//     any of the first two: bye, error, refusal; Disconnected: terminate()       Closing
//     Disconnected   no run and no shell is left                                 Over
//
// This file is the connection's life; client_requests.cpp has the requests for runs and shells.
#pragma once

#include "common/link/link.hpp"
#include "common/net/transport.hpp"
#include "common/proto/message.hpp"
#include "common/sys/event_loop.hpp"
#include "server/audit.hpp"
#include "server/forward/connect_channel.hpp"
#include "server/forward/forward_listeners.hpp"
#include "server/handoff.hpp"
#include "server/kept/journal_channel.hpp"
#include "server/kept/registry.hpp"
#include "server/run/launch.hpp"
#include "server/run/run.hpp"
#include "server/session/channel_table.hpp"
#include "server/session/connection_shells.hpp"
#include "server/session/outgoing_handoff.hpp"
#include "server/session/session_claim.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace frsh {

// The answer to a request for something that lives in another session, if that cannot be reached.
inline const Registry::Refusal kElsewhere{"elsewhere",
                                          "that is for a session that cannot be reached from here"};

struct SessionSettings {
    LaunchContext launch;
    std::shared_ptr<Audit> audit;  // May be null.
    std::string kept_folder;       // Where runs are kept.
    Retention retention = {};
    // Called once, before the first message is processed. Returns why the client is refused;
    // nothing if it is accepted.
    std::function<std::optional<std::string>()> refusal;
    // Called once, when the client has been admitted.
    std::function<void()> admitted;
    // Called once, when the client that the session was started for has gone for good.
    std::function<void()> left_alone;
    // The client gets an error and is disconnected if it has not sent a correct hello by then.
    std::chrono::milliseconds hello_time{10'000};
};

class ClientConnection : private Link::Handler {
  public:
    using Time = EventLoop::Time;

    // Starts with a client that has not sent its hello. `loop`, `settings` and `kept` are lent.
    ClientConnection(EventLoop& loop, std::unique_ptr<Transport> transport,
                     const SessionSettings& settings, Registry& kept);
    // Starts with a client that another session has admitted and handed off. `visit` is the socket
    // to that session; it is closed with the connection.
    ClientConnection(EventLoop& loop, Handoff arrived, Fd visit, const SessionSettings& settings,
                     Registry& kept);

    // Writes what can be written. Call it before each turn of the loop. Returns false once the
    // connection is over.
    bool prepare();
    [[nodiscard]] Time next_deadline() const;
    // Acts on deadlines. Call it after each turn of the loop.
    void tick(Time now);
    // Reports that a child of this process has ended, whether or not it belongs to this client.
    void child_exited(const ExitStatus& status);
    // Ends all runs, because the session has to end; the client gets an error.
    void terminate();
    // Disconnects a client that has neither a run nor a shell.
    void leave_if_idle();
    // Returns true if the client's hello was accepted at any time.
    [[nodiscard]] bool is_admitted() const { return is_admitted_; }

  private:
    enum class State {
        AwaitingHello,
        Attended,
        HandingOff,
        HandedOff,
        Disconnected,
        Closing,
        Over,
    };

    void on_message(const Message& message) override;
    void on_link_down(const std::string& problem) override;
    void handle(const msg::Hello& hello);
    void handle(const msg::Bye& bye);
    void handle(const msg::Error& error);
    void handle(const msg::Resume& resume);
    void handle(const msg::EndAck& ack);
    void handle(const msg::Ping& ping);
    void handle(const msg::Open& open);
    void handle(const msg::ShellOpen& open);
    void handle(const msg::ShellClose& close);
    void handle(const msg::Attach& attach);
    void handle(const msg::List& list);
    void handle(const msg::Forget& forget);
    void handle(const msg::Listen& listen);
    void handle(const msg::Unlisten& unlisten);
    // Passes any other message to its channel.
    template <typename ForAChannel>
    void handle(const ForAChannel& message);

    void change_to(State state, Time now);
    // Sends an error, which is the last message, and closes.
    void refuse_connection(const std::string& reason, const std::string& message);
    // Sends and reads no more; ends all runs, `first` being the first step.
    void close(Termination::First first = Termination::First::HangUp);
    void end_all_runs(Termination::First first);

    // While the client is disconnected: ends what has no grace period, or whose grace period has
    // expired.
    void end_expired_runs(Time now);
    [[nodiscard]] Time expires_at(const OnDisconnect& wish) const;
    [[nodiscard]] Time next_expiry() const;
    // Listens for the client's next connection, if anything is to wait for it.
    void open_handoff_point(const OnDisconnect& wish);
    void open_handoff_point();
    void take_over(Handoff arrived, Fd visit);
    void resume(const msg::Resume& resume);
    // Returns true if no session of that name has begun anything, so that this one becomes it.
    [[nodiscard]] bool may_begin_anew(const msg::Resume& resume);
    // Makes this the session of the client's name, before it begins what `wish` lets outlive the
    // connection. Returns false if the client has returned elsewhere; then it is disconnected.
    [[nodiscard]] bool claim_name(const OnDisconnect& wish);
    void continue_handoff(Time now);
    void finish_handoff(Time now);
    // Hands the connection off to the session that owns what `message` asks for.
    void bring_to(const std::string& session, Channel channel, const Message& message);

    // Throws ProtocolError if the client uses the channel already.
    void require_free(Channel channel) const;
    void refuse(Channel channel, const Registry::Refusal& refusal);
    void connect(const msg::Open& open);
    // Makes a channel of a connection that the session has accepted.
    void accept(const msg::Open& open);
    // Records that a forwarded connection begins. Returns what records its end.
    [[nodiscard]] ConnectChannel::OnEnd begin_report(ForwardFacts forward) const;
    // Returns the settings for a run of a client that lends its agent; nothing for any other.
    [[nodiscard]] std::optional<LaunchContext> launch_with_agent() const;
    void begin(const msg::Open& open, std::unique_ptr<Run> run);
    void open_kept(const msg::Open& open);
    void begin_in_dead_shell(const msg::Open& open, const Registry::DeadShell& shell);
    // Returns nothing if nothing can be kept; that has been reported then.
    std::optional<Registry::Answer> ask_for_kept(const msg::Open& open);
    void follow(std::unique_ptr<JournalChannel> journal_channel);
    // Returns how many connections may wait at listeners_. None while the link is lost: the kernel
    // holds them.
    [[nodiscard]] std::size_t room_for_incoming() const {
        return state_ == State::Attended ? channels_.room_for_forwards() : 0;
    }
    // Returns true if no run or shell of the client is running or being ended.
    [[nodiscard]] bool is_idle() const;
    // Returns true if nothing is left here for a client that has gone, or may return.
    [[nodiscard]] bool has_nothing_left() const;

    // 19 members: three are lent, the others are owners with classes of their own, and the state.
    EventLoop& loop_;
    const SessionSettings& settings_;
    Registry& kept_;
    Link link_;  // First of these: the others use it. Its destructor does not use its sources.
    ConnectionShells shells_;
    WindowBudgets forward_budgets_;
    ChannelTable channels_;  // After the shells and the budgets, which its channels use.
    ForwardListeners listeners_;
    OutgoingHandoff outgoing_handoff_;
    std::string name_;  // Chosen by the client, to resume by; may be empty.
    SessionClaim claim_;
    // Open once something may outlive the connection.
    std::unique_ptr<HandoffPoint> handoff_point_;
    // The socket to the session that handed this connection off; closed with the connection.
    Fd visit_;
    // After a hand-off to another session: closed by that session with the connection.
    Fd new_owner_;
    EventLoop::Watch new_owner_watch_;
    // The client may use only what lives here; it was admitted by another session.
    const bool was_handed_off_here_;
    bool is_admitted_ = false;  // Outlives the states, for the audit.
    State state_ = State::AwaitingHello;
    Time state_since_;
};

}  // namespace frsh
