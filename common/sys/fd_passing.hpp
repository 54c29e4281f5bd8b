// Open files on their way to another process, over a unix socket (unix(7), SCM_RIGHTS): the
// receiver gets descriptors of its own for them.
#pragma once

#include "common/sys/fd.hpp"

#include <array>
#include <cstddef>
#include <string_view>
#include <vector>

namespace frsh {

// The most that one message carries.
inline constexpr std::size_t kMaxPassed = 2;

// Sends one message: `bytes` (at least one), and these descriptors, lent, with the first byte.
// Returns false if the kernel does not take the whole message; it is short, so the peer has gone.
[[nodiscard]] bool pass_descriptors(int socket, std::string_view bytes,
                                    const std::vector<int>& descriptors);

struct Passed {
    IoResult result;  // For the bytes, as read_some() returns it.
    std::array<Fd, kMaxPassed> descriptors;
};
// One read. What it brings is close-on-exec. Throws SysError.
[[nodiscard]] Passed receive_descriptors(int socket, char* buffer, std::size_t size);

}  // namespace frsh
