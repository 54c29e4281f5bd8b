// One connection of a session: it hears what its client asks for, and answers for the runs that are
// on its channels.
//
// A client that is gone may come back, for runs that asked for that: over a new connection, which a
// new session brings here (rendezvous.hpp) and ends.
//
//     Attended ── the connection goes ──▶ Lonely ── the grace of every run is over ──▶ (over)
//        ▲                                  │
//        └────────── a connection ◀─────────┘   or a new one while the old is thought to live
#pragma once

#include "server/audit.hpp"
#include "server/handoff.hpp"
#include "server/kept/journal_channel.hpp"
#include "server/kept/registry.hpp"
#include "server/run/run.hpp"

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

namespace frsh {

struct SessionSettings {
    LaunchContext launch;
    std::shared_ptr<Audit> audit;  // May be null.
    std::string kept_folder;       // Where runs are kept.
    Retention retention = {};
    // Asked once, before the first message is acted on: why this peer may not come in, or nothing.
    std::function<std::optional<std::string>()> refusal;
    // Called once, when the peer has been let in.
    std::function<void()> admitted;
    // Called once, when the client that the session was begun for has gone for good.
    std::function<void()> left_alone;
    // To send a correct hello; a peer that has not by then is told and left.
    std::chrono::milliseconds hello_time{10'000};
};

class ClientConnection : private Link::Handler {
  public:
    using Time = EventLoop::Time;

    // With a client that we have not heard yet. All that is lent outlives this.
    ClientConnection(EventLoop& loop, std::unique_ptr<Transport> transport,
                     const SessionSettings& settings, Registry& kept);
    // With one that another session has let in and brought here.
    ClientConnection(EventLoop& loop, Handoff arrived, Fd visit, const SessionSettings& settings,
                     Registry& kept);

    // Before each turn of the loop: what can be said is said. False once this is over.
    bool prepare();
    [[nodiscard]] Time next_deadline() const;
    // After each turn.
    void tick(Time now);
    // A child of this process has ended.
    void child_exited(const ExitStatus& status);
    // We are told to end: so are the runs, and the client hears why.
    void terminate();
    [[nodiscard]] bool is_admitted() const { return is_admitted_; }

  private:
    // Of another session, to which our connection is to go; what it is to be asked there.
    struct Wanted {
        std::string session;
        Message message;
    };

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
    void handle(const msg::Attach& attach);
    void handle(const msg::List& list);
    void handle(const msg::Forget& forget);
    // Everything else is for the run of its channel.
    template <typename OneOfARun>
    void handle(const OneOfARun& message);
    void refuse_connection(const std::string& reason, const std::string& message);
    // Nothing more is said by either side; the peer sees the end when all is done.
    void part(Termination::First first = Termination::First::HangUp);
    void end_all_runs(Termination::First first);
    void end_what_is_left(Termination::First first, Time now);
    // The client is gone without a word: what asked for a grace waits for it, and ends then.
    void end_expired_runs(Time now);
    [[nodiscard]] Time expires_at(const OnDisconnect& wish) const;
    [[nodiscard]] Time next_expiry() const;
    // So that we are found again.
    void open_handoff_point(const OnDisconnect& wish);
    void take_over(Handoff arrived, Fd visit);
    void go_on(const msg::Resume& resume);
    void begin(const msg::Open& open, std::unique_ptr<Run> run);
    // What asks for something that is kept, a shell or a run.
    void open_kept(const msg::Open& open);
    // Nothing where nothing can be kept; that has been told then.
    std::optional<Registry::Answer> ask_for_kept(const msg::Open& open);
    void follow(std::unique_ptr<JournalChannel> journal_channel);
    void refuse(Channel channel, const Registry::Refusal& refusal);
    [[nodiscard]] bool is_free(Channel channel) const;
    [[nodiscard]] bool is_full() const;
    // The run of this message, or the session, is another session's: our connection is to go there.
    void bring_to(const std::string& session, Channel channel, const Message& message);
    // Brings our connection to the session that the client asked for. Blocks.
    void hand_off();
    [[nodiscard]] std::optional<Fd> find_way(const Wanted& wanted, const std::string& rest);
    void say_ready(const Shell& shell);
    // Null for a channel that was refused: its client may have said more before it heard.
    [[nodiscard]] Run* find(Channel channel);
    [[nodiscard]] JournalChannel* find_journal_channel(Channel channel);
    void drop_journal_channel(Channel channel, Termination::First first);
    void forget_what_is_over();
    void note_end(const Run& run) const;
    void note_left(const ProcessOrigin& origin);
    // Nothing of the client's is running or being ended.
    [[nodiscard]] bool is_idle() const;

    EventLoop& loop_;
    const SessionSettings& settings_;
    Registry& kept_;
    std::map<ShellId, std::unique_ptr<Shell>> shells_;
    std::map<Channel, std::unique_ptr<Run>> runs_;  // After the shells, which they use.
    std::map<Channel, std::unique_ptr<JournalChannel>> journal_channels_;
    std::set<Channel> refused_;  // Until the client has acknowledged that.
    std::vector<ProcessOrigin>
        left_;  // By shells that died: it is the client's, as long as that is there.
    std::vector<Termination> terminations_;
    Link link_;         // After the runs, which it lends out: it goes first.
    std::string name_;  // As the client chose it; empty: it did not.
    std::unique_ptr<HandoffPoint> handoff_point_;  // Once something may outlive a connection.
    Fd visit_;  // Of whoever brought this connection, until it goes.
    std::optional<Time> disconnected_since_;
    std::optional<Wanted> wanted_;
    bool is_handed_off_ = false;
    int tries_ = 0;            // In which nobody took it.
    bool was_let_in_ = false;  // By the session that has brought it here.
    bool is_over_ = false;
    bool is_parting_ = false;
    bool is_admitted_ = false;
    Time hello_deadline_;
    std::optional<Time> give_up_;  // Once the link is down: no longer wait for its last bytes.
};

}  // namespace frsh
