#include "server/login/pam_session.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/sys/fd.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#if FRSH_PAM
#include <dlfcn.h>
#include <poll.h>
#include <sched.h>
#include <security/pam_appl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

namespace frsh {

void set_login_uid(uid_t uid) {
    const Fd file(::open("/proc/self/loginuid", O_RDWR | O_CLOEXEC));
    if (!file.is_open()) return;
    char now[32];
    const ssize_t size = ::read(file.get(), now, sizeof now);
    const std::string wanted = std::to_string(uid);
    if (size > 0 && std::string_view(now, static_cast<std::size_t>(size)) == wanted) return;
    if (::pwrite(file.get(), wanted.data(), wanted.size(), 0) == -1) {
        log::info(SysError("set /proc/self/loginuid").what());
    }
}

#if FRSH_PAM
namespace {

constexpr const char* kService = "frshd";
constexpr std::size_t kMaxPamText = 1000;  // In bytes, of what a refusal passes on.

// The functions of libpam, by their own names.
struct PamLibrary {
    decltype(&::pam_start) start = nullptr;
    decltype(&::pam_end) end = nullptr;
    decltype(&::pam_set_item) set_item = nullptr;
    decltype(&::pam_acct_mgmt) acct_mgmt = nullptr;
    decltype(&::pam_setcred) setcred = nullptr;
    decltype(&::pam_open_session) open_session = nullptr;
    decltype(&::pam_close_session) close_session = nullptr;
    decltype(&::pam_getenvlist) getenvlist = nullptr;
    decltype(&::pam_strerror) strerror = nullptr;
};

template <typename Function>
void load(void* library, const char* name, Function& function) {
    function = reinterpret_cast<Function>(::dlsym(library, name));
    if (function == nullptr) throw SysError(std::string("libpam: ") + name, ENOSYS);
}

PamLibrary load_pam() {
    // Never closed: modules may leave functions behind that run at exit.
    void* const library = ::dlopen("libpam.so.0", RTLD_NOW | RTLD_GLOBAL);
    if (library == nullptr) throw SysError("load libpam.so.0", ENOENT);
    PamLibrary pam;
    load(library, "pam_start", pam.start);
    load(library, "pam_end", pam.end);
    load(library, "pam_set_item", pam.set_item);
    load(library, "pam_acct_mgmt", pam.acct_mgmt);
    load(library, "pam_setcred", pam.setcred);
    load(library, "pam_open_session", pam.open_session);
    load(library, "pam_close_session", pam.close_session);
    load(library, "pam_getenvlist", pam.getenvlist);
    load(library, "pam_strerror", pam.strerror);
    return pam;
}

// Collects the texts of the modules. A question has no answer here: the client cannot be asked.
int converse(int count, const pam_message** messages, pam_response** answers, void* data) {
    auto& texts = *static_cast<std::string*>(data);
    for (int i = 0; i < count; ++i) {
        const int style = messages[i]->msg_style;
        if (style != PAM_TEXT_INFO && style != PAM_ERROR_MSG) return PAM_CONV_ERR;
        if (texts.size() < kMaxPamText) {
            texts.append(texts.empty() ? "" : " ").append(messages[i]->msg);
        }
    }
    // PAM frees the array.
    *answers = static_cast<pam_response*>(
        std::calloc(static_cast<std::size_t>(std::max(count, 1)), sizeof(pam_response)));
    return *answers != nullptr ? PAM_SUCCESS : PAM_BUF_ERR;
}

std::vector<int> descriptors_of_this_process() {
    std::vector<int> found;
    const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir("/proc/self/fd"), &::closedir);
    if (!entries) throw SysError("open /proc/self/fd");
    while (const dirent* const entry = ::readdir(entries.get())) {
        const auto fd = parse_number(entry->d_name, 3, 1U << 30);
        if (fd && static_cast<int>(*fd) != ::dirfd(entries.get())) {
            found.push_back(static_cast<int>(*fd));
        }
    }
    return found;
}

class PamHandle {
  public:
    PamHandle(const User& user, const std::string& address) : pam_(load_pam()) {
        const pam_conv conversation{&converse, texts_.get()};
        status_ = pam_.start(kService, user.name.c_str(), &conversation, &handle_);
        if (status_ != PAM_SUCCESS) throw SysError("start PAM", EPERM);
        if (!address.empty()) set(PAM_RHOST, address.c_str());
        set(PAM_TTY, kService);  // Some modules fail without one. No device has this name.
    }
    PamHandle(const PamHandle&) = delete;
    PamHandle& operator=(const PamHandle&) = delete;
    // No destructor: a failed login ends its process, and an open session belongs to the keeper.

    // Returns the reason of a refusal.
    std::optional<std::string> check_account() {
        status_ = pam_.acct_mgmt(handle_, 0);
        return reason();
    }
    std::optional<std::string> open() {
        status_ = pam_.setcred(handle_, PAM_ESTABLISH_CRED);
        // Without a password, most modules have no credentials to give. sshd goes on, too.
        if (status_ != PAM_SUCCESS) log::debug("PAM: no credentials: " + text());
        status_ = pam_.open_session(handle_, 0);
        if (status_ == PAM_SUCCESS) return std::nullopt;
        const std::string why = text();
        end();
        return "PAM refuses a session: " + why;
    }
    std::vector<std::string> environment() {
        std::vector<std::string> all;
        char** const list = pam_.getenvlist(handle_);
        for (char** entry = list; entry != nullptr && *entry != nullptr; ++entry) {
            all.emplace_back(*entry);
            std::free(*entry);
        }
        std::free(list);
        return all;
    }
    void close() {
        (void)pam_.close_session(handle_, 0);
        (void)pam_.setcred(handle_, PAM_DELETE_CRED);
        end();
    }
    void end() { (void)pam_.end(handle_, status_); }

  private:
    void set(int item, const char* value) {
        if (pam_.set_item(handle_, item, value) != PAM_SUCCESS) throw SysError("set PAM", ENOMEM);
    }
    std::string text() { return texts_->empty() ? pam_.strerror(handle_, status_) : *texts_; }
    std::optional<std::string> reason() {
        if (status_ == PAM_SUCCESS) return std::nullopt;
        std::string why = status_ == PAM_NEW_AUTHTOK_REQD ? "the password must be changed first"
                          : status_ == PAM_ACCT_EXPIRED   ? "the account has expired"
                          : status_ == PAM_AUTHTOK_EXPIRED
                              ? "the account is inactive: its password expired too long ago"
                              : "PAM refuses the account";
        why += " (" + text() + ")";
        end();
        return why;
    }

    PamLibrary pam_;
    std::unique_ptr<std::string> texts_ = std::make_unique<std::string>();
    pam_handle_t* handle_ = nullptr;
    int status_ = PAM_SUCCESS;
};

// Forks a process that closes the session once this process has ended. Its parent is the listener,
// because the session counts and reaps all children of its own. Descriptors that PAM's modules
// opened stay open in it: that of pam_systemd is the session. Of the others, none may stay open.
void fork_keeper(PamHandle& handle, const std::vector<int>& of_the_monitor) {
    const Fd login(static_cast<int>(check(::syscall(SYS_pidfd_open, ::getpid(), 0), "pidfd_open")));
    constexpr unsigned long kFlags = CLONE_PARENT | SIGCHLD;
    const long pid =
        check(::syscall(SYS_clone, kFlags, nullptr, nullptr, nullptr, nullptr), "fork");
    if (pid != 0) return;
    ::prctl(PR_SET_NAME, "frshd-pam");
    for (const int number : {SIGHUP, SIGINT, SIGTERM, SIGPIPE})
        std::signal(number, SIG_IGN);  // It ends with the login, by whatever that is ended.
    for (const int fd : of_the_monitor)
        ::close(fd);
    pollfd polled{login.get(), POLLIN, 0};
    while (::poll(&polled, 1, -1) == -1 && errno == EINTR) {
    }
    handle.close();
    ::_exit(0);
}

}  // namespace

bool has_pam_service() {
    return ::access("/etc/pam.d/frshd", F_OK) == 0 || ::access("/usr/lib/pam.d/frshd", F_OK) == 0;
}

PamOutcome open_pam_session(const User& user, const std::string& address) {
    const std::vector<int> of_the_monitor = descriptors_of_this_process();
    PamHandle handle(user, address);
    if (auto why = handle.check_account()) return {std::move(why), {}};
    if (auto why = handle.open()) return {std::move(why), {}};
    fork_keeper(handle, of_the_monitor);
    return {std::nullopt, handle.environment()};
}

#else

bool has_pam_service() {
    return false;
}

PamOutcome open_pam_session(const User&, const std::string&) {
    throw UserError("use_pam: this frshd was built without PAM");
}

#endif

}  // namespace frsh
