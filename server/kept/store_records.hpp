// The start record and the end record of a kept run: the content of the files `asked` and `end` in
// its folder (store.hpp has the layout).
#pragma once

#include "common/proto/message.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace frsh {

struct KeptRunInfo {
    std::string run;
    msg::Open::Mode mode = msg::Open::Mode::Command;
    std::vector<std::string> args;  // Any bytes.
    bool is_shell = false;
    std::uint64_t generation = 1;  // For a shell: see msg::End.
    std::uint64_t started_at = 0;  // Seconds since 1970.
    std::string session;           // The name of its session's socket: handoff.hpp.
    // The command= of the key that the run was requested with.
    std::optional<std::string> forced_command;
};

// The machine that a run was started on, and which boot of it.
struct MachineBoot {
    std::string host;
    std::string boot_id;  // Empty if /proc is missing: all boots then look the same.
};

struct StartRecord {
    KeptRunInfo info;
    MachineBoot machine;
};

struct EndRecord {
    msg::End end;
    std::uint64_t at = 0;  // Seconds since 1970.
};

// The longest content of each file, in bytes. No longer command can arrive over a link.
inline constexpr std::size_t kMaxStartRecord = std::size_t{64} * 1024 * 1024;
inline constexpr std::size_t kMaxEndRecord = std::size_t{2} * 1024 * 1024;

// Returns the system clock's seconds since 1970. Not that of time(2), which may be a second behind.
[[nodiscard]] std::uint64_t now_in_seconds();

// Returns one line of JSON, with the pid of the calling process.
[[nodiscard]] std::string encode_start_record(const KeptRunInfo& info, const MachineBoot& machine);
// Returns nothing if the text is missing, is not a start record or belongs to another run.
[[nodiscard]] std::optional<StartRecord> parse_start_record(const std::optional<std::string>& text,
                                                            const std::string& run);

// Returns a journal record with the `end` frame, to which "ended_at" (now) is added.
[[nodiscard]] std::string encode_end_record(const msg::End& end);
// Returns nothing if the record is missing, is damaged or belongs to another run.
[[nodiscard]] std::optional<EndRecord> parse_end_record(const std::optional<std::string>& record,
                                                        const std::string& run);

}  // namespace frsh
