#include "client/cli/ssh_values.hpp"

#include "common/base/text.hpp"
#include "common/keys/host_pattern.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace frsh {
namespace {

constexpr std::string_view kBlank = " \t\r\n\f";

// Returns the seconds in one unit of sshd_config(5), TIME FORMATS; 0 for an unknown letter.
std::uint64_t seconds_of(char unit) {
    switch (unit) {
        case 's':
        case 'S':
            return 1;
        case 'm':
        case 'M':
            return 60;
        case 'h':
        case 'H':
            return 3600;
        case 'd':
        case 'D':
            return 24 * 3600;
        case 'w':
        case 'W':
            return 7 * 24 * 3600;
        default:
            return 0;
    }
}

}  // namespace

std::string_view trim_blanks(std::string_view text) {
    const std::size_t begin = text.find_first_not_of(kBlank);
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(kBlank) + 1 - begin);
}

std::optional<std::vector<std::string>> cut_words(std::string_view text) {
    std::vector<std::string> words;
    std::size_t at = 0;
    for (;;) {
        at = text.find_first_not_of(kBlank, at);
        if (at == std::string_view::npos || text[at] == '#') return words;
        std::string& word = words.emplace_back();
        char quote = 0;
        for (; at < text.size(); ++at) {
            const char c = text[at];
            const char next = at + 1 < text.size() ? text[at + 1] : '\0';
            if (c == '\\' &&
                (next == '\'' || next == '"' || next == '\\' || (quote == 0 && next == ' '))) {
                word += next;
                ++at;
            } else if (quote != 0) {
                if (c == quote) {
                    quote = 0;
                } else {
                    word += c;
                }
            } else if (c == '"' || c == '\'') {
                quote = c;
            } else if (kBlank.find(c) != std::string_view::npos) {
                break;
            } else {
                word += c;
            }
        }
        if (quote != 0) return std::nullopt;
    }
}

std::optional<bool> parse_ssh_flag(std::string_view text) {
    const std::string word = to_lower(text);
    if (word == "yes" || word == "true") return true;
    if (word == "no" || word == "false") return false;
    return std::nullopt;
}

std::optional<std::chrono::seconds> parse_ssh_time(std::string_view text) {
    constexpr std::uint64_t kMost = 10ULL * 365 * 24 * 3600;
    if (text == "none") return std::chrono::seconds(0);
    std::uint64_t total = 0;
    while (!text.empty()) {
        const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
        const auto number = parse_number(text.substr(0, digits), 0, kMost);
        if (!number) return std::nullopt;
        text.remove_prefix(digits);
        const std::uint64_t unit = text.empty() ? 1 : seconds_of(text[0]);
        if (unit == 0) return std::nullopt;
        if (!text.empty()) text.remove_prefix(1);
        total += *number * unit;
        if (total > kMost) return std::nullopt;
    }
    return std::chrono::seconds(total);
}

std::optional<unsigned> parse_ssh_count(std::string_view text) {
    const auto number = parse_number(text, 0, 1'000'000);
    if (!number) return std::nullopt;
    return static_cast<unsigned>(*number);
}

}  // namespace frsh
