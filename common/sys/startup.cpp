#include "common/sys/startup.hpp"

#include <csignal>
#include <cstdlib>

#include <fcntl.h>
#include <unistd.h>

namespace frsh {

StandardStreams secure_standard_streams() {
    StandardStreams streams{};
    for (int fd = 0; fd < 3; ++fd) {
        streams.was_open[fd] = ::fcntl(fd, F_GETFD) != -1;
        // open(2) takes the lowest free number, which is `fd`.
        if (!streams.was_open[fd] && ::open("/dev/null", O_RDWR) != fd) std::abort();
    }
    std::signal(SIGPIPE, SIG_IGN);
    return streams;
}

std::string program_folder() {
    char path[4096];
    const ssize_t size = ::readlink("/proc/self/exe", path, sizeof path);
    const std::string whole(path, size > 0 ? static_cast<std::size_t>(size) : 0);
    return whole.substr(0, whole.rfind('/'));
}

}  // namespace frsh
