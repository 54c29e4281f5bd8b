#include "client/demo/story.hpp"

#include "client/demo/drawing/cells.hpp"
#include "client/demo/drawing/table.hpp"
#include "client/demo/lessons/lessons.hpp"
#include "client/demo/sources.hpp"
#include "client/demo/tellers/page.hpp"

#include <string>

#include <doctest/doctest.h>

using namespace frsh::demo;

TEST_CASE("story: each language places its own values") {
    const Text text = fill({"{0} of {1}", "{1} 中的 {0}"}, 3, "ten");
    CHECK(text.en == "3 of ten");
    CHECK(text.zh == "ten 中的 3");
    CHECK(fill({"{7} {x} {", "{"}, 1).en == "{7} {x} {");
}

TEST_CASE("story: a false claim is counted and shown") {
    Page page(Language::English);
    Story story({&page});
    story.claim(true, {"it rained", "下雨了"});
    story.claim(false, {"it snowed", "下雪了"});
    CHECK(story.claims() == 2);
    CHECK(story.broken() == 1);
    CHECK(page.html().find("<li class=\"broken\">it snowed") != std::string::npos);
}

TEST_CASE("story: every lesson has both languages") {
    REQUIRE(lessons().size() >= 9);
    for (const Lesson& lesson : lessons()) {
        CAPTURE(lesson.name);
        CHECK_FALSE(lesson.title.en.empty());
        CHECK_FALSE(lesson.question.en.empty());
        // Each text has characters beyond ASCII.
        CHECK(width_of(lesson.title.zh) != lesson.title.zh.size());
        CHECK(width_of(lesson.question.zh) != lesson.question.zh.size());
    }
}

TEST_CASE("story: the build found every source line of the lessons") {
    CHECK(source_lines().size() > 8);
    for (const SourceLine& line : source_lines()) {
        CAPTURE(line.key);
        CHECK(line.line > 0);
    }
}

TEST_CASE("page: text is escaped and cannot become markup") {
    Page page(Language::English);
    page.tell(Paragraph{plain("<script>alert(\"&\")</script>")});
    CHECK(page.html().find("<script") == std::string::npos);
    CHECK(page.html().find("&lt;script&gt;alert(&quot;&amp;&quot;)") != std::string::npos);
}

TEST_CASE("table: columns line up in cells within the width") {
    Table table;
    table.head = {{"name", "名字"}, {"what it is", "它是什么"}};
    table.rows = {{{"a", "粘包"}, {"short", "很短"}}, {plain("b"), plain(std::string(200, 'x'))}};
    for (const Language language : {Language::English, Language::Chinese}) {
        const auto lines = table_lines(table, language, 40);
        CHECK(lines.size() > 5);
        for (const std::string& line : lines)
            CHECK(width_of(line) <= 40);
    }
    CHECK(table_lines(table, Language::Chinese, 40)[2] == "粘包  很短");
}
