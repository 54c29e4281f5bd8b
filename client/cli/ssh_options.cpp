#include "client/cli/ssh_options.hpp"

#include "client/cli/forward_spec.hpp"
#include "client/cli/jump.hpp"
#include "client/cli/ssh_names.hpp"
#include "client/cli/stdio_spec.hpp"
#include "common/base/text.hpp"

#include <algorithm>
#include <cstddef>

namespace frsh {
namespace {

// The reason why an option is refused; nothing if it is accepted.
using Verdict = std::optional<std::string>;

struct Scan {
    SshOptions& options;
    SshKeywords keywords;
};

struct ShortOption {
    enum class Takes { Nothing, Value };
    char letter;
    Takes takes;
    Verdict (*apply)(Scan& scan, const std::string& value);
};

Verdict accept(Scan&, const std::string&) {
    return std::nullopt;
}

template <auto Member>
Verdict set_flag(Scan& scan, const std::string&) {
    scan.options.*Member = true;
    return std::nullopt;
}

template <auto Member, auto Constant>
Verdict set_to(Scan& scan, const std::string&) {
    scan.options.*Member = Constant;
    return std::nullopt;
}

template <auto Member>
Verdict set_text(Scan& scan, const std::string& value) {
    scan.options.*Member = value;
    return std::nullopt;
}

template <AddressFamily Family>
Verdict set_family(Scan& scan, const std::string&) {
    scan.options.settings.family = Family;
    return std::nullopt;
}

// Sets a keyword, as `-o Key=value` does. The value may contain any character.
template <const char* Key>
Verdict set_key(Scan& scan, const std::string& value) {
    std::string line = std::string(Key) + "=\"";
    for (const char c : value) {
        if (c == '"' || c == '\\') line += '\\';
        line += c;
    }
    return scan.keywords.set(line + "\"");
}

Verdict set_keyword(Scan& scan, const std::string& value) {
    return scan.keywords.set(value);
}

Verdict add_identity(Scan& scan, const std::string& value) {
    scan.options.settings.identities.push_back(value);
    return std::nullopt;
}

Verdict go_to_background(Scan& scan, const std::string&) {
    scan.options.background = true;
    scan.options.stdin_null = true;
    return std::nullopt;
}

Verdict more_verbose(Scan& scan, const std::string&) {
    auto& level = scan.options.log_level;
    level = level == log::Level::Info || level == log::Level::Debug ? log::Level::Debug
                                                                    : log::Level::Info;
    return std::nullopt;
}

Verdict want_terminal(Scan& scan, const std::string&) {
    auto& tty = scan.options.tty;
    tty = tty == Tty::Wanted || tty == Tty::Forced ? Tty::Forced : Tty::Wanted;
    return std::nullopt;
}

template <ForwardSpec::Kind Kind>
Verdict forward(Scan& scan, const std::string& value) {
    const auto why = add_forward(scan.options.settings.forwards, Kind, {value});
    if (!why) return std::nullopt;
    return std::string(option_of(Kind)) + ": " + *why;
}

Verdict forward_stdio(Scan& scan, const std::string& value) {
    const auto parsed = parse_stdio_forward(value);
    if (const auto* const why = std::get_if<std::string>(&parsed)) return "-W: " + *why;
    scan.options.settings.forwards.push_back("W " + value);
    scan.options.no_command = true;
    scan.options.tty = Tty::Never;
    return std::nullopt;
}

Verdict open_to_all(Scan& scan, const std::string&) {
    scan.options.settings.gateway_ports = true;
    return std::nullopt;
}

template <AgentForwarding Agent>
Verdict set_agent(Scan& scan, const std::string&) {
    scan.options.settings.agent = Agent;
    return std::nullopt;
}

// Applies the value of "-A=VALUE".
Verdict set_agent_to(Scan& scan, std::string_view value) {
    if (value != "ask" && value != "yes") return "-A: takes =ask or =yes";
    scan.options.settings.agent = value == "yes" ? AgentForwarding::Yes : AgentForwarding::Ask;
    return std::nullopt;
}

template <const char* Why>
Verdict refuse(Scan&, const std::string&) {
    return Why;
}

// ClearAllForwardings=yes cancels this refusal.
template <const char* Why>
Verdict refuse_forwarding(Scan& scan, const std::string&) {
    if (scan.keywords.forwarding.empty()) scan.keywords.forwarding = Why;
    return std::nullopt;
}

constexpr char kAddressKey[] = "BindAddress";
constexpr char kControlPathKey[] = "ControlPath";
constexpr char kEscapeKey[] = "EscapeChar";
constexpr char kJumpKey[] = "ProxyJump";
constexpr char kPortKey[] = "Port";
constexpr char kUserKey[] = "User";

Verdict set_jump(Scan& scan, const std::string& value) {
    if (auto why = find_jump_error(value)) return "-J: " + *why;
    return set_key<kJumpKey>(scan, value);
}

Verdict become_master(Scan& scan, const std::string&) {
    if (scan.options.settings.control_master) {
        return "-MM: a shared connection cannot ask before each use";
    }
    scan.options.settings.control_master = true;
    return std::nullopt;
}

Verdict set_control_command(Scan& scan, const std::string& value) {
    constexpr std::string_view kCommands[] = {"check", "forward", "exit", "stop", "cancel"};
    if (!scan.options.control_command.empty()) return "Multiplexing command already specified";
    if (value == "proxy") return "-O: 'proxy' is not supported";
    if (std::find(std::begin(kCommands), std::end(kCommands), value) == std::end(kCommands)) {
        return "Invalid multiplex command.";
    }
    scan.options.control_command = value;
    return std::nullopt;
}

constexpr char kOld[] = "-1: there is no such protocol any more";
constexpr char kInterface[] = "-B: not supported; -b ADDRESS is";
constexpr char kToken[] = "-I: PKCS#11 is not supported; an agent that has the key will do";
constexpr char kGss[] = "-K: GSSAPI is not supported";
constexpr char kQuery[] = "-Q: there are no algorithms to choose from";
constexpr char kTunnel[] = "-w: tunnel devices are not supported";
constexpr char kX11[] = "-X: X11 forwarding is not supported";
constexpr char kTrustedX11[] = "-Y: X11 forwarding is not supported";

constexpr auto kFlag = ShortOption::Takes::Nothing;
constexpr auto kValue = ShortOption::Takes::Value;

constexpr ShortOption kShortOptions[] = {
    // Options that have an effect.
    {'4', kFlag, set_family<AddressFamily::V4>},
    {'6', kFlag, set_family<AddressFamily::V6>},
    {'a', kFlag, set_agent<AgentForwarding::No>},
    {'A', kFlag, set_agent<AgentForwarding::Ask>},
    {'b', kValue, set_key<kAddressKey>},
    {'D', kValue, forward<ForwardSpec::Kind::Dynamic>},
    {'e', kValue, set_key<kEscapeKey>},
    {'E', kValue, set_text<&SshOptions::log_file>},
    {'f', kFlag, go_to_background},
    {'F', kValue, set_text<&SshOptions::config_file>},
    {'g', kFlag, open_to_all},
    {'G', kFlag, set_flag<&SshOptions::print_config>},
    {'h', kFlag, set_flag<&SshOptions::help>},
    {'i', kValue, add_identity},
    {'J', kValue, set_jump},
    {'l', kValue, set_key<kUserKey>},
    {'L', kValue, forward<ForwardSpec::Kind::Local>},
    {'M', kFlag, become_master},
    {'n', kFlag, set_flag<&SshOptions::stdin_null>},
    {'N', kFlag, set_flag<&SshOptions::no_command>},
    {'o', kValue, set_keyword},
    {'O', kValue, set_control_command},
    {'p', kValue, set_key<kPortKey>},
    {'q', kFlag, set_to<&SshOptions::log_level, log::Level::Quiet>},
    {'R', kValue, forward<ForwardSpec::Kind::Remote>},
    {'s', kFlag, set_flag<&SshOptions::subsystem>},
    {'S', kValue, set_key<kControlPathKey>},
    {'t', kFlag, want_terminal},
    {'T', kFlag, set_to<&SshOptions::tty, Tty::Never>},
    {'v', kFlag, more_verbose},
    {'V', kFlag, set_flag<&SshOptions::version>},
    {'W', kValue, forward_stdio},
    // Accepted and ignored: a user cannot notice the difference.
    {'2', kFlag, accept},
    {'c', kValue, accept},
    {'C', kFlag, accept},
    {'k', kFlag, accept},
    {'m', kValue, accept},
    {'x', kFlag, accept},
    {'y', kFlag, accept},
    // Refused: the user relies on their effect.
    {'1', kFlag, refuse<kOld>},
    {'B', kValue, refuse<kInterface>},
    {'I', kValue, refuse<kToken>},
    {'K', kFlag, refuse<kGss>},
    {'Q', kValue, refuse<kQuery>},
    {'w', kValue, refuse_forwarding<kTunnel>},
    {'X', kFlag, refuse<kX11>},
    {'Y', kFlag, refuse<kTrustedX11>},
};

const ShortOption* find_short(char letter) {
    const auto* const found =
        std::find_if(std::begin(kShortOptions), std::end(kShortOptions),
                     [&](const ShortOption& option) { return option.letter == letter; });
    return found == std::end(kShortOptions) ? nullptr : found;
}

class Parser {
  public:
    Parser(const std::vector<std::string>& words, const TakesValue& takes_value)
        : words_(words), takes_value_(takes_value) {}

    std::variant<SshOptions, std::string> run() {
        if (const auto why = read_options()) return *why;
        if (options_.version || options_.help) return std::move(options_);
        if (at_ < words_.size()) {
            if (const auto why = read_target()) return *why;
            // ssh also reads options after the target, unless "--" came before.
            if (!ended_) {
                if (const auto why = read_options()) return *why;
            }
        }
        options_.words.assign(words_.begin() + static_cast<std::ptrdiff_t>(at_), words_.end());
        if (options_.version || options_.help) return std::move(options_);
        if (const auto why = find_contradiction()) return *why;
        return std::move(options_);
    }

  private:
    // Reads options up to the first word that is none, or up to "--".
    Verdict read_options() {
        while (at_ < words_.size()) {
            const std::string& word = words_[at_];
            if (word.size() < 2 || word[0] != '-') return std::nullopt;
            ++at_;
            if (word == "--") {
                ended_ = true;
                return std::nullopt;
            }
            if (auto why = word[1] == '-' ? read_long(word) : read_bundle(word)) return why;
            if (options_.version || options_.help) return std::nullopt;
        }
        return std::nullopt;
    }

    Verdict read_bundle(const std::string& word) {
        for (std::size_t i = 1; i < word.size(); ++i) {
            const std::string name = std::string("-").append(escape_controls(word.substr(i, 1)));
            const ShortOption* const option = find_short(word[i]);
            if (option == nullptr) return "unknown option " + name;
            if (word[i] == 'A' && i + 1 < word.size() && word[i + 1] == '=') {
                return set_agent_to(scan_, std::string_view(word).substr(i + 2));
            }
            if (option->takes == ShortOption::Takes::Nothing) {
                if (auto why = option->apply(scan_, "")) return why;
                continue;
            }
            std::string value = word.substr(i + 1);
            if (value.empty()) {
                if (at_ == words_.size()) return name + ": its value is missing";
                value = words_[at_++];
            }
            return option->apply(scan_, value);
        }
        return std::nullopt;
    }

    Verdict read_long(const std::string& word) {
        const std::size_t equals = word.find('=');
        const auto takes = takes_value_(word.substr(0, equals));
        if (!takes) return "unknown option " + escape_controls(word.substr(0, equals));
        options_.long_options.push_back(word);
        if (!*takes || equals != std::string::npos) return std::nullopt;
        if (at_ == words_.size()) return word + ": its value is missing";
        // Join option and value to one word, because the value may begin with a dash.
        options_.long_options.back() += "=" + words_[at_++];
        return std::nullopt;
    }

    Verdict read_target() {
        const std::string& word = words_[at_++];
        const std::string shown = std::string("'").append(escape_controls(word)).append("'");
        if (word.empty()) return std::string("an empty target");
        if (word[0] == '-') return shown + ": no host begins with a dash";
        if (word.starts_with(kSshScheme)) {
            if (read_uri(word)) return std::nullopt;
            return shown + ": is not ssh://[user@]host[:port]";
        }
        options_.target = word;
        if (word.starts_with("unix:")) return std::nullopt;
        const std::size_t at = word.rfind('@');
        if (at == std::string::npos) return std::nullopt;
        if (at == 0 || at + 1 == word.size()) return shown + ": is not user@host";
        if (!user()) user() = word.substr(0, at);
        return std::nullopt;
    }

    bool read_uri(std::string_view text) {
        auto uri = parse_ssh_uri(text);
        if (!uri) return false;
        if (uri->user && !user()) user() = std::move(*uri->user);
        if (uri->port && !options_.settings.port) options_.settings.port = uri->port;
        options_.target = std::move(uri->host);
        return true;
    }

    Verdict find_contradiction() {
        if (!scan_.keywords.forwarding.empty() && !scan_.keywords.clears_forwardings) {
            return scan_.keywords.forwarding;
        }
        if (scan_.keywords.clears_forwardings) options_.settings.clear_forwardings = true;
        if (options_.subsystem && options_.words.empty()) {
            return std::string("-s: You must specify a subsystem to invoke");
        }
        if (options_.remote_command && !options_.words.empty()) {
            return std::string("Cannot execute command-line and remote command");
        }
        return std::nullopt;
    }

    std::optional<std::string>& user() { return options_.settings.user; }

    const std::vector<std::string>& words_;
    const TakesValue& takes_value_;
    SshOptions options_;
    Scan scan_{options_, {options_}};
    std::size_t at_ = 0;
    bool ended_ = false;  // "--" has ended the options.
};

}  // namespace

std::variant<SshOptions, std::string> parse_ssh_options(const std::vector<std::string>& words,
                                                        const TakesValue& takes_value) {
    return Parser(words, takes_value).run();
}

}  // namespace frsh
