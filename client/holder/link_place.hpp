// LinkPlace is where the holder of one shared link listens, and what distinguishes that link from
// others: the server, the user, the keys, the way there, the home folder and this program's file.
//
// The socket's name is a short hash, because a socket's path has at most 107 bytes. The file beside
// it has the whole key, so two links with one hash are never confused. The holder locks that file
// (fcntl(2), F_SETLK); the kernel names the lock's owner, and releases the lock when it dies.
#pragma once

#include "client/cli/client_options.hpp"
#include "common/sys/fd.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace frsh {

struct LinkPlace {
    std::string name;  // "host:port", for a list.
    std::string key;   // Lines of text: everything that must be equal to share a link.
    std::string path;  // The socket's, without ".sock".
    // ControlPath: a symbolic link to the socket, which the holder makes and removes. Empty: none.
    std::string control = {};

    [[nodiscard]] std::string socket() const { return path + ".sock"; }
    // Takes requests about the link itself; see control_door.hpp.
    [[nodiscard]] std::string door() const { return path + ".ctl"; }
    [[nodiscard]] std::string file() const { return path + ".link"; }
};

// What a holder writes into its file.
struct LinkState {
    std::string name;
    std::string key;
    std::int64_t since = 0;      // Seconds since 1970.
    std::size_t channels = 0;    // Runs at this time.
    std::uint64_t borrowed = 0;  // All runs so far.
    std::uint64_t bytes = 0;     // The bytes of their stdin, stdout and stderr.
};

// Returns the place for these options. Makes no folder. Throws UserError for a malformed target.
[[nodiscard]] LinkPlace place_of_link(const ClientOptions& options);
// Returns true if a client with the key `wanted` may use a link with the key `held`. With a
// ControlPath, a setting that the client does not name is that of the link.
[[nodiscard]] bool may_use(const std::string& held, const LinkPlace& wanted);

// Returns the path of the link to which the ControlPath leads, as LinkPlace::path; nothing if it
// is no symbolic link to a holder's socket.
[[nodiscard]] std::optional<std::string> find_control(const std::string& control);
// Makes `place.control` lead to the place, in the place of a symbolic link or socket without a
// holder. Throws UserError if something else is there, SysError if it cannot be made.
void put_control(const LinkPlace& place);
// Removes it if it leads to the place.
void remove_control(const LinkPlace& place);
// Removes what a holder that was killed has left.
void remove_stale(const std::string& path);
// Makes the folder of all links (0700). Throws SysError or UserError.
void make_links_folder();
// Returns the paths of all links, as LinkPlace::path.
[[nodiscard]] std::vector<std::string> all_links();

// Opens and locks the file. Returns nothing if another process has the lock.
[[nodiscard]] std::optional<Fd> lock_link(const LinkPlace& place);
void write_state(int file, const LinkState& state);
[[nodiscard]] std::optional<LinkState> read_state(const std::string& path);
// Returns the process that has the lock; 0 if there is none.
[[nodiscard]] pid_t owner_of_link(const std::string& path);

}  // namespace frsh
