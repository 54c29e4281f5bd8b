// Passes open files to another process over a unix socket (unix(7), SCM_RIGHTS). The receiver gets
// its own descriptors for them.
#pragma once

#include "common/sys/fd.hpp"

#include <array>
#include <cstddef>
#include <string_view>
#include <vector>

namespace frsh {

// The most descriptors that one message carries.
inline constexpr std::size_t kMaxPassed = 3;

// Sends one message: `bytes` (at least one), and the lent descriptors with the first byte. Returns
// false if the kernel does not take the whole message. Messages are short, so the peer has gone.
[[nodiscard]] bool pass_descriptors(int socket, std::string_view bytes,
                                    const std::vector<int>& descriptors);

struct Passed {
    IoResult result;  // The result for the bytes, with the meaning of read_some()'s.
    std::array<Fd, kMaxPassed> descriptors;
};
// Reads once. Received descriptors are close-on-exec. Throws SysError.
[[nodiscard]] Passed receive_descriptors(int socket, char* buffer, std::size_t size);

}  // namespace frsh
