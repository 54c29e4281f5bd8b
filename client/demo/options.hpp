// The command line of frsh-demo.
#pragma once

#include "client/demo/lessons/try.hpp"
#include "client/demo/text.hpp"

#include <string>

namespace frsh::demo {

struct Options {
    std::string lesson;   // A lesson's name, "all", "list", "try", "wire" or "serve".
    Trial trial;          // The numbers of "try".
    bool events = false;  // Write lines of JSON, for the page of "serve".
    Language language = Language::English;
    bool hex = false;
    bool step = false;
    bool ask = false;
    std::string code = "calls";  // "py", "go", "c", or "calls": no program beside the calls.
    bool is_class = false;       // "serve": others follow, read-only.
    bool is_present = false;     // "serve": large letters, for a projector.
    double speed = -1;           // Negative: not given.
    std::string html;            // The path of the page, or empty.
    std::string file;            // "wire": the log to be drawn.
    std::string pcap;            // The path of the capture file, or empty.
    unsigned seed = 0;           // 0: a new seed for each run.
};

// Parses the command line. Prints help, version or an error itself and then sets `exit_status`.
struct Parsed {
    Options options;
    int exit_status = -1;  // Negative: run the lessons.
};
[[nodiscard]] Parsed parse_options(int argc, char** argv);

}  // namespace frsh::demo
