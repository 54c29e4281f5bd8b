#include "server/login/host_key.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/keys/key_file.hpp"
#include "common/sys/fd.hpp"
#include "common/sys/user.hpp"

#include <cerrno>
#include <cstdlib>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace frsh {
namespace {

constexpr const char* kMachineKey = "/etc/ssh/ssh_host_ed25519_key";
constexpr const char* kRootKey = "/etc/frsh/host_ed25519";

}  // namespace

std::string usual_host_key() {
    if (::geteuid() != 0) return config_folder() + "/host_ed25519";
    return ::access(kMachineKey, F_OK) == 0 ? kMachineKey : kRootKey;
}

PublicKey prepare_host_key(const std::string& path) {
    if (::access(path.c_str(), F_OK) == -1 && errno == ENOENT) {
        make_folders(path.substr(0, path.rfind('/')));
        // Returns false if another server has just made the key: use that key.
        if (write_key_file(path, PrivateKey::generate_ed25519(), "frshd host key")) {
            // Log with -v only: the listener logs the key when it starts to listen.
            log::info("made a host key: " + path);
        }
    }
    return load_host_key(path).public_key();
}

PrivateKey load_host_key(const std::string& path) {
    auto file = load_key_file(path);
    // A public key may lie beside a private key that is gone.
    if (!file || file->is_public_only) throw UserError(path + ": no such host key");
    if (!file->key) throw UserError(path + ": a host key must be in OpenSSH's format, unencrypted");
    return std::move(*file->key);
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
