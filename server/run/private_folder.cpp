#include "server/run/private_folder.hpp"

#include "common/base/error.hpp"
#include "common/sys/user.hpp"

#include <cstdlib>
#include <ctime>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace frsh {
namespace {

constexpr std::string_view kFolderPrefix = "shell-";
// A younger folder may have been made just now, and not be locked yet.
constexpr std::time_t kMinimumAbandonedAge = 10;  // Seconds.

// Removes a folder that contains files only.
void remove_folder(const std::string& path) {
    if (DIR* const folder = ::opendir(path.c_str())) {
        while (const dirent* const entry = ::readdir(folder))
            (void)::unlinkat(::dirfd(folder), entry->d_name, 0);
        ::closedir(folder);
    }
    (void)::rmdir(path.c_str());
}

void remove_abandoned(const std::string& parent) {
    DIR* const folder = ::opendir(parent.c_str());
    if (folder == nullptr) return;
    std::vector<std::string> abandoned;
    while (const dirent* const entry = ::readdir(folder)) {
        if (!std::string_view(entry->d_name).starts_with(kFolderPrefix)) continue;
        const Fd one(::openat(::dirfd(folder), entry->d_name,
                              O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        struct stat info {};
        const bool is_old = one.is_open() && ::fstat(one.get(), &info) == 0 &&
                            info.st_mtime + kMinimumAbandonedAge < std::time(nullptr);
        if (is_old && ::flock(one.get(), LOCK_EX | LOCK_NB) == 0) {
            abandoned.push_back(parent + "/" + entry->d_name);
        }
    }
    ::closedir(folder);
    for (const std::string& path : abandoned)
        remove_folder(path);
}

}  // namespace

PrivateFolder::PrivateFolder() : parent_(make_runtime_folder()) {
    remove_abandoned(parent_);
    path_ = parent_ + "/" + std::string(kFolderPrefix) + "XXXXXX";
    if (::mkdtemp(path_.data()) == nullptr) throw SysError("mkdtemp " + parent_);
    lock();
}

PrivateFolder::~PrivateFolder() {
    remove_folder(path_);
}

void PrivateFolder::ensure() {
    make_private_folder(parent_);
    make_private_folder(path_);
    struct stat info {};
    const bool is_locked = lock_.is_open() && ::fstat(lock_.get(), &info) == 0;
    // The locked folder has no link left if it was removed; then the path is a new folder.
    if (!is_locked || info.st_nlink == 0) lock();
}

void PrivateFolder::write_file(const std::string& name, std::string_view content) {
    const std::string path = path_ + "/" + name;
    const Fd file(
        check(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), "open " + path));
    write_all(file.get(), content);
}

void PrivateFolder::lock() {
    lock_ = Fd(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    // Some file systems cannot lock. There, remove_abandoned() gets no lock either and removes
    // nothing.
    if (lock_.is_open()) (void)::flock(lock_.get(), LOCK_EX | LOCK_NB);
}

}  // namespace frsh
