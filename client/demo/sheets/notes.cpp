// The coverage page: each statement of the lecture notes, and the part of a lesson that shows it.
#include "client/demo/sheets/notes.hpp"

#include "client/demo/lessons/lessons.hpp"
#include "client/demo/sheets/sheets.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

namespace frsh::demo {
namespace {

const Lesson* find_lesson(std::string_view name) {
    const auto& all = lessons();
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const Lesson& one) { return name == one.name; });
    return found == all.end() ? nullptr : &*found;
}

Text place_of(const Statement& statement) {
    if (*statement.lesson == '\0') return {"not live", "无法实演"};
    if (find_lesson(statement.lesson) == nullptr)
        return fill({"lesson {0}, which this build does not have", "{0} 一课，这个版本里没有"},
                    statement.lesson);
    if (statement.part.is_empty()) return fill({"lesson {0}", "{0} 一课"}, statement.lesson);
    return fill({"lesson {0}, {1}", "{0} 一课，{1}"}, statement.lesson, "\x01");
}

// Puts the part's name into each language.
Text with_part(Text place, const Text& part) {
    const auto put = [](std::string& text, const std::string& name, const char* open,
                        const char* close) {
        const std::size_t at = text.find('\x01');
        if (at != std::string::npos) text.replace(at, 1, open + name + close);
    };
    put(place.en, part.en, "\"", "\"");
    put(place.zh, part.zh, "“", "”");
    return place;
}

}  // namespace

void sheet_notes(Story& story) {
    int number = 0;
    std::size_t live = 0;
    std::size_t reasons = 0;
    for (const Statement& statement : statements()) {
        if (!statement.group.is_empty()) story.heading(statement.group);
        const bool is_live = find_lesson(statement.lesson) != nullptr;
        live += is_live ? 1 : 0;
        reasons += !is_live && *statement.lesson == '\0' ? 1 : 0;
        story.tell(Note{++number, statement.says, with_part(place_of(statement), statement.part),
                        statement.precisely});
    }
    story.heading({"Counted", "统计"});
    story.claim(statements().size() == 40 && live + reasons == 40,
                {"Of {0} statements {1} are shown live by a lesson of this build. {2} cannot be "
                 "shown by a program, and the page gives the reason.",
                 "{0} 句话里，{1} 句由本程序的课程实演；{2} 句无法用程序演示，页面说明了原因。"},
                statements().size(), live, reasons);
    story.say(
        {"Where a machine allows no network namespaces, lesson layers shows a kept capture "
         "and says so.",
         "不允许建立网络命名空间的机器上，layers 一课显示保存的抓包，并注明不是现场。"});
}

}  // namespace frsh::demo
