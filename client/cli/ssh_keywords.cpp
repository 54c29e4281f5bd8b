// `-o Key=Value`: the keywords of ssh_config(5). Tables list them all.
#include "client/cli/forward_spec.hpp"
#include "client/cli/jump.hpp"
#include "client/cli/ssh_keyword_lists.hpp"
#include "client/cli/ssh_options.hpp"
#include "client/cli/ssh_values.hpp"
#include "common/base/text.hpp"
#include "common/keys/host_pattern.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

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
    return set_first(field_of(keywords, Member), parse_ssh_flag(value.words[0]), value);
}

template <auto Member>
Why duration(SshKeywords& keywords, const Value& value) {
    return set_first(field_of(keywords, Member), parse_ssh_time(value.words[0]), value);
}

template <auto Member>
Why count(SshKeywords& keywords, const Value& value) {
    return set_first(field_of(keywords, Member), parse_ssh_count(value.words[0]), value);
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

template <std::vector<std::string> ConnectionSettings::*Member>
Why key_file(SshKeywords& keywords, const Value& value) {
    auto& files = keywords.options.settings.*Member;
    if (value.words[0] != "none") files.push_back(value.words[0]);
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
    const auto is_on = parse_ssh_flag(value.words[0]);
    if (!is_on) return bad(value);
    if (*is_on) keywords.options.background = true;
    if (*is_on) keywords.options.stdin_null = true;
    return "";
}

Why clear_forwardings(SshKeywords& keywords, const Value& value) {
    const auto clears = parse_ssh_flag(value.words[0]);
    if (!clears) return bad(value);
    keywords.clears_forwardings = *clears;
    return "";
}

// "yes" means "ask": only -A=yes lets commands of the server sign without a question.
Why forward_agent(SshKeywords& keywords, const Value& value) {
    constexpr Choice<AgentForwarding> kChoices[] = {
        {"yes", AgentForwarding::Ask},  {"true", AgentForwarding::Ask},
        {"ask", AgentForwarding::Ask},  {"no", AgentForwarding::No},
        {"false", AgentForwarding::No}, {"none", AgentForwarding::No}};
    const auto chosen = choose(kChoices, value.words[0]);
    if (!chosen) return "is not supported: only yes, ask and no";
    return set_first(keywords.options.settings.agent, std::optional(*chosen), value);
}

// An octal number, as of umask(2).
Why socket_mask(SshKeywords& keywords, const Value& value) {
    unsigned mask = 0;
    for (const char digit : value.words[0]) {
        if (digit < '0' || digit > '7' || mask > 0777) return bad(value);
        mask = mask * 8 + static_cast<unsigned>(digit - '0');
    }
    if (mask > 0777) return bad(value);
    return set_first(keywords.options.settings.socket_mask, std::optional(mask), value);
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

// ssh runs it only with PermitLocalCommand=yes.
Why local_command(SshKeywords& keywords, const Value& value) {
    if (value.rest == "none") return "";
    return command<&SshOptions::local_command>(keywords, value);
}

// The first of ProxyCommand and ProxyJump wins.
Why proxy_command(SshKeywords& keywords, const Value& value) {
    if (keywords.options.settings.jump) return "";
    return command<&ConnectionSettings::proxy_command>(keywords, value);
}

Why proxy_jump(SshKeywords& keywords, const Value& value) {
    if (auto why = find_jump_error(value.words[0])) return *why;
    if (!keywords.options.settings.proxy_command && !keywords.options.settings.jump) {
        keywords.options.settings.jump = JumpWish{value.words[0]};
    }
    return "";
}

// "yes" and "auto" differ for ssh only if a master is there already: here both use that one.
Why control_master(SshKeywords& keywords, const Value& value) {
    constexpr Choice<bool> kChoices[] = {
        {"yes", true}, {"true", true}, {"auto", true}, {"no", false}, {"false", false}};
    const std::string word = to_lower(value.words[0]);
    if (word == "ask" || word == "autoask") return complain(word, "is not supported");
    return set_first(keywords.options.settings.control_master, choose(kChoices, word), value);
}

Why control_persist(SshKeywords& keywords, const Value& value) {
    auto& persist = keywords.options.settings.control_persist;
    if (const auto is_on = parse_ssh_flag(value.words[0])) {
        const std::chrono::seconds time = *is_on ? kShareForEver : std::chrono::hours(0);
        return set_first(persist, std::optional(time), value);
    }
    auto time = parse_ssh_time(value.words[0]);
    if (time == std::chrono::seconds(0)) time = kShareForEver;
    return set_first(persist, time, value);
}

// A configuration may refuse a host, with the reason as the value.
Why refuse_connection(SshKeywords&, const Value& value) {
    return "the connection is refused: " + escape_controls(value.rest);
}

template <ForwardSpec::Kind Kind>
Why forward(SshKeywords& keywords, const Value& value) {
    return add_forward(keywords.options.settings.forwards, Kind, value.words).value_or("");
}

Why refused(SshKeywords&, const Value&) {
    return "is not supported";
}

// Keywords that change something, or are refused unless a value switches them off.
constexpr Keyword kKeywords[] = {
    {"addressfamily", address_family},
    {"batchmode", flag<&ConnectionSettings::batch_mode>},
    {"bindaddress", text<&ConnectionSettings::bind_address>},
    {"certificatefile", key_file<&ConnectionSettings::certificates>},
    {"clearallforwardings", clear_forwardings},
    {"connectionattempts", count<&ConnectionSettings::connection_attempts>},
    {"connecttimeout", duration<&ConnectionSettings::connect_timeout>},
    {"controlmaster", control_master},
    {"controlpath", text<&ConnectionSettings::control_path>},
    {"controlpersist", control_persist},
    {"dynamicforward", forward<ForwardSpec::Kind::Dynamic>},
    {"escapechar", escape_char},
    {"exitonforwardfailure", flag<&ConnectionSettings::exit_on_forward_failure>},
    {"forkafterauthentication", background},
    {"forwardagent", forward_agent},
    {"gatewayports", flag<&ConnectionSettings::gateway_ports>},
    {"globalknownhostsfile", files<&ConnectionSettings::global_known_hosts>},
    {"host", refused},
    {"hostkeyalias", text<&ConnectionSettings::host_key_alias>},
    {"hostname", text<&ConnectionSettings::address>},
    {"identitiesonly", flag<&ConnectionSettings::identities_only>},
    {"identityagent", text<&ConnectionSettings::identity_agent>},
    {"identityfile", key_file<&ConnectionSettings::identities>},
    {"identityfile2", key_file<&ConnectionSettings::identities>},
    {"ignoreunknown", ignore_unknown},
    {"include", refused},
    {"knownhostscommand", off_only, true},
    {"localcommand", local_command, true},
    {"localforward", forward<ForwardSpec::Kind::Local>},
    {"loglevel", log_level},
    {"match", refused},
    {"permitlocalcommand", flag<&SshOptions::permits_local_command>},
    {"port", port},
    {"protocolkeepalives", duration<&ConnectionSettings::alive_interval>},
    {"proxycommand", proxy_command, true},
    {"proxyjump", proxy_jump},
    {"pubkeyauthentication", on_only},
    {"refuseconnection", refuse_connection},
    {"remotecommand", remote_command, true},
    {"remoteforward", forward<ForwardSpec::Kind::Remote>},
    {"requesttty", request_tty},
    {"sendenv", send_env},
    {"serveralivecountmax", count<&ConnectionSettings::alive_count>},
    {"serveraliveinterval", duration<&ConnectionSettings::alive_interval>},
    {"sessiontype", session_type},
    {"setenv", set_env},
    {"setuptimeout", duration<&ConnectionSettings::connect_timeout>},
    {"stdinnull", flag<&SshOptions::stdin_null>},
    {"streamlocalbindmask", socket_mask},
    {"streamlocalbindunlink", flag<&ConnectionSettings::unlinks_sockets>},
    {"stricthostkeychecking", strict_host_key},
    {"user", text<&ConnectionSettings::user>},
    {"userknownhostsfile", files<&ConnectionSettings::user_known_hosts>},
};

// Returns how a keyword in lower case is applied; nothing for an unknown one.
std::optional<Keyword> find_keyword(std::string_view name) {
    const auto* const found =
        std::find_if(std::begin(kKeywords), std::end(kKeywords),
                     [&](const Keyword& keyword) { return keyword.name == name; });
    if (found != std::end(kKeywords)) return *found;
    if (is_without_effect(name)) return Keyword{name, harmless};
    if (is_only_off(name)) return Keyword{name, off_only};
    return std::nullopt;
}

}  // namespace

std::optional<std::string> SshKeywords::set(std::string_view line) {
    line = trim_blanks(line);
    const std::size_t end = std::min(line.find_first_of(" \t\r\n\f="), line.size());
    const std::string name(line.substr(0, end));
    std::string_view rest = trim_blanks(line.substr(end));
    if (rest.starts_with('=')) rest = trim_blanks(rest.substr(1));
    const std::string shown = "-o " + escape_controls(name);
    if (name.empty()) return "-o: a Key=Value is missing";
    const std::string key = to_lower(name);
    const auto found = find_keyword(key);
    if (!found) {
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
