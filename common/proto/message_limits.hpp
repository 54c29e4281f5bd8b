// Limits of the values in a message. PROTOCOL.md lists them with their keys.
#pragma once

#include <cstddef>
#include <cstdint>

namespace frsh {

inline constexpr std::uint64_t kMaxOffset = (1ULL << 53) - 1;  // JavaScript's largest exact whole.
inline constexpr std::uint64_t kMaxId = UINT32_MAX;
inline constexpr std::uint64_t kMaxPid = INT32_MAX;
inline constexpr std::uint64_t kMaxCrc32 = UINT32_MAX;
inline constexpr std::uint64_t kMaxMilliseconds = 32'000'000'000'000;
inline constexpr std::uint64_t kMaxRetrySeconds = 86400;
inline constexpr std::uint64_t kMaxCells = 65535;  // struct winsize has 16 bits for each.
inline constexpr std::size_t kNonce = 16;          // Bytes.
inline constexpr std::size_t kMaxProbedKeys = 6;
inline constexpr std::size_t kMaxTerm = 128;
inline constexpr std::size_t kMaxModes = 128;
inline constexpr std::size_t kMaxModeName = 32;
inline constexpr std::size_t kMaxNames = 64;  // Holders, and survivors, that one end names.
inline constexpr std::size_t kMaxStrings = 512 * 1024;  // Strings that one header counts.
inline constexpr std::size_t kMaxFeatures = 64;
inline constexpr std::size_t kMaxMessage = 8192;  // Bytes of text for a person.

}  // namespace frsh
