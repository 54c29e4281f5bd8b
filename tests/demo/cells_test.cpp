#include "client/demo/drawing/cells.hpp"

#include <cstddef>
#include <string>
#include <vector>

#include <doctest/doctest.h>

using namespace frsh::demo;

TEST_CASE("cells: a Chinese character takes two, a box line one") {
    CHECK(width_of("frame") == 5);
    CHECK(width_of("粘包") == 4);
    CHECK(width_of("，。：（）") == 10);
    CHECK(width_of("┌──┐↵∙✓▌") == 8);
    CHECK(width_of("") == 0);
}

TEST_CASE("cells: wrapped lines fit the width and lose no text") {
    const std::string text =
        "一次 recv 拿到了三次 send 的全部 29 个字节：这就是粘包（也写作黏包）。";
    for (std::size_t width = 4; width < 80; ++width) {
        CAPTURE(width);
        std::string joined;
        for (const std::string& line : wrap(text, width)) {
            CHECK(width_of(line) <= width);
            joined += line;
        }
        std::string without_spaces;
        for (const char c : text)
            if (c != ' ') without_spaces += c;
        std::string joined_without;
        for (const char c : joined)
            if (c != ' ') joined_without += c;
        CHECK(joined_without == without_spaces);
    }
}

TEST_CASE("cells: a line neither begins with a closing mark nor ends with an opening one") {
    for (std::size_t width = 8; width < 40; ++width) {
        CAPTURE(width);
        for (const std::string& line : wrap("粘包，半包；报头：（黏包）“流”。没有边界！", width)) {
            CAPTURE(line);
            for (const char* const mark : {"，", "；", "：", "）", "”", "。", "！"})
                CHECK_FALSE(line.starts_with(mark));
            CHECK_FALSE(line.ends_with("（"));
            CHECK_FALSE(line.ends_with("“"));
        }
    }
}

TEST_CASE("cells: English breaks at spaces; only long words are cut") {
    CHECK(wrap("one two three", 8) == std::vector<std::string>{"one two", "three"});
    CHECK(wrap("abcdefghij", 4) == std::vector<std::string>{"abcd", "efgh", "ij"});
    CHECK(wrap("", 10) == std::vector<std::string>{""});
}

TEST_CASE("cells: padding and clipping count cells, not bytes") {
    CHECK(pad("粘包", 6) == "粘包  ");
    CHECK(pad("toolong", 3) == "toolong");
    CHECK(clip("粘包现象", 5) == "粘包…");
    CHECK(clip("粘包现象", 6) == "粘包…");
    CHECK(clip("fits", 4) == "fits");
}
