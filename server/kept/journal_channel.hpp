// One channel that follows something kept: it reads the run's journal, each stream by itself and
// each at the pace of its client, and tells the end when all before has been said.
//
// Nothing is held in memory for a client that is slow or away, and one that comes back after its
// connection was lost simply reads again from where it was.
#pragma once

#include "server/kept/kept_run.hpp"

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace frsh {

class JournalChannel : public Link::Source {
  public:
    using Time = EventLoop::Time;

    // Of one that lives here. `attach` says from where, and how long. Throws JournalDamaged or
    // SysError.
    JournalChannel(const msg::Attach& attach, std::shared_ptr<KeptJob> kept);
    // Of one that has ended, one way or another.
    JournalChannel(const msg::Attach& attach, Store::Found run);
    JournalChannel(const JournalChannel&) = delete;
    JournalChannel& operator=(const JournalChannel&) = delete;

    [[nodiscard]] Channel channel() const { return channel_; }
    [[nodiscard]] const std::string& id() const { return id_; }
    // 0 where there is no process of it.
    [[nodiscard]] pid_t pid() const { return kept_ ? kept_->pid() : 0; }
    // Where it begins.
    [[nodiscard]] msg::Attached attached() const;
    // From here on this channel gives the run its stdin. Of what its client says, from the start,
    // that the command has been given before is passed over.
    void hold(std::shared_ptr<KeptRun> run, const OnDisconnect& wish);
    // How long the client's place is to be held when it is gone, and for what.
    [[nodiscard]] OnDisconnect wish() const;
    // The client is gone for good.
    void abandon(Termination::First first, Time now);

    // From the client. Throw ProtocolError where it breaks the rules.
    void on(const msg::Data& data);
    void on(const msg::Eof& eof);
    void on(const msg::Credit& credit);
    void on(const msg::Stop& stop);
    void on(const msg::Signal& signal);
    void on(const msg::Cancel& cancel);
    void on(const msg::Resize&) {}
    // The client has come back on a new connection; returns how much of stdin has arrived. Nothing
    // where it never heard from where it follows this: then it asks again. Throws ProtocolError.
    std::optional<Offset> resume(const msg::Resume::Point& point);

    [[nodiscard]] bool is_told() const { return is_told_; }

    bool has_output() const override;
    void put_control(std::string& out) override;
    void put_chunk(std::string& out, std::size_t most) override;

  private:
    struct Outgoing {
        Outgoing(const std::string& folder, StreamId stream) : id(stream), reader(folder, stream) {}

        StreamId id;
        JournalReader reader;
        Offset limit = 0;
        Offset begin = 0;                // Where this client began to read.
        Offset highest = 0;              // What was ever sent.
        std::uint64_t exhausted_at = 0;  // All that there was in this version has been read.
        bool is_blocked = false;         // What comes next is data beyond the limit.
        bool is_stopped = false;
        bool is_eof_sent = false;
        Offset said = 0;                         // How far this client has been told.
        std::optional<Offset> until;             // Of one that is not followed: where it was.
        std::map<Offset, Offset> gaps;           // As they were told: from, to.
        std::optional<JournalReader::Gap> owed;  // To a client that was away for too long.
        std::string damage;
    };

    void begin(const msg::Attach& attach);
    void begin(Outgoing& stream, const std::optional<Offset>& at);
    template <typename Act>
    static void guard(Outgoing& stream, Act&& act);
    void go_back(Outgoing& stream, Offset at);
    [[nodiscard]] std::optional<Offset> due_pass_credit() const;
    // Changes whenever there may be more to read.
    [[nodiscard]] std::uint64_t version() const { return kept_ ? kept_->version() : 1; }
    [[nodiscard]] bool is_exhausted(const Outgoing& stream) const;
    [[nodiscard]] bool may_have_more(const Outgoing& stream) const;
    [[nodiscard]] bool is_end_due() const;
    // Appends the next piece of this stream, if there is one.
    void put_next(std::string& out, Outgoing& stream, std::size_t most);
    void put_gap(std::string& out, Outgoing& stream, Offset from, Offset to, std::uint32_t crc32);
    // What the record says was produced and the journal does not have.
    void put_missing_tail(std::string& out, Outgoing& stream, const StreamSummary& told,
                          bool is_excused);
    static void tell_gaps(const Outgoing& stream, StreamSummary& told);
    void put_end(std::string& out);
    [[nodiscard]] msg::End end() const;
    [[nodiscard]] bool is_holding() const { return run_ && run_->is_held_by(*this); }

    Channel channel_;
    std::string id_;
    bool follows_;
    std::shared_ptr<KeptJob> kept_;      // Either this,
    std::optional<Store::Found> found_;  // or that.
    std::shared_ptr<KeptRun> run_;       // The same, for one that was held here.
    std::array<Outgoing, 2> streams_;    // stdout and stderr.
    std::size_t next_ = 0;               // Whose turn it is.
    // Of stdin: what the client says again, and how far it has got with that.
    Offset pass_over_ = 0;
    Offset passed_ = 0;
    Offset pass_credit_ = 0;
    Offset taken_ = 0;           // What has come of it.
    bool is_cut_short_ = false;  // It has ended within what is said again.
    bool was_holding_ = false;
    bool is_stop_due_ = true;  // Unless it is to hold the run.
    bool is_told_ = false;
};

}  // namespace frsh
