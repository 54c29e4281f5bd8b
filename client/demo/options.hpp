// What may be said to frsh-demo on its command line.
#pragma once

#include "client/demo/text.hpp"

#include <string>

namespace frsh::demo {

struct Options {
    std::string lesson;  // A lesson's name, "all" or "list".
    Language language = Language::English;
    bool hex = false;
    bool step = false;
    double speed = -1;  // Negative: not said.
    std::string html;   // A file, or empty.
    unsigned seed = 0;  // 0: a new one each time.
};

// Prints help, version or an error and returns its exit status where there is nothing to do.
struct Parsed {
    Options options;
    int exit_status = -1;  // Negative: go on.
};
[[nodiscard]] Parsed parse_options(int argc, char** argv);

}  // namespace frsh::demo
