#include "server/login/authorized_principals.hpp"

#include "common/base/text.hpp"

#include <algorithm>
#include <string>

namespace frsh {
namespace {

constexpr std::string_view kLineBlanks = " \t";

std::string_view trim(std::string_view text) {
    text.remove_prefix(std::min(text.find_first_not_of(kLineBlanks), text.size()));
    return text.substr(0, text.find_last_not_of(kLineBlanks) + 1);
}

}  // namespace

std::optional<AuthorizedKey> find_principal(std::string_view text, const Certificate& certificate) {
    std::size_t number = 0;
    for (std::string_view line : split(text, '\n')) {
        ++number;
        if (line.size() > kMaxAuthorizedLine || line.find('\0') != std::string_view::npos) continue;
        // As in sshd, a comment begins anywhere, even within quotes.
        line = trim(line.substr(0, line.find('#')));
        std::size_t blank = line.rfind(' ');
        if (blank == std::string_view::npos) blank = line.rfind('\t');
        const bool has_options = blank != std::string_view::npos;
        const std::string_view name = has_options ? trim(line.substr(blank)) : line;
        const auto& principals = certificate.principals;
        if (name.empty() ||
            std::find(principals.begin(), principals.end(), name) == principals.end()) {
            continue;
        }
        AuthorizedKey entry{certificate.key,   "", number, {}, true, {}, {}, {},
                            Presence::Touched, {}, {},     {}};
        if (has_options && apply_options(entry, trim(line.substr(0, blank)))) continue;
        // sshd refuses both options here. It reads no further line then.
        if (entry.is_authority || entry.principals) return std::nullopt;
        entry.principals = std::string(name);
        return entry;
    }
    return std::nullopt;
}

}  // namespace frsh
