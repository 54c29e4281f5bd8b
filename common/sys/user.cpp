#include "common/sys/user.hpp"

#include "common/base/error.hpp"

#include <cstdlib>
#include <vector>

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

namespace frsh {

User current_user() {
    User user{::geteuid(), ::getegid(), std::to_string(::geteuid()), "/", "/bin/sh"};
    std::vector<char> buffer(16384);
    passwd entry{};
    passwd* found = nullptr;
    while (::getpwuid_r(user.uid, &entry, buffer.data(), buffer.size(), &found) == ERANGE) {
        buffer.resize(buffer.size() * 2);
    }
    if (found == nullptr) return user;
    user.gid = found->pw_gid;
    user.name = found->pw_name;
    user.home = found->pw_dir;
    if (found->pw_shell != nullptr && found->pw_shell[0] != '\0') user.shell = found->pw_shell;
    return user;
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
