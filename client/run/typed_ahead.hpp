// What was typed while a command ran at the prompt, and what no program has read.
#pragma once

#include "common/proto/message.hpp"

#include <string>
#include <string_view>

namespace frsh {

// Returns the typed bytes that are to become the next line. `sent` is everything that was typed for
// the run. Nothing is returned if the server reports that a password may be among the bytes. What
// comes before Ctrl-C, Ctrl-\ or Ctrl-Z is dropped, as the kernel does.
[[nodiscard]] std::string typed_ahead(const msg::End& end, std::string_view sent);

}  // namespace frsh
