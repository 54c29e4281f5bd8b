// sshd_config and the answer of `sshd -T`: a text counts as harmless only if each of its lines
// does, and a refusal stays one.
#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/keys/host_pattern.hpp"
#include "server/login/sshd_files.hpp"
#include "server/login/sshd_policy.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace {

frsh::SshdFiles read_text(std::string_view text) {
    frsh::SshdFiles found;
    frsh::read_sshd_text(text, found);
    return found;
}

bool begins_with_one_of(const std::string& line, std::initializer_list<std::string_view> words) {
    return std::any_of(words.begin(), words.end(),
                       [&](std::string_view word) { return line.starts_with(word); });
}

void judge_text(std::string_view text) {
    const frsh::SshdFiles whole = read_text(text);
    for (const char* const more :
         {"DenyUsers x", "Match all", "NoSuchKeyword 1", "UsePAM", "\"UsePAM\" yes"}) {
        frsh::must(!read_text(std::string(text) + "\n" + more).is_harmless, "a line more counts");
        std::string before = more;
        before.append("\n").append(text);
        frsh::must(!read_text(before).is_harmless, "a line before counts");
    }
    if (!whole.is_harmless) return;
    frsh::must(!whole.has_quoted_key_files, "a quote is for sshd");
    for (const std::string_view line : frsh::split(text, '\n')) {
        frsh::must(read_text(line).is_harmless, "each line is harmless");
        std::string start = frsh::to_lower(line);
        start.erase(0, std::min(start.find_first_not_of(" \t\r\f"), start.size()));
        frsh::must(!begins_with_one_of(
                       start, {"match", "deny", "allowu", "allowg", "force", "chroot", "revoked",
                               "trusted", "authorizedp", "authenticationm", "\"", "'"}),
                   "such a line decides");
    }
}

void judge_settings(std::string_view text) {
    const frsh::SshdPolicy policy = frsh::parse_sshd_settings(text);
    const frsh::SshdSubject subject{"alice", false, {"alice"}, "192.0.2.7", false, "box.example"};
    const auto mode = frsh::SshdPolicyMode::Obey;
    const auto refusal = frsh::find_sshd_refusal(policy, subject, mode);
    for (const char* const more :
         {"denyusers alice@box.*\n", "chrootdirectory /srv\n", "maxsessions 0\n",
          "pubkeyauthentication no\n", "denygroups alice\n"}) {
        const auto other = frsh::parse_sshd_settings(std::string(text) + "\n" + more);
        frsh::must(frsh::find_sshd_refusal(other, subject, mode).has_value(),
                   "what refuses, refuses");
    }
    if (!refusal) {
        frsh::must(!policy.chroot && policy.has_public_keys, "what frshd cannot do refuses");
    }
    const frsh::User user{1000, 1000, "alice", "/home/alice", "/bin/sh"};
    for (const std::string& path : frsh::expand_key_files(policy, user))
        frsh::must(path.starts_with('/'), "a file of keys has a whole path");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    judge_text(input);
    judge_settings(input);
    return 0;
}
