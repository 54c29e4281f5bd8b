// The parts of Terminal that wait for a key: steps and questions. And the programs it shows.
#include "client/demo/drawing/cells.hpp"
#include "client/demo/tellers/output.hpp"
#include "client/demo/tellers/terminal.hpp"
#include "client/demo/tellers/terminal_style.hpp"
#include "common/base/error.hpp"
#include "common/sys/fd.hpp"

#include <string>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

namespace frsh::demo {
namespace {

// Reads one key from /dev/tty, so that it works while stdout is a pipe. Ctrl-C is read as a key: as
// a signal it would leave the terminal without echo.
char read_key() {
    const Fd tty(::open("/dev/tty", O_RDWR | O_CLOEXEC));
    if (!tty.is_open()) throw UserError("--step needs a terminal to read keys from");
    termios before{};
    check(::tcgetattr(tty.get(), &before), "tcgetattr");
    termios raw = before;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | ISIG);
    ::tcsetattr(tty.get(), TCSANOW, &raw);
    char key = 'q';
    const IoResult result = read_some(tty.get(), &key, 1);
    ::tcsetattr(tty.get(), TCSANOW, &before);
    return result.status == IoResult::Status::Done ? key : 'q';
}

bool is_quit(char key) {
    return key == 'q' || key == 'Q' || key == 3 || key == 4;
}

}  // namespace

void Terminal::wait_for_key() {
    if (!options_.step) return;
    if (!part_.empty()) parts_.push_back(std::exchange(part_, {}));
    const Text prompt{"-- any key goes on, b shows the part before, q ends --",
                      "—— 按任意键继续，b 看上一段，q 结束 ——"};
    std::size_t shown = parts_.empty() ? 0 : parts_.size() - 1;
    for (;;) {
        write_out(styled(prompt.in(options_.language), kDim));
        const char key = read_key();
        write_out("\r\x1b[K");
        if (is_quit(key)) {
            write_out("\n");
            throw Stopped{};
        }
        if (key != 'b' && key != 'B') return;
        if (shown > 0) --shown;
        if (shown < parts_.size()) write_out(parts_[shown]);
    }
}

// Waits for a key from 1 to the number of choices, and says whether the answer is right.
void Terminal::take_answer(const Question& question) {
    const std::string most = std::to_string(question.choices.size());
    const Text prompt =
        fill({"-- your prediction, 1 to {0}; q ends --", "—— 你的预测，1 到 {0}；q 结束 ——"}, most);
    write_out(styled(prompt.in(options_.language), kDim));
    char key = 0;
    do {
        key = read_key();
    } while (!is_quit(key) && (key < '1' || key > most[0]));
    write_out("\r\x1b[K");
    if (is_quit(key)) {
        write_out("\n");
        throw Stopped{};
    }
    ++asked_;
    const bool is_right = static_cast<std::size_t>(key - '1') == question.right;
    foreseen_ += is_right ? 1 : 0;
    const Text head = is_right ? fill({"{0}: right. ", "{0}：对。"}, key - '0')
                               : fill({"{0}: no, it is {1}. ", "{0}：不对，应该是 {1}。"},
                                      key - '0', question.right + 1);
    paragraph(head.in(options_.language) + question.why.in(options_.language), "  ",
              is_right ? kGood : kBad);
}

void Terminal::show(const Question& question) {
    blank();
    paragraph(question.text.in(options_.language), "  ? ", kBold);
    for (std::size_t i = 0; i < question.choices.size(); ++i) {
        paragraph(question.choices[i].in(options_.language), "    " + std::to_string(i + 1) + "  ",
                  "0");
    }
    if (options_.ask) {
        take_answer(question);
    } else {
        wait_for_key();
    }
    blank();
}

void Terminal::show(const Code& code) {
    blank();
    paragraph(code.text.in(options_.language), "  " + code.name + (code.name.empty() ? "" : ": "),
              kBold);
    std::string_view rest = code.lines;
    while (!rest.empty()) {
        const std::size_t end = rest.find('\n');
        std::string shown;
        for (const char byte : rest.substr(0, end))
            shown += byte == '\t' ? std::string("  ") : std::string(1, byte);
        line(shown.empty() ? shown : "  " + clip(shown, options_.width - 2));
        rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    }
}

void Terminal::show(const Note& note) {
    blank();
    const std::string number = std::to_string(note.number);
    const Text says{"The notes say: ", "讲义里说："};
    const Text precisely{"More precisely: ", "更准确地说："};
    paragraph(says.in(options_.language) + note.says.in(options_.language), "  " + pad(number, 4),
              kBold);
    if (!note.precisely.is_empty()) {
        paragraph(precisely.in(options_.language) + note.precisely.in(options_.language),
                  "      ┃ ", kHeading);
    }
    paragraph(note.where.in(options_.language), "      → ", kDim);
}

}  // namespace frsh::demo
