#include "server/login/host_key.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/keys/crypto.hpp"
#include "common/keys/key_file.hpp"
#include "common/sys/fd.hpp"
#include "common/sys/user.hpp"

#include <cerrno>
#include <cstdlib>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace frsh {
namespace {

constexpr const char* kMachineKey = "/etc/ssh/ssh_host_ed25519_key";
constexpr const char* kRootKey = "/etc/frsh/host_ed25519";
constexpr std::size_t kMaxCopy = std::size_t{256} * 1024;  // No larger file is read as a key.

// Linux 6.3 has this flag, and refuses a memfd without it where vm.memfd_noexec is 2.
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#endif

Fd make_sealed_copy(const std::string& content) {
    constexpr unsigned kFlags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    Fd copy(::memfd_create("frshd-host-key", kFlags | MFD_NOEXEC_SEAL));
    if (!copy.is_open() && errno == EINVAL) copy = Fd(::memfd_create("frshd-host-key", kFlags));
    check(copy.get(), "memfd_create");
    write_all(copy.get(), content);
    check(
        ::fcntl(copy.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE),
        "seal the copy of the host key");
    return copy;
}

}  // namespace

std::string usual_host_key() {
    if (::geteuid() != 0) return config_folder() + "/host_ed25519";
    return ::access(kMachineKey, F_OK) == 0 ? kMachineKey : kRootKey;
}

void make_missing_host_key(const std::string& path) {
    if (::access(path.c_str(), F_OK) == 0 || errno != ENOENT) return;
    make_folders(path.substr(0, path.rfind('/')));
    // Returns false if another server has just made the key: use that key.
    if (write_key_file(path, PrivateKey::generate_ed25519(), "frshd host key")) {
        // Log with -v only: the listener logs the key when it starts to listen.
        log::info("made a host key: " + path);
    }
}

HostKey read_host_key(const std::string& path) {
    std::string content;
    const WipeAtExit wiped(content);
    const auto file = load_key_file(path, &content);
    // A public key may lie beside a private key that is gone.
    if (!file || file->is_public_only) throw UserError(path + ": no such host key");
    if (!file->key) throw UserError(path + ": a host key must be in OpenSSH's format, unencrypted");
    return {file->key->public_key(), make_sealed_copy(content)};
}

PrivateKey load_host_key(int copy) {
    std::string content(kMaxCopy, '\0');
    const WipeAtExit wiped(content);
    // All processes share the offset of the memfd, so none uses it.
    const ssize_t got =
        check(::pread(copy, content.data(), content.size(), 0), "read the host key");
    try {
        KeyFile file = parse_key_file({content.data(), static_cast<std::size_t>(got)});
        if (file.key) return std::move(*file.key);
    } catch (const ProtocolError& error) {
        throw UserError(std::string("host key: ") + error.what());
    }
    throw UserError("host key: the copy has no private key");
}

std::optional<Certificate> find_host_certificate(const std::string& host_key,
                                                 const std::string& path, const PublicKey& key) {
    const std::string file = path.empty() ? host_key + "-cert.pub" : path;
    if (path.empty() && ::access(file.c_str(), F_OK) == -1) return std::nullopt;
    try {
        Certificate certificate = parse_certificate_line(read_file(file, 4 * kMaxCertificate));
        if (certificate.key == key) return certificate;
        log::error(file + ": not a certificate of " + host_key);
    } catch (const SysError& error) {
        log::error(error.what());
    } catch (const ProtocolError& error) {
        log::error(file + ": " + error.what());
    }
    return std::nullopt;
}

std::string leave_pin(unsigned port, const PublicKey& key) {
    std::string path = make_runtime_folder() + "/" + std::to_string(port) + ".pub";
    std::string beside = path + ".new-XXXXXX";
    const Fd file(check(::mkostemp(beside.data(), O_CLOEXEC), "create " + beside));  // 0600.
    write_all(file.get(), key.text() + "\n");
    check(::rename(beside.c_str(), path.c_str()), "rename " + beside);
    return path;
}

}  // namespace frsh
