// Output of a program on a terminal: what undoes its modes is short and leaves no mode changed.
#include "client/io/screen_modes.hpp"
#include "common/base/error.hpp"

#include <cstdint>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    frsh::ScreenModes whole;
    whole.feed(text);
    frsh::ScreenModes cut;
    cut.feed(text.substr(0, size / 2));
    cut.feed(text.substr(size / 2));
    const std::string reset = whole.reset();
    frsh::must(reset == cut.reset(), "the result does not depend on how output is cut");
    frsh::must(reset.size() < 256, "the result is bounded");
    // CAN ends a sequence that the output left open.
    whole.feed("\x18");
    whole.feed(reset);
    frsh::must(whole.reset().empty(), "the result undoes every mode");
    return 0;
}
