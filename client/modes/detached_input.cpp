#include "client/modes/detached_input.hpp"

#include "common/base/log.hpp"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace frsh {
namespace {

bool may_have_content() {
    struct stat info {};
    if (::fstat(STDIN_FILENO, &info) == -1 || S_ISCHR(info.st_mode)) return false;
    if (S_ISREG(info.st_mode)) return ::lseek(STDIN_FILENO, 0, SEEK_CUR) < info.st_size;
    int waiting = 0;
    if (::ioctl(STDIN_FILENO, FIONREAD, &waiting) == 0 && waiting > 0) return true;
    pollfd input{STDIN_FILENO, POLLIN | POLLRDHUP, 0};
    (void)::poll(&input, 1, 0);
    return (input.revents & (POLLHUP | POLLRDHUP)) == 0;
}

}  // namespace

void report_unread_stdin() {
    if (!may_have_content()) return;
    log::notice(
        "--detach: stdin is not read; the command's stdin is empty (-n: without this line)");
}

}  // namespace frsh
