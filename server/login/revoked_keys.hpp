// Revoked keys: a list of public keys, or a key revocation list (KRL) that ssh-keygen makes.
#pragma once

#include "common/keys/ssh_certificate.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace frsh {

// What a list of public keys, one a line, says about one of them.
struct KeyListVerdict {
    enum class Kind {
        Listed,  // A line is the key, or the authority of its certificate.
        NotListed,
        Broken,  // A line before is no key. sshd reads no further, and neither does this.
    };
    Kind kind = Kind::NotListed;
    std::size_t line = 0;  // Counted from 1; 0 if there is none.
};
[[nodiscard]] KeyListVerdict find_in_key_list(std::string_view text, const Credential& credential);

// Returns why the file at `path` refuses this key or certificate, or nothing. `ssh-keygen -Q` reads
// a KRL; it may take up to five seconds. A file that cannot be read refuses every key, and so does
// a list with a line that is no key: it could be meant for this one.
[[nodiscard]] std::optional<std::string> find_revocation(const std::string& path,
                                                         const Credential& credential);

}  // namespace frsh
