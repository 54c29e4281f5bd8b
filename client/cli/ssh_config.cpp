#include "client/cli/ssh_config.hpp"

#include "client/cli/ssh_cache.hpp"
#include "client/cli/ssh_names.hpp"
#include "client/cli/ssh_values.hpp"
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
constexpr std::size_t kMaxSshAnswer = std::size_t{256} * 1024;

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

// Returns all that the process writes until it ends; nothing if the deadline passes before.
std::optional<std::string> read_until(const Fd& from, EventLoop::Time deadline) {
    std::string text;
    for (;;) {
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(deadline - EventLoop::Clock::now());
        pollfd polled{from.get(), POLLIN, 0};
        if (left.count() <= 0 || text.size() > kMaxSshAnswer) return std::nullopt;
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

// ssh ignores $HOME, so its file needs -F if $HOME differs from the user's home. Otherwise leave
// out -F: with it, ssh does not read /etc/ssh/ssh_config.
bool names_file(const ConnectionSettings& settings) {
    return settings.ssh_config || home_folder() != current_user().home;
}

// Runs `ssh -G` with these options and returns its output. Returns nothing if there is no ssh.
std::optional<std::string> run_ssh(const std::string& host,
                                   const std::vector<std::string>& options) {
    SpawnRequest request;
    request.programs = find_ssh();
    request.argv = {"ssh", "-G"};
    request.argv.insert(request.argv.end(), options.begin(), options.end());
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

// Returns the lines of `answer` that are not in `usual`.
std::string difference(const std::string& answer, const std::string& usual) {
    const std::vector<std::string_view> known = split(usual, '\n');
    std::string text;
    for (const std::string_view line : split(answer, '\n')) {
        if (std::find(known.begin(), known.end(), line) == known.end()) {
            text.append(line).append("\n");
        }
    }
    return text;
}

// Returns what ssh has set for the host, from the cache or from ssh; nothing if there is no ssh.
std::optional<std::string> settings_text(const std::string& host,
                                         const ConnectionSettings& settings) {
    const std::vector<std::string> programs = find_ssh();
    if (programs.empty()) return std::nullopt;
    std::vector<std::string> options;
    if (settings.user) options.insert(options.end(), {"-l", *settings.user});
    std::vector<std::string> files{file_of(settings)};
    if (names_file(settings)) {
        options.insert(options.end(), {"-F", file_of(settings)});
    } else {
        files.emplace_back("/etc/ssh/ssh_config");
    }
    // A NUL ends each part, so that no two questions look alike.
    std::string question = host + '\0' + std::to_string(::geteuid()) + '\0' + current_user().home;
    for (const std::string& word : options)
        question += '\0' + word;
    const SshSources before = survey_ssh_files(programs, files);
    if (auto known = recall_ssh_answer(question, before)) return known;
    const auto answer = run_ssh(host, options);
    const auto usual = answer ? run_ssh(host, {"-F", "none"}) : std::nullopt;
    if (!usual) return std::nullopt;
    const std::string text = difference(*answer, *usual);
    const SshSources after = survey_ssh_files(programs, files);
    if (after.state == before.state) remember_ssh_answer(question, after, text);
    return text;
}

}  // namespace

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

SshLine parse_ssh_line(std::string_view line) {
    constexpr std::string_view kBlank = " \t\r";
    const std::size_t begin = std::min(line.find_first_not_of(kBlank), line.size());
    line.remove_prefix(begin);
    const std::size_t end = std::min(line.find_first_of(" \t\r="), line.size());
    SshLine parsed{to_lower(line.substr(0, end)), line.substr(end)};
    parsed.rest.remove_prefix(
        std::min(parsed.rest.find_first_not_of(" \t\r="), parsed.rest.size()));
    while (!parsed.rest.empty() && kBlank.find(parsed.rest.back()) != std::string_view::npos)
        parsed.rest.remove_suffix(1);
    return parsed;
}

bool is_dynamic_ssh_line(const SshLine& line) {
    if (line.rest.find("${") != std::string_view::npos) return true;
    if (line.keyword == "include") return line.rest.find('%') != std::string_view::npos;
    if (line.keyword == "canonicalizehostname") return to_lower(line.rest) != "no";
    if (line.keyword != "match") return false;
    const auto words = cut_words(line.rest);
    if (!words) return true;
    return std::any_of(words->begin(), words->end(), [](const std::string& word) {
        std::string name = to_lower(word);
        if (name.starts_with('!')) name.erase(0, 1);
        name.resize(std::min(name.find('='), name.size()));
        return name == "exec" || name == "localnetwork" || name == "version" ||
               name == "sessiontype" || name == "command";
    });
}

bool may_speak_of(std::string_view text, std::string_view host) {
    bool is_for_host = true;  // Lines before the first "Host" are for all hosts.
    for (const std::string_view line : split(text, '\n')) {
        const SshLine parsed = parse_ssh_line(line);
        if (parsed.keyword == "host") {
            is_for_host = may_be_for(parsed.rest, host);
        } else if (parsed.keyword == "match") {
            is_for_host = true;
        } else if (is_for_host && !parsed.keyword.empty() && parsed.keyword[0] != '#' &&
                   parsed.keyword != "port") {
            return true;
        }
    }
    return false;
}

SshAnswer ask_ssh(const std::string& host, const ConnectionSettings& settings) {
    if (settings.ssh_config == "none") return {};
    const std::string file = file_of(settings);
    try {
        if (!may_speak_of(read_file(file, kMaxFile), host)) return {};
    } catch (const SysError& error) {
        if (settings.ssh_config) throw;
        return {};
    }
    const auto text = settings_text(host, settings);
    if (!text) {
        log::info(file + " is left aside: there is no ssh here to read it");
        return {};
    }
    SshAnswer answer = parse_ssh_answer(*text);
    ConnectionSettings& said = answer.options.settings;
    const std::string user = settings.user.value_or(said.user.value_or(""));
    const SshTokens tokens{{'d', home_folder()},
                           {'h', said.address.value_or("")},
                           {'r', user},
                           {'u', current_user().name}};
    // If another token is in a path, it stays, and the path names no file.
    const auto expand = [&tokens](std::string& path) {
        path = expand_home(expand_tokens(path, tokens).value_or(path));
    };
    std::for_each(said.first_identities.begin(), said.first_identities.end(), expand);
    std::for_each(said.certificates.begin(), said.certificates.end(), expand);
    if (said.identity_agent) expand(*said.identity_agent);
    log::info("ssh -G: " +
              escape_controls(said.user.value_or("") + "@" + said.address.value_or("")));
    return answer;
}

}  // namespace frsh
