// `-o Key=Value`: the keys of ssh_config(5), each in one line of a table.
#include "client/cli/ssh_options.hpp"
#include "common/base/text.hpp"
#include "common/keys/host_pattern.hpp"

#include <algorithm>

namespace frsh {
namespace {

using Words = std::vector<std::string>;
// The reason why a value is refused; empty if it is accepted.
using Why = std::string;

struct Value {
    std::string_view rest;  // Unchanged, with its quotes.
    Words words;            // Split as a shell would; at least one.
};

struct Keyword {
    std::string_view name;  // In lower case.
    Why (*apply)(SshKeywords& keywords, const Value& value);
    // A shell parses the value, so it is not split into words here.
    bool is_command = false;
};

constexpr std::string_view kBlank = " \t\r\n\f";

std::string_view trim(std::string_view text) {
    const std::size_t begin = text.find_first_not_of(kBlank);
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(kBlank) + 1 - begin);
}

// Splits a text at blanks. Both kinds of quotes protect blanks. A backslash protects a quote, a
// backslash or a blank. "#" begins a comment. Returns nothing if a quote is not closed.
std::optional<Words> cut_words(std::string_view text) {
    Words words;
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

Why complain(std::string_view word, const char* why) {
    return std::string("'").append(escape_controls(word)).append("' ").append(why);
}

Why bad(const Value& value) {
    return complain(value.words[0], "is no value for it");
}

template <typename Field, typename Said>
Why set_first(std::optional<Field>& field, std::optional<Said> value, const Value& said) {
    if (!value) return bad(said);
    if (!field) field = std::move(*value);
    return "";
}

std::optional<bool> parse_flag(std::string_view text) {
    const std::string word = to_lower(text);
    if (word == "yes" || word == "true") return true;
    if (word == "no" || word == "false") return false;
    return std::nullopt;
}

// Parses "90", "1m30s" or "2h" (sshd_config(5), TIME FORMATS). "none" is no limit.
std::optional<std::chrono::seconds> parse_time(std::string_view text) {
    constexpr std::uint64_t kMost = 10ULL * 365 * 24 * 3600;
    if (text == "none") return std::chrono::seconds(0);
    std::uint64_t total = 0;
    while (!text.empty()) {
        const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
        const auto number = parse_number(text.substr(0, digits), 0, kMost);
        if (!number) return std::nullopt;
        text.remove_prefix(digits);
        std::uint64_t unit = 1;
        if (!text.empty()) {
            switch (text[0]) {
                case 's':
                case 'S':
                    break;
                case 'm':
                case 'M':
                    unit = 60;
                    break;
                case 'h':
                case 'H':
                    unit = 3600;
                    break;
                case 'd':
                case 'D':
                    unit = 24 * 3600;
                    break;
                case 'w':
                case 'W':
                    unit = 7 * 24 * 3600;
                    break;
                default:
                    return std::nullopt;
            }
            text.remove_prefix(1);
        }
        total += *number * unit;
        if (total > kMost) return std::nullopt;
    }
    return std::chrono::seconds(total);
}

std::optional<unsigned> parse_count(std::string_view text) {
    const auto number = parse_number(text, 0, 1'000'000);
    if (!number) return std::nullopt;
    return static_cast<unsigned>(*number);
}

template <typename Field>
Field& field_of(SshKeywords& keywords, Field SshOptions::*member) {
    return keywords.options.*member;
}
template <typename Field>
Field& field_of(SshKeywords& keywords, Field ConnectionSettings::*member) {
    return keywords.options.settings.*member;
}

template <auto Member>
Why text(SshKeywords& keywords, const Value& value) {
    return set_first(field_of(keywords, Member), std::optional(value.words[0]), value);
}

// Stores a command. A shell parses the value, so its quotes stay.
template <auto Member>
Why command(SshKeywords& keywords, const Value& value) {
    return set_first(field_of(keywords, Member), std::optional(std::string(value.rest)), value);
}

template <auto Member>
Why flag(SshKeywords& keywords, const Value& value) {
    return set_first(field_of(keywords, Member), parse_flag(value.words[0]), value);
}

template <auto Member>
Why duration(SshKeywords& keywords, const Value& value) {
    return set_first(field_of(keywords, Member), parse_time(value.words[0]), value);
}

template <auto Member>
Why count(SshKeywords& keywords, const Value& value) {
    return set_first(field_of(keywords, Member), parse_count(value.words[0]), value);
}

template <auto Member>
Why files(SshKeywords& keywords, const Value& value) {
    Words paths = value.words;
    if (paths[0] == "none") paths.clear();
    return set_first(field_of(keywords, Member), std::optional(std::move(paths)), value);
}

Why port(SshKeywords& keywords, const Value& value) {
    const auto number = parse_number(value.words[0], 1, 65535);
    if (!number) return bad(value);
    return set_first(keywords.options.settings.port, std::optional(static_cast<unsigned>(*number)),
                     value);
}

Why identity(SshKeywords& keywords, const Value& value) {
    if (value.words[0] != "none") keywords.options.settings.identities.push_back(value.words[0]);
    return "";
}

Why send_env(SshKeywords& keywords, const Value& value) {
    auto& patterns = keywords.options.send_env;
    patterns.insert(patterns.end(), value.words.begin(), value.words.end());
    return "";
}

Why set_env(SshKeywords& keywords, const Value& value) {
    for (const std::string& entry : value.words) {
        const std::size_t equals = entry.find('=');
        if (equals == 0 || equals == std::string::npos) {
            return complain(entry, "is not NAME=VALUE");
        }
    }
    if (keywords.options.set_env.empty()) keywords.options.set_env = value.words;
    return "";
}

template <typename Field>
struct Choice {
    std::string_view word;
    Field field;
};

template <typename Field, std::size_t N>
std::optional<Field> choose(const Choice<Field> (&choices)[N], std::string_view said) {
    const std::string word = to_lower(said);
    for (const Choice<Field>& choice : choices) {
        if (choice.word == word) return choice.field;
    }
    return std::nullopt;
}

Why strict_host_key(SshKeywords& keywords, const Value& value) {
    enum class Strict { Ask, Yes, AcceptNew };
    // "no" means "accept-new" here: a changed key is always refused.
    constexpr Choice<Strict> kChoices[] = {{"yes", Strict::Yes},
                                           {"true", Strict::Yes},
                                           {"ask", Strict::Ask},
                                           {"no", Strict::AcceptNew},
                                           {"false", Strict::AcceptNew},
                                           {"off", Strict::AcceptNew},
                                           {"accept-new", Strict::AcceptNew}};
    const auto strict = choose(kChoices, value.words[0]);
    if (!strict) return bad(value);
    ConnectionSettings& settings = keywords.options.settings;
    if (settings.accept_new) return "";
    settings.accept_new = strict == Strict::AcceptNew;
    settings.refuse_unknown = strict == Strict::Yes;
    return "";
}

Why request_tty(SshKeywords& keywords, const Value& value) {
    constexpr Choice<Tty> kChoices[] = {{"auto", Tty::Automatic}, {"yes", Tty::Wanted},
                                        {"true", Tty::Wanted},    {"no", Tty::Never},
                                        {"false", Tty::Never},    {"force", Tty::Forced}};
    return set_first(keywords.options.tty, choose(kChoices, value.words[0]), value);
}

Why address_family(SshKeywords& keywords, const Value& value) {
    constexpr Choice<AddressFamily> kChoices[] = {
        {"any", AddressFamily::Any}, {"inet", AddressFamily::V4}, {"inet6", AddressFamily::V6}};
    return set_first(keywords.options.settings.family, choose(kChoices, value.words[0]), value);
}

Why log_level(SshKeywords& keywords, const Value& value) {
    using log::Level;
    constexpr Choice<Level> kChoices[] = {
        {"quiet", Level::Quiet}, {"fatal", Level::Error},  {"error", Level::Error},
        {"info", Level::Notice}, {"verbose", Level::Info}, {"debug", Level::Info},
        {"debug1", Level::Info}, {"debug2", Level::Debug}, {"debug3", Level::Debug}};
    return set_first(keywords.options.log_level, choose(kChoices, value.words[0]), value);
}

// Parses one character, "^" and a letter for a control character, or "none".
Why escape_char(SshKeywords& keywords, const Value& value) {
    const std::string& said = value.words[0];
    const bool is_control = said.size() == 2 && said[0] == '^' && said[1] >= '?' && said[1] <= '~';
    std::optional<char> escape;
    if (said.size() == 1) {
        escape = said[0];
    } else if (is_control) {
        escape = static_cast<char>(said[1] & 31);
    } else if (said != "none") {
        return bad(value);
    }
    if (!keywords.options.escape) keywords.options.escape = escape;
    return "";
}

Why remote_command(SshKeywords& keywords, const Value& value) {
    if (value.rest == "none") return "";
    return command<&SshOptions::remote_command>(keywords, value);
}

Why session_type(SshKeywords& keywords, const Value& value) {
    const std::string word = to_lower(value.words[0]);
    if (word == "none") {
        keywords.options.no_command = true;
    } else if (word == "subsystem") {
        keywords.options.subsystem = true;
    } else if (word != "default") {
        return bad(value);
    }
    return "";
}

Why background(SshKeywords& keywords, const Value& value) {
    const auto is_on = parse_flag(value.words[0]);
    if (!is_on) return bad(value);
    if (*is_on) keywords.options.background = true;
    if (*is_on) keywords.options.stdin_null = true;
    return "";
}

Why clear_forwardings(SshKeywords& keywords, const Value& value) {
    const auto clears = parse_flag(value.words[0]);
    if (!clears) return bad(value);
    keywords.clears_forwardings = *clears;
    return "";
}

Why ignore_unknown(SshKeywords& keywords, const Value& value) {
    if (keywords.ignored.empty()) keywords.ignored = value.words[0];
    return "";
}

// Accepts and ignores a key whose effect a user cannot notice.
Why harmless(SshKeywords&, const Value&) {
    return "";
}

// Accepts only the value "no": frsh does not have this feature.
Why off_only(SshKeywords&, const Value& value) {
    const std::string word = to_lower(value.words[0]);
    if (word == "no" || word == "false" || word == "none") return "";
    return "is not supported";
}

// Accepts only the value "yes": frsh logs in by keys only.
Why on_only(SshKeywords&, const Value& value) {
    const std::string word = to_lower(value.words[0]);
    if (word != "no" && word != "false") return "";
    return "there is no other way to log in";
}

Why forwarding(SshKeywords& keywords, const Value& value) {
    if (to_lower(value.words[0]) != "none" && keywords.forwarding.empty()) {
        keywords.forwarding = "-o: port forwarding is not supported";
    }
    return "";
}

Why refused(SshKeywords&, const Value&) {
    return "is not supported";
}

constexpr Keyword kKeywords[] = {
    // Keys that have an effect.
    {"addressfamily", address_family},
    {"batchmode", flag<&ConnectionSettings::batch_mode>},
    {"bindaddress", text<&ConnectionSettings::bind_address>},
    {"clearallforwardings", clear_forwardings},
    {"connectionattempts", count<&ConnectionSettings::connection_attempts>},
    {"connecttimeout", duration<&ConnectionSettings::connect_timeout>},
    {"escapechar", escape_char},
    {"forkafterauthentication", background},
    {"globalknownhostsfile", files<&ConnectionSettings::global_known_hosts>},
    {"hostkeyalias", text<&ConnectionSettings::host_key_alias>},
    {"hostname", text<&ConnectionSettings::address>},
    {"identitiesonly", flag<&ConnectionSettings::identities_only>},
    {"identityagent", text<&ConnectionSettings::identity_agent>},
    {"identityfile", identity},
    {"ignoreunknown", ignore_unknown},
    {"loglevel", log_level},
    {"port", port},
    {"proxycommand", command<&ConnectionSettings::proxy_command>, true},
    {"remotecommand", remote_command, true},
    {"requesttty", request_tty},
    {"sendenv", send_env},
    {"serveralivecountmax", count<&ConnectionSettings::alive_count>},
    {"serveraliveinterval", duration<&ConnectionSettings::alive_interval>},
    {"sessiontype", session_type},
    {"setenv", set_env},
    {"stdinnull", flag<&SshOptions::stdin_null>},
    {"stricthostkeychecking", strict_host_key},
    {"user", text<&ConnectionSettings::user>},
    {"userknownhostsfile", files<&ConnectionSettings::user_known_hosts>},
    // Accepted and ignored: details of ssh's own protocol, shared connections, visual output, and
    // ways to log in without a key, which frsh does not try.
    {"addkeystoagent", harmless},
    {"canonicaldomains", harmless},
    {"canonicalizefallbacklocal", harmless},
    {"canonicalizehostname", off_only},
    {"canonicalizemaxdots", harmless},
    {"canonicalizepermittedcnames", harmless},
    {"casignaturealgorithms", harmless},
    {"challengeresponseauthentication", harmless},
    {"checkhostip", harmless},
    {"cipher", harmless},
    {"ciphers", harmless},
    {"compression", harmless},
    {"compressionlevel", harmless},
    {"controlmaster", harmless},
    {"controlpath", harmless},
    {"controlpersist", harmless},
    {"enablesshkeysign", harmless},
    {"exitonforwardfailure", harmless},
    {"fingerprinthash", harmless},
    {"forwardx11timeout", harmless},
    {"gatewayports", harmless},
    {"gssapiauthentication", harmless},
    {"gssapikeyexchange", harmless},
    {"gssapirenewalforcesrekey", harmless},
    {"gssapitrustdns", harmless},
    {"hashknownhosts", harmless},
    {"hostbasedacceptedalgorithms", harmless},
    {"hostbasedauthentication", harmless},
    {"hostbasedkeytypes", harmless},
    {"hostkeyalgorithms", harmless},
    {"ipqos", harmless},
    {"kbdinteractiveauthentication", harmless},
    {"kbdinteractivedevices", harmless},
    {"keepalive", harmless},
    {"kexalgorithms", harmless},
    {"localcommand", harmless, true},  // Without PermitLocalCommand=yes ssh does not run it either.
    {"logverbose", harmless},
    {"macs", harmless},
    {"nohostauthenticationforlocalhost", harmless},
    {"numberofpasswordprompts", harmless},
    {"passwordauthentication", harmless},
    {"permitremoteopen", harmless},
    {"preferredauthentications", harmless},
    {"protocol", harmless},
    {"pubkeyacceptedalgorithms", harmless},
    {"pubkeyacceptedkeytypes", harmless},
    {"rekeylimit", harmless},
    {"requiredrsasize", harmless},
    {"securitykeyprovider", harmless},
    {"streamlocalbindmask", harmless},
    {"streamlocalbindunlink", harmless},
    {"syslogfacility", harmless},
    {"tcpkeepalive", harmless},
    {"tunneldevice", harmless},
    {"updatehostkeys", harmless},
    {"useprivilegedport", harmless},
    {"verifyhostkeydns", harmless},
    {"visualhostkey", harmless},
    {"xauthlocation", harmless},
    // Refused: the user relies on their effect.
    {"bindinterface", off_only},
    {"certificatefile", off_only},
    {"dynamicforward", forwarding},
    {"forwardagent", off_only},
    {"forwardx11", off_only},
    {"forwardx11trusted", off_only},
    {"gssapidelegatecredentials", off_only},
    {"include", refused},
    {"knownhostscommand", off_only, true},
    {"localforward", forwarding},
    {"permitlocalcommand", off_only},
    {"pkcs11provider", off_only},
    {"proxyjump", off_only},
    {"proxyusefdpass", off_only},
    {"pubkeyauthentication", on_only},
    {"remoteforward", forwarding},
    {"revokedhostkeys", off_only},
    {"tunnel", off_only},
};

}  // namespace

std::optional<std::string> SshKeywords::set(std::string_view line) {
    line = trim(line);
    const std::size_t end = std::min(line.find_first_of(" \t\r\n\f="), line.size());
    const std::string name(line.substr(0, end));
    std::string_view rest = trim(line.substr(end));
    if (rest.starts_with('=')) rest = trim(rest.substr(1));
    const std::string shown = "-o " + escape_controls(name);
    if (name.empty()) return "-o: a Key=Value is missing";
    const std::string key = to_lower(name);
    const auto* const found =
        std::find_if(std::begin(kKeywords), std::end(kKeywords),
                     [&](const Keyword& keyword) { return keyword.name == key; });
    if (found == std::end(kKeywords)) {
        if (match_host_list(key, ignored) == ListVerdict::Match) return std::nullopt;
        return shown + ": Bad configuration option";
    }
    auto words = found->is_command ? std::optional(Words{std::string(rest)}) : cut_words(rest);
    if (!words) return shown + ": a quote has no end";
    if (words->empty() || (*words)[0].empty()) return shown + ": its value is missing";
    const Why why = found->apply(*this, Value{rest, std::move(*words)});
    if (why.empty()) return std::nullopt;
    return shown + ": " + why;
}

}  // namespace frsh
