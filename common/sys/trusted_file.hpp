// Reads a file that decides who gets in, if nobody but its owner and root could have written it.
//
// What OpenSSH calls StrictModes: a regular file of the user or root, writable by nobody else, in
// folders of the same kind all the way up to the home. Links are followed once, at the start; from
// there every step is taken by descriptor and refuses links, so that what was checked is what is
// read. The caller has become the user already: nothing is opened that the user could not open.
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

// Never hangs on a FIFO or a device, and never throws for what a user did to a file.
[[nodiscard]] TrustedFile read_trusted_file(const std::string& path, const std::string& home,
                                            uid_t user, std::size_t limit);

// A configuration file of our own, up to 1 MiB; nothing where there is none. Throws UserError where
// somebody else could have written it, and where it cannot be read.
[[nodiscard]] std::optional<std::string> read_config_file(const std::string& path,
                                                          const std::string& home);

}  // namespace frsh
