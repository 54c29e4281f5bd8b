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

// Returns true for the variables that each program sets itself, and for those that the server
// refuses.
bool is_left_out(std::string_view name) {
    constexpr std::array<std::string_view, 4> kOfEachProgram = {"TERM", "_", "SHLVL", "OLDPWD"};
    return std::find(kOfEachProgram.begin(), kOfEachProgram.end(), name) != kOfEachProgram.end() ||
           is_dangerous_variable(name);
}

}  // namespace

std::string prompt_text(const PromptFacts& facts) {
    const auto colour = [&facts](const char* code) {
        return facts.has_colour ? "\1\x1b[" + std::string(code) + "m\1" : std::string();
    };
    std::string cwd = facts.cwd;
    const std::string& home = facts.home;
    const bool in_home = home.size() > 1 && cwd.starts_with(home) &&
                         (cwd.size() == home.size() || cwd[home.size()] == '/');
    if (in_home) cwd.replace(0, home.size(), "~");
    std::string text;
    if (facts.last_code != 0) {
        text += colour("31") + "[" + std::to_string(facts.last_code) + "] ";
    }
    text += colour("0;1") + escape_controls(facts.user) + "@" + escape_controls(facts.host) +
            colour("0") + ":" + escape_controls(cwd);
    return text + (facts.user == "root" ? "# " : "$ ");
}

std::string_view prompt_help() {
    return "Lines are evaluated by a shell on the server: cd, variables and functions last.\n"
           "  :tty CMD  run CMD on a terminal there: vim, top, a password prompt; :tty alone, a "
           "login shell\n"
           "  :status   the record of the last command, as JSON\n"
           "  :help     this\n"
           "  :quit     leave, as Ctrl-D does\n"
           "While a command runs, what you type is its input, and Ctrl-D at the start of a line "
           "ends that;\n"
           "Ctrl-C interrupts it, twice ends it, three times kills it. The shell stays.\n";
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
          "end of file unexpected", "Unterminated quoted string"}) {
        if (its_stderr.find(sign) != std::string_view::npos) return Completeness::Incomplete;
    }
    return Completeness::Complete;
}

std::vector<std::string> variables_in(std::string_view env_output) {
    std::vector<std::string> env;
    for (const std::string_view entry : split(env_output, '\0')) {
        const std::string_view name = entry.substr(0, entry.find('='));
        const bool is_kept = name.size() < entry.size() && !name.empty() && !is_left_out(name);
        if (is_kept) env.emplace_back(entry);
    }
    return env;
}

}  // namespace frsh
