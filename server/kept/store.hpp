// The kept runs of one user: a folder for each, below $XDG_STATE_HOME/frsh/runs, named by run id.
//
//     ID/asked          the start record: what was requested, where and when; one line of JSON
//     ID/stdout-...     the output: journal.hpp
//     ID/stderr-...
//     ID/end            the end record: a journal record with the `end` frame, and in it
//                       "ended_at" (seconds since 1970)
//     ID/end.new        disk space that is reserved for the end record, so that a disk that fills
//                       up while the run lives does not lose its outcome
//     ID/reported       of a shell: made when a client got the report that it has died
//     ID/lost           made when a sweep first finds the run without a session and an end
//
// A claim builds the folder under another name and renames it to the run id (renameat2(2),
// RENAME_NOREPLACE). So exactly one process gets an id, and a folder with that name always has a
// whole start record. The session that runs it holds a lock on `asked` (fcntl(2): F_OFD_SETLK) for
// its whole life. A run without an end record whose lock is free has lost its session.
//
// No function waits for another process.
#pragma once

#include "common/proto/message.hpp"
#include "common/sys/fd.hpp"
#include "server/kept/journal.hpp"
#include "server/kept/store_records.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace frsh {

// The folder of a run that this process has claimed.
class RunFolder {
  public:
    [[nodiscard]] const std::string& path() const { return path_; }
    // Writes the end record. Blocks until it is on disk, and the journals before it. May be called
    // again after a failure. Throws SysError.
    void end(const msg::End& end);
    // Releases the lock that marks the run as running.
    void unlock() { lock_.close(); }

  private:
    friend class Store;
    RunFolder(std::string path, Fd lock) : path_(std::move(path)), lock_(std::move(lock)) {}
    std::string path_;
    Fd lock_;
};

class Store {
  public:
    // A run in one of three states: running; ended (`end` and `ended_at`); or lost (`why_lost`).
    // Kept: a whole start record. Damaged: a run's folder whose start record cannot be read.
    // Foreign: something else that has the name of a run, such as a file, a link, another user's
    // folder.
    enum class Form { Kept, Damaged, Foreign };
    struct Found {
        KeptRunInfo info;
        std::string path;
        Form form = Form::Kept;
        bool is_running = false;
        std::optional<msg::End> end;  // With channel 0.
        std::optional<std::uint64_t> ended_at;
        std::string why_lost;
        bool has_damaged_end = false;  // There is an end record, and it cannot be read.

        // Returns true if what was kept of the run's beginning or end is damaged.
        [[nodiscard]] bool is_damaged() const { return form != Form::Kept || has_damaged_end; }
    };
    struct Ambiguous {
        std::vector<std::string> runs;  // The first few in order of name.
    };

    explicit Store(std::string folder);

    // Claims the id. Blocks until the claim is on disk. Returns null if the id is taken. Throws
    // SysError, or UserError if other users can write to the folder.
    [[nodiscard]] std::unique_ptr<RunFolder> claim(const KeptRunInfo& info);
    // Finds a run by its whole id. Returns something for each id that claim() takes to be in use.
    // Throws as claim().
    [[nodiscard]] std::optional<Found> find(const std::string& run) const;
    // Returns the id that is `beginning` or is the only one that starts with it. Throws as claim().
    [[nodiscard]] std::variant<std::monostate, std::string, Ambiguous> resolve(
        const std::string& beginning) const;
    // Returns all runs, damaged ones included, the oldest first, each with at most 4,096 bytes of
    // arguments. Throws as claim().
    [[nodiscard]] std::vector<Found> list() const;
    // Returns how many bytes a stream has had, from the journal's last record. Fast: reads no data.
    [[nodiscard]] static Offset produced(const std::string& path, StreamId stream);
    // Notes that a client got the report of this shell's death. Returns false if it was noted
    // before, or if the name now belongs to a later shell. Throws as claim().
    [[nodiscard]] bool note_report(const KeptRunInfo& shell);
    // Removes a run that is not running, in whatever form it is. Throws SysError: EBUSY if the run
    // is running or another process is removing it, ENOENT if there is none.
    void forget(const std::string& run);
    // Removes this shell only. ENOENT if the name now belongs to a later shell. Throws as forget().
    void forget_shell(const KeptRunInfo& shell);
    // Removes each run that ended longer ago than `age`. Then removes the run that ended first, and
    // so on, while all runs take more than `size` bytes on disk. Returns at once if another process
    // is sweeping, or if the last sweep took long and is not long ago. Throws as claim().
    void sweep(std::chrono::seconds age, std::uint64_t size);
    // Returns true if a sweep would take long enough to be noticed.
    [[nodiscard]] bool is_large() const;

  private:
    // A run, and the last time at which it can have been running (seconds since 1970).
    struct Inspection {
        Found found;
        std::uint64_t over_at = 0;
    };
    enum class Removal { Done, NoSuchRun, Busy };

    void make_folder() const;
    [[nodiscard]] Fd open_folder() const;
    [[nodiscard]] std::optional<Inspection> inspect(int runs, const std::string& run) const;
    [[nodiscard]] Inspection damaged(const std::string& run, Form form, std::uint64_t made_at,
                                     const std::string& why) const;
    [[nodiscard]] std::optional<Inspection> inspect_started(int runs, const std::string& run,
                                                            const Fd& asked) const;
    [[nodiscard]] bool take_end(int runs, Inspection& inspection) const;
    [[nodiscard]] std::optional<Inspection> inspect_unfinished_claim(int runs,
                                                                     const std::string& run,
                                                                     std::uint64_t made_at) const;
    [[nodiscard]] std::string explain_loss(const std::optional<StartRecord>& start) const;
    [[nodiscard]] std::vector<Inspection> inspect_all(int runs) const;
    static std::uint64_t lost_since(int runs, const std::string& run);
    void forget(const std::string& run, const KeptRunInfo* only);
    // If `only` is not null, removes nothing else that has its name now.
    [[nodiscard]] Removal remove(int runs, const std::string& run,
                                 const KeptRunInfo* only = nullptr) const;
    void try_remove(int runs, const std::string& run) const;
    static void remove_remains(int runs);
    [[nodiscard]] static bool is_sweep_due(int runs);
    static void plan_next_sweep(int runs, std::chrono::steady_clock::duration took);

    std::string folder_;
    MachineBoot machine_;
};

}  // namespace frsh
