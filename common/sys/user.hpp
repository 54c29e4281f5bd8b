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
    std::string shell;  // Never empty: /bin/sh if the database has none.
};

// Returns the user this process runs as. Without an entry in the database (a bare container), the
// name is the uid, and the home is $HOME, else "/".
[[nodiscard]] User current_user();

// Returns the user with this name; nothing if the database has no such name.
[[nodiscard]] std::optional<User> find_user(const std::string& name);

[[nodiscard]] std::optional<std::string> find_group_name(gid_t gid);

// Returns true if no user but `user` is a member of the group. Reads the whole user database.
[[nodiscard]] bool is_private_group(gid_t gid, uid_t user);

// Returns $HOME if it is an absolute path, else the home in the user database.
[[nodiscard]] std::string home_folder();
// Returns "~/x" as a path below home_folder(); returns any other path unchanged.
[[nodiscard]] std::string expand_home(std::string_view path);
// Returns ".config/frsh" below home_folder().
[[nodiscard]] std::string config_folder();
// Returns ".local/state/frsh" below `home`.
[[nodiscard]] std::string usual_state_folder(const std::string& home);
// Returns "$XDG_STATE_HOME/frsh", else ".local/state/frsh" below `home`. Does not make the folder.
[[nodiscard]] std::string state_folder(const std::string& home);
// Makes the folder and the missing folders above it, with mode 0700. Throws SysError.
void make_folders(const std::string& path);

// Returns $XDG_RUNTIME_DIR/frsh, else /run/user/UID/frsh, else /tmp/frsh-UID, else
// .local/state/frsh/run below the home: the first that no other user has taken, and whose path is
// short enough for a socket. The folder need not exist.
[[nodiscard]] std::string runtime_folder();
// Makes the runtime folder (0700) unless it exists, and returns it. Throws SysError or UserError.
[[nodiscard]] std::string make_runtime_folder();

// Makes the folder (0700) if it is missing, then calls check_private_folder(). Files in a private
// folder are trusted without further checks. Throws UserError or SysError.
void make_private_folder(const std::string& path);
// Returns true if the path is a folder, no link, ours and closed to other users. Returns false if
// nothing is there. Throws UserError otherwise.
bool check_private_folder(const std::string& path);

}  // namespace frsh
