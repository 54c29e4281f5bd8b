// PrivateFolder is a folder of mode 0700 below the user's runtime folder, for the named pipes and
// command files of one shell. Its destructor removes it with all files in it.
//
// A session that was killed leaves its folder behind. The next PrivateFolder removes it: a living
// owner holds a lock on its folder (flock(2)), so a folder without a lock has no owner.
#pragma once

#include "common/sys/fd.hpp"

#include <string>
#include <string_view>

namespace frsh {

class PrivateFolder {
  public:
    // Makes the folder, and removes abandoned ones beside it. Throws SysError or UserError.
    PrivateFolder();
    ~PrivateFolder();
    PrivateFolder(const PrivateFolder&) = delete;
    PrivateFolder& operator=(const PrivateFolder&) = delete;

    [[nodiscard]] const std::string& path() const { return path_; }

    // Makes the folder again if it has been removed, as tools that clean /tmp do. Throws SysError
    // or UserError if it cannot be made, or if another user can write to it.
    void ensure();
    // Writes a new file of mode 0600. Throws SysError, also if the file exists.
    void write_file(const std::string& name, std::string_view content);

  private:
    void lock();

    std::string parent_;
    std::string path_;
    Fd lock_;
};

}  // namespace frsh
