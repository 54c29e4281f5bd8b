#include "common/sys/trusted_file.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/sys/fd.hpp"
#include "common/sys/user.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace frsh {
namespace {

constexpr std::size_t kMaxConfig = std::size_t{1024} * 1024;

// Returns the path without links, "." and "..". Returns nothing, and sets errno, if the path does
// not exist.
std::optional<std::string> resolve(const std::string& path) {
    const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr),
                                                           &std::free);
    if (!real) return std::nullopt;
    return std::string(real.get());
}

TrustedFile refuse(const std::string& path, const std::string& why) {
    return {TrustedFile::Kind::Refused, {}, escape_controls(path) + ": " + why};
}

// Returns why a user other than `user` and root could have written the file; "" if none could.
std::string find_fault(const struct stat& status, uid_t user, GroupWrite rule) {
    if (status.st_uid != user && status.st_uid != 0) {
        return "belongs to another user (uid " + std::to_string(status.st_uid) + ")";
    }
    const bool is_private = rule == GroupWrite::PrivateGroup && (status.st_mode & 002) == 0 &&
                            is_private_group(status.st_gid, user);
    if ((status.st_mode & 022) != 0 && !is_private) return "others can write it";
    return "";
}

bool is_within(const std::string& path, const std::string& home) {
    return home == "/" || path == home || path.starts_with(home + "/");
}

// Reads the file `name` in `folder`. The folders above it have been checked.
TrustedFile read_in(const Fd& folder, const std::string& name, const std::string& path, uid_t user,
                    std::size_t limit, GroupWrite rule) {
    struct stat status {};
    // Check the kind before open(2): opening a device can already have an effect.
    if (::fstatat(folder.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == -1) {
        return refuse(path, std::strerror(errno));
    }
    if (!S_ISREG(status.st_mode)) return refuse(path, "not a regular file");
    const Fd file(::openat(folder.get(), name.c_str(),
                           O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (!file.is_open()) return refuse(path, std::strerror(errno));
    // Check the open descriptor again: the name may have been replaced between the two calls.
    if (::fstat(file.get(), &status) == -1) return refuse(path, std::strerror(errno));
    if (!S_ISREG(status.st_mode)) return refuse(path, "not a regular file");
    const std::string fault = find_fault(status, user, rule);
    if (!fault.empty()) return refuse(path, fault);

    TrustedFile read{TrustedFile::Kind::Read, {}, {}};
    char buffer[16384];
    try {
        for (;;) {
            const IoResult got = read_some(file.get(), buffer, sizeof buffer);
            if (got.status != IoResult::Status::Done) return read;
            read.content.append(buffer, got.bytes);
            if (read.content.size() > limit) {
                return refuse(path, "larger than " + std::to_string(limit) + " bytes");
            }
        }
    } catch (const SysError& error) {
        return refuse(path, error.what());
    }
}

}  // namespace

TrustedFile read_trusted_file(const std::string& path, const std::string& home, uid_t user,
                              std::size_t limit, GroupWrite rule) {
    const auto real = resolve(path);
    if (!real) {
        if (errno == ENOENT || errno == ENOTDIR) return {};
        return refuse(path, std::strerror(errno));
    }
    // If the home does not exist, check all folders from the root on.
    const std::string real_home = resolve(home).value_or("");
    const bool is_at_home = !real_home.empty() && is_within(*real, real_home);

    Fd folder(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    std::string walked = "/";
    std::size_t at = 1;
    for (;;) {
        if (!folder.is_open()) return refuse(walked, std::strerror(errno));
        struct stat status {};
        if (::fstat(folder.get(), &status) == -1) return refuse(walked, std::strerror(errno));
        if (!is_at_home || is_within(walked, real_home)) {
            const std::string fault = find_fault(status, user, rule);
            if (!fault.empty()) return refuse(walked, fault);
        }
        const std::size_t slash = real->find('/', at);
        if (slash == std::string::npos) break;
        const std::string name = real->substr(at, slash - at);
        folder =
            Fd(::openat(folder.get(), name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        walked = real->substr(0, slash);
        at = slash + 1;
    }
    if (at >= real->size()) return refuse(path, "not a regular file");  // The path is "/".
    return read_in(folder, real->substr(at), *real, user, limit, rule);
}

std::optional<std::string> read_config_file(const std::string& path, const std::string& home) {
    TrustedFile file =
        read_trusted_file(path, home, ::geteuid(), kMaxConfig, GroupWrite::PrivateGroup);
    if (file.kind == TrustedFile::Kind::Refused) {
        const bool is_mode = file.why.ends_with("others can write it");
        const std::string faulty = file.why.substr(0, file.why.rfind(": "));
        throw UserError(
            "not trusted: " + file.why +
            (is_mode ? "; if that is not wanted: chmod go-w " + shell_quote(faulty) : ""));
    }
    if (file.kind == TrustedFile::Kind::Missing) return std::nullopt;
    return std::move(file.content);
}

}  // namespace frsh
