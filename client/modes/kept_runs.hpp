// What is asked about runs that were kept and needs none of their output: which there are, an end
// to one, forgetting one. Following one is one_shot.hpp's.
#pragma once

#include "client/cli/options.hpp"
#include "common/proto/message.hpp"

#include <string>

namespace frsh {

// One line of --runs, without its end: for a person, at most `width` columns wide (0: as wide as it
// is), or JSON. `now` is seconds since 1970.
[[nodiscard]] std::string kept_heading(unsigned width);
[[nodiscard]] std::string kept_line(const msg::Kept& kept, std::uint64_t now, unsigned width);
[[nodiscard]] std::string kept_json(const msg::Kept& kept);

// --runs, --kill, --forget. The program's exit code.
int run_kept_request(const ClientOptions& options);

}  // namespace frsh
