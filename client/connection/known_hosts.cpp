#include "client/connection/known_hosts.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/keys/crypto.hpp"
#include "common/keys/host_pattern.hpp"
#include "common/sys/fd.hpp"

#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace frsh {
namespace {

constexpr std::size_t kMaxKnownHosts = std::size_t{16} << 20;
constexpr std::size_t kHashSize = 20;  // HMAC-SHA1.

std::string_view take_word(std::string_view& rest) {
    const std::size_t begin = rest.find_first_not_of(" \t");
    rest.remove_prefix(begin == std::string_view::npos ? rest.size() : begin);
    const std::string_view word = rest.substr(0, rest.find_first_of(" \t"));
    rest.remove_prefix(word.size());
    return word;
}

std::optional<KnownHost> parse_known_host(std::string_view line, std::size_t number) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    std::string_view word = take_word(line);
    if (word.empty() || word.starts_with('#')) return std::nullopt;
    auto marker = KnownHost::Marker::None;
    if (word.starts_with('@')) {
        if (word != "@revoked" && word != "@cert-authority") return std::nullopt;
        marker = word == "@revoked" ? KnownHost::Marker::Revoked : KnownHost::Marker::Authority;
        word = take_word(line);
    }
    const std::string_view type = take_word(line);
    const std::string_view encoded = take_word(line);
    try {
        PublicKey key = PublicKey::from_text(std::string(type) + " " + std::string(encoded));
        return KnownHost{marker, std::string(word), std::move(key), number};
    } catch (const ProtocolError&) {
        return std::nullopt;
    }
}

bool is_hidden_name(std::string_view hidden, std::string_view name) {
    const auto parts = split(hidden, '|');  // "", "1", salt, hash.
    if (parts.size() != 4 || parts[1] != "1") return false;
    const auto salt = base64_decode(parts[2]);
    const auto hash = base64_decode(parts[3]);
    return salt && hash && hash->size() == kHashSize && sha1_hmac(*salt, name) == *hash;
}

std::vector<KnownHost> read_known_hosts(const std::string& path) {
    try {
        return parse_known_hosts(read_file(path, kMaxKnownHosts));
    } catch (const SysError& error) {
        if (error.code().value() == ENOENT || error.code().value() == ENOTDIR) return {};
        throw;
    }
}

std::vector<KnownHost> read_helpful(const std::string& path) {
    try {
        return read_known_hosts(path);
    } catch (const SysError&) {
        return {};  // ssh's files are optional.
    }
}

void make_private_folders(const std::string& path) {
    for (std::size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1)) {
        const std::string folder = path.substr(0, at);
        if (::mkdir(folder.c_str(), 0700) == -1 && errno != EEXIST) {
            throw SysError("create folder " + folder);
        }
    }
}

}  // namespace

bool KnownHost::is_for(std::string_view name) const {
    if (hosts.starts_with('|')) return is_hidden_name(hosts, to_lower(name));
    return match_host_list(name, hosts) == ListVerdict::Match;
}

std::vector<KnownHost> parse_known_hosts(std::string_view text) {
    std::vector<KnownHost> hosts;
    std::size_t number = 0;
    for (const std::string_view line : split(text, '\n')) {
        if (auto host = parse_known_host(line, ++number)) hosts.push_back(std::move(*host));
    }
    return hosts;
}

namespace {

// Returns the verdict of the lines with @cert-authority and @revoked about a certificate; Unknown
// if no authority is trusted for this host.
HostKeyVerdict judge_certificate(const HostKeySources& sources, std::string_view host,
                                 std::string_view name, const Certificate& certificate) {
    using Kind = HostKeyVerdict::Kind;
    HostKeyVerdict verdict;
    std::vector<std::string> paths = sources.ssh;
    paths.insert(paths.begin(), sources.own);
    for (const std::string& path : paths) {
        for (const KnownHost& known : read_helpful(path)) {
            if (!(known.key == certificate.authority)) continue;
            if (!known.is_for(host) && !known.is_for(name)) continue;
            if (known.marker == KnownHost::Marker::Revoked) {
                return {Kind::Revoked, path, known.line, known.key};
            }
            if (known.marker != KnownHost::Marker::Authority) continue;
            verdict = {Kind::Known, path, known.line, known.key};
        }
    }
    if (verdict.kind == Kind::Unknown) return verdict;
    auto fault = find_fault(certificate, Certificate::Kind::Host, certificate_time_now());
    if (!fault && !names_principal(certificate, to_lower(host), NoPrincipals::MatchAll)) {
        fault = "it is for another host";
    }
    if (!fault) return verdict;
    HostKeyVerdict without;
    without.certificate_fault = "the server's " + certificate.describe() + ": " + *fault;
    return without;
}

// Judges the key alone.
HostKeyVerdict judge_bare_key(const HostKeySources& sources, std::string_view host,
                              std::string_view name, const PublicKey& key) {
    using Kind = HostKeyVerdict::Kind;
    HostKeyVerdict verdict;

    for (const KnownHost& known : read_known_hosts(sources.own)) {
        if (!known.is_for(name) || known.marker == KnownHost::Marker::Authority) continue;
        const bool is_this = known.key == key;
        if (known.marker == KnownHost::Marker::Revoked) {
            if (is_this) return {Kind::Revoked, sources.own, known.line, key};
        } else if (is_this) {
            verdict = {Kind::Known, sources.own, known.line, key};
        } else if (verdict.kind == Kind::Unknown) {
            verdict = {Kind::Changed, sources.own, known.line, known.key};
        }
    }
    // Read all files even if the key is known already: one of them may revoke it.
    for (const std::string& path : sources.ssh) {
        for (const KnownHost& known : read_helpful(path)) {
            if (!known.is_for(host) && !known.is_for(name)) continue;
            if (known.marker == KnownHost::Marker::Authority) continue;
            if (!(known.key == key)) {
                const bool is_first = verdict.kind == Kind::Unknown && !verdict.recorded;
                if (is_first && known.marker == KnownHost::Marker::None) {
                    verdict = {Kind::Unknown, path, known.line, known.key};
                }
                continue;
            }
            if (known.marker == KnownHost::Marker::Revoked) {
                return {Kind::Revoked, path, known.line, key};
            }
            if (verdict.kind == Kind::Unknown) verdict = {Kind::Known, path, known.line, key};
        }
    }
    if (verdict.kind == Kind::Unknown && sources.pin && *sources.pin == key) {
        verdict = {Kind::Known, {}, 0, {}};
    }
    return verdict;
}

}  // namespace

HostKeyVerdict judge_host_key(const HostKeySources& sources, std::string_view host,
                              std::uint16_t port, const PublicKey& key,
                              const std::optional<Certificate>& certificate) {
    using Kind = HostKeyVerdict::Kind;
    const std::string name = known_host_name(host, port);
    HostKeyVerdict bare = judge_bare_key(sources, host, name, key);
    if (!certificate || bare.kind == Kind::Revoked) return bare;
    HostKeyVerdict verdict = judge_certificate(sources, host, name, *certificate);
    if (verdict.kind != Kind::Unknown) return verdict;
    bare.certificate_fault = verdict.certificate_fault;
    return bare;
}

std::string known_host_name(std::string_view host, std::uint16_t port) {
    std::string name = "[";
    return name.append(to_lower(host)).append("]:").append(std::to_string(port));
}

void add_known_host(const std::string& path, std::string_view host, std::uint16_t port,
                    const PublicKey& key) {
    // Any of these characters would make the line match other hosts, or none.
    const auto is_safe = [](char c) {
        return c > ' ' && c != 0x7F && std::string_view(",*?!|#@[]").find(c) == std::string::npos;
    };
    for (const char c : host) {
        if (!is_safe(c)) {
            throw UserError("known_hosts: \"" + escape_controls(host) + "\" is no host name");
        }
    }
    if (host.empty()) throw UserError("known_hosts: a host without a name");

    make_private_folders(path);
    const Fd file(
        check(::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600),
              "open " + path));
    // The lock makes two clients write one after the other. Closing the descriptor releases it.
    check(::flock(file.get(), LOCK_EX), "lock " + path);
    struct stat status {};
    check(::fstat(file.get(), &status), "stat " + path);
    if (!S_ISREG(status.st_mode)) throw UserError(path + ": not a regular file");
    std::string line;
    char last = '\n';
    if (status.st_size > 0) {
        check(::pread(file.get(), &last, 1, status.st_size - 1), "read " + path);
    }
    if (last != '\n') line += '\n';  // An editor may leave the last line without its end.
    line.append(known_host_name(host, port)).append(" ").append(key.text()).append("\n");
    write_all(file.get(), line);
}

}  // namespace frsh
