// How much memory this process has, for tests that hold it to a bound.
#pragma once

#include "common/sys/fd.hpp"

#include <string>

#include <unistd.h>

namespace frsh {

// Resident, in bytes.
inline std::size_t resident() {
    const std::string text = read_file("/proc/self/statm", 4096);
    return std::stoul(text.substr(text.find(' '))) * static_cast<std::size_t>(::getpagesize());
}

// Returns the growth in bytes since `before`; 0 with a sanitizer, which releases memory late.
inline std::size_t grown_since(std::size_t before) {
#ifdef FRSH_SANITIZE
    (void)before;
    return 0;
#else
    const std::size_t now = resident();
    return now > before ? now - before : 0;
#endif
}

}  // namespace frsh
