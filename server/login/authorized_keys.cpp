#include "server/login/authorized_keys.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/keys/host_pattern.hpp"

#include <algorithm>
#include <array>
#include <ctime>
#include <stdexcept>

#include <netdb.h>

namespace frsh {
namespace {

// The reason why a line is void. This exception is caught in this file.
class VoidLine : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct Option {
    std::string name;  // In lower case.
    std::optional<std::string> value;
};

// These options concern features that frsh does not have: agents, X11 and ssh's rc file. The last
// one waives the touch of a FIDO key; frsh requires the touch in any case.
constexpr std::array<std::string_view, 5> kIgnoredFlags = {
    "x11-forwarding", "no-x11-forwarding", "user-rc", "no-user-rc", "no-touch-required",
};

bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

void skip_blanks(std::string_view& rest) {
    while (!rest.empty() && is_blank(rest[0]))
        rest.remove_prefix(1);
}

std::string_view first_word(std::string_view line) {
    return line.substr(0, line.find_first_of(" \t"));
}

// Returns true if the word has the form of a key type, known or unknown. A line without options
// starts with one; no option has this form.
bool is_key_type(std::string_view word) {
    return word.starts_with("ssh-") || word.starts_with("ecdsa-sha2-") ||
           word.starts_with("sk-ssh-") || word.starts_with("sk-ecdsa-") ||
           word.starts_with("rsa-sha2-");
}

// Takes the value of name="value". In it, \" is a quote, and no other character is special.
std::string take_quoted(std::string_view& rest) {
    std::string value;
    rest.remove_prefix(1);
    while (!rest.empty() && rest[0] != '"') {
        if (rest.starts_with("\\\"")) rest.remove_prefix(1);
        value += rest[0];
        rest.remove_prefix(1);
    }
    if (rest.empty()) throw VoidLine("a quote without its end");
    rest.remove_prefix(1);
    return value;
}

// Takes one option. A comma or a blank must follow it.
Option take_option(std::string_view& rest) {
    const std::size_t end = std::min(rest.find_first_of(" \t,=\""), rest.size());
    Option option{to_lower(rest.substr(0, end)), std::nullopt};
    rest.remove_prefix(end);
    if (option.name.empty()) throw VoidLine("an option without a name");
    if (rest.starts_with('=')) {
        rest.remove_prefix(1);
        if (!rest.starts_with('"')) throw VoidLine("a value that is not quoted");
        option.value = take_quoted(rest);
    }
    if (!rest.empty() && rest[0] != ',' && !is_blank(rest[0])) {
        throw VoidLine("something unexpected behind an option");
    }
    return option;
}

std::vector<Option> take_options(std::string_view& rest) {
    std::vector<Option> options;
    for (;;) {
        options.push_back(take_option(rest));
        if (!rest.starts_with(',')) return options;
        rest.remove_prefix(1);
    }
}

// Parses YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, in local time or, with a Z, in UTC.
std::chrono::system_clock::time_point parse_expiry(std::string_view text) {
    const bool is_utc = text.ends_with('Z') || text.ends_with('z');
    if (is_utc) text.remove_suffix(1);
    const auto number = [&](std::size_t at, std::size_t size, unsigned low, unsigned high) {
        if (at >= text.size()) return 0;
        const auto value = parse_number(text.substr(at, size), low, high);
        if (!value) throw VoidLine("expiry-time is no time");
        return static_cast<int>(*value);
    };
    if (text.size() != 8 && text.size() != 12 && text.size() != 14) {
        throw VoidLine("expiry-time is no time");
    }
    std::tm time{};
    time.tm_year = number(0, 4, 1900, 9999) - 1900;
    time.tm_mon = number(4, 2, 1, 12) - 1;
    time.tm_mday = number(6, 2, 1, 31);
    time.tm_hour = number(8, 2, 0, 23);
    time.tm_min = number(10, 2, 0, 59);
    time.tm_sec = number(12, 2, 0, 59);
    time.tm_isdst = -1;
    // timegm(3) turns the 31st of a short month into the 1st of the next one. Refuse such a date.
    std::tm normal = time;
    if (::timegm(&normal) == -1 || normal.tm_mon != time.tm_mon) {
        throw VoidLine("expiry-time is no time");
    }
    const std::time_t seconds = is_utc ? ::timegm(&time) : std::mktime(&time);
    if (seconds == -1) throw VoidLine("expiry-time is no time");
    // The clock counts nanoseconds and ends in the year 2262. A later date means "never".
    using Time = std::chrono::system_clock::time_point;
    constexpr auto kLast = std::chrono::floor<std::chrono::seconds>(Time::max());
    if (seconds > kLast.time_since_epoch().count()) return Time::max();
    return std::chrono::system_clock::from_time_t(seconds);
}

void add_variable(AuthorizedKey& key, const std::string& assignment) {
    const std::size_t equals = assignment.find('=');
    std::string name = assignment.substr(0, equals);
    const bool is_name = !name.empty() && equals != std::string::npos &&
                         name.find_first_not_of(
                             "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                             "abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
    if (!is_name) throw VoidLine("environment without a name");
    for (const auto& [known, value] : key.environment) {
        if (known == name) throw VoidLine("environment \"" + name + "\" twice");
    }
    key.environment.emplace_back(std::move(name), assignment.substr(equals + 1));
}

// Refuses an option that is given twice: it would be unclear which one counts.
void set_once(std::optional<std::string>& place, const Option& option) {
    if (place) throw VoidLine(option.name + " twice");
    place = *option.value;
}

// Refuses a place that is not "HOST:PORT" or "[V6]:PORT". The port is a number, "*" or a name of
// services(5), as in sshd.
void require_place(const std::string& option, std::string_view place, unsigned lowest) {
    const std::size_t end = place.starts_with('[') ? place.find(']') : 0;
    const std::size_t colon = place.find(':', end);
    const bool is_whole = end != std::string_view::npos && colon != std::string_view::npos &&
                          (end == 0 || colon == end + 1);
    const std::string port(is_whole ? place.substr(colon + 1) : "");
    const bool is_port = port == "*" || parse_number(port, lowest, 65535) ||
                         (!port.empty() && ::getservbyname(port.c_str(), "tcp") != nullptr);
    if (!is_port) throw VoidLine(option + ": no port");
}

void apply_setting(AuthorizedKey& key, const Option& option) {
    const auto is = [&](std::string_view name) { return option.name == name; };
    if (is("command")) {
        set_once(key.command, option);
    } else if (is("from")) {
        set_once(key.from, option);
        if (const auto fault = find_fault_in_address_list(*key.from)) {
            throw VoidLine("from: " + *fault);
        }
    } else if (is("expiry-time")) {
        const auto time = parse_expiry(*option.value);
        key.expires = std::min(key.expires.value_or(time), time);
    } else if (is("permitopen")) {
        require_place(option.name, *option.value, 1);
        key.permit_open.push_back(*option.value);
    } else if (is("principals")) {
        set_once(key.principals, option);
    } else if (is("permitlisten")) {
        // As in sshd, a port alone stands for any address.
        const bool is_port = option.value->find(':') == std::string::npos;
        const std::string place = (is_port ? "*:" : "") + *option.value;
        require_place(option.name, place, 0);  // 0: a port that the system chooses.
        key.permit_listen.push_back(place);
    } else if (is("environment")) {
        add_variable(key, *option.value);
    } else if (is("tunnel")) {
        // frsh has no tunnels, so only the form counts.
        const bool is_device = parse_number(*option.value, 0, 0x7ffffffd).has_value();
        if (!is_device && to_lower(*option.value) != "any") throw VoidLine("tunnel: no device");
    } else {
        throw VoidLine("unknown option \"" + escape_controls(option.name) + "\"");
    }
}

void apply_flag(AuthorizedKey& key, const Option& option) {
    const auto is = [&](std::string_view name) { return option.name == name; };
    if (is("cert-authority")) {
        key.is_authority = true;
    } else if (is("restrict")) {
        key.may_have_pty = false;
        key.may_forward = false;
        key.may_forward_agent = false;
    } else if (is("agent-forwarding") || is("no-agent-forwarding")) {
        key.may_forward_agent = is("agent-forwarding");
    } else if (is("port-forwarding") || is("no-port-forwarding")) {
        key.may_forward = is("port-forwarding");
    } else if (is("no-pty")) {
        key.may_have_pty = false;
    } else if (is("pty")) {
        key.may_have_pty = true;  // Cancels this effect of a "restrict" before it.
    } else if (is("verify-required")) {
        key.presence = Presence::Verified;
    } else if (std::find(kIgnoredFlags.begin(), kIgnoredFlags.end(), option.name) ==
               kIgnoredFlags.end()) {
        throw VoidLine("unknown option \"" + escape_controls(option.name) + "\"");
    }
}

void apply_all(AuthorizedKey& key, const std::vector<Option>& options) {
    for (const Option& option : options) {
        if (option.value) {
            apply_setting(key, option);
        } else {
            apply_flag(key, option);
        }
    }
}

AuthorizedKey parse_line(std::string_view line, std::size_t number) {
    // The kernel would end the command at a NUL, but an editor shows what follows.
    if (line.find('\0') != std::string_view::npos) throw VoidLine("a NUL byte");
    std::vector<Option> options;
    if (!is_key_type(first_word(line))) {
        options = take_options(line);
        skip_blanks(line);
    }
    const std::string_view type = first_word(line);
    line.remove_prefix(type.size());
    skip_blanks(line);
    const std::string_view encoded = first_word(line);
    line.remove_prefix(encoded.size());
    skip_blanks(line);
    if (!is_key_type(type)) throw VoidLine("no key where one should be");
    AuthorizedKey key{PublicKey::from_text(std::string(type) + " " + std::string(encoded)),
                      std::string(line),
                      number,
                      {},
                      true,
                      {},
                      {},
                      {},
                      Presence::Touched,
                      {},
                      {},
                      {}};
    apply_all(key, options);
    if (key.principals && !key.is_authority) throw VoidLine("principals without cert-authority");
    return key;
}

}  // namespace

AuthorizedKeys parse_authorized_keys(std::string_view text) {
    AuthorizedKeys result;
    std::size_t number = 0;
    for (std::string_view line : split(text, '\n')) {
        ++number;
        const auto skip = [&](const std::string& why) {
            result.skipped.push_back("line " + std::to_string(number) + ": " + why);
        };
        if (line.size() > kMaxAuthorizedLine) {
            skip("too long");
            continue;
        }
        if (line.ends_with('\r')) line.remove_suffix(1);
        skip_blanks(line);
        if (line.empty() || line[0] == '#') continue;
        try {
            result.keys.push_back(parse_line(line, number));
        } catch (const VoidLine& why) {
            skip(why.what());
        } catch (const ProtocolError& why) {
            skip(why.what());
        }
    }
    return result;
}

std::optional<std::string> apply_options(AuthorizedKey& key, std::string_view options) {
    try {
        apply_all(key, take_options(options));
        if (!options.empty()) return "a blank between options";
        return std::nullopt;
    } catch (const VoidLine& why) {
        return why.what();
    }
}

std::optional<std::string> find_refusal(const AuthorizedKey& key, std::string_view address,
                                        std::chrono::system_clock::time_point now) {
    if (key.expires && now >= *key.expires) return "the key has expired";
    if (key.from && match_address_list(address, *key.from) != ListVerdict::Match) {
        return "the key is not for this address";
    }
    return std::nullopt;
}

}  // namespace frsh
