#include "server/login/account.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/keys/host_pattern.hpp"
#include "common/keys/ssh_wire.hpp"
#include "common/sys/trusted_file.hpp"
#include "server/login/account_rules.hpp"
#include "server/login/certificate_grant.hpp"
#include "server/login/child_answer.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <utility>
#include <variant>

#include <grp.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace frsh {
namespace {

using namespace std::chrono_literals;

// The most time to read a user's files, which may be on a file server that does not answer.
constexpr auto kFileTime = 5s;

// Returns why /etc/shadow closes the account. With PAM, its modules decide about the age.
std::optional<std::string> find_shadow_refusal(const User& user, const AccountPolicy& policy) {
    const auto entry = read_shadow(user.name);
    if (!entry) {
        // Only root can tell a missing line from a closed file. A bare container has no such file.
        const bool is_known = ::geteuid() == 0 && ::access("/etc/shadow", F_OK) == 0;
        if (policy.uses_pam || !is_known) return std::nullopt;
        return find_missing_entry_refusal(read_password_field(user.name));
    }
    const LockRule rule = policy.uses_pam ? LockRule::LockedPassword : LockRule::AnyLock;
    if (auto why = find_lock(*entry, rule)) return why;
    if (policy.uses_pam) return std::nullopt;
    const long today = days_since_1970();
    if (auto why = find_aging_refusal(*entry, today)) return why;
    if (const auto left = days_to_warn_of(*entry, today)) {
        log::notice("the password of " + user.name + " expires in " + std::to_string(*left) +
                    " days");
    }
    return std::nullopt;
}

bool matches_any(const std::vector<std::string>& names, const std::vector<std::string>& patterns) {
    return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
        return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
            return matches_pattern(name, pattern);
        });
    });
}

bool is_login_shell(const std::string& shell) {
    bool is_listed = false;
    ::setusershell();
    while (const char* const listed = ::getusershell())
        is_listed = is_listed || shell == listed;
    ::endusershell();
    return is_listed;
}

// Whether the account is the one that this server runs as. The server decides this before it forks
// the process that reads the files: that process has become the user and always has the same uid.
enum class Whose { OfThisServersUser, OfSomebody };

std::vector<std::string> key_sources(const std::string& home, Whose whose,
                                     const KeySearch& search) {
    const std::string usual = home + "/.ssh/authorized_keys";
    const std::string own = home + "/.config/frsh/authorized_keys";
    std::vector<std::string> sources{usual, own};
    if (search.files) {
        sources = *search.files;
        if (std::find(sources.begin(), sources.end(), usual) == sources.end()) return sources;
        sources.push_back(own);
    }
    // The user of this server may log in with the key that the user's own client made.
    if (whose == Whose::OfThisServersUser) sources.push_back(home + "/.config/frsh/id_ed25519.pub");
    return sources;
}

void put_list(WireWriter& writer, const std::vector<std::string>& list) {
    writer.u32(static_cast<std::uint32_t>(list.size()));
    for (const std::string& entry : list)
        writer.string(entry);
}

void take_list(WireReader& reader, std::vector<std::string>& list) {
    for (std::uint32_t left = reader.u32(); left > 0; --left)
        list.emplace_back(reader.string());
}

std::string encode_found(const FoundGrant& found) {
    const AuthorizedKey& key = found.grant.key;
    WireWriter writer;
    writer.u32(static_cast<std::uint32_t>(found.index))
        .string(found.grant.where)
        .u8(key.command.has_value())
        .string(key.command.value_or(""))
        .u8(key.may_have_pty)
        .u8(key.may_forward.has_value())
        .u8(key.may_forward.value_or(false));
    put_list(writer, key.permit_open);
    put_list(writer, key.permit_listen);
    writer.u8(key.presence == Presence::Verified)
        .u32(static_cast<std::uint32_t>(key.environment.size()));
    for (const auto& [name, value] : key.environment)
        writer.string(name).string(value);
    return writer.take();
}

// Parses the answer of the child process. The child runs as the user, so its answer is checked as
// strictly as a peer's.
FoundGrant decode_found(std::string_view answer, const std::vector<Credential>& keys) {
    WireReader reader(answer, "grant");
    const std::size_t index = reader.u32();
    if (index >= keys.size()) reader.refuse("of a key that was not requested");
    std::string where(reader.string());
    AuthorizedKey key{keys[index].key, "", 0, {}, true, {}, {}, {}, Presence::Touched, {}, {}, {}};
    const bool has_command = reader.u8() != 0;
    const std::string_view command = reader.string();
    if (has_command) key.command = std::string(command);
    key.may_have_pty = reader.u8() != 0;
    const bool has_word = reader.u8() != 0;
    const bool is_allowed = reader.u8() != 0;
    if (has_word) key.may_forward = is_allowed;
    take_list(reader, key.permit_open);
    take_list(reader, key.permit_listen);
    key.presence = reader.u8() != 0 ? Presence::Verified : Presence::Touched;
    for (std::uint32_t left = reader.u32(); left > 0; --left) {
        const std::string name(reader.string());
        key.environment.emplace_back(name, std::string(reader.string()));
    }
    reader.finish();
    return {index, {std::move(key), std::move(where)}};
}

// Returns the conditions under which this line opens the account for the credential. Returns
// nothing if the line is about another key, or if a condition does not hold, which is logged.
std::optional<AuthorizedKey> match_line(const AuthorizedKey& line, const Credential& credential,
                                        const std::string& user, const std::string& address,
                                        const std::string& where) {
    const auto& certificate = credential.certificate;
    if (line.is_authority != certificate.has_value()) return std::nullopt;
    if (!(line.key == (certificate ? certificate->authority : credential.key))) return std::nullopt;
    if (const auto why = find_refusal(line, address, std::chrono::system_clock::now())) {
        log::notice(where + ": " + *why);
        return std::nullopt;
    }
    if (!certificate) return line;
    auto applied = apply_certificate(line, *certificate, {user, address, certificate_time_now()},
                                     NoPrincipals::MatchAll);
    if (const auto* const why = std::get_if<std::string>(&applied)) {
        log::notice(where + ": " + *why);
        return std::nullopt;
    }
    return std::move(std::get<AuthorizedKey>(applied));
}

std::optional<FoundGrant> search(const User& user, const std::string& home, Whose whose,
                                 const std::vector<Credential>& keys, const KeySearch& how) {
    std::vector<std::pair<std::string, AuthorizedKeys>> files;
    for (const std::string& source : key_sources(home, whose, how)) {
        TrustedFile file = read_trusted_file(source, home, user.uid, kMaxAuthorizedKeys);
        if (file.kind == TrustedFile::Kind::Refused) log::error("not trusted: " + file.why);
        if (file.kind != TrustedFile::Kind::Read) continue;
        files.emplace_back(source, parse_authorized_keys(file.content));
        for (const std::string& why : files.back().second.skipped)
            log::info(escape_controls(source) + ": skipped " + why);
    }
    for (std::size_t index = 0; index < keys.size(); ++index) {
        for (const auto& [path, listed] : files) {
            for (const AuthorizedKey& line : listed.keys) {
                std::string where = escape_controls(path) + ":" + std::to_string(line.line);
                auto key = match_line(line, keys[index], user.name, how.address, where);
                if (!key) continue;
                if (keys[index].certificate) where += ", " + keys[index].certificate->describe();
                return FoundGrant{index, {std::move(*key), std::move(where)}};
            }
        }
    }
    return std::nullopt;
}

}  // namespace

std::vector<std::string> groups_of(const User& user) {
    int count = 64;
    std::vector<gid_t> ids(static_cast<std::size_t>(count));
    while (::getgrouplist(user.name.c_str(), user.gid, ids.data(), &count) == -1)
        ids.resize(static_cast<std::size_t>(count));  // getgrouplist(3) has set the real count.
    ids.resize(static_cast<std::size_t>(count));
    std::vector<std::string> names;
    for (const gid_t id : ids) {
        if (const auto name = find_group_name(id)) names.push_back(*name);
    }
    return names;
}

std::optional<User> find_account(const std::string& name) {
    if (::geteuid() == 0) return find_user(name);
    User own = current_user();
    if (own.name != name) return std::nullopt;
    return own;
}

std::optional<std::string> find_account_refusal(const User& user, const AccountPolicy& policy) {
    const bool is_given_by_root = ::geteuid() == 0;
    if (is_given_by_root && user.uid == 0 && !policy.permit_root_login) {
        return "root may not log in here (permit_root_login)";
    }
    if (policy.allow_users && !matches_any({user.name}, *policy.allow_users)) {
        return "this account is not among those that may log in here (allow_users)";
    }
    if (policy.allow_groups && !matches_any(groups_of(user), *policy.allow_groups)) {
        return "this account is in no group that may log in here (allow_groups)";
    }
    if (user.uid != 0) {
        if (auto why = find_nologin()) return why;
    }
    if (!is_given_by_root) return std::nullopt;
    if (auto why = find_shadow_refusal(user, policy)) return why;
    if (!is_login_shell(user.shell)) {
        return "the account's shell is no login shell (/etc/shells)";
    }
    return std::nullopt;
}

std::optional<FoundGrant> find_grant(const User& user, const std::vector<Credential>& keys,
                                     const KeySearch& how) {
    if (user.uid == ::geteuid()) {
        return search(user, home_folder(), Whose::OfThisServersUser, keys, how);
    }
    const auto search_as_user = [&]() -> std::string {
        become_user(user);
        const auto found = search(user, user.home, Whose::OfSomebody, keys, how);
        return found ? encode_found(*found) : "";
    };
    const std::string answer = answer_in_child(search_as_user, kFileTime);
    if (answer.empty()) return std::nullopt;
    return decode_found(answer, keys);
}

std::optional<std::string> read_as_user(const User& user, const std::string& path) {
    constexpr std::size_t kMaxFile = std::size_t{128} * 1024;
    const auto read = [&]() -> std::string {
        if (user.uid != ::geteuid()) become_user(user);
        TrustedFile file = read_trusted_file(path, user.home, user.uid, kMaxFile);
        if (file.kind == TrustedFile::Kind::Refused) log::error("not trusted: " + file.why);
        return file.kind == TrustedFile::Kind::Read ? "+" + file.content : "";
    };
    const std::string answer = answer_in_child(read, kFileTime);
    if (answer.empty()) return std::nullopt;
    return answer.substr(1);
}

void leave_session_keyring() {
    constexpr long kJoinSessionKeyring = 1;  // KEYCTL_JOIN_SESSION_KEYRING, without a name.
    if (::syscall(SYS_keyctl, kJoinSessionKeyring, nullptr) != -1) return;
    // A kernel without keys, or a container that forbids keyctl(2), gives the user no keys either.
    if (errno != ENOSYS && errno != EPERM) throw SysError("keyctl");
}

void become_user(const User& user) {
    if (::geteuid() == user.uid && ::getuid() == user.uid && user.uid != 0) return;
    check(::initgroups(user.name.c_str(), user.gid), "initgroups");
    check(::setresgid(user.gid, user.gid, user.gid), "setresgid");
    check(::setresuid(user.uid, user.uid, user.uid), "setresuid");
    uid_t uids[3];
    gid_t gids[3];
    check(::getresuid(&uids[0], &uids[1], &uids[2]), "getresuid");
    check(::getresgid(&gids[0], &gids[1], &gids[2]), "getresgid");
    for (int i = 0; i < 3; ++i) {
        must(uids[i] == user.uid && gids[i] == user.gid, "a session is its user in every way");
    }
    must(user.uid == 0 || (::setuid(0) == -1 && ::setgid(0) == -1), "there is no way back to root");
}

}  // namespace frsh
