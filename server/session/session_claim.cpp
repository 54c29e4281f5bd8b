#include "server/session/session_claim.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/sys/user.hpp"

#include <cerrno>
#include <ctime>
#include <memory>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace frsh {
namespace {

Fd create_claim(const std::string& path) {
    constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
    return Fd(::open(path.c_str(), kFlags, 0600));
}

}  // namespace

SessionClaim::Result SessionClaim::take(const std::string& name) {
    if (file_.is_open()) {
        (void)::futimens(file_.get(), nullptr);
        return Result::Taken;
    }
    if (was_taken_over_) return take_over(name);
    const Result result = create(name);
    if (result != Result::Taken || ::access(free_path().c_str(), F_OK) == -1) return result;
    // The client has returned meanwhile, and its next session has ended. The file stays, because
    // another one may just have renamed it back.
    file_.close();
    return Result::Refused;
}

SessionClaim::Result SessionClaim::take_over(const std::string& name) {
    name_ = name;
    was_taken_over_ = true;
    if (::rename(free_path().c_str(), path().c_str()) == 0) {
        file_ = Fd(::open(path().c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
        return file_.is_open() ? Result::Taken : Result::Unchecked;
    }
    return create(name);
}

SessionClaim::Result SessionClaim::create(const std::string& name) {
    name_ = name;
    try {
        file_ = create_claim(path());
        if (!file_.is_open() && errno == ENOENT) {
            make_folders(folder_);
            file_ = create_claim(path());
        }
        if (!file_.is_open()) {
            if (errno == EEXIST) return Result::Refused;
            throw SysError("create " + path());
        }
        check_private_folder(folder_);
        return Result::Taken;
    } catch (const SysError& error) {
        log::info(std::string("a cut of the first flight cannot be resumed: ") + error.what());
    } catch (const UserError& error) {
        log::info(std::string("a cut of the first flight cannot be resumed: ") + error.what());
    }
    release();
    return Result::Unchecked;
}

void SessionClaim::release() {
    if (!file_.is_open()) return;
    file_.close();
    if (was_taken_over_) {
        (void)::rename(path().c_str(), free_path().c_str());
    } else {
        (void)::unlink(path().c_str());
    }
}

void SessionClaim::leave() {
    if (!file_.is_open()) return;
    (void)::futimens(file_.get(), nullptr);
    file_.close();
    remove_old();
}

void SessionClaim::remove_old() const {
    const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(folder_.c_str()), &::closedir);
    if (!entries) return;
    // Twice the age: the clock may have been set meanwhile.
    const std::time_t oldest = std::time(nullptr) - std::chrono::seconds(2 * kLongestAge).count();
    while (const dirent* const entry = ::readdir(entries.get())) {
        struct stat info {};
        const int folder = ::dirfd(entries.get());
        if (::fstatat(folder, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == -1) continue;
        if (S_ISREG(info.st_mode) && info.st_mtime < oldest) {
            (void)::unlinkat(folder, entry->d_name, 0);
        }
    }
}

}  // namespace frsh
