// JournalChannel sends a client what the journal of a kept run has. It reads each stream by itself,
// at the pace of the client's credit, and sends `end` after all data.
//
// It buffers nothing for a client that is slow or disconnected. When the client resumes, the
// channel reads the journal again from the client's offsets.
//
//     state      leaves it when                                              for
//     Following  the run has ended (or is not followed) and all data is sent Told
//     Told       the client resumes and may have missed the end              Following
//     either     the client acknowledges the end, or is gone for good        Abandoned
//
// At most one channel of a run is its holder: it gives the run its stdin.
#pragma once

#include "common/proto/message.hpp"
#include "common/sys/event_loop.hpp"
#include "server/kept/journal.hpp"
#include "server/kept/kept_job.hpp"
#include "server/kept/kept_run.hpp"
#include "server/kept/store.hpp"
#include "server/run/server_channel.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace frsh {

class JournalChannel : public ServerChannel {
  public:
    // For a job that lives in this session. `attach` has the offsets to begin at, and whether to
    // follow the run to its end. Throws JournalDamaged or SysError.
    JournalChannel(const msg::Attach& attach, std::shared_ptr<KeptJob> kept);
    // For a run that has ended or is lost. Throws as above.
    JournalChannel(const msg::Attach& attach, Store::Found run);
    ~JournalChannel() override;
    JournalChannel(const JournalChannel&) = delete;
    JournalChannel& operator=(const JournalChannel&) = delete;

    [[nodiscard]] Channel channel() const override { return channel_; }
    [[nodiscard]] const std::string& id() const override { return id_; }
    // Returns 0 if no process of the run is in this session.
    [[nodiscard]] pid_t pid() const override { return kept_ ? kept_->pid() : 0; }
    // Returns the offsets at which the channel begins, for the client.
    [[nodiscard]] msg::Attached attached() const;
    // Makes this channel the holder of `run`, which is the job of this channel. The client sends
    // stdin from its start; the bytes that the command has already got are skipped.
    void hold(KeptRun& run, const OnDisconnect& wish);

    // Returns the first offset that the client may still need; nothing if it wants no more.
    [[nodiscard]] std::optional<Offset> needed_from(StreamId stream) const;

    void on(const msg::Data& data) override;
    void on(const msg::Eof& eof) override;
    void on(const msg::Credit& credit) override;
    void on(const msg::Stop& stop) override;
    void on(const msg::Signal& signal) override;
    void on(const msg::Cancel& cancel) override;
    void on(const msg::Resize&) override {}

    [[nodiscard]] bool is_told() const override { return state_ == State::Told; }
    void acknowledge(const msg::EndAck& ack, Time now) override;
    // Returns nothing if the client's offsets are before the beginning of this channel: the client
    // missed `attached`, and has to attach again.
    std::optional<Offset> resume(const msg::Resume::Point& point) override;
    // Returns what the holder wants. For a channel that only reads, returns a grace period of its
    // own, so that it can resume.
    [[nodiscard]] OnDisconnect on_disconnect() const override;
    void abandon(Termination::First first, Time now) override;
    [[nodiscard]] bool is_over() const override { return state_ == State::Abandoned; }

    [[nodiscard]] bool has_output() const override;
    void put_control(std::string& out) override;
    void put_chunk(std::string& out, std::size_t most) override;

  private:
    enum class State { Following, Told, Abandoned };

    // One stream on its way to the client.
    struct Outgoing {
        Outgoing(const std::string& folder, StreamId stream) : id(stream), reader(folder, stream) {}

        StreamId id;
        JournalReader reader;
        Offset limit = 0;                // The client's credit.
        Offset begin = 0;                // Where the channel began to read.
        Offset consumed = 0;             // The client has used all bytes below.
        Offset sent = 0;                 // Data or gaps below this were sent on this connection.
        Offset highest = 0;              // Data or gaps below this were sent on any connection.
        std::uint64_t exhausted_at = 0;  // The version() of which everything has been read.
        bool is_blocked = false;         // The next record is data beyond `limit`.
        bool is_stopped = false;         // The client wants no more.
        bool is_eof_sent = false;
        std::optional<Offset> until;             // Where to stop, if the run is not followed.
        std::map<Offset, Offset> gaps;           // The gaps that were sent: from, to.
        std::optional<JournalReader::Gap> owed;  // To a client that resumes in a gap.
        std::string damage;                      // Why the journal cannot be read; goes into `end`.
    };
    // The beginning of stdin, which the command has already got: the client sends it again, and it
    // is skipped.
    struct SkippedStdin {
        Offset end = 0;        // Skip the bytes below this.
        Offset received = 0;   // The client has sent this many of them.
        Offset credit = 0;     // The limit that was sent to the client.
        bool has_eof = false;  // The client's stdin ended among the bytes to skip.

        [[nodiscard]] bool is_done() const { return received >= end; }
    };

    void begin(const msg::Attach& attach);
    void begin(Outgoing& stream, const std::optional<Offset>& at);
    // Calls `act`, and keeps its JournalDamaged or SysError as the stream's damage.
    template <typename Act>
    static void guard(Outgoing& stream, Act&& act);
    void go_back(Outgoing& stream, Offset at);
    // Returns the limit to send for the stdin that is skipped, if one is due.
    [[nodiscard]] std::optional<Offset> due_skip_credit() const;
    // Returns a number that changes when there may be more to read.
    [[nodiscard]] std::uint64_t version() const { return kept_ ? kept_->version() : 1; }
    [[nodiscard]] bool is_exhausted(const Outgoing& stream) const;
    [[nodiscard]] bool may_have_more(const Outgoing& stream) const;
    [[nodiscard]] bool is_end_due() const;
    // Appends the next piece of this stream, if there is one. Throws JournalDamaged or SysError.
    void put_next(std::string& out, Outgoing& stream, std::size_t most);
    void put_gap(std::string& out, Outgoing& stream, Offset from, Offset to, std::uint32_t crc32);
    // Appends a gap for what the run has written and the journal lacks. That is damage, unless
    // `is_excused`: the journal is known to be incomplete.
    void put_missing_tail(std::string& out, Outgoing& stream, const StreamSummary& summary,
                          bool is_excused);
    static void add_gaps(const Outgoing& stream, StreamSummary& summary);
    // Returns how many bytes the client did not get, apart from those that --max-output left out.
    [[nodiscard]] static Offset missing_from(const Outgoing& stream, const StreamSummary& summary);
    [[nodiscard]] KeptRun* followed_run() const {
        return kept_ && follows_ ? kept_->as_run() : nullptr;
    }
    void put_end(std::string& out);
    [[nodiscard]] msg::End end() const;
    [[nodiscard]] bool is_holding() const { return run_ != nullptr && run_->is_held_by(*this); }

    Channel channel_;
    std::string id_;
    bool follows_;
    // Exactly one of the two is there.
    std::shared_ptr<KeptJob> kept_;
    std::optional<Store::Found> found_;
    KeptRun* run_ = nullptr;           // `kept_`, if this channel is or was its holder.
    std::array<Outgoing, 2> streams_;  // stdout and stderr.
    std::size_t next_ = 0;             // The index of the stream whose turn it is.
    SkippedStdin skipped_;
    Offset stdin_received_ = 0;
    bool was_holding_ = false;  // The client may still be sending stdin.
    bool is_stop_due_ = true;   // The client must be sent `stop` for stdin.
    State state_ = State::Following;
};

}  // namespace frsh
