// Reads a file that decides about logins, if only its owner and root could have written it.
//
// The rule is OpenSSH's StrictModes. The file is a regular file, belongs to the user or to root,
// and is not writable by others. The same holds for all folders above it, up to the home.
//
// Links are followed once, at the start. After that, each step uses descriptors and refuses links,
// so the file that was checked is the file that is read. The caller already runs as the user, so
// this opens only files that the user may open.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include <sys/types.h>

namespace frsh {

struct TrustedFile {
    enum class Kind { Read, Missing, Refused };
    Kind kind = Kind::Missing;
    std::string content = {};
    std::string why = {};  // "path: reason", for the log.
};

// Whether a group may write to the file and its folders. PrivateGroup: a group of the user's own,
// which Debian's adduser makes, and to which umask 002 gives write permission.
enum class GroupWrite { Refused, PrivateGroup };

// Reads at most `limit` bytes. A FIFO or a device is refused and does not block. The state of the
// file is returned and never thrown.
[[nodiscard]] TrustedFile read_trusted_file(const std::string& path, const std::string& home,
                                            uid_t user, std::size_t limit,
                                            GroupWrite rule = GroupWrite::Refused);

// Reads a configuration file of frsh, up to 1 MiB. Returns nothing if there is none. Throws
// UserError if another user could have written it, or if it cannot be read.
[[nodiscard]] std::optional<std::string> read_config_file(const std::string& path,
                                                          const std::string& home);

}  // namespace frsh
