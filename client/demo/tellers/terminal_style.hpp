// The styles of the terminal, as parameters of the escape sequence SGR.
#pragma once

namespace frsh::demo {

inline constexpr const char* kBold = "1";
inline constexpr const char* kDim = "2";
inline constexpr const char* kHeading = "1;36";
inline constexpr const char* kGood = "1;32";
inline constexpr const char* kBad = "1;31";

}  // namespace frsh::demo
