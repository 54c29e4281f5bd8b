// The current user in the system's user database, and the folders where frsh keeps its files.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <sys/types.h>

namespace frsh {

struct User {
    uid_t uid = 0;
    gid_t gid = 0;
    std::string name;
    std::string home;
    std::string shell;  // Never empty: /bin/sh where the database has none.
};

// The user this process runs as. Without an entry in the database (a bare container): the uid as
// name, "/" as home.
[[nodiscard]] User current_user();

// By name, from the database; nothing for a name that is not in it.
[[nodiscard]] std::optional<User> find_user(const std::string& name);

[[nodiscard]] std::optional<std::string> find_group_name(gid_t gid);

// Our own files are below $HOME where that is set, as everybody's are; else where the database
// says.
[[nodiscard]] std::string home_folder();
// "~/x" as a path below home_folder(); any other path as it is.
[[nodiscard]] std::string expand_home(std::string_view path);
// "~/.config/frsh", below home_folder().
[[nodiscard]] std::string config_folder();
// ".local/state/frsh" below `home`.
[[nodiscard]] std::string usual_state_folder(const std::string& home);
// "$XDG_STATE_HOME/frsh", else ".local/state/frsh" below `home`. Only named, not made.
[[nodiscard]] std::string state_folder(const std::string& home);
// Makes the folder and those above it that are missing, 0700 each. Throws SysError.
void make_folders(const std::string& path);

// $XDG_RUNTIME_DIR/frsh, else /run/user/UID/frsh, else /tmp/frsh-UID. Only named, not made.
[[nodiscard]] std::string runtime_folder();

// Makes the folder (0700) unless it is there, and throws UserError unless it is a real folder, ours
// and closed to others: what lies in it is trusted because of that.
void make_private_folder(const std::string& path);
// Only the check; false where there is nothing at all.
bool check_private_folder(const std::string& path);

}  // namespace frsh
