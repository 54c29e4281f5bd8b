#include "client/cli/ssh_config.hpp"

#include "client/cli/ssh_names.hpp"
#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/keys/host_pattern.hpp"
#include "common/sys/event_loop.hpp"
#include "common/sys/process.hpp"
#include "common/sys/user.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <variant>
#include <vector>

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

extern char** environ;

namespace frsh {
namespace {

using namespace std::chrono_literals;

constexpr auto kSshTimeout = 5s;
constexpr std::size_t kMaxFile = std::size_t{1024} * 1024;
constexpr std::size_t kMaxAnswer = std::size_t{256} * 1024;

// A line of ssh_config(5): a keyword in any case, then blanks or one "=", then arguments.
struct Line {
    std::string keyword;
    std::string_view rest;
};

Line parse_line(std::string_view line) {
    constexpr std::string_view kBlank = " \t\r";
    const std::size_t begin = std::min(line.find_first_not_of(kBlank), line.size());
    line.remove_prefix(begin);
    const std::size_t end = std::min(line.find_first_of(" \t\r="), line.size());
    Line parsed{to_lower(line.substr(0, end)), line.substr(end)};
    parsed.rest.remove_prefix(
        std::min(parsed.rest.find_first_not_of(" \t\r="), parsed.rest.size()));
    while (!parsed.rest.empty() && kBlank.find(parsed.rest.back()) != std::string_view::npos)
        parsed.rest.remove_suffix(1);
    return parsed;
}

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

bool may_be_for(std::string_view patterns, std::string_view host) {
    std::string plain(patterns);
    std::replace(plain.begin(), plain.end(), '\t', ' ');
    for (std::string_view pattern : split(plain, ' ')) {
        if (pattern.starts_with('"')) pattern.remove_prefix(1);
        if (pattern.ends_with('"')) pattern.remove_suffix(1);
        if (matches_pattern(to_lower(host), to_lower(pattern))) return true;
    }
    return false;
}

// Returns the paths where ssh may be. Leaves out frsh itself, installed under the name "ssh".
std::vector<std::string> find_ssh() {
    struct stat own {};
    (void)::stat("/proc/self/exe", &own);
    const char* const path = std::getenv("PATH");
    std::vector<std::string> programs = search_path("ssh", path != nullptr ? path : "/usr/bin");
    programs.emplace_back("/usr/bin/ssh.openssh");  // Where frsh-as-ssh moves it.
    std::erase_if(programs, [&](const std::string& program) {
        struct stat status {};
        return ::stat(program.c_str(), &status) == -1 ||
               (status.st_ino == own.st_ino && status.st_dev == own.st_dev);
    });
    return programs;
}

// Returns all that the process writes until it ends; nothing if the deadline passes before.
std::optional<std::string> read_until(const Fd& from, EventLoop::Time deadline) {
    std::string text;
    for (;;) {
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(deadline - EventLoop::Clock::now());
        pollfd polled{from.get(), POLLIN, 0};
        if (left.count() <= 0 || text.size() > kMaxAnswer) return std::nullopt;
        if (::poll(&polled, 1, static_cast<int>(left.count())) != 1) continue;
        char buffer[4096];
        const IoResult got = read_some(from.get(), buffer, sizeof buffer);
        if (got.status == IoResult::Status::EndOfFile) return text;
        text.append(buffer, got.bytes);
    }
}

std::string last_line(std::string_view text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r'))
        text.remove_suffix(1);
    const std::size_t end = text.rfind('\n');
    return escape_controls(end == std::string_view::npos ? text : text.substr(end + 1));
}

std::string file_of(const ConnectionSettings& settings) {
    return settings.ssh_config.value_or(home_folder() + "/.ssh/config");
}

// Runs `ssh -G` and returns its output. Returns nothing if there is no ssh.
std::optional<std::string> run_ssh(const std::string& host, const ConnectionSettings& settings) {
    SpawnRequest request;
    request.programs = find_ssh();
    if (request.programs.empty()) return std::nullopt;
    request.argv = {"ssh", "-G"};
    if (settings.user) request.argv.insert(request.argv.end(), {"-l", *settings.user});
    // ssh ignores $HOME, so its file needs -F if $HOME differs from the user's home. Otherwise
    // leave out -F: with it, ssh does not read /etc/ssh/ssh_config.
    if (settings.ssh_config || home_folder() != current_user().home) {
        request.argv.insert(request.argv.end(), {"-F", file_of(settings)});
    }
    request.argv.insert(request.argv.end(), {"--", host});
    for (char** entry = environ; *entry != nullptr; ++entry)
        request.env.emplace_back(*entry);
    Pipe answer = make_pipe();
    request.stdio = {-1, answer.write_end.get(), answer.write_end.get()};
    auto started = spawn(request);
    answer.write_end.close();
    const auto* const ssh = std::get_if<Spawned>(&started);
    if (ssh == nullptr) return std::nullopt;
    auto text = read_until(answer.read_end, EventLoop::Clock::now() + kSshTimeout);
    if (!text) ::kill(-ssh->pid, SIGKILL);  // The group: ssh, and what `Match exec` started.
    const ExitStatus status = wait_for(ssh->pid);
    const std::string what = "ssh -G " + escape_controls(host) + ": ";
    constexpr const char* kInstead = " (ssh_config = \"none\" in config.toml goes without)";
    if (!text) throw UserError(what + "no answer within five seconds" + kInstead);
    if (status.signaled || status.code != 0) throw UserError(what + last_line(*text) + kInstead);
    return text;
}

// ssh has replaced all tokens already, so a "%" that is left stands for itself.
std::string as_literal(const std::string& value) {
    std::string literal;
    for (const char c : value)
        literal += c == '%' ? std::string("%%") : std::string(1, c);
    return literal;
}

}  // namespace

bool may_speak_of(std::string_view text, std::string_view host) {
    bool is_for_host = true;  // Lines before the first "Host" are for all hosts.
    for (const std::string_view line : split(text, '\n')) {
        const Line parsed = parse_line(line);
        if (parsed.keyword == "host") {
            is_for_host = may_be_for(parsed.rest, host);
        } else if (parsed.keyword == "match") {
            is_for_host = true;
        } else if (is_for_host &&
                   is_one_of(parsed.keyword, {"hostname", "user", "identityfile", "include"})) {
            return true;
        }
    }
    return false;
}

ConnectionSettings parse_ssh_settings(std::string_view text) {
    ConnectionSettings settings;
    for (const std::string_view line : split(text, '\n')) {
        const Line parsed = parse_line(line);
        const std::string value(parsed.rest);
        if (parsed.keyword == "hostname" && !value.empty()) settings.address = as_literal(value);
        if (parsed.keyword == "user" && !value.empty()) settings.user = value;
        const bool is_usual = value.starts_with("~/.ssh/id_") &&
                              is_one_of(value.substr(10), {"rsa", "dsa", "ecdsa", "ecdsa_sk",
                                                           "ed25519", "ed25519_sk", "xmss"});
        if (parsed.keyword == "identityfile" && !is_usual && value != "none") {
            settings.first_identities.push_back(value);
        }
    }
    return settings;
}

ConnectionSettings ask_ssh(const std::string& host, const ConnectionSettings& settings) {
    if (settings.ssh_config == "none") return {};
    const std::string file = file_of(settings);
    try {
        if (!may_speak_of(read_file(file, kMaxFile), host)) return {};
    } catch (const SysError& error) {
        if (settings.ssh_config) throw;
        return {};
    }
    const auto answer = run_ssh(host, settings);
    if (!answer) {
        log::info(file + " is left aside: there is no ssh here to read it");
        return {};
    }
    ConnectionSettings said = parse_ssh_settings(*answer);
    const std::string user = settings.user.value_or(said.user.value_or(""));
    const SshTokens tokens{{'d', home_folder()},
                           {'h', said.address.value_or("")},
                           {'r', user},
                           {'u', current_user().name}};
    for (std::string& path : said.first_identities) {
        // If another token is in the path, it stays, and the path names no file.
        path = expand_home(expand_tokens(path, tokens).value_or(path));
    }
    log::info("ssh -G: " +
              escape_controls(said.user.value_or("") + "@" + said.address.value_or("")));
    return said;
}

}  // namespace frsh
