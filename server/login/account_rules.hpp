// What /etc/shadow and the nologin files decide about a login: plain functions without look-ups.
//
// The days are those of shadow(5): days since 1970, and -1 for an empty field. The rules are
// pam_unix's, so a server without PAM refuses what a server with PAM refuses.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace frsh {

struct ShadowEntry {
    std::string password;  // A hash, "*" or "!"; never shown.
    long changed = -1;     // When the password was changed; 0: it must be changed now.
    long longest = -1;     // Days after which the password must be changed.
    long warning = -1;     // Days before that with a warning.
    long inactive = -1;    // Days after that with a login that only changes the password.
    long expires = -1;     // From this day on the account is closed.
};

// Which passwords count as locked. `usermod -L` puts "!" before the hash. An account that never had
// a password may have "!" alone. sshd with "UsePAM no" takes each of them for locked. With PAM an
// account without a password is open to keys, and only the lock of a password counts.
enum class LockRule { AnyLock, LockedPassword };

// Returns why an account with this entry accepts no login on that day, or nothing.
[[nodiscard]] std::optional<std::string> find_lock(const ShadowEntry& entry, LockRule rule);
[[nodiscard]] std::optional<std::string> find_aging_refusal(const ShadowEntry& entry, long today);

// Returns how many days are left for a change of the password, if the warning is due.
[[nodiscard]] std::optional<long> days_to_warn_of(const ShadowEntry& entry, long today);

// Returns the account's entry; nothing if there is none or this process may not read it.
[[nodiscard]] std::optional<ShadowEntry> read_shadow(const std::string& user);
// Returns why an account that has no such entry accepts no login, or nothing. `field` is its
// password in /etc/passwd: "x" refers to the entry that is missing, and pam_unix(8) refuses then.
[[nodiscard]] std::optional<std::string> find_missing_entry_refusal(const std::string& field);
// Returns the password field of /etc/passwd; empty if there is none.
[[nodiscard]] std::string read_password_field(const std::string& user);
[[nodiscard]] long days_since_1970();

// Returns the reason with the text of the first nologin file that exists: /run/nologin or
// /etc/nologin. Returns nothing if neither exists.
[[nodiscard]] std::optional<std::string> find_nologin();
// Returns the reason for a file of this path and content. Long texts are cut.
[[nodiscard]] std::string nologin_reason(std::string_view path, std::string_view content);

}  // namespace frsh
