#include "server/login/sshd_files.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/keys/host_pattern.hpp"
#include "common/sys/fd.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <glob.h>
#include <sys/stat.h>

namespace frsh {
namespace {

constexpr std::size_t kMaxConfig = std::size_t{1} << 20;
constexpr int kMaxIncludes = 16;  // The depth of nesting, as in sshd.
constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

// A keyword and the values, both in lower case, with which it decides nothing about a login with a
// key. sshd takes each of these values. Values in capitals stand for a kind of value.
struct HarmlessSetting {
    std::string_view keyword;
    std::string_view values;
};
constexpr std::string_view kFlag = "yes no";
constexpr std::array kHarmless = {
    HarmlessSetting{"acceptenv", "NAMES"},
    HarmlessSetting{"allowagentforwarding", "yes"},
    HarmlessSetting{"allowstreamlocalforwarding", "yes"},
    HarmlessSetting{"allowtcpforwarding", "yes"},
    HarmlessSetting{"authorizedkeysfile", ".ssh/authorized_keys"},
    HarmlessSetting{"banner", "none"},
    HarmlessSetting{"challengeresponseauthentication", kFlag},
    HarmlessSetting{"clientalivecountmax", "NUMBER"},
    HarmlessSetting{"clientaliveinterval", "NUMBER"},
    HarmlessSetting{"compression", "yes no delayed"},
    HarmlessSetting{"disableforwarding", "no"},
    HarmlessSetting{"gssapiauthentication", kFlag},
    HarmlessSetting{"gssapicleanupcredentials", kFlag},
    HarmlessSetting{"hostbasedauthentication", "no"},
    HarmlessSetting{"ignorerhosts", kFlag},
    HarmlessSetting{"kbdinteractiveauthentication", kFlag},
    HarmlessSetting{"logingracetime", "NUMBER"},
    HarmlessSetting{"loglevel", "quiet fatal error info verbose debug debug1 debug2 debug3"},
    HarmlessSetting{"maxauthtries", "NUMBER"},
    HarmlessSetting{"maxsessions", "NUMBER"},
    HarmlessSetting{"passwordauthentication", kFlag},
    HarmlessSetting{"permitemptypasswords", kFlag},
    HarmlessSetting{"permitrootlogin", "yes prohibit-password without-password"},
    HarmlessSetting{"permittty", "yes"},
    HarmlessSetting{"permittunnel", "no"},
    HarmlessSetting{"permituserrc", kFlag},
    HarmlessSetting{"port", "NUMBER"},
    HarmlessSetting{"printlastlog", kFlag},
    HarmlessSetting{"printmotd", kFlag},
    HarmlessSetting{"pubkeyauthentication", "yes"},
    HarmlessSetting{"strictmodes", kFlag},
    HarmlessSetting{"syslogfacility",
                    "daemon user auth authpriv local0 local1 local2 local3 local4 local5 local6 "
                    "local7"},
    HarmlessSetting{"tcpkeepalive", kFlag},
    HarmlessSetting{"usedns", "no"},
    HarmlessSetting{"usepam", kFlag},
    HarmlessSetting{"x11displayoffset", "NUMBER"},
    HarmlessSetting{"x11forwarding", kFlag},
    HarmlessSetting{"x11uselocalhost", kFlag},
};

using ConfigWords = std::vector<std::string_view>;

// Returns the words of a line without quotes and other special characters; nothing for a line that
// has some.
std::optional<ConfigWords> plain_words(std::string_view line) {
    ConfigWords words;
    while (!line.empty()) {
        const std::size_t size = std::min(line.find_first_of(" \t"), line.size());
        const std::string_view word = line.substr(0, size);
        const bool is_plain = std::all_of(word.begin(), word.end(), [](char c) {
            return (c >= '0' && c <= '9') || kLetters.find(c) != std::string_view::npos ||
                   std::string_view("_-./*?,:@").find(c) != std::string_view::npos;
        });
        if (!is_plain) return std::nullopt;
        if (!word.empty()) words.push_back(word);
        line.remove_prefix(std::min(size + 1, line.size()));
    }
    return words;
}

bool is_one_of(std::string_view value, std::string_view values) {
    const auto list = split(values, ' ');
    return std::find(list.begin(), list.end(), value) != list.end();
}

bool is_variable_pattern(std::string_view word) {
    return word.find_first_of("-./,:@") == std::string_view::npos;
}

bool is_harmless_setting(const std::string& keyword, const ConfigWords& values) {
    const auto* const known =
        std::find_if(kHarmless.begin(), kHarmless.end(),
                     [&](const HarmlessSetting& one) { return one.keyword == keyword; });
    if (known == kHarmless.end() || values.empty()) return false;
    if (known->values == "NAMES") {
        return std::all_of(values.begin(), values.end(), is_variable_pattern);
    }
    if (values.size() != 1) return false;
    // A setting of 0 can mean "never".
    if (known->values == "NUMBER") return parse_number(values[0], 1, 65535).has_value();
    const bool is_path = keyword == "authorizedkeysfile";
    return is_one_of(is_path ? std::string(values[0]) : to_lower(values[0]), known->values);
}

// Judges one line without the blanks around it.
void judge_line(std::string_view line, SshdFiles& found) {
    if (line.empty() || line[0] == '#') return;
    const std::string lower = to_lower(line);
    const auto has = [&](std::string_view text) { return lower.find(text) != std::string::npos; };
    // These may find too much, which costs time only or refuses a login.
    if (has("match") && has("host")) found.has_host_names = true;
    if (has("users") && has("@")) found.has_host_names = true;
    if (has("localport")) found.has_local_port = true;
    if (has("authorizedkeysfile") && line.find_first_of("\"'\\") != std::string_view::npos) {
        found.has_quoted_key_files = true;
    }
    if (has("include")) {
        // Also with quotes: the files may have what this one has not.
        std::string rest(line);
        std::replace_if(
            rest.begin(), rest.end(),
            [](char c) { return c == '"' || c == '\'' || c == '=' || c == '\t'; }, ' ');
        bool is_keyword = true;
        for (const std::string_view word : split(rest, ' ')) {
            if (!word.empty() && !std::exchange(is_keyword, false)) {
                found.includes.emplace_back(word);
            }
        }
    }
    const auto words = plain_words(line);
    if (!words || words->size() < 2) {
        found.is_harmless = false;
        return;
    }
    const std::string keyword = to_lower(words->front());
    const ConfigWords values(words->begin() + 1, words->end());
    if (keyword == "include") return;
    if (keyword == "subsystem") {
        // sshd refuses a file that has the same one twice.
        const bool is_whole = values.size() >= 2 && !found.has_subsystem;
        found.has_subsystem = true;
        if (is_whole) return;
    }
    // The file names of HostKey do not count: frshd has a host key of its own.
    if (keyword == "hostkey" && values.size() == 1 && values[0][0] == '/') return;
    if (!is_harmless_setting(keyword, values)) found.is_harmless = false;
}

std::vector<std::string> files_of_include(const std::string& pattern) {
    const std::string path = pattern.starts_with('/') ? pattern : "/etc/ssh/" + pattern;
    glob_t globbed{};
    std::vector<std::string> files;
    if (::glob(path.c_str(), 0, nullptr, &globbed) == 0) {
        files.assign(globbed.gl_pathv, globbed.gl_pathv + globbed.gl_pathc);
    }
    ::globfree(&globbed);
    return files;
}

void read_one_file(const std::string& path, int depth, SshdFiles& found) {
    struct stat about {};
    if (depth > kMaxIncludes) {
        found.fault = path + ": included too deeply";
        return;
    }
    // sshd reads nothing from a folder that is included.
    if (depth > 0 && ::stat(path.c_str(), &about) == 0 && S_ISDIR(about.st_mode)) return;
    try {
        read_sshd_text(read_file(path, kMaxConfig), found);
    } catch (const SysError& error) {
        found.fault = error.what();
        return;
    }
    const std::vector<std::string> includes = std::exchange(found.includes, {});
    for (const std::string& pattern : includes) {
        for (const std::string& file : files_of_include(pattern)) {
            if (!found.fault) read_one_file(file, depth + 1, found);
        }
    }
}

}  // namespace

void read_sshd_text(std::string_view text, SshdFiles& found) {
    // sshd joins the lines around a NUL byte.
    if (text.find('\0') != std::string_view::npos) found.fault = "a NUL byte in a file";
    for (std::string_view line : split(text, '\n')) {
        constexpr std::string_view kBlanks = " \t\r\f";
        line.remove_prefix(std::min(line.find_first_not_of(kBlanks), line.size()));
        line = line.substr(0, line.find_last_not_of(kBlanks) + 1);
        judge_line(line, found);
    }
}

SshdFiles read_sshd_files(const std::string& path) {
    SshdFiles found;
    read_one_file(path, 0, found);
    return found;
}

}  // namespace frsh
