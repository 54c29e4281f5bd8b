#include "common/sys/user.hpp"

#include "common/base/error.hpp"

#include <cstdlib>
#include <vector>

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

namespace frsh {

namespace {

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
    return user.value_or(User{uid, ::getegid(), std::to_string(uid), "/", "/bin/sh"});
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

std::string runtime_folder() {
    const char* const given = std::getenv("XDG_RUNTIME_DIR");
    if (given != nullptr && given[0] == '/') return std::string(given) + "/frsh";
    const std::string uid = std::to_string(::geteuid());
    struct stat info {};
    const std::string standard = "/run/user/" + uid;
    if (::stat(standard.c_str(), &info) == 0 && info.st_uid == ::geteuid()) {
        return standard + "/frsh";
    }
    return "/tmp/frsh-" + uid;
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
