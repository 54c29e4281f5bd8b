#include "common/keys/host_pattern.hpp"

#include "common/base/text.hpp"

#include <cstring>

#include <arpa/inet.h>

namespace frsh {
namespace {

struct Address {
    unsigned char bytes[16] = {};
    unsigned bits = 0;  // 32 or 128.
};

std::optional<Address> parse_address(std::string_view text) {
    const std::string plain(text.substr(0, text.find('%')));  // Without the zone of fe80::1%eth0.
    Address address;
    if (::inet_pton(AF_INET, plain.c_str(), address.bytes) == 1) {
        address.bits = 32;
        return address;
    }
    if (::inet_pton(AF_INET6, plain.c_str(), address.bytes) != 1) return std::nullopt;
    address.bits = 128;
    // A v6 socket shows v4 peers as ::ffff:192.0.2.7; both spellings are the same machine.
    static constexpr unsigned char kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    if (std::memcmp(address.bytes, kMapped, sizeof kMapped) == 0) {
        std::memmove(address.bytes, address.bytes + sizeof kMapped, 4);
        address.bits = 32;
    }
    return address;
}

struct Block {
    Address address;
    unsigned prefix = 0;
};

bool has_bits_below(const Block& block) {
    for (unsigned bit = block.prefix; bit < block.address.bits; ++bit) {
        if ((block.address.bytes[bit / 8] & 0x80U >> bit % 8) != 0) return true;
    }
    return false;
}

// Parses an address block. Returns nothing for any other text, such as a name or a pattern.
std::optional<Block> parse_block(std::string_view text) {
    const std::size_t slash = text.find('/');
    const auto address = parse_address(text.substr(0, slash));
    if (!address) return std::nullopt;
    if (slash == std::string_view::npos) return Block{*address, address->bits};
    const auto prefix = parse_number(text.substr(slash + 1), 0, address->bits);
    if (!prefix) return std::nullopt;
    return Block{*address, static_cast<unsigned>(*prefix)};
}

bool contains(const Block& block, const Address& address) {
    if (block.address.bits != address.bits) return false;
    for (unsigned bit = 0; bit < block.prefix; ++bit) {
        const unsigned mask = 0x80U >> bit % 8;
        if (((block.address.bytes[bit / 8] ^ address.bytes[bit / 8]) & mask) != 0) return false;
    }
    return true;
}

// Returns true if the text of some address could match: for "192.0.2.*" and "2001:db8:*".
bool is_address_pattern(std::string_view pattern) {
    const bool is_v6 = pattern.find(':') != std::string_view::npos;
    return pattern.find_first_not_of(is_v6 ? "0123456789abcdefABCDEF:.*?" : "0123456789.*?") ==
           std::string_view::npos;
}

template <typename Matches>
ListVerdict match_list(std::string_view list, const Matches& matches) {
    ListVerdict verdict = ListVerdict::NoMatch;
    for (std::string_view pattern : split(list, ',')) {
        const bool is_negated = pattern.starts_with('!');
        if (is_negated) pattern.remove_prefix(1);
        if (pattern.empty() || !matches(pattern)) continue;
        if (is_negated) return ListVerdict::Negated;
        verdict = ListVerdict::Match;
    }
    return verdict;
}

}  // namespace

bool matches_pattern(std::string_view text, std::string_view pattern) {
    std::size_t at = 0;
    std::size_t in_pattern = 0;
    std::size_t star = std::string_view::npos;  // The latest "*" in the pattern: go back to it.
    std::size_t resume = 0;                     // The end of the text that this "*" has taken.
    while (at < text.size()) {
        const char c = in_pattern < pattern.size() ? pattern[in_pattern] : '\0';
        if (in_pattern < pattern.size() && c == '*') {
            star = in_pattern++;
            resume = at;
        } else if (in_pattern < pattern.size() && (c == '?' || c == text[at])) {
            ++in_pattern;
            ++at;
        } else if (star != std::string_view::npos) {
            in_pattern = star + 1;
            at = ++resume;
        } else {
            return false;
        }
    }
    return pattern.find_first_not_of('*', in_pattern) == std::string_view::npos;
}

ListVerdict match_host_list(std::string_view host, std::string_view list) {
    const std::string lower = to_lower(host);
    return match_list(
        list, [&](std::string_view pattern) { return matches_pattern(lower, to_lower(pattern)); });
}

ListVerdict match_address_list(std::string_view address, std::string_view list) {
    const auto parsed = parse_address(address);
    if (!parsed) return ListVerdict::NoMatch;
    char text[INET6_ADDRSTRLEN] = "";
    ::inet_ntop(parsed->bits == 32 ? AF_INET : AF_INET6, parsed->bytes, text, sizeof text);
    return match_list(list, [&](std::string_view pattern) {
        if (const auto block = parse_block(pattern)) return contains(*block, *parsed);
        return is_address_pattern(pattern) && matches_pattern(text, to_lower(pattern));
    });
}

std::optional<std::string> find_fault_in_address_list(std::string_view list) {
    for (std::string_view pattern : split(list, ',')) {
        const bool is_negated = pattern.starts_with('!');
        if (is_negated) pattern.remove_prefix(1);
        const std::string shown = escape_controls(pattern);
        const auto block = parse_block(pattern);
        if (pattern.empty()) return "an empty pattern";
        if (block && has_bits_below(*block)) return shown + ": has bits beyond its length";
        if (!block && pattern.find('/') != std::string_view::npos) {
            return shown + ": is no address block";
        }
        if (!block && is_negated && !is_address_pattern(pattern)) {
            return shown + ": a name after \"!\", and only addresses are compared";
        }
    }
    return std::nullopt;
}

std::string to_lower(std::string_view text) {
    std::string lower(text);
    for (char& c : lower) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return lower;
}

}  // namespace frsh
