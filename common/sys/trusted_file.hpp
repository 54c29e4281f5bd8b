// Reads a file that decides about logins, if only its owner and root could have written it.
//
// The rule is OpenSSH's StrictModes: a regular file of the user or of root, not writable by others,
// and all folders above it up to the home likewise. Links are followed once, at the start. From
// there each step uses descriptors and refuses links, so the checked file is the file that is read.
// The caller already runs as the user, so only files that the user may open are opened.
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

// Never blocks on a FIFO or a device. Never throws for the state of a user's file.
[[nodiscard]] TrustedFile read_trusted_file(const std::string& path, const std::string& home,
                                            uid_t user, std::size_t limit);

// Reads a configuration file of frsh, up to 1 MiB. Returns nothing if there is none. Throws
// UserError if another user could have written it, or if it cannot be read.
[[nodiscard]] std::optional<std::string> read_config_file(const std::string& path,
                                                          const std::string& home);

}  // namespace frsh
