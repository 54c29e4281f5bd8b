#include "client/modes/prompt_text.hpp"

#include "common/base/environment.hpp"
#include "common/base/text.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <string_view>
#include <variant>

namespace frsh {
namespace {

constexpr std::chrono::seconds kCheckTimeout{5};

}  // namespace

std::string short_folder(const std::string& cwd, const std::string& home) {
    const bool is_in_home = home.size() > 1 && cwd.starts_with(home) &&
                            (cwd.size() == home.size() || cwd[home.size()] == '/');
    return is_in_home ? "~" + cwd.substr(home.size()) : cwd;
}

std::string duration_text(std::chrono::nanoseconds time) {
    const auto tenths = std::chrono::duration_cast<std::chrono::milliseconds>(time).count() / 100;
    const auto seconds = tenths / 10;
    const auto number = [](auto value) { return std::to_string(value); };
    if (seconds < 60) return number(seconds) + "." + number(tenths % 10) + " s";
    const auto minutes = seconds / 60;
    if (minutes < 60) return number(minutes) + " min " + number(seconds % 60) + " s";
    return number(minutes / 60) + " h " + number(minutes % 60) + " min";
}

std::string greeting(std::string_view software, std::string_view host, std::string_view shell) {
    return escape_controls(host) + ": " + escape_controls(software) + ", " +
           escape_controls(shell) + "; :help\n";
}

std::string prompt_text(const PromptFacts& facts) {
    const auto colour = [&facts](const char* code) {
        return facts.has_colour ? "\1\x1b[" + std::string(code) + "m\1" : std::string();
    };
    std::string text;
    if (facts.last_code != 0) {
        text += colour("31") + "[" + std::to_string(facts.last_code) + "] ";
    }
    text += colour("0;1") + escape_controls(facts.user) + "@" + escape_controls(facts.host) +
            colour("0") + ":" + escape_controls(short_folder(facts.cwd, facts.home));
    if (facts.is_split) text += " (split)";
    return text + (facts.user == "root" ? "# " : "$ ");
}

std::string_view prompt_help() {
    return "Lines are evaluated by a shell on the server: cd, variables and functions last.\n"
           "  :split on|off  give commands pipes, so that stderr is red; or the terminal again\n"
           "  :status        the record of the last command, as JSON\n"
           "  :help          this\n"
           "  :quit          leave, as Ctrl-D does\n"
           "A command runs on a terminal there, as with ssh -t. While it runs, every key is for "
           "it.\n"
           "exit leaves with its code.\n";
}

bool may_be_incomplete(const std::string& text) {
    if (text.find_first_of("'\"`\\<(){}|&$\n") != std::string::npos) return true;
    for (const std::string_view word : split(text, ' ')) {
        for (const char* const opener : {"if", "then", "else", "elif", "for", "while", "until",
                                         "do", "case", "in", "select", "function", "!", "time"}) {
            if (word == opener || word == std::string(opener) + ";") return true;
        }
    }
    return false;
}

bool ends_in_continuation(std::string_view text) {
    const std::size_t last = text.find_last_not_of('\\');
    return (text.size() - (last == std::string_view::npos ? 0 : last + 1)) % 2 == 1;
}

msg::Open completeness_request(const std::string& shell) {
    msg::Open open;
    open.mode = msg::Open::Mode::Argv;
    open.args = {shell, "-n"};
    open.env = {"LC_ALL=C"};
    open.timeout = kCheckTimeout;
    return open;
}

Completeness completeness_of(const Outcome& check, std::string_view its_stderr) {
    if (!std::holds_alternative<Exited>(check)) return Completeness::Unknown;
    for (const char* const sign :
         {"unexpected end of file", "unexpected EOF while looking", "delimited by end-of-file",
          "end of file unexpected", "Unterminated quoted string", "unmatched ",
          "parse error near `\\n'", "parse error near `$("}) {
        if (its_stderr.find(sign) != std::string_view::npos) return Completeness::Incomplete;
    }
    return Completeness::Complete;
}

}  // namespace frsh
