#include "client/demo/options.hpp"

#include "client/demo/lessons/lessons.hpp"
#include "client/demo/sheets/sheets.hpp"
#include "common/base/version.hpp"

#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

namespace frsh::demo {
namespace {

// Adds the options of "try". `send` and `framing` are read after parsing.
void add_trial(CLI::App& app, Trial& trial, std::string& send, std::string& framing) {
    const std::string group = "try: one connection with your own numbers";
    app.add_option("--send", send, "The messages' sizes, such as 'A:9 B:9 C:11'")
        ->group(group)
        ->check([](const std::string& text) {
            return parse_sends(text) ? "" : "1 to 16 sizes from 1 to 65536 are wanted: " + text;
        });
    app.add_option("--recv", trial.recv_size, "Bytes that each recv asks for")
        ->group(group)
        ->check(CLI::Range(1, 1 << 20));
    app.add_option("--gap", trial.gap, "Milliseconds between two sends")
        ->group(group)
        ->check(CLI::Range(0, 1000));
    app.add_option("--delay", trial.delay, "Milliseconds before the first recv")
        ->group(group)
        ->check(CLI::Range(0, 1000));
    app.add_option("--sndbuf", trial.send_buffer, "SO_SNDBUF; 0 leaves the kernel's own")
        ->group(group)
        ->check(CLI::Range(0, 1 << 20));
    app.add_flag("--nodelay", trial.has_nodelay, "TCP_NODELAY")->group(group);
    app.add_flag("--cork", trial.has_cork, "TCP_CORK")->group(group);
    app.add_flag("--delayed-ack", trial.has_delayed_ack, "The reader's kernel delays its ACK")
        ->group(group);
    app.add_option("--framing", framing, "none, or length: four bytes in front")
        ->group(group)
        ->check(CLI::IsMember({"none", "length"}));
}

// Returns the first variable that is set and not empty, as setlocale(3) does.
Language language_of_environment() {
    for (const char* const name : {"LC_ALL", "LC_MESSAGES", "LANG"}) {
        const char* const value = std::getenv(name);
        if (value == nullptr || *value == '\0') continue;
        return std::string_view(value).starts_with("zh") ? Language::Chinese : Language::English;
    }
    return Language::English;
}

}  // namespace

Parsed parse_options(int argc, char** argv) {
    Parsed parsed;
    Options& options = parsed.options;
    CLI::App app(
        "Shows on real sockets why messages stick together and break apart, and what cures "
        "it.",
        "frsh-demo");
    app.set_version_flag("--version", std::string("frsh-demo ") + kVersion);
    std::vector<std::string> names = {"list", "all", "serve", "try"};
    for (const Lesson& sheet : sheets())
        names.emplace_back(sheet.name);
    for (const Lesson& lesson : lessons())
        names.emplace_back(lesson.name);
    std::string language;
    std::string all_names;
    for (const std::string& name : names)
        all_names += (all_names.empty() ? "" : ", ") + name;
    app.add_option("LESSON", options.lesson, "One of: " + all_names)
        ->required()
        ->check(CLI::IsMember(names));
    app.add_option("--lang", language, "en or zh; else as LANG says")
        ->check(CLI::IsMember({"en", "zh"}));
    app.add_flag("--step", options.step, "Wait for a key before each part and each result");
    app.add_flag("--ask", options.ask,
                 "Ask for a prediction (keys 1 to 4) before each result, and count");
    app.add_option("--code", options.code,
                   "Show whole programs beside the calls: py, go or c; calls shows none")
        ->check(CLI::IsMember({"py", "go", "c", "calls"}));
    app.add_option("--speed", options.speed,
                   "2 is twice as fast, 0.5 half; 0 is without any pause (and so is a pipe)")
        ->check(CLI::NonNegativeNumber);
    app.add_flag("--hex", options.hex, "Show the bytes of each stream in hex as well");
    app.add_option("--html", options.html, "Also write the lesson as it runs to one page, FILE");
    app.add_option("--seed", options.seed, "Cut alike again, where a lesson cuts at random");
    app.add_flag("--events", options.events)->group("");
    std::string send;
    std::string framing;
    add_trial(app, options.trial, send, framing);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        const int status = app.exit(error);
        parsed.exit_status = status == 0 ? 0 : 2;
        return parsed;
    }
    if (!send.empty()) options.trial.sizes = parse_sends(send).value_or(options.trial.sizes);
    if (framing == "length") options.trial.framing = Trial::Framing::Length;
    options.language = language.empty()   ? language_of_environment()
                       : language == "zh" ? Language::Chinese
                                          : Language::English;
    return parsed;
}

}  // namespace frsh::demo
