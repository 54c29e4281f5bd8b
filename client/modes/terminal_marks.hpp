// TerminalMarks sends what terminals use beside the text: the window's title, the folder (OSC 7),
// and where prompts, commands and their output begin and end (OSC 133). So a terminal can jump
// between prompts, and open a new tab in the same folder.
//
// A terminal that obeys no escape sequences gets none, and the Linux console, which would show
// them, gets none either.
#pragma once

#include "client/io/screen.hpp"

#include <string>
#include <string_view>

namespace frsh {

// Returns true if a terminal of this kind (TERM) takes the marks.
[[nodiscard]] bool takes_marks(std::string_view term);

// Returns the path as a part of a URL: all bytes but plain characters are escaped.
[[nodiscard]] std::string url_path(std::string_view path);

class TerminalMarks {
  public:
    // `screen` is lent.
    explicit TerminalMarks(Screen& screen);
    // Sets the title that was there before.
    ~TerminalMarks();
    TerminalMarks(const TerminalMarks&) = delete;
    TerminalMarks& operator=(const TerminalMarks&) = delete;

    // A prompt begins. `title` is the window's title; `host` and `folder` are where the shell is.
    void begin_prompt(const std::string& title, std::string_view host, std::string_view folder);
    // Returns what a prompt ends with: bytes without width.
    [[nodiscard]] std::string prompt_end() const;
    void begin_output();
    void end_output(int code);

  private:
    void say(std::string_view bytes);

    Screen& screen_;
    bool takes_marks_;
};

}  // namespace frsh
