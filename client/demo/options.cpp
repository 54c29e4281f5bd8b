#include "client/demo/options.hpp"

#include "client/demo/errors.hpp"
#include "client/demo/lessons/lessons.hpp"
#include "client/demo/sheets/sheets.hpp"
#include "common/base/version.hpp"

#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

namespace frsh::demo {
namespace {

// Returns a text in the language of the command line.
using In = std::function<std::string(const Text&)>;

// Adds the options of "try". `send` and `framing` are read after parsing.
void add_trial(CLI::App& app, Trial& trial, std::string& send, std::string& framing,
               Language language) {
    const In in = [&](const Text& text) { return text.in(language); };
    const std::string group =
        in({"try: one connection with your own numbers", "try：用你自己的数字建一条连接"});
    app.add_option(
           "--send", send,
           in({"The messages' sizes, such as 'A:9 B:9 C:11'", "消息的大小，例如 'A:9 B:9 C:11'"}))
        ->group(group)
        ->check([language](const std::string& text) {
            return parse_sends(text) ? ""
                                     : fill(Text{"1 to 16 sizes from 1 to 65536 are wanted: {0}",
                                                 "要 1 到 16 个大小，每个从 1 到 65536：{0}"},
                                            text)
                                           .in(language);
        });
    app.add_option("--recv", trial.recv_size,
                   in({"Bytes that each recv asks for", "每次 recv 要多少字节"}))
        ->group(group)
        ->check(whole_between(1, 1 << 20, language), "[1 - 1048576]");
    app.add_option("--gap", trial.gap,
                   in({"Milliseconds between two sends", "两次 send 之间隔多少毫秒"}))
        ->group(group)
        ->check(whole_between(0, 1000, language), "[0 - 1000]");
    app.add_option("--delay", trial.delay,
                   in({"Milliseconds before the first recv", "第一次 recv 之前等多少毫秒"}))
        ->group(group)
        ->check(whole_between(0, 1000, language), "[0 - 1000]");
    app.add_option("--sndbuf", trial.send_buffer,
                   in({"SO_SNDBUF; 0 leaves the kernel's own", "SO_SNDBUF；0 表示用内核自己的"}))
        ->group(group)
        ->check(whole_between(0, 1 << 20, language), "[0 - 1048576]");
    app.add_flag("--nodelay", trial.has_nodelay, "TCP_NODELAY")->group(group);
    app.add_flag("--cork", trial.has_cork, "TCP_CORK")->group(group);
    app.add_flag("--delayed-ack", trial.has_delayed_ack,
                 in({"The reader's kernel delays its ACK", "接收方的内核延迟 ACK"}))
        ->group(group);
    app.add_option(
           "--framing", framing,
           in({"none, or length: four bytes in front", "none，或 length：前面写四个字节的长度"}))
        ->group(group)
        ->check(one_of({"none", "length"}, language), "{none,length}");
}

// Throws if an option of "try" was given for another lesson.
void refuse_trial(const CLI::App& app, Language language) {
    for (const char* const name : {"--send", "--recv", "--gap", "--delay", "--sndbuf", "--nodelay",
                                   "--cork", "--delayed-ack", "--framing"}) {
        if (app.count(name) == 0) continue;
        throw CLI::ValidationError(name, Text{"only with try", "只用于 try"}.in(language));
    }
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

// Returns the language of help and errors, which is needed before the command line is parsed.
Language language_of(int argc, char** argv) {
    Language language = language_of_environment();
    for (int i = 1; i < argc; ++i) {
        const std::string_view word = argv[i];
        const std::string_view next = i + 1 < argc ? argv[i + 1] : "";
        const std::string_view value = word == "--lang"                 ? next
                                       : word.substr(0, 7) == "--lang=" ? word.substr(7)
                                                                        : "";
        if (value == "zh") language = Language::Chinese;
        if (value == "en") language = Language::English;
    }
    return language;
}

// Names the parts of the help in Chinese.
void translate_help(CLI::App& app) {
    app.option_defaults()->group("选项");
    app.set_help_flag("-h,--help", "显示这份说明");
    for (const auto& [name, label] : {std::pair{"Usage", "用法"},
                                      {"OPTIONS", "选项"},
                                      {"Positionals", "参数"},
                                      {"POSITIONALS", "参数"},
                                      {"REQUIRED", "必填"},
                                      {"TEXT", "文字"},
                                      {"INT", "整数"},
                                      {"UINT", "整数"},
                                      {"FLOAT", "小数"}})
        app.get_formatter()->label(name, label);
}

}  // namespace

Parsed parse_options(int argc, char** argv) {
    Parsed parsed;
    Options& options = parsed.options;
    const Language language_of_help = language_of(argc, argv);
    const bool is_chinese = language_of_help == Language::Chinese;
    const In in = [&](const Text& text) { return text.in(language_of_help); };
    CLI::App app(
        in({"Shows on real sockets why messages stick together and break apart, and what cures it.",
            "用真实的套接字演示：消息为什么会粘包、半包，以及怎样解决。"}),
        "frsh-demo");
    if (is_chinese) translate_help(app);
    app.set_version_flag("--version", std::string("frsh-demo ") + kVersion,
                         in({"Print the version", "显示版本"}));
    std::vector<std::string> names = {"list", "all", "serve", "try", "wire"};
    for (const Lesson& sheet : sheets())
        names.emplace_back(sheet.name);
    for (const Lesson& lesson : lessons())
        names.emplace_back(lesson.name);
    std::string language;
    std::string all_names;
    for (const std::string& name : names)
        all_names += (all_names.empty() ? "" : ", ") + name;
    app.add_option("LESSON", options.lesson, in({"One of: ", "可选："}) + all_names)
        ->required()
        ->check(CLI::IsMember(names));
    app.add_option("FILE", options.file,
                   in({"wire: what frsh --wire FILE has written, drawn as ribbons; - is stdin",
                       "wire：frsh --wire FILE 写下的记录，画成字节流；- 表示标准输入"}));
    app.add_option("--lang", language,
                   in({"en or zh; else as LANG says", "en 或 zh；不写就看 LANG"}))
        ->check(one_of({"en", "zh"}, language_of_help), "{en,zh}");
    app.add_flag(
        "--step", options.step,
        in({"Wait for a key before each part and each result", "每一段、每个结果之前等一个键"}));
    app.add_flag("--ask", options.ask,
                 in({"Ask for a prediction (keys 1 to 4) before each result, and count",
                     "出结果之前先问预测（键 1 到 4），并计分"}));
    app.add_option("--code", options.code,
                   in({"Show whole programs beside the calls: py, go or c; calls shows none",
                       "附上完整的程序：py、go 或 c；calls 表示不附"}))
        ->check(one_of({"py", "go", "c", "calls"}, language_of_help), "{py,go,c,calls}");
    app.add_option("--speed", options.speed,
                   in({"2 is twice as fast, 0.5 half; 0 is without any pause (and so is a pipe)",
                       "2 快一倍，0.5 慢一半；0 不停顿（写到管道时也不停顿）"}))
        ->check(not_negative(language_of_help));
    app.add_flag("--hex", options.hex,
                 in({"Show the bytes of each stream in hex as well", "同时用十六进制显示每个流"}));
    app.add_option(
        "--html", options.html,
        in({"Also write the lesson as it runs to one page, FILE", "把课程的过程另存为一页 FILE"}));
    app.add_option("--pcap", options.pcap,
                   in({"Also write the lesson's packets to FILE, for Wireshark",
                       "把课程的报文另存为 FILE，可用 Wireshark 打开"}));
    app.add_option(
        "--seed", options.seed,
        in({"Cut alike again, where a lesson cuts at random", "随机切分时，用同样的切法再来一次"}));
    app.add_flag("--class", options.is_class,
                 in({"serve: a second address lets others on the network follow, read-only",
                     "serve：多打印一个网址，同一网络里的人可以跟着看，只读"}));
    app.add_flag("--present", options.is_present,
                 in({"serve: large letters and arrow keys, for a projector",
                     "serve：大字，方向键翻页，用于投影"}));
    app.add_flag("--events", options.events)->group("");
    std::string send;
    std::string framing;
    add_trial(app, options.trial, send, framing, language_of_help);
    try {
        app.parse(argc, argv);
        const bool is_wire = options.lesson == "wire";
        if (is_wire && options.file.empty()) throw CLI::RequiredError("FILE");
        if (options.lesson != "try") refuse_trial(app, language_of_help);
        if (!is_wire && !options.file.empty()) throw CLI::ExtrasError({options.file});
    } catch (const CLI::ParseError& error) {
        if (is_chinese && error.get_exit_code() != 0)
            std::cerr << "frsh-demo：命令行有误：" << in_chinese(error.get_name(), error.what())
                      << "\n用 frsh-demo --help --lang zh 查看说明。\n";
        const int status = is_chinese && error.get_exit_code() != 0 ? 2 : app.exit(error);
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
