// The runs of one user that are kept: a folder each, below $XDG_STATE_HOME/frsh/runs, named by the
// run's id.
//
//     ID/asked          what was asked for, by whom it is run, and when: JSON, one line
//     ID/stdout-...     what it wrote: journal.hpp
//     ID/stderr-...
//     ID/end            how it ended: one record as in a journal, with the `end` frame, and in it
//                       "ended_at" (seconds since 1970)
//
// Both files are written under another name ("asked.new", "end.new") and renamed when they are
// whole. The room for the second is taken with the claim, so that a disk that is full by then does
// not keep the end from being told.
//
// The folder's mkdir(2) is the claim of the id: whoever gets it starts the run, and nobody else
// ever does. `asked` is locked (fcntl(2): F_OFD_SETLK) by the session that runs it, for as long as
// that lives; a run without an end whose lock is free has lost its session.
#pragma once

#include "common/proto/message.hpp"
#include "common/sys/fd.hpp"
#include "server/kept/journal.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace frsh {

struct KeptRunInfo {
    std::string run;
    msg::Open::Mode mode = msg::Open::Mode::Command;
    std::vector<std::string> args;  // Any bytes.
    bool is_shell = false;
    std::uint64_t started_at = 0;               // Seconds since 1970.
    std::string session;                        // Where its session is found: rendezvous.hpp.
    std::optional<std::string> forced_command;  // Of the key that it was asked for with.
};

// A run that was claimed by us.
class RunFolder {
  public:
    [[nodiscard]] const std::string& path() const { return path_; }
    // On disk for good when it returns, and before it what the journals have. May be said again
    // where it could not be written. Throws SysError.
    void end(const msg::End& end);
    // Nobody is there any more.
    void unlock() { lock_.close(); }

  private:
    friend class Store;
    RunFolder(std::string path, Fd lock) : path_(std::move(path)), lock_(std::move(lock)) {}
    std::string path_;
    Fd lock_;
};

class Store {
  public:
    struct Found {
        KeptRunInfo info;
        std::string path;
        bool is_running = false;      // Its session lives.
        std::optional<msg::End> end;  // Else, if it had one. Channel 0.
        std::optional<std::uint64_t> ended_at;
        std::string why_lost;  // Neither.
    };
    struct Ambiguous {
        std::vector<std::string> runs;  // Some of them, in order.
    };

    explicit Store(std::string folder);

    // On disk for good when it returns. Null: the id is taken. Throws SysError or UserError (the
    // folder is not ours alone).
    [[nodiscard]] std::unique_ptr<RunFolder> claim(const KeptRunInfo& info);
    // By the whole id or, with resolve(), by how it begins. Nothing: there is none. Where it is
    // being claimed right now this waits until that is done, or dead. Throws as claim().
    [[nodiscard]] std::optional<Found> find(const std::string& run) const;
    [[nodiscard]] std::variant<std::monostate, std::string, Ambiguous> resolve(
        const std::string& beginning) const;
    // All of them, the oldest first; of their arguments only the first, 4,096 bytes together.
    [[nodiscard]] std::vector<Found> list() const;
    // Bytes produced so far, from what the journal's records say; fast, nothing is summed.
    [[nodiscard]] static Offset produced(const std::string& path, StreamId stream);
    // Of a run that is not running. Throws SysError.
    void forget(const std::string& run);
    // Forgets what ended longer ago than `age`, and then the oldest ended ones while all of them
    // together take more than `size` bytes on disk.
    void sweep(std::chrono::seconds age, std::uint64_t size);

  private:
    struct Look;
    using Patience = std::chrono::steady_clock::time_point;
    void make_folder() const;
    [[nodiscard]] Fd open_folder() const;
    [[nodiscard]] std::string asked_text(const KeptRunInfo& info) const;
    static std::uint64_t lost_since(int runs, const Look& look);
    [[nodiscard]] std::optional<Look> look(int runs, const std::string& run,
                                           Patience patience) const;
    [[nodiscard]] std::optional<Look> look_closely(int runs, const std::string& run,
                                                   const Fd& asked) const;
    [[nodiscard]] std::vector<Look> look_at_all(int runs) const;
    static bool remove(int runs, const std::string& run);

    std::string folder_;
    // This machine, since it was started.
    std::string host_;
    std::string boot_id_;
};

}  // namespace frsh
