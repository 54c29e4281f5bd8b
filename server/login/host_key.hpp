// The key by which this server proves its identity, and the pin by which local clients of the same
// user trust it without a question.
//
// The listener reads the file when it starts and when it reloads, and holds a copy in a sealed
// memfd, so that its sessions prove the same key whatever the file has become meanwhile. No process
// keeps the key in its own memory: a session reads the copy, signs once, and closes it before any
// process of a user starts.
#pragma once

#include "common/keys/private_key.hpp"
#include "common/keys/ssh_certificate.hpp"
#include "common/sys/fd.hpp"

#include <optional>
#include <string>

namespace frsh {

// Returns the path of the default host key. For root: the key of the machine's ssh server, which
// clients may know already, else /etc/frsh/host_ed25519. For a user: ~/.config/frsh/host_ed25519.
[[nodiscard]] std::string usual_host_key();

struct HostKey {
    PublicKey key;
    Fd copy;  // A sealed memfd with the content of a private key file.
};

// Makes a new key if the file does not exist. Throws SysError.
void make_missing_host_key(const std::string& path);

// Reads the file, which must have a private key. Throws UserError or SysError.
[[nodiscard]] HostKey read_host_key(const std::string& path);

// Returns the private key of a HostKey's copy. Throws UserError or SysError.
[[nodiscard]] PrivateKey load_host_key(int copy);

// Returns the certificate of the host key: from `path`, or if that is empty from HOST_KEY-cert.pub.
// Returns nothing if there is none. Logs a file that cannot be used.
[[nodiscard]] std::optional<Certificate> find_host_certificate(const std::string& host_key,
                                                               const std::string& path,
                                                               const PublicKey& key);

// Writes PORT.pub to the runtime folder and returns its path. Only the same user can write there,
// so this user's clients trust the key.
std::string leave_pin(unsigned port, const PublicKey& key);

}  // namespace frsh
