#include "common/keys/key_file.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/keys/ssh_wire.hpp"
#include "common/keys/sshsig.hpp"
#include "common/sys/fd.hpp"
#include "common/sys/wait.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace frsh {
namespace {

constexpr std::size_t kMaxFile = std::size_t{256} * 1024;
constexpr std::string_view kBegin = "-----BEGIN OPENSSH PRIVATE KEY-----";
constexpr std::string_view kEnd = "-----END OPENSSH PRIVATE KEY-----";
constexpr std::string_view kMagic{"openssh-key-v1\0", 15};
constexpr std::size_t kLineLength = 70;
constexpr std::size_t kBlockSize =
    8;  // An unencrypted private part is padded to a multiple of this.

std::string without_blanks(std::string_view text) {
    std::string joined;
    joined.reserve(text.size());  // A buffer that grows leaves copies of a key behind.
    for (const char c : text) {
        if (std::string_view(" \t\r\n\f\v").find(c) == std::string_view::npos) joined += c;
    }
    return joined;
}

// Returns the lines between the first line and the END line, as ssh-keygen finds them: what follows
// the END line is ignored. Throws ProtocolError if there is no END line.
std::string_view body_of(std::string_view content) {
    content.remove_prefix(kBegin.size());
    for (std::size_t at = content.find(kEnd); at != std::string_view::npos;
         at = content.find(kEnd, at + 1)) {
        if (at > 0 && (content[at - 1] == '\n' || content[at - 1] == '\r')) {
            return content.substr(0, at);
        }
    }
    throw ProtocolError("private key: cut short");
}

// Parses the part that a passphrase would encrypt: two equal check words, the key's fields, a
// comment, and padding with the bytes 1, 2, 3, ….
void parse_private_part(std::string_view part, KeyFile& file) {
    if (part.size() % kBlockSize != 0) throw ProtocolError("private key: of the wrong length");
    WireReader reader(part, "private key");
    const std::uint32_t check_word = reader.u32();
    if (reader.u32() != check_word) reader.refuse("damaged");
    if (reader.string() != name_of(file.public_key->type())) {
        reader.refuse("its halves do not belong together");
    }
    // Find the end of the key's fields by their number, which depends on the type. All fields are
    // strings or mpints, and both have the same outer form.
    const std::string_view before = reader.rest();
    const int fields = file.public_key->type() == KeyType::Rsa       ? 6
                       : file.public_key->type() == KeyType::Ed25519 ? 2
                                                                     : 3;
    for (int i = 0; i < fields; ++i)
        reader.string();
    const std::string_view key_fields = before.substr(0, before.size() - reader.rest().size());
    file.comment = reader.string();
    const std::string_view padding = reader.rest();
    if (padding.size() >= kBlockSize) reader.refuse("something follows its end");
    for (std::size_t i = 0; i < padding.size(); ++i) {
        if (padding[i] != static_cast<char>(i + 1)) reader.refuse("something follows its end");
    }
    file.key = PrivateKey::from_openssh_fields(*file.public_key, key_fields);
}

struct OpenedKey {
    std::string content;
    struct stat status;
};

// Reads a private key file. Owner, mode and kind are checked on the open descriptor, because the
// path could name another file by then.
std::optional<OpenedKey> read_key_content(const std::string& path) {
    // O_NONBLOCK: opening a FIFO would block until it has a writer.
    const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    if (!file.is_open()) {
        if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
        throw SysError("open " + path);
    }
    struct stat status {};
    check(::fstat(file.get(), &status), "stat " + path);
    if (!S_ISREG(status.st_mode)) throw UserError(path + ": not a regular file");
    // Read one byte more than the file's size: if it arrives, the file has grown.
    const auto told = std::min(static_cast<std::size_t>(status.st_size), kMaxFile);
    std::string content(told + 1, '\0');
    std::size_t size = 0;
    while (size < content.size()) {
        const IoResult got = read_some(file.get(), content.data() + size, content.size() - size);
        if (got.status != IoResult::Status::Done) break;
        size += got.bytes;
    }
    if (size == content.size()) throw UserError(path + ": too large for a key");
    content.resize(size);
    return OpenedKey{std::move(content), status};
}

// Throws UserError. As in ssh, the mode of a file that root gave this user is root's decision.
void require_private(const std::string& path, const struct stat& status) {
    if (status.st_uid == 0 && ::geteuid() != 0) return;
    if (status.st_uid != ::geteuid()) {
        throw UserError(path + ": refused, this private key belongs to another user (uid " +
                        std::to_string(status.st_uid) + ")");
    }
    if ((status.st_mode & 077) == 0) return;
    throw UserError(path + ": refused, others can read this private key: chmod 600 " +
                    shell_quote(path));
}

// Returns nothing if the content is not one line of a public key.
std::optional<PublicKey> parse_public(std::string_view content) {
    if (content.starts_with("-----BEGIN ")) return std::nullopt;
    try {
        return parse_key_line(content.substr(0, content.find('\n'))).key;
    } catch (const ProtocolError&) {
        return std::nullopt;
    }
}

std::optional<PublicKey> read_public_beside(const std::string& path) {
    try {
        return parse_key_line(read_file(path + ".pub", kMaxFile)).key;
    } catch (const SysError&) {
        return std::nullopt;  // Usually there is no such file. ssh-keygen may not need it.
    } catch (const ProtocolError&) {
        return std::nullopt;
    }
}

std::string format_key(const PrivateKey& key, std::string_view comment) {
    const std::string check_word = random_bytes(4);
    std::string fields = key.openssh_fields();
    const WipeAtExit fields_wiped(fields);
    // With room for the padding.
    std::string part = WireWriter(fields.size() + comment.size() + 64)
                           .raw(check_word)
                           .raw(check_word)
                           .string(name_of(key.public_key().type()))
                           .raw(fields)
                           .string(comment)
                           .take();
    const WipeAtExit part_wiped(part);
    for (char pad = 1; part.size() % kBlockSize != 0; ++pad)
        part += pad;
    std::string blob = WireWriter(part.size() + 256)
                           .raw(kMagic)
                           .string("none")  // Cipher.
                           .string("none")  // Key derivation.
                           .string("")      // Options of the key derivation.
                           .u32(1)          // Number of keys.
                           .string(key.public_key().blob())
                           .string(part)
                           .take();
    const WipeAtExit blob_wiped(blob);
    std::string encoded = base64_encode(blob);
    const WipeAtExit encoded_wiped(encoded);
    std::string text(kBegin);
    text.reserve(encoded.size() * 2);  // If the text grew, copies of the secret would stay behind.
    text += '\n';
    for (std::size_t at = 0; at < encoded.size(); at += kLineLength) {
        text += std::string_view(encoded).substr(at, kLineLength);
        text += '\n';
    }
    text += kEnd;
    text += '\n';
    return text;
}

// Writes a new file with a unique name beside `path`, flushed to disk. Returns its name.
std::string write_beside(const std::string& path, std::string_view content, mode_t mode) {
    std::string name = path + ".new-XXXXXX";
    const Fd file(check(::mkostemp(name.data(), O_CLOEXEC), "create " + name));  // O_EXCL, 0600.
    check(::fchmod(file.get(), mode), "chmod " + name);
    write_all(file.get(), content);
    check(::fsync(file.get()), "fsync " + name);
    return name;
}

struct SpawnPlan {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    SpawnPlan() {
        ::posix_spawn_file_actions_init(&actions);
        ::posix_spawnattr_init(&attributes);
    }
    ~SpawnPlan() {
        ::posix_spawn_file_actions_destroy(&actions);
        ::posix_spawnattr_destroy(&attributes);
    }
    SpawnPlan(const SpawnPlan&) = delete;
    SpawnPlan& operator=(const SpawnPlan&) = delete;
};

// Starts ssh-keygen with two pipes; terminal, environment and stderr are its parent's.
pid_t start_ssh_keygen(const std::string& path, const std::string& name_space, int input,
                       int output) {
    SpawnPlan plan;
    ::posix_spawn_file_actions_adddup2(&plan.actions, input, 0);
    ::posix_spawn_file_actions_adddup2(&plan.actions, output, 1);
    ::posix_spawn_file_actions_addclosefrom_np(&plan.actions, 3);
    sigset_t defaults;
    ::sigemptyset(&defaults);
    ::sigaddset(&defaults, SIGPIPE);
    sigset_t unblocked;
    ::sigemptyset(&unblocked);
    ::posix_spawnattr_setsigdefault(&plan.attributes, &defaults);
    ::posix_spawnattr_setsigmask(&plan.attributes, &unblocked);  // Ctrl-C must reach the prompt.
    ::posix_spawnattr_setflags(&plan.attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);

    // Add "./" before a name that begins with a dash, so that it is not an option.
    const std::string file = path.starts_with("-") ? "./" + path : path;
    const char* argv[] = {"ssh-keygen",       "-q", "-Y",         "sign", "-n",
                          name_space.c_str(), "-f", file.c_str(), nullptr};
    pid_t pid = -1;
    const int error = ::posix_spawnp(&pid, argv[0], &plan.actions, &plan.attributes,
                                     const_cast<char* const*>(argv), environ);
    if (error != 0) throw SysError("exec ssh-keygen", error);
    return pid;
}

// Appends what the process writes to `output`, and returns its wait status. If `cancel_fd` becomes
// readable, terminates the process and throws WaitCanceled.
int read_until_exit(pid_t pid, Fd output, int cancel_fd, std::string& text) {
    const auto wait = [pid] {
        int status = 0;
        while (::waitpid(pid, &status, 0) == -1) {
            if (errno != EINTR) throw SysError("wait for ssh-keygen");
        }
        return status;
    };
    char buffer[4096];
    while (text.size() <= kMaxFile) {
        try {
            (void)wait_for_events(output.get(), POLLIN, {EventLoop::kNever, cancel_fd});
        } catch (const WaitCanceled&) {
            ::kill(pid, SIGTERM);  // ssh-keygen restores the terminal's echo.
            (void)wait();
            throw;
        }
        const IoResult got = read_some(output.get(), buffer, sizeof buffer);
        if (got.status != IoResult::Status::Done) break;
        text.append(buffer, got.bytes);
    }
    output.close();
    return wait();
}

}  // namespace

KeyFile parse_key_file(std::string_view content) {
    KeyFile file;
    const std::size_t begin = std::min(content.find_first_not_of(" \t\r\n"), content.size());
    content.remove_prefix(begin);
    if (!content.starts_with(kBegin)) {
        if (!content.starts_with("-----BEGIN ")) throw ProtocolError("private key: not a key file");
        file.needs_passphrase = content.find("ENCRYPTED") != std::string_view::npos;
        return file;  // A PEM file: ssh-keygen signs with it.
    }
    std::string joined = without_blanks(body_of(content));
    const WipeAtExit joined_wiped(joined);
    auto blob = base64_decode(joined);
    if (!blob) throw ProtocolError("private key: not base64");
    const WipeAtExit blob_wiped(*blob);

    WireReader reader(*blob, "private key");
    if (reader.take(kMagic.size()) != kMagic) reader.refuse("not in OpenSSH's format");
    const std::string_view cipher = reader.string();
    const std::string_view derivation = reader.string();
    reader.string();
    if (reader.u32() != 1) reader.refuse("not exactly one key");
    file.public_key = PublicKey::from_blob(reader.string());
    const std::string_view part = reader.string(kMaxFile);
    const bool is_plain = cipher == "none" && derivation == "none";
    file.needs_passphrase = !is_plain;
    if (is_plain) reader.finish();  // A cipher may leave its tag behind.
    if (is_plain && !file.public_key->is_fido()) parse_private_part(part, file);
    return file;
}

std::optional<KeyFile> load_key_file(const std::string& path, std::string* content) {
    auto opened = read_key_content(path);
    KeyFile file;
    file.path = path;
    if (!opened) {
        file.public_key = read_public_beside(path);
        file.is_public_only = true;
        return file.public_key ? std::optional(std::move(file)) : std::nullopt;
    }
    const WipeAtExit content_wiped(opened->content);
    if (auto key = parse_public(opened->content)) {
        file.public_key = std::move(key);
        file.is_public_only = true;
        return file;
    }
    require_private(path, opened->status);
    try {
        file = parse_key_file(opened->content);
        file.path = path;
        if (!file.public_key) file.public_key = read_public_beside(path);
        if (content != nullptr) content->swap(opened->content);
        return file;
    } catch (const ProtocolError& error) {
        throw UserError(path + ": " + error.what());
    }
}

std::optional<std::string> sign_with_ssh_keygen(const std::string& path,
                                                std::string_view name_space,
                                                std::string_view message,
                                                const std::optional<PublicKey>& expected,
                                                int cancel_fd) {
    Pipe input = make_pipe();
    Pipe output = make_pipe();
    const pid_t pid = start_ssh_keygen(path, std::string(name_space), input.read_end.get(),
                                       output.write_end.get());
    input.read_end.close();
    output.write_end.close();
    // ssh-keygen asks for the passphrase before it reads its input, but the message fits into the
    // pipe.
    must(message.size() <= 4096, "a proof is short");
    static_cast<void>(
        write_some(input.write_end.get(), message));  // EPIPE: ssh-keygen reports the reason.
    input.write_end.close();

    std::string text;
    const auto status = read_until_exit(pid, std::move(output.read_end), cancel_fd, text);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGINT) throw Interrupted();
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return std::nullopt;
    try {
        ArmoredSignature made = dearmor(text);
        const bool is_asked_for = made.name_space == name_space &&
                                  (!expected || made.key == *expected) &&
                                  verify_sshsig(made.key, name_space, message, made.signature);
        if (!is_asked_for) throw UserError(path + ": ssh-keygen signed something else");
        return std::move(made.signature);
    } catch (const ProtocolError& error) {
        throw UserError(path + ": ssh-keygen: " + error.what());
    }
}

bool write_key_file(const std::string& path, const PrivateKey& key, std::string_view comment) {
    std::string text = format_key(key, comment);
    const WipeAtExit wiped(text);
    const std::string name = write_beside(path, text, 0600);
    // link(2) fails if the name exists. rename(2) would replace a key that another process has made
    // in the meantime.
    const bool is_ours = ::link(name.c_str(), path.c_str()) == 0;
    const int error = errno;
    ::unlink(name.c_str());
    if (!is_ours && error == EEXIST) return false;
    if (!is_ours) throw SysError("create " + path, error);

    std::string line = key.public_key().text();
    if (!comment.empty()) line.append(" ").append(comment);
    const std::string public_name = write_beside(path + ".pub", line.append("\n"), 0644);
    check(::rename(public_name.c_str(), (path + ".pub").c_str()), "create " + path + ".pub");
    return true;
}

}  // namespace frsh
