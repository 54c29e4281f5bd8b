#include "common/sys/fd_passing.hpp"

#include "common/base/error.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <sys/socket.h>
#include <sys/uio.h>

namespace frsh {

bool pass_descriptors(int socket, std::string_view bytes, const std::vector<int>& descriptors) {
    must(!bytes.empty() && descriptors.size() <= kMaxPassed, "descriptors travel with bytes");
    const std::size_t size = descriptors.size() * sizeof(int);
    alignas(cmsghdr) char control[CMSG_SPACE(kMaxPassed * sizeof(int))] = {};
    iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(size);
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(size);
    std::memcpy(CMSG_DATA(header), descriptors.data(), size);
    ssize_t sent = 0;
    do {
        sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
    } while (sent == -1 && errno == EINTR);
    return sent == static_cast<ssize_t>(bytes.size());
}

Passed receive_descriptors(int socket, char* buffer, std::size_t size) {
    Passed passed;
    alignas(cmsghdr) char control[CMSG_SPACE(kMaxPassed * sizeof(int))] = {};
    iovec part{buffer, size};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t got = 0;
    do {
        got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    } while (got == -1 && errno == EINTR);
    if (got == -1 && errno == EAGAIN) {
        passed.result.status = IoResult::Status::WouldBlock;
        return passed;
    }
    if (got == 0 || (got == -1 && errno == ECONNRESET)) {
        passed.result.status = IoResult::Status::EndOfFile;
        return passed;
    }
    passed.result.bytes = static_cast<std::size_t>(check(got, "recvmsg"));
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
         header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        int descriptors[kMaxPassed];
        std::fill_n(descriptors, kMaxPassed, -1);
        std::memcpy(descriptors, CMSG_DATA(header), header->cmsg_len - CMSG_LEN(0));
        for (std::size_t i = 0; i < kMaxPassed; ++i)
            passed.descriptors[i] = Fd(descriptors[i]);
    }
    return passed;
}

}  // namespace frsh
