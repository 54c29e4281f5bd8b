// SessionClaim makes exactly one process the session of a name that a client has chosen.
//
// A client that has lost its connection sends a request again if the server has never seen it. The
// first session may still be alive then: a late `open` may wait in its socket. Or it was killed
// after it had begun the run. So a session claims its name before it begins its first run: it
// creates the file NAME in the folder of claims, which fails if that exists (open(2), O_EXCL). A
// session whose client has acknowledged all its runs removes the file. Any other end leaves it.
//
// A session that took over the name of one that had begun nothing does not remove the file, because
// that one may still have a late `open`. It renames the file to NAME.free, which only the next
// session that takes over may rename back.
//
// The file is empty. Its time is that of the last run's begin. Files that are older than twice
// kLongestAge are removed when another one is left behind.
#pragma once

#include "common/sys/fd.hpp"

#include <chrono>
#include <string>
#include <utility>

namespace frsh {

// A client may send a request again that is younger than this.
inline constexpr std::chrono::hours kLongestAge{24};

class SessionClaim {
  public:
    // Nothing is created before take().
    explicit SessionClaim(std::string folder) : folder_(std::move(folder)) {}
    SessionClaim(const SessionClaim&) = delete;
    SessionClaim& operator=(const SessionClaim&) = delete;

    enum class Result {
        Taken,      // This session has the name.
        Refused,    // Another session has or had it.
        Unchecked,  // No file could be created, or not checked for.
    };
    // Claims `name`, or marks the claim as used now if this session has it already. Blocks for a
    // few microseconds on a local disk; nothing is synced.
    Result take(const std::string& name);
    // Claims `name` for a client that has returned, if no session of that name has begun anything.
    Result take_over(const std::string& name);
    [[nodiscard]] bool is_held() const { return file_.is_open(); }
    // Gives the name back, if this session has it: nothing was begun, or all was acknowledged.
    void release();
    // Ends with the name still taken: it stands for runs that were not acknowledged. Also removes
    // old files.
    void leave();

  private:
    [[nodiscard]] std::string path() const { return folder_ + "/" + name_; }
    [[nodiscard]] std::string free_path() const { return path() + ".free"; }
    Result create(const std::string& name);
    void remove_old() const;

    std::string folder_;
    std::string name_;
    bool was_taken_over_ = false;
    Fd file_;  // Open while this session has the name.
};

}  // namespace frsh
