// How the store (store.hpp) uses the file system: opens that never block or follow a link, syncs,
// locks, and folders. Paths are relative to a folder's descriptor where a folder is given.
#pragma once

#include "common/base/error.hpp"
#include "common/sys/fd.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <sys/types.h>

namespace frsh {

// Opens `path` below `folder` (or AT_FDCWD). Never blocks on a FIFO or device, and never follows a
// symbolic link at the end of the path. Returns a closed Fd and sets errno on failure.
[[nodiscard]] Fd open_in(int folder, const std::string& path, int flags);
// Opens a path in the same way. Throws SysError.
[[nodiscard]] Fd open_path(const std::string& path, int flags);
// Returns true for an errno of open(2) that concerns this process and not the file.
[[nodiscard]] bool is_out_of_resources(int error);

// Blocks until the content is on disk (fsync(2)). Throws SysError; ignores file systems that cannot
// sync a folder.
void sync(const Fd& file, const std::string& path);
void sync_folder(const std::string& path);

[[nodiscard]] std::string parent_of(const std::string& path);

// Calls `use(name, type)` for each entry of the folder; `type` as d_type of readdir(3). Throws
// SysError.
template <typename Use>
void for_each_name(int folder, const Use& use) {
    const int again = ::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const std::unique_ptr<DIR, int (*)(DIR*)> entries(::fdopendir(check(again, "open of a folder")),
                                                      &::closedir);
    while (const dirent* const entry = ::readdir(entries.get()))
        use(std::string(entry->d_name), entry->d_type);
}

// Returns all names that are run ids, sorted, whatever has the name. Throws SysError.
[[nodiscard]] std::vector<std::string> names_of_runs(int runs);

// Returns the rest of the file; nothing if that is longer than `limit` bytes. Throws SysError.
[[nodiscard]] std::optional<std::string> read_whole(const Fd& file, std::size_t limit);

// Open file description locks (fcntl(2)). The kernel releases them when the process ends, and
// another process can test for one without taking it. Throw SysError.
void lock_whole(const Fd& file, const std::string& path);
[[nodiscard]] bool is_locked(const Fd& file);

// Locks a folder (flock(2)). Never blocks: returns false if another process holds the lock. The
// lock ends when the descriptor is closed. Throws SysError.
[[nodiscard]] bool try_lock_folder(const Fd& folder);

// Returns the bytes on disk of the files in a run's folder; 0 if there is none.
[[nodiscard]] std::uint64_t disk_usage(int runs, const std::string& run);
// Removes a folder and all in it, as far as that is possible. Follows no symbolic link.
void remove_folder(int runs, const std::string& name);
// Removes what has the name if it is no folder. Returns false if it is one, or there is nothing.
// Throws SysError.
bool remove_unless_folder(int folder, const std::string& name);
// Gives this user access to a run's folder and its start record, so that they can be inspected.
void make_readable(int runs, const std::string& run);

// Renames a folder if the new name is free. Returns false if it is taken. Throws SysError.
[[nodiscard]] bool rename_to_free_name(int folder, const std::string& from, const std::string& to);
[[nodiscard]] bool has_inode(int folder, const std::string& name, ino_t inode);

// Throws UserError if a folder exists that other users own or can write to. Folders further up are
// not checked.
void check_parent(const std::string& path);

}  // namespace frsh
