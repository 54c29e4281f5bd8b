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

// One message: `bytes`, at least one, and with the first of them these descriptors, lent. False
// unless the kernel takes it whole: it is so short that this means that nobody is there any more.
[[nodiscard]] bool pass_descriptors(int socket, std::string_view bytes,
                                    const std::vector<int>& descriptors);

struct Passed {
    IoResult result;  // Of the bytes; as read_some() has it.
    std::array<Fd, kMaxPassed> descriptors;
};
// One read. What it brings is close-on-exec. Throws SysError.
[[nodiscard]] Passed receive_descriptors(int socket, char* buffer, std::size_t size);

}  // namespace frsh
