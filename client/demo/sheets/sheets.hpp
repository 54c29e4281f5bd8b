// What goes with the lessons: the coverage of the lecture notes, the instructor's sheet, and the
// questions on a capture.
//
// A sheet is shown as a lesson is. Its claims check that it is complete.
#pragma once

#include "client/demo/lessons/lessons.hpp"

#include <vector>

namespace frsh::demo {

[[nodiscard]] const std::vector<Lesson>& sheets();

void sheet_notes(Story& story);
void sheet_teach(Story& story);
void sheet_wireshark(Story& story);
// Shows the answers of sheet_wireshark.
void wireshark_answers(Story& story);

}  // namespace frsh::demo
