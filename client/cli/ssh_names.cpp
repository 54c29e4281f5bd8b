#include "client/cli/ssh_names.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"

#include <algorithm>
#include <cstddef>

namespace frsh {
namespace {

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

// Decodes %XX (RFC 3986, 2.1). Returns nothing for a malformed escape or a NUL.
std::optional<std::string> decode_percent(std::string_view text) {
    std::string decoded;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            decoded += text[i];
            continue;
        }
        if (i + 2 >= text.size()) return std::nullopt;
        const int byte = hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]);
        if (hex_digit(text[i + 1]) < 0 || hex_digit(text[i + 2]) < 0 || byte == 0) {
            return std::nullopt;
        }
        decoded += static_cast<char>(byte);
        i += 2;
    }
    return decoded;
}

bool is_control(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < ' ' || byte == 0x7F;
}

}  // namespace

std::optional<SshUri> parse_ssh_uri(std::string_view text) {
    if (!text.starts_with(kSshScheme)) return std::nullopt;
    text.remove_prefix(kSshScheme.size());
    if (text.ends_with('/')) text.remove_suffix(1);
    if (text.find('/') != std::string_view::npos) return std::nullopt;
    SshUri uri;
    if (const std::size_t at = text.rfind('@'); at != std::string_view::npos) {
        std::string_view name = text.substr(0, at);
        name = name.substr(0, name.find(';'));  // Connection parameters are ignored.
        uri.user = decode_percent(name);
        if (!uri.user || uri.user->empty()) return std::nullopt;
        text.remove_prefix(at + 1);
    }
    std::size_t colon = text.rfind(':');
    const std::size_t bracket = text.find(']');
    if (colon != std::string_view::npos && bracket != std::string_view::npos && colon < bracket) {
        colon = std::string_view::npos;
    }
    if (colon != std::string_view::npos) {
        const auto port = parse_number(text.substr(colon + 1), 1, 65535);
        if (!port) return std::nullopt;
        uri.port = static_cast<unsigned>(*port);
        text = text.substr(0, colon);
    }
    const auto host = decode_percent(text);
    if (!host || host->empty() || host->front() == '-') return std::nullopt;
    uri.host = *host;
    return uri;
}

std::optional<std::string> expand_tokens(std::string_view text, const SshTokens& tokens) {
    std::string expanded;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            expanded += text[i];
            continue;
        }
        if (++i == text.size()) return std::nullopt;
        if (text[i] == '%') {
            expanded += '%';
            continue;
        }
        const auto found = std::find_if(tokens.begin(), tokens.end(),
                                        [&](const auto& one) { return one.first == text[i]; });
        if (found == tokens.end()) return std::nullopt;
        expanded += found->second;
    }
    return expanded;
}

bool is_safe_host(std::string_view host) {
    if (host.empty() || host[0] == '-') return false;
    return std::none_of(host.begin(), host.end(), [](char c) {
        return is_control(c) || std::string_view(" '`\"$\\;&<>|(){},").find(c) != std::string::npos;
    });
}

bool is_safe_user(std::string_view user) {
    if (user.empty() || user[0] == '-' || user.back() == '\\') return false;
    for (std::size_t i = 0; i < user.size(); ++i) {
        const char c = user[i];
        if (is_control(c)) return false;
        if (std::string_view("'`\";&<>|(){}").find(c) != std::string::npos) return false;
        // Unquoted, both could give a command one more option: "a -o" and "a$IFS-o".
        if (c == ' ' && user.substr(i + 1).starts_with('-')) return false;
        if (c == '$' && i + 1 != user.size()) return false;
    }
    return true;
}

void require_safe_host(std::string_view host) {
    if (is_safe_host(host)) return;
    throw UserError("'" + escape_controls(host) + "': no host has such a name");
}

void require_safe_user(std::string_view user) {
    if (is_safe_user(user)) return;
    throw UserError("'" + escape_controls(user) + "': no user has such a name");
}

}  // namespace frsh
