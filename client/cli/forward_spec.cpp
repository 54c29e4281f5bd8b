#include "client/cli/forward_spec.hpp"

#include "client/cli/ssh_values.hpp"
#include "common/base/brackets.hpp"
#include "common/base/text.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace frsh {
namespace {

constexpr std::size_t kMaxHost = 1024;  // Bytes, as in ssh.
constexpr std::size_t kMaxPath = 107;   // Bytes of a unix socket's path; see unix(7).
// A destination of two parts and a listening address of two.
constexpr std::size_t kMaxParts = 4;

// By the number of the kind.
constexpr const char* kOptions[] = {"-L", "-D", "-R"};
constexpr const char* kWords[] = {"local", "dynamic", "remote"};

using Parts = std::vector<std::string>;
using Parsed = std::variant<ForwardSpec, std::string>;

bool is_path(const std::string& part) {
    return part.starts_with('/');
}

// Splits at colons outside of brackets, and removes the brackets. Returns nothing if a bracket has
// no partner or there are too many parts.
std::optional<Parts> split_parts(std::string_view text) {
    Parts parts;
    while (true) {
        std::size_t end = 0;
        if (text.starts_with('[')) {
            const std::size_t close = text.find(']');
            if (close == std::string_view::npos) return std::nullopt;
            parts.emplace_back(text.substr(1, close - 1));
            end = close + 1;
            if (end < text.size() && text[end] != ':') return std::nullopt;
        } else {
            end = std::min(text.find(':'), text.size());
            parts.emplace_back(text.substr(0, end));
        }
        if (end == text.size()) return parts;
        if (parts.size() == kMaxParts) return std::nullopt;
        text.remove_prefix(end + 1);
    }
}

std::string quoted(std::string_view text) {
    return std::string("'").append(escape_controls(text)).append("'");
}

// Takes the destination from the end of `parts`. Returns the reason for a refusal.
std::optional<std::string> take_destination(Parts& parts, ForwardSpec& spec) {
    if (is_path(parts.back())) {
        if (parts.back().size() > kMaxPath) return "the path of the destination is too long";
        spec.to = {std::move(parts.back())};
        parts.pop_back();
        return std::nullopt;
    }
    if (parts.size() < 3) return "is not [BIND:]PORT:HOST:HOSTPORT or [BIND:]PORT:/PATH";
    const std::string port = std::move(parts.back());
    parts.pop_back();
    const std::string host = std::move(parts.back());
    parts.pop_back();
    if (!parse_number(port, 1, 65535)) return quoted(port) + " is no port from 1 to 65535";
    if (host.empty() || is_path(host) || host.size() > kMaxHost) {
        return quoted(host) + " is no host to connect to";
    }
    spec.to = {host, port};
    return std::nullopt;
}

// Takes the place to listen on, which is all that is left of `parts`.
std::optional<std::string> take_listening(Parts& parts, ForwardSpec& spec) {
    if (parts.size() == 1 && is_path(parts[0])) {
        if (parts[0].size() > kMaxPath) return "the path to listen on is too long";
        spec.path = std::move(parts[0]);
        return std::nullopt;
    }
    if (parts.empty() || parts.size() > 2) return "the port to listen on is missing";
    const auto port = parse_number(parts.back(), 0, 65535);
    if (!port) return quoted(parts.back()) + " is no port from 0 to 65535";
    spec.port = static_cast<unsigned>(*port);
    if (parts.size() == 1) return std::nullopt;
    if (is_path(parts[0]) || parts[0].size() > kMaxHost) {
        return quoted(parts[0]) + " is no address to listen on";
    }
    spec.bind = std::move(parts[0]);
    return std::nullopt;
}

// Returns true for -R with only a place to listen on. ssh -G prints its missing destination as
// "[socks]:0".
bool is_remote_socks(Parts& parts) {
    const std::size_t count = parts.size();
    if (count >= 3 && parts[count - 2] == "socks" && parts[count - 1] == "0") {
        parts.resize(count - 2);
        return true;
    }
    return count == 1 || (count == 2 && !is_path(parts[0]) && !is_path(parts[1]) &&
                          parse_number(parts[1], 0, 65535));
}

}  // namespace

const char* option_of(ForwardSpec::Kind kind) {
    return kOptions[static_cast<std::size_t>(kind)];
}

std::string destination_text(const std::vector<std::string>& to) {
    if (to.size() < 2) return to.empty() ? "" : to[0];
    return in_brackets(to[0]) + ":" + to[1];
}

Parsed parse_forward(ForwardSpec::Kind kind, std::string_view text) {
    const std::string bad = std::string("Bad ") + kWords[static_cast<std::size_t>(kind)] +
                            " forwarding specification " + quoted(text) + ": ";
    if (text.find('\0') != std::string_view::npos) return bad + "has a NUL byte";
    auto parts = split_parts(text);
    if (!parts) return bad + "its brackets or colons do not match";
    ForwardSpec spec;
    spec.kind = kind;
    const bool is_socks = kind == ForwardSpec::Kind::Dynamic ||
                          (kind == ForwardSpec::Kind::Remote && is_remote_socks(*parts));
    if (!is_socks) {
        if (const auto why = take_destination(*parts, spec)) return bad + *why;
    }
    if (const auto why = take_listening(*parts, spec)) return bad + *why;
    return spec;
}

Parsed parse_forward(std::string_view text) {
    for (const auto kind :
         {ForwardSpec::Kind::Local, ForwardSpec::Kind::Dynamic, ForwardSpec::Kind::Remote}) {
        if (text.starts_with(std::string{option_of(kind)[1], ' '})) {
            return parse_forward(kind, trim_blanks(text.substr(2)));
        }
    }
    return quoted(text) +
           " is not \"L [BIND:]PORT:HOST:HOSTPORT\", \"R [BIND:]PORT:HOST:HOSTPORT\" or \"D "
           "[BIND:]PORT\"";
}

std::optional<std::string> add_forward(std::vector<std::string>& forwards, ForwardSpec::Kind kind,
                                       const std::vector<std::string>& parts) {
    std::string text;
    for (const std::string& part : parts)
        text.append(text.empty() ? "" : ":").append(part);
    const Parsed parsed = parse_forward(kind, text);
    if (const auto* const why = std::get_if<std::string>(&parsed)) return *why;
    forwards.push_back(std::string{option_of(kind)[1], ' '} + text);
    return std::nullopt;
}

}  // namespace frsh
