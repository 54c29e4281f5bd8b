#include "server/kept/store_files.hpp"

#include "common/proto/message.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace frsh {
namespace {

struct flock whole_file_lock() {
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    return lock;
}

}  // namespace

Fd open_in(int folder, const std::string& path, int flags) {
    return Fd(::openat(folder, path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY,
                       0600));
}

Fd open_path(const std::string& path, int flags) {
    Fd file = open_in(AT_FDCWD, path, flags);
    check(file.get(), "open " + path);
    return file;
}

bool is_out_of_resources(int error) {
    return error == EMFILE || error == ENFILE || error == ENOMEM;
}

void sync(const Fd& file, const std::string& path) {
    // Some file systems cannot sync a folder (fsync(2): EINVAL, EROFS).
    if (::fsync(file.get()) == -1 && errno != EINVAL && errno != EROFS) {
        throw SysError("sync " + path);
    }
}

void sync_folder(const std::string& path) {
    sync(open_path(path, O_RDONLY | O_DIRECTORY), path);
}

std::string parent_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

std::vector<std::string> names_of_runs(int runs) {
    std::vector<std::string> names;
    for_each_name(runs, [&](const std::string& name, unsigned char) {
        if (is_run_id(name)) names.push_back(name);
    });
    std::sort(names.begin(), names.end());
    return names;
}

std::optional<std::string> read_whole(const Fd& file, std::size_t limit) {
    std::string content;
    char buffer[4096];
    for (;;) {
        const IoResult got = read_some(file.get(), buffer, sizeof buffer);
        if (got.status != IoResult::Status::Done) return content;
        content.append(buffer, got.bytes);
        if (content.size() > limit) return std::nullopt;
    }
}

void lock_whole(const Fd& file, const std::string& path) {
    struct flock lock = whole_file_lock();
    check(::fcntl(file.get(), F_OFD_SETLK, &lock), "lock " + path);
}

bool is_locked(const Fd& file) {
    struct flock lock = whole_file_lock();
    check(::fcntl(file.get(), F_OFD_GETLK, &lock), "look for a lock");
    return lock.l_type != F_UNLCK;
}

std::uint64_t disk_usage(int runs, const std::string& run) {
    const Fd folder = open_in(runs, run, O_RDONLY | O_DIRECTORY);
    if (!folder.is_open()) return 0;
    std::uint64_t bytes = 0;
    for_each_name(folder.get(), [&](const std::string& name, unsigned char) {
        struct stat info {};
        if (::fstatat(folder.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0) {
            bytes += static_cast<std::uint64_t>(info.st_blocks) * 512;
        }
    });
    return bytes;
}

bool try_lock_folder(const Fd& folder) {
    if (::flock(folder.get(), LOCK_EX | LOCK_NB) == 0) return true;
    if (errno == EWOULDBLOCK) return false;
    throw SysError("flock");
}

void remove_folder(int runs, const std::string& name) {
    make_readable(runs, name);
    {
        const Fd folder = open_in(runs, name, O_RDONLY | O_DIRECTORY);
        if (!folder.is_open()) return;
        for_each_name(folder.get(), [&](const std::string& file, unsigned char) {
            if (file == "." || file == "..") return;
            if (::unlinkat(folder.get(), file.c_str(), 0) == -1 && errno == EISDIR) {
                remove_folder(folder.get(), file);
            }
        });
    }
    ::unlinkat(runs, name.c_str(), AT_REMOVEDIR);
}

bool remove_unless_folder(int folder, const std::string& name) {
    struct stat info {};
    if (::fstatat(folder, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == -1) return false;
    if (S_ISDIR(info.st_mode)) return false;
    return check(::unlinkat(folder, name.c_str(), 0), "remove " + name) == 0;
}

void make_readable(int runs, const std::string& run) {
    constexpr mode_t kReadWrite = 0600;
    for (const auto& [name, mode] : {std::pair(run, mode_t{0700}), {run + "/asked", kReadWrite}}) {
        struct stat info {};
        if (::fstatat(runs, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == -1) return;
        const bool is_ours = info.st_uid == ::geteuid();
        const bool has_form = mode == kReadWrite ? S_ISREG(info.st_mode) : S_ISDIR(info.st_mode);
        if (!is_ours || !has_form) return;
        if ((info.st_mode & mode) != mode) (void)!::fchmodat(runs, name.c_str(), mode, 0);
    }
}

void check_parent(const std::string& path) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) == -1) {
        if (errno == ENOENT || errno == ENOTDIR) return;
        throw SysError(path);
    }
    if (!S_ISDIR(info.st_mode)) throw UserError(path + ": not a folder");
    if (info.st_uid != ::geteuid()) throw UserError(path + ": owned by another user");
    if ((info.st_mode & 022) != 0) {
        throw UserError(path + ": writable by other users (chmod 700 it)");
    }
}

bool rename_to_free_name(int folder, const std::string& from, const std::string& to) {
    if (::renameat2(folder, from.c_str(), folder, to.c_str(), RENAME_NOREPLACE) == 0) return true;
    if (errno == EINVAL || errno == ENOSYS) {
        // File systems without RENAME_NOREPLACE (NFS). A claim's folder is never empty, so that
        // rename(2) does not replace it.
        struct stat info {};
        if (::fstatat(folder, to.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0) return false;
        if (::renameat(folder, from.c_str(), folder, to.c_str()) == 0) return true;
    }
    if (errno == EEXIST || errno == ENOTEMPTY || errno == ENOTDIR) return false;
    throw SysError("rename to " + to);
}

bool has_inode(int folder, const std::string& name, ino_t inode) {
    struct stat info {};
    return ::fstatat(folder, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && info.st_ino == inode;
}

}  // namespace frsh
