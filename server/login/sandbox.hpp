// Takes all rights from a process except the use of its open descriptors. A gate enters the sandbox
// before it reads a byte of its peer.
//
// There are three independent walls. First, no rights: an unprivileged uid, limits of 0, and no way
// to gain rights. Second, no files and no network (landlock). Third, only the system calls that
// move bytes (seccomp): the kernel ends a process that makes another one.
#pragma once

#include <optional>
#include <string>

#include <sys/types.h>

namespace frsh {

struct SandboxSettings {
    // The user to become, for a root process. Other processes keep their user.
    uid_t uid = 65534;
    gid_t gid = 65534;
    int highest_descriptor = 2;  // No descriptor above this is open, or can be opened later.
};

// Tries the sandbox in a child process. Returns a warning if the kernel has no landlock; nothing if
// all walls work. Throws UserError if another wall cannot be built on this machine.
[[nodiscard]] std::optional<std::string> try_sandbox();

// Enters the sandbox for good. If the kernel has no landlock, does without it. Throws SysError if
// another wall cannot be built: this process must then end.
void enter_sandbox(const SandboxSettings& settings);
// The two steps of enter_sandbox(). A preforked gate calls the first, slow one in advance, then
// receives its peer's descriptor, then calls the second.
void give_up_rights(const SandboxSettings& settings);
void filter_system_calls();

}  // namespace frsh
