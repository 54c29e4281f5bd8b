// frsh-demo: the teacher. Runs lessons on real sockets of this machine and shows them.
//
// Exit status: 0 if every claim of the lessons was true, 1 if one was false, 2 for a wrong command
// line, 130 if the user ended the lesson.
#include "client/demo/code.hpp"
#include "client/demo/drawing/cells.hpp"
#include "client/demo/errors.hpp"
#include "client/demo/lessons/lessons.hpp"
#include "client/demo/lessons/wire.hpp"
#include "client/demo/options.hpp"
#include "client/demo/sheets/sheets.hpp"
#include "client/demo/stage/recorder.hpp"
#include "client/demo/tellers/events.hpp"
#include "client/demo/tellers/output.hpp"
#include "client/demo/tellers/page.hpp"
#include "client/demo/tellers/serve.hpp"
#include "client/demo/tellers/terminal.hpp"
#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/sys/fd.hpp"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

namespace frsh::demo {
namespace {

constexpr double kSecondsALine = 0.03;

void list(Language language) {
    std::string text;
    int number = 0;
    for (const Lesson& lesson : lessons()) {
        text += pad(std::to_string(++number), 4) + pad(lesson.name, 10) +
                lesson.title.in(language) + "\n" + std::string(14, ' ') +
                lesson.question.in(language) + "\n";
    }
    write_out(text);
}

Terminal::Options terminal_options(const Options& options) {
    const bool is_terminal = ::isatty(STDOUT_FILENO) == 1;
    const char* const no_colour = std::getenv("NO_COLOR");
    const char* const kind = std::getenv("TERM");
    Terminal::Options result;
    result.language = options.language;
    result.colour = is_terminal && (no_colour == nullptr || *no_colour == '\0') &&
                    (kind == nullptr || std::string_view(kind) != "dumb");
    result.hex = options.hex;
    result.step = options.step;
    result.ask = options.ask;
    const double speed = options.speed >= 0 ? options.speed : is_terminal && !options.step ? 1 : 0;
    result.pace = speed > 0 ? kSecondsALine / speed : 0;
    return result;
}

// Shows the programs of a lesson in the language that --code names. Each lesson has them in all.
void show_code(Story& story, std::string_view lesson, const std::string& language) {
    if (language == "calls") return;
    bool is_first = true;
    for (const CodeFile& file : code_files()) {
        if (file.lesson != lesson || !file.name.ends_with("." + language)) continue;
        if (is_first) story.heading({"As whole programs", "完整的程序"});
        is_first = false;
        const Text text = file.name.starts_with("naive")
                              ? Text{"as one writes it first, and wrong", "最初的写法，是错的"}
                              : Text{"put right", "改正之后"};
        story.tell(Code{std::string(file.name), text, std::string(file.text)});
    }
}

// The packets of the lessons, or why there are none.
class Capture {
  public:
    // Moves the process to a network of its own, at the first call.
    void begin() {
        if (recorder_ || !refusal_.empty()) return;
        try {
            recorder_ = std::make_unique<Recorder>();
        } catch (const SysError& error) {
            refusal_ = error.what();
        }
    }
    [[nodiscard]] Recorder* recorder() const { return recorder_.get(); }
    void explain(Story& story) const {
        if (!refusal_.empty()) {
            return story.say({"Packets are not captured here ({0}).", "这里无法抓包（{0}）。"},
                             refusal_);
        }
        story.say(
            {"Arrows are packets, captured meanwhile. seq and ack count from 0; ms is since "
             "the connection's first packet.",
             "箭头是同时抓到的报文。seq 和 ack 从 0 算起；ms 是距连接第一个报文的毫秒数。"});
    }
    // Returns whether the file was written. Throws SysError.
    [[nodiscard]] bool write_to(const std::string& file) const {
        if (!recorder_) {
            log::error("--pcap " + file + ": packets were not captured: " +
                       (refusal_.empty() ? "this lesson sends none on loopback" : refusal_));
            return false;
        }
        recorder_->write_pcap(file);
        const std::size_t lost = recorder_->lost();
        if (lost > 0) log::error("--pcap: " + std::to_string(lost) + " packets are missing");
        return true;
    }

  private:
    std::unique_ptr<Recorder> recorder_;
    std::string refusal_;
};

// Returns whether every claim was true.
bool run(const Lesson& lesson, int number, const Options& options, unsigned seed,
         const std::vector<Teller*>& tellers, const Capture* capture) {
    Story story(tellers, capture != nullptr ? capture->recorder() : nullptr);
    story.tell(Title{lesson.name, number, lesson.title, lesson.question});
    if (capture != nullptr && number > 0) capture->explain(story);
    const auto begin = std::chrono::steady_clock::now();
    bool finished = true;
    try {
        lesson.run(story, seed);
        if (number > 0) show_code(story, lesson.name, options.code);
    } catch (const SysError& error) {
        log::error(fill(Text{"{0} could not go on: {1}", "{0} 无法继续：{1}"}, lesson.name,
                        text_of(error, options.language))
                       .in(options.language));
        finished = false;
    }
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
    story.tell(
        Verdict{lesson.name, story.claims(), story.broken() + (finished ? 0 : 1), spent.count()});
    if (story.broken() > 0) {
        log::error(
            fill({"{0}: {1} of {2} claims did not happen", "{0}：{2} 条断言里有 {1} 条不成立"},
                 lesson.name, story.broken(), story.claims())
                .in(options.language));
    }
    return finished && story.broken() == 0;
}

// Throws UserError if keys are to be read and there is no terminal to read them from.
void expect_terminal(const Options& options) {
    if (options.events || !(options.step || options.ask)) return;
    const Fd tty(::open("/dev/tty", O_RDWR | O_CLOEXEC));
    if (tty.is_open()) return;
    throw UserError(std::string(options.step ? "--step" : "--ask") +
                    " needs a terminal to read keys from");
}

int run_all(const Options& options) {
    expect_terminal(options);
    Terminal terminal(terminal_options(options));
    Page page(options.language);
    Events events(options.language);
    std::vector<Teller*> tellers = {&terminal};
    if (options.events) tellers = {&events};
    if (!options.html.empty()) tellers.push_back(&page);
    const unsigned seed = options.seed != 0 ? options.seed : std::random_device{}() % 100000 + 1;
    bool good = true;
    int number = 0;
    Capture capture;
    if (options.lesson == "try") {
        capture.begin();
        const Lesson trial = {"try",
                              {"Your own numbers", "你自己的数字"},
                              {"What do these settings do?", "这些设置会带来什么？"},
                              [&](Story& story, unsigned) { lesson_try(story, options.trial); }};
        good = run(trial, 0, options, seed, tellers, &capture);
    }
    if (options.lesson == "wire") {
        const Lesson wire = {
            "wire",
            {"A connection of frsh, frame by frame", "frsh 的一条连接：逐帧来看"},
            {"Which call moved which part of which frame?", "哪次调用传送了哪一帧的哪一部分？"},
            [&](Story& story, unsigned) { lesson_wire(story, options.file); }};
        good = run(wire, 0, options, seed, tellers, nullptr);
    }
    for (const Lesson& sheet : sheets()) {
        if (options.lesson == sheet.name) good = run(sheet, 0, options, seed, tellers, nullptr);
    }
    for (const Lesson& lesson : lessons()) {
        ++number;
        if (options.lesson != "all" && options.lesson != lesson.name) continue;
        // Lesson layers makes networks of its own, and captures in them.
        const bool is_captured = lesson.name != std::string_view("layers");
        if (is_captured) capture.begin();
        good =
            run(lesson, number, options, seed, tellers, is_captured ? &capture : nullptr) && good;
    }
    if (!options.pcap.empty()) good = capture.write_to(options.pcap) && good;
    if (!options.html.empty()) page.write_to(options.html);
    return good ? 0 : 1;
}

}  // namespace
}  // namespace frsh::demo

int main(int argc, char** argv) {
    using namespace frsh;
    log::set_program("frsh-demo");
    std::signal(SIGPIPE, SIG_IGN);
    const auto [options, exit_status] = demo::parse_options(argc, argv);
    if (exit_status >= 0) return exit_status;
    try {
        if (options.lesson == "list") {
            demo::list(options.language);
            return 0;
        }
        if (options.lesson == "serve") {
            return demo::serve(options.language,
                               options.is_class ? demo::Audience::Class : demo::Audience::Self,
                               options.is_present ? demo::Size::Projector : demo::Size::Screen);
        }
        return demo::run_all(options);
    } catch (const demo::Stopped&) {
        return 130;
    } catch (const std::exception& error) {
        log::error(demo::text_of(error, options.language));
        return 1;
    }
}
