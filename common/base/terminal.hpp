// What one machine can tell another of a terminal: how large it is, and how it treats what is
// typed.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace frsh {

struct WindowSize {
    unsigned columns = 0;  // Of characters; 0: not known.
    unsigned rows = 0;
    unsigned width = 0;  // In pixels; 0: not known.
    unsigned height = 0;
    bool operator==(const WindowSize&) const = default;
};

// By the names of RFC 4254, section 8: "VINTR" and its like are characters (255: none), most others
// 0 or 1. Systems number their modes differently, so names are what travels.
using TerminalModes = std::map<std::string, std::uint32_t>;

}  // namespace frsh
