// The properties of a terminal that travel between two machines: its size, and its modes, which
// state how it treats what the user types.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace frsh {

struct WindowSize {
    unsigned columns = 0;  // In characters; 0 if unknown.
    unsigned rows = 0;
    unsigned width = 0;  // In pixels; 0 if unknown.
    unsigned height = 0;
    bool operator==(const WindowSize&) const = default;
};

// Maps names of RFC 4254, section 8, to values: "VINTR" and its like are characters (255: none),
// most others 0 or 1. Names travel, because systems number their modes differently.
using TerminalModes = std::map<std::string, std::uint32_t>;

}  // namespace frsh
