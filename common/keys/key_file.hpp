// Private key files: read them, make one, or let ssh-keygen sign with those we cannot read.
//
// A file is read here only if it is OpenSSH's own format without a passphrase. Everything else
// (encrypted, PEM, FIDO) is ssh-keygen's business, which knows how to ask for a passphrase on the
// terminal or through SSH_ASKPASS, and how to talk to a token.
#pragma once

#include "common/keys/private_key.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace frsh {

struct KeyFile {
    std::string path;
    std::optional<PublicKey> public_key;  // Nothing for PEM without a .pub beside it.
    std::optional<PrivateKey> key;        // Nothing: sign_with_ssh_keygen.
    std::string comment;
};

// Nothing where there is no such file. Throws UserError for a file that others can read, that is
// somebody else's, or that is no private key.
[[nodiscard]] std::optional<KeyFile> load_key_file(const std::string& path);

// Runs `ssh-keygen -Y sign` and waits for it, as long as the person at the terminal takes. Returns
// the bare signature (sshsig.hpp), verified; nothing if ssh-keygen gave none, which has by then
// said why on stderr. If `expected` is given, a signature by another key is refused (UserError).
[[nodiscard]] std::optional<std::string> sign_with_ssh_keygen(
    const std::string& path, std::string_view name_space, std::string_view message,
    const std::optional<PublicKey>& expected);

// Writes an ed25519 key, and its .pub beside it, for its owner only. The file appears whole or not
// at all; false if there was one already, which stays as it is. The folder must exist.
[[nodiscard]] bool write_key_file(const std::string& path, const PrivateKey& key,
                                  std::string_view comment);

// What parses the content; load_key_file without the file. Throws ProtocolError.
[[nodiscard]] KeyFile parse_key_file(std::string_view content);

}  // namespace frsh
