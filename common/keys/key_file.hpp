// Private key files: reads them, writes one, or lets ssh-keygen sign with those it cannot read.
//
// A file is read here only if it has OpenSSH's own format without a passphrase. For all others
// (encrypted, PEM, FIDO) ssh-keygen signs. It asks for a passphrase on the terminal or through
// SSH_ASKPASS, and it can use a token.
#pragma once

#include "common/keys/private_key.hpp"
#include "common/keys/ssh_key.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace frsh {

struct KeyFile {
    std::string path;
    std::optional<PublicKey> public_key;  // Nothing for PEM without a .pub beside it.
    std::optional<PrivateKey> key;        // Nothing: only ssh-keygen can sign with it.
    std::string comment;
    bool is_public_only = false;  // The file is a public key; only an agent can sign with it.
    bool needs_passphrase = false;
};

// Reads a private key, or a public one, for which an agent may have the private half. If PATH does
// not exist, PATH.pub is read. Returns nothing if there is neither. Throws UserError for a private
// key that other users can read or own, and for a file that is no key. Root may own it, with any
// mode: Kubernetes mounts secrets as root:group 0440. If `content` is given, it receives the bytes
// of a private key file: wipe it.
[[nodiscard]] std::optional<KeyFile> load_key_file(const std::string& path,
                                                   std::string* content = nullptr);

// Runs `ssh-keygen -Y sign`. Blocks without a limit while ssh-keygen waits for its user. Returns
// the bare signature (sshsig.hpp), verified; nothing if ssh-keygen failed, after it wrote the
// reason to stderr. Throws UserError if `expected` is given and another key signed. Throws
// WaitCanceled if `cancel_fd` (-1: none) becomes readable; ssh-keygen is then terminated.
[[nodiscard]] std::optional<std::string> sign_with_ssh_keygen(
    const std::string& path, std::string_view name_space, std::string_view message,
    const std::optional<PublicKey>& expected, int cancel_fd = -1);

// Writes an ed25519 key (mode 0600) and PATH.pub. The key file appears complete or not at all.
// Returns false, and changes nothing, if the file exists. The folder must exist. Throws SysError.
[[nodiscard]] bool write_key_file(const std::string& path, const PrivateKey& key,
                                  std::string_view comment);

// Parses the content of a key file. Throws ProtocolError.
[[nodiscard]] KeyFile parse_key_file(std::string_view content);

}  // namespace frsh
