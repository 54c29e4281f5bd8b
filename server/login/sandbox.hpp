// Takes everything from a process but the descriptors it holds: what a gate does before it reads a
// byte of its peer.
//
// Three walls, each of which would do: no rights (an unprivileged uid, limits of nothing, no way to
// gain any), no files and no network (landlock), and no system calls but those that move bytes
// (seccomp). The kernel ends a process that tries another one.
#pragma once

#include <optional>
#include <string>

#include <sys/types.h>

namespace frsh {

struct SandboxSettings {
    // The user to become, for a root process. Other processes keep their user.
    uid_t uid = 65534;
    gid_t gid = 65534;
    int highest_descriptor = 2;  // Nothing above it is open, or ever will be.
};

// Tries it in a child process. Throws UserError where a wall cannot be built on this machine; a
// warning where there is no landlock, or nothing.
[[nodiscard]] std::optional<std::string> try_sandbox();

// There is no way back. Goes without landlock where the kernel has none. Throws SysError where any
// other wall cannot be built: then this process must end.
void enter_sandbox(const SandboxSettings& settings);
// The same in two steps, for a process that is still to receive a descriptor in between, from its
// own parent: rights and files first, which takes the longer, and then the system calls.
void give_up_rights(const SandboxSettings& settings);
void filter_system_calls();

}  // namespace frsh
