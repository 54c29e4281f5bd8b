// The folder in which a program of a run starts.
#pragma once

#include "common/sys/process.hpp"
#include "common/sys/user.hpp"

#include <optional>
#include <string>

namespace frsh {

// Sets the folder of the request. A requested folder is relative to the user's home, and ~ or ~NAME
// stand for a home. Without a requested one, it is the home or, if that cannot be entered, `/` with
// a notice on the program's stderr, as with sshd.
void set_folder(SpawnRequest& request, const std::optional<std::string>& asked, const User& user);

}  // namespace frsh
