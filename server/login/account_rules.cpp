#include "server/login/account_rules.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/sys/fd.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <vector>

#include <pwd.h>
#include <shadow.h>
#include <unistd.h>

namespace frsh {
namespace {

constexpr long kSecondsOfADay = 86400;
constexpr std::size_t kMaxNologinFile = std::size_t{64} * 1024;
// In bytes, of the text that a client is sent.
constexpr std::size_t kMaxNologinText = 1000;
constexpr std::array kNologinFiles = {"/run/nologin", "/etc/nologin"};

// A password that is only one of these characters stands for "none".
bool is_a_password(std::string_view text) {
    return text.find_first_not_of("!*") != std::string_view::npos;
}

// Both terms come from a file, so that their sum may not fit.
long sum_of(long a, long b) {
    long sum = 0;
    return __builtin_add_overflow(a, b, &sum) ? std::max(a, b) : sum;
}

}  // namespace

std::optional<std::string> find_lock(const ShadowEntry& entry, LockRule rule) {
    if (!entry.password.starts_with('!')) return std::nullopt;
    if (rule == LockRule::LockedPassword && !is_a_password(entry.password)) return std::nullopt;
    return "the account is locked (usermod -L)";
}

std::optional<std::string> find_aging_refusal(const ShadowEntry& entry, long today) {
    if (entry.expires >= 0 && today >= entry.expires) return "the account has expired";
    if (entry.changed == 0) return "the password must be changed first (chage -d 0)";
    // Before the day of the change, the machine's clock is wrong: no age is known.
    if (entry.changed < 0 || entry.longest < 0 || today < entry.changed) return std::nullopt;
    const long age = today - entry.changed;
    if (age <= entry.longest) return std::nullopt;
    if (entry.inactive >= 0 && age > sum_of(entry.longest, entry.inactive)) {
        return "the account is inactive: its password expired too long ago";
    }
    return "the password has expired and must be changed first";
}

std::optional<long> days_to_warn_of(const ShadowEntry& entry, long today) {
    if (entry.changed <= 0 || entry.longest < 0 || entry.warning < 0) return std::nullopt;
    if (today < entry.changed) return std::nullopt;
    const long left = sum_of(entry.changed, entry.longest) - today;
    if (left < 0 || left > entry.warning) return std::nullopt;
    return left;
}

std::optional<ShadowEntry> read_shadow(const std::string& user) {
    std::vector<char> buffer(1024);
    spwd entry{};
    spwd* found = nullptr;
    while (::getspnam_r(user.c_str(), &entry, buffer.data(), buffer.size(), &found) == ERANGE)
        buffer.resize(buffer.size() * 2);
    if (found == nullptr) return std::nullopt;
    return ShadowEntry{found->sp_pwdp != nullptr ? found->sp_pwdp : "",
                       found->sp_lstchg,
                       found->sp_max,
                       found->sp_warn,
                       found->sp_inact,
                       found->sp_expire};
}

std::optional<std::string> find_missing_entry_refusal(const std::string& field) {
    if (field == "x") return "the account has no line in /etc/shadow";
    return find_lock({field}, LockRule::AnyLock);
}

std::string read_password_field(const std::string& user) {
    std::vector<char> buffer(1024);
    passwd entry{};
    passwd* found = nullptr;
    while (::getpwnam_r(user.c_str(), &entry, buffer.data(), buffer.size(), &found) == ERANGE)
        buffer.resize(buffer.size() * 2);
    return found != nullptr && found->pw_passwd != nullptr ? found->pw_passwd : "";
}

long days_since_1970() {
    return static_cast<long>(::time(nullptr) / kSecondsOfADay);
}

std::string nologin_reason(std::string_view path, std::string_view content) {
    std::string reason = "logins are closed at the moment (" + std::string(path) + ")";
    content = content.substr(0, content.find('\0'));
    while (!content.empty() && (content.back() == '\n' || content.back() == '\r' ||
                                content.back() == ' ' || content.back() == '\t'))
        content.remove_suffix(1);
    if (content.empty()) return reason;
    std::string text(content.substr(0, kMaxNologinText));
    std::replace(text.begin(), text.end(), '\n', ' ');
    return reason + ": " + text;
}

std::optional<std::string> find_nologin() {
    for (const char* const path : kNologinFiles) {
        if (::access(path, F_OK) == -1) continue;
        try {
            return nologin_reason(path, read_file(path, kMaxNologinFile));
        } catch (const SysError&) {
            return nologin_reason(path, "");  // It exists, which is enough.
        }
    }
    return std::nullopt;
}

}  // namespace frsh
