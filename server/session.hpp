// One connection's server process: it speaks frames, and owns the runs that it started.
//
// It runs as the user. It ends when its client is gone and nothing it started is left to be ended.
//
// A client that is gone may come back, for runs that asked for that: over a new connection, which a
// new session brings here (rendezvous.hpp) and ends.
//
//     Attended ── the connection goes ──▶ Lonely ── the grace of every run is over ──▶ (ends)
//        ▲                                  │
//        └────────── a connection ◀─────────┘   or a new one while the old is thought to live
#pragma once

#include "server/audit.hpp"
#include "server/rendezvous.hpp"
#include "server/run.hpp"

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

namespace frsh {

class Signals;

struct SessionSettings {
    LaunchContext launch;
    std::shared_ptr<Audit> audit;  // May be null.
    // Asked once, before the first message is acted on: why this peer may not come in, or nothing.
    std::function<std::optional<std::string>()> refusal;
    // Called once, when the peer has been let in.
    std::function<void()> admitted;
    // To send a correct hello; a peer that has not by then is told and left.
    std::chrono::milliseconds hello_time{10'000};
};

class Session : private Link::Handler {
  public:
    using Time = EventLoop::Time;

    Session(EventLoop& loop, std::unique_ptr<Transport> transport, SessionSettings settings);

    // One turn: write, wait, act. False once the session is over.
    bool run_once();
    // A child of this process has ended.
    void child_exited(const ExitStatus& status);
    // We are told to end: so are the runs, and the client hears why.
    void terminate();
    [[nodiscard]] bool is_admitted() const { return is_admitted_; }

  private:
    void on_message(const Message& message) override;
    void on_link_down(const std::string& problem) override;
    void handle(const msg::Hello& hello);
    void handle(const msg::Open& open);
    void handle(const msg::ShellOpen& open);
    void handle(const msg::ShellClose& close);
    void handle(const msg::EndAck& ack);
    void handle(const msg::Bye& bye);
    void handle(const msg::Error& error);
    void handle(const msg::Resume& resume);
    // Everything else is for the run of its channel.
    template <typename OneOfARun>
    void handle(const OneOfARun& message);
    void refuse_connection(const std::string& reason, const std::string& message);
    // Nothing more is said by either side; the peer sees the end when all is done.
    void part(Ending::First first = Ending::First::HangUp);
    void end_all_runs(Ending::First first);
    void end_what_is_left(Ending::First first, Time now);
    // The client is gone without a word: what asked for a grace waits for it, and ends then.
    void end_the_forsaken(Time now);
    [[nodiscard]] Time forsaken_at(const OnDisconnect& wish) const;
    [[nodiscard]] Time next_forsaken() const;
    // So that we are found again.
    void open_rendezvous(const OnDisconnect& wish);
    void take_over(HandOver arrived, Fd visit);
    void go_on(const msg::Resume& resume);
    // Brings our connection to the session that the client asked for. Blocks.
    void give_away();
    void say_ready(const Shell& shell);
    // Null for a channel that was refused: its client may have said more before it heard.
    [[nodiscard]] Run* find(Channel channel);
    void forget_what_is_over();
    void note_end(const Run& run) const;
    void note_left(const Origin& origin);
    // Nothing of the client's is running or being ended.
    [[nodiscard]] bool is_idle() const;
    [[nodiscard]] Time next_deadline() const;

    EventLoop& loop_;
    SessionSettings settings_;
    std::map<ShellId, std::unique_ptr<Shell>> shells_;
    std::map<Channel, std::unique_ptr<Run>> runs_;  // After the shells, which they use.
    std::set<Channel> refused_;                     // Until the client has acknowledged that.
    std::vector<Origin>
        left_;  // By shells that died: it is the client's, as long as that is there.
    std::vector<Ending> endings_;
    Link link_;                               // After the runs, which it lends out: it goes first.
    std::string name_;                        // As the client chose it; empty: it did not.
    std::unique_ptr<Rendezvous> rendezvous_;  // Once something may outlive a connection.
    Fd visit_;                                // Of whoever brought this connection, until it goes.
    std::optional<Time> lonely_since_;
    std::optional<msg::Resume> wanted_;  // Of another session: our connection is to go there.
    bool is_given_away_ = false;
    bool is_parting_ = false;
    bool is_admitted_ = false;
    Time hello_deadline_;
    std::optional<Time> give_up_;  // Once the link is down: no longer wait for its last bytes.
};

// The whole life of a session process: signals, children, the loop. Returns the exit status.
int run_session(std::unique_ptr<Transport> transport, SessionSettings settings);

}  // namespace frsh
