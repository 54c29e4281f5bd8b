#include "client/demo/sheets/sheets.hpp"

#include <vector>

namespace frsh::demo {

const std::vector<Lesson>& sheets() {
    static const std::vector<Lesson> all = {
        {"notes",
         {"Forty statements of the lecture notes", "讲义里的四十句话"},
         {"Which lesson shows it, and what is more precise?", "哪一课演示它？更准确的说法是什么？"},
         [](Story& story, unsigned) { sheet_notes(story); }},
        {"teach",
         {"The instructor's sheet", "教师用表"},
         {"What is the aim, how long does it take, what do learners believe?",
          "目标是什么？要多久？学生常有什么误解？"},
         [](Story& story, unsigned) { sheet_teach(story); }},
        {"wireshark",
         {"Ten questions on a capture of your own", "用自己抓的包回答十个问题"},
         {"What do the packets of a real run show?", "真实运行的报文里能看到什么？"},
         [](Story& story, unsigned) { sheet_wireshark(story); }}};
    return all;
}

}  // namespace frsh::demo
