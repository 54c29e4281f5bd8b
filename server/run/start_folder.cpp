#include "server/run/start_folder.hpp"

#include "common/base/text.hpp"
#include "common/sys/fd.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

namespace frsh {
namespace {

std::string resolve_folder(const std::string& path, const User& user) {
    if (path.starts_with('/')) return path;
    if (path.starts_with('~')) {
        const std::size_t end = std::min(path.find('/'), path.size());
        const std::string name = path.substr(1, end - 1);
        const auto owner = name.empty() ? std::optional(user) : find_user(name);
        if (owner) return owner->home + path.substr(end);
    }
    return user.home + "/" + path;
}

// Returns 0 if this process can change to the folder, else the errno.
int why_no_folder(const std::string& path) {
    const Fd folder(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    return folder.is_open() && ::access(path.c_str(), X_OK) == 0 ? 0 : errno;
}

}  // namespace

void set_folder(SpawnRequest& request, const std::optional<std::string>& asked, const User& user) {
    request.cwd = asked ? resolve_folder(*asked, user) : user.home;
    if (asked) return;
    const int error = why_no_folder(user.home);
    if (error == 0) return;
    request.cwd = "/";
    request.notice = "frshd: home folder " + escape_controls(user.home) + ": " +
                     std::strerror(error) + "; the folder is /\n";
}

}  // namespace frsh
