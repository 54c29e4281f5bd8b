#include "client/holder/link_place.hpp"

#include "client/cli/connection_settings.hpp"
#include "client/cli/ssh_names.hpp"
#include "client/cli/target.hpp"
#include "common/base/brackets.hpp"
#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/base/version.hpp"
#include "common/net/socket.hpp"
#include "common/sys/event_loop.hpp"
#include "common/sys/user.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <type_traits>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace frsh {
namespace {

constexpr std::size_t kMaxState = 64 * 1024;

std::string links_folder() {
    return runtime_folder() + "/links";
}

// FNV-1a (64 bits). The file's key is compared as well, so this needs no resistance to collisions.
std::uint64_t hash_of(std::string_view text) {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const char byte : text) {
        hash ^= static_cast<unsigned char>(byte);
        hash *= 0x100000001b3;
    }
    return hash;
}

std::string hex_hash(std::string_view text) {
    std::array<char, 17> name{};
    (void)std::snprintf(name.data(), name.size(), "%016llx",
                        static_cast<unsigned long long>(hash_of(text)));
    return name.data();
}

// Returns true for a unix socket on which no process listens.
bool is_dead_socket(const std::string& path) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) == -1 || !S_ISSOCK(info.st_mode)) return false;
    try {
        (void)connect_unix(path, {EventLoop::Clock::now()});
        return false;
    } catch (const SysError& error) {
        return error.code().value() == ECONNREFUSED;
    }
}

std::string as_text(const std::string& value) {
    return value;
}
std::string as_text(bool value) {
    return value ? "yes" : "no";
}
std::string as_text(unsigned value) {
    return std::to_string(value);
}
std::string as_text(AddressFamily value) {
    return std::to_string(static_cast<int>(value));
}
std::string as_text(std::chrono::milliseconds value) {
    return std::to_string(value.count());
}
std::string as_text(const JumpWish& value) {
    return value.hops + (value.may_be_sshd ? " or sshd" : "");
}
template <typename T>
std::string as_text(const std::vector<T>& values) {
    std::string text;
    for (const T& value : values)
        text += as_text(value) + "\x1f";
    return text;
}
// What concerns a run, or how long a link is shared, does not distinguish links.
std::string as_text(const Linger&) {
    return "";
}
std::string as_text(const Sharing&) {
    return "";
}
std::string as_text(const OnDisconnect&) {
    return "";
}
std::string as_text(AgentForwarding) {
    return "";
}
template <typename T>
std::string as_text(const std::optional<T>& value) {
    return value ? as_text(*value).append("=") : "";
}

// A new version of the program has another inode or time, so it never uses an old holder.
std::string describe_program() {
    struct stat info {};
    if (::stat("/proc/self/exe", &info) == -1) return kVersion;
    return std::string(kVersion) + " " + std::to_string(info.st_dev) + " " +
           std::to_string(info.st_ino) + " " + std::to_string(info.st_mtim.tv_sec) + "." +
           std::to_string(info.st_mtim.tv_nsec);
}

struct flock whole_file(short type) {
    struct flock lock {};
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    return lock;
}

bool is_same_file(int fd, const std::string& path) {
    struct stat one {};
    struct stat other {};
    return ::fstat(fd, &one) == 0 && ::stat(path.c_str(), &other) == 0 &&
           one.st_ino == other.st_ino && one.st_dev == other.st_dev;
}

}  // namespace

namespace {

// Resets what does not distinguish two logins.
ConnectionSettings settings_of_login(const ClientOptions& options) {
    ConnectionSettings settings = options.settings;
    settings.share.reset();
    settings.control_path.reset();
    settings.control_master.reset();
    settings.control_persist.reset();
    settings.connect_timeout.reset();
    settings.connection_attempts.reset();
    settings.forwards.clear();
    settings.exit_on_forward_failure.reset();
    settings.gateway_ports.reset();
    settings.clear_forwardings.reset();
    settings.unlinks_sockets.reset();
    settings.socket_mask.reset();
    settings.bashrc.reset();
    return settings;
}

// Returns the absolute path of ControlPath. The folder may be named in several ways.
std::string resolve_control(const ClientOptions& options, const std::string& name_of_login) {
    const Target target = resolve_target(options);
    SshTokens tokens = tokens_of(target);
    tokens.emplace_back('C', hex_hash(name_of_login));
    const std::string& text = *options.settings.control_path;
    const auto expanded = expand_tokens(text, tokens);
    if (!expanded)
        throw UserError("ControlPath: '" + escape_controls(text) + "': has an unknown %-token");
    const std::filesystem::path path = expand_home(*expanded);
    std::error_code error;
    const auto folder = std::filesystem::weakly_canonical(
        std::filesystem::absolute(path, error).parent_path(), error);
    return error ? path.string() : (folder / path.filename()).string();
}

}  // namespace

LinkPlace place_of_link(const ClientOptions& options) {
    ConnectionSettings settings = settings_of_login(options);
    if (!settings.user) settings.user = current_user().name;
    const HostPort where = place_of(options.target, settings);
    LinkPlace place;
    place.name = in_brackets(where.host) + ":" + std::to_string(where.port);
    place.key = describe_program() + "\n" + home_folder() + "\n" + place.name + "\n" +
                (options.plaintext ? "plaintext\n" : "tls\n");
    visit_fields([&](const auto& value) { place.key += as_text(value) + "\n"; }, settings);
    if (has_control_path(options.settings)) {
        place.control = resolve_control(options, *settings.user + "@" + place.name);
    }
    // One ControlPath has one holder, whatever the link.
    const std::string& hashed = place.control.empty() ? place.key : place.control;
    place.path = links_folder() + "/" + hex_hash(hashed);
    return place;
}

bool may_use(const std::string& held, const LinkPlace& wanted) {
    if (wanted.control.empty()) return held == wanted.key;
    const auto theirs = split(held, '\n');
    const auto ours = split(wanted.key, '\n');
    return std::equal(
        ours.begin(), ours.end(), theirs.begin(), theirs.end(),
        [](std::string_view one, std::string_view other) { return one.empty() || one == other; });
}

std::optional<std::string> find_control(const std::string& control) {
    std::error_code error;
    const std::string target = std::filesystem::read_symlink(control, error).string();
    constexpr std::string_view kEnding = ".sock";
    if (error || !target.ends_with(kEnding)) return std::nullopt;
    return target.substr(0, target.size() - kEnding.size());
}

void put_control(const LinkPlace& place) {
    if (place.control.empty()) return;
    for (int attempt = 1;; ++attempt) {
        if (::symlink(place.socket().c_str(), place.control.c_str()) == 0) return;
        if (errno != EEXIST) throw SysError("ControlPath " + place.control);
        // This process has the lock on the place, so a link to it was left by a dead holder.
        const auto found = find_control(place.control);
        const bool is_stale = found ? *found == place.path || owner_of_link(*found) == 0
                                    : is_dead_socket(place.control);
        if (!is_stale || attempt > 3) {
            throw UserError("ControlSocket " + escape_controls(place.control) + " already exists");
        }
        (void)::unlink(place.control.c_str());
    }
}

void remove_control(const LinkPlace& place) {
    if (place.control.empty() || find_control(place.control) != place.path) return;
    (void)::unlink(place.control.c_str());
}

void remove_stale(const std::string& path) {
    for (const char* const ending : {".sock", ".ctl", ".link"})
        ::unlink((path + ending).c_str());
}

void make_links_folder() {
    make_private_folder(make_runtime_folder() + "/links");
}

std::vector<std::string> all_links() {
    std::vector<std::string> links;
    std::error_code error;
    if (!check_private_folder(runtime_folder())) return links;
    for (const auto& entry : std::filesystem::directory_iterator(links_folder(), error)) {
        if (entry.path().extension() != ".link") continue;
        links.push_back((entry.path().parent_path() / entry.path().stem()).string());
    }
    return links;
}

std::optional<Fd> lock_link(const LinkPlace& place) {
    for (;;) {
        Fd file(check(::open(place.file().c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600),
                      place.file()));
        const struct flock lock = whole_file(F_WRLCK);
        if (::fcntl(file.get(), F_SETLK, &lock) == -1) {
            if (errno == EACCES || errno == EAGAIN) return std::nullopt;
            throw SysError(place.file());
        }
        // A holder that ends removes its file; the lock on a removed file protects nothing.
        if (is_same_file(file.get(), place.file())) return file;
    }
}

void write_state(int file, const LinkState& state) {
    const std::string text = std::to_string(state.since) + " " + std::to_string(state.channels) +
                             " " + std::to_string(state.borrowed) + " " +
                             std::to_string(state.bytes) + " " + state.name + "\n" + state.key;
    // A reader compares the key, so it notices a text that is written in part.
    if (::pwrite(file, text.data(), text.size(), 0) == -1) return;
    if (::ftruncate(file, static_cast<off_t>(text.size())) == -1) return;
}

std::optional<LinkState> read_state(const std::string& path) {
    const Fd file(::open((path + ".link").c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!file.is_open()) return std::nullopt;
    std::string text(kMaxState, '\0');
    const auto size = ::pread(file.get(), text.data(), text.size(), 0);
    if (size <= 0) return std::nullopt;
    text.resize(static_cast<std::size_t>(size));
    const auto line_end = text.find('\n');
    if (line_end == std::string::npos) return std::nullopt;
    LinkState state;
    const char* at = text.c_str();
    char* end = nullptr;
    state.since = std::strtoll(at, &end, 10);
    state.channels = static_cast<std::size_t>(std::strtoull(end, &end, 10));
    state.borrowed = std::strtoull(end, &end, 10);
    state.bytes = std::strtoull(end, &end, 10);
    if (*end != ' ') return std::nullopt;
    state.name = text.substr(static_cast<std::size_t>(end + 1 - at),
                             line_end - static_cast<std::size_t>(end + 1 - at));
    state.key = text.substr(line_end + 1);
    return state;
}

pid_t owner_of_link(const std::string& path) {
    const Fd file(::open((path + ".link").c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (!file.is_open()) return 0;
    struct flock lock = whole_file(F_WRLCK);
    if (::fcntl(file.get(), F_GETLK, &lock) == -1 || lock.l_type == F_UNLCK) return 0;
    return lock.l_pid;
}

}  // namespace frsh
