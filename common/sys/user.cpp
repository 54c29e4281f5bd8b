#include "common/sys/user.hpp"

#include "common/base/error.hpp"

#include <cerrno>
#include <cstdlib>
#include <vector>

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

namespace frsh {

namespace {

// A socket's address holds 107 bytes. The longest name of a socket in the folder has 27.
constexpr std::size_t kMaxRuntimeFolder = 80;

User user_of(const passwd& entry) {
    User user{entry.pw_uid, entry.pw_gid, entry.pw_name, entry.pw_dir, "/bin/sh"};
    if (entry.pw_shell != nullptr && entry.pw_shell[0] != '\0') user.shell = entry.pw_shell;
    return user;
}

// Queries the user database, with a larger buffer until the answer fits.
template <typename Ask>
std::optional<User> ask_database(const Ask& ask) {
    std::vector<char> buffer(1024);
    passwd entry{};
    passwd* found = nullptr;
    while (ask(&entry, buffer.data(), buffer.size(), &found) == ERANGE)
        buffer.resize(buffer.size() * 2);
    if (found == nullptr) return std::nullopt;
    return user_of(*found);
}

}  // namespace

User current_user() {
    const uid_t uid = ::geteuid();
    const auto user = ask_database([uid](auto... into) { return ::getpwuid_r(uid, into...); });
    if (user) return *user;
    const char* const home = std::getenv("HOME");
    const bool is_given = home != nullptr && home[0] == '/';
    return {uid, ::getegid(), std::to_string(uid), is_given ? home : "/", "/bin/sh"};
}

std::optional<User> find_user(const std::string& name) {
    return ask_database([&](auto... into) { return ::getpwnam_r(name.c_str(), into...); });
}

std::optional<std::string> find_group_name(gid_t gid) {
    std::vector<char> buffer(1024);
    group entry{};
    group* found = nullptr;
    while (::getgrgid_r(gid, &entry, buffer.data(), buffer.size(), &found) == ERANGE)
        buffer.resize(buffer.size() * 2);
    if (found == nullptr) return std::nullopt;
    return found->gr_name;
}

bool is_private_group(gid_t gid, uid_t user) {
    const group* const entry = ::getgrgid(gid);
    if (entry == nullptr) return false;
    const std::optional<User> own =
        ask_database([user](auto... into) { return ::getpwuid_r(user, into...); });
    if (!own || own->gid != gid) return false;
    for (char** member = entry->gr_mem; *member != nullptr; ++member) {
        if (own->name != *member) return false;
    }
    bool is_private = true;
    ::setpwent();
    while (const passwd* const other = ::getpwent())
        is_private = is_private && (other->pw_gid != gid || other->pw_uid == user);
    ::endpwent();
    return is_private;
}

std::string home_folder() {
    const char* const given = std::getenv("HOME");
    return given != nullptr && given[0] == '/' ? given : current_user().home;
}

std::string expand_home(std::string_view path) {
    return path.starts_with("~/") ? home_folder().append(path.substr(1)) : std::string(path);
}

std::string config_folder() {
    return home_folder() + "/.config/frsh";
}

std::string usual_state_folder(const std::string& home) {
    return home + "/.local/state/frsh";
}

std::string state_folder(const std::string& home) {
    const char* const given = std::getenv("XDG_STATE_HOME");
    // A relative path is ignored (XDG Base Directory Specification).
    const bool is_given = given != nullptr && given[0] == '/';
    return is_given ? std::string(given) + "/frsh" : usual_state_folder(home);
}

void make_folders(const std::string& path) {
    for (std::size_t at = path.find('/', 1);; at = path.find('/', at + 1)) {
        const std::string folder = path.substr(0, at);
        if (::mkdir(folder.c_str(), 0700) == -1 && errno != EEXIST) {
            throw SysError("mkdir " + folder);
        }
        if (at == std::string::npos) return;
    }
}

namespace {

enum class Place { Missing, Own, Taken };

// Returns whether a folder of this user, or anything else, has this name.
Place look_at(const std::string& path) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) == -1) return Place::Missing;
    return S_ISDIR(info.st_mode) && info.st_uid == ::geteuid() ? Place::Own : Place::Taken;
}

// Returns true for a folder of this user, also through a link.
bool is_own_folder(const std::string& path) {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == ::geteuid();
}

// Returns a folder below the home, where no other user can take the name first. The home in $HOME
// may be another user's (`sudo -E`); then the user database names the home.
std::string home_runtime_folder() {
    const std::string home = home_folder();
    const bool is_own = is_own_folder(home);
    return usual_state_folder(is_own ? home : current_user().home) + "/run";
}

// Returns /tmp/frsh-UID, unless another user has taken that name. A folder that is in use already
// comes first, so that server and client agree after the other user has given the name free.
std::string fallback_folder() {
    std::string common = "/tmp/frsh-" + std::to_string(::geteuid());
    std::string own = home_runtime_folder();
    const Place place = look_at(common);
    if (place == Place::Own || own.size() > kMaxRuntimeFolder) return common;
    return look_at(own) == Place::Own || place == Place::Taken ? own : common;
}

void make_own_folder(const std::string& folder) {
    if (folder == home_runtime_folder()) make_folders(folder);
    make_private_folder(folder);
}

}  // namespace

std::string runtime_folder() {
    const std::string uid = std::to_string(::geteuid());
    const char* const given = std::getenv("XDG_RUNTIME_DIR");
    const std::string user_runtime = "/run/user/" + uid;
    for (const std::string& folder : {std::string(given == nullptr ? "" : given), user_runtime}) {
        std::string own = folder + "/frsh";
        const bool is_usable = folder.starts_with('/') && is_own_folder(folder) &&
                               own.size() <= kMaxRuntimeFolder && look_at(own) != Place::Taken;
        if (is_usable) return own;
    }
    return fallback_folder();
}

std::string make_runtime_folder() {
    std::string folder = runtime_folder();
    try {
        make_own_folder(folder);
        return folder;
    } catch (const SysError&) {
        // logind removes /run/user/UID when the user's last login ends.
    } catch (const UserError&) {
        // Another user has made the folder in the meantime; or ours is open to others.
        if (look_at(folder) == Place::Own) throw;
    }
    folder = fallback_folder();
    make_own_folder(folder);
    return folder;
}

bool check_private_folder(const std::string& path) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) == -1) {
        if (errno == ENOENT || errno == ENOTDIR) return false;
        throw SysError(path);
    }
    if (!S_ISDIR(info.st_mode)) throw UserError(path + ": not a folder");
    if (info.st_uid != ::geteuid()) throw UserError(path + ": owned by another user");
    if ((info.st_mode & 077) != 0) throw UserError(path + ": open to other users (chmod 700 it)");
    return true;
}

void make_private_folder(const std::string& path) {
    if (::mkdir(path.c_str(), 0700) == -1 && errno != EEXIST) throw SysError("mkdir " + path);
    check_private_folder(path);
}

}  // namespace frsh
