// Requests about kept runs that need no output: list them, end one, forget one. To follow the
// output of a kept run, see one_shot.hpp.
#pragma once

#include "client/cli/client_options.hpp"
#include "common/proto/message.hpp"

#include <cstdint>
#include <string>

namespace frsh {

// Return one line of --runs, without a newline: text of at most `width` columns (0: no limit), or
// JSON. `now` is in seconds since 1970.
[[nodiscard]] std::string kept_heading(unsigned width);
[[nodiscard]] std::string kept_line(const msg::Kept& kept, std::uint64_t now, unsigned width);
[[nodiscard]] std::string kept_json(const msg::Kept& kept);

// Executes --runs, --kill or --forget. Returns the program's exit code.
int run_kept_request(const ClientOptions& options);

}  // namespace frsh
