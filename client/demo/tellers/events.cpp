#include "client/demo/tellers/events.hpp"

#include "client/demo/drawing/drawing.hpp"
#include "client/demo/tellers/output.hpp"
#include "common/proto/json.hpp"

#include <string>
#include <variant>

namespace frsh::demo {

void Events::write(const char* kind, const std::string& html) {
    JsonObject line;
    line.add_text("kind", kind);
    line.add_text("html", html);
    write_out(line.dump() + "\n");
}

// Returns a form with one button for each choice. The page's script compares `data-right`.
std::string Events::form_of(const Question& question) const {
    const Text predict{"Predict", "先猜"};
    std::string html = "<div class=\"ask\" role=\"group\" data-right=\"" +
                       std::to_string(question.right) + "\"><p><b>" +
                       escape_html(predict.in(language_)) + "</b> " +
                       escape_html(question.text.in(language_)) + "</p>";
    for (std::size_t i = 0; i < question.choices.size(); ++i) {
        html += "<button type=\"button\" value=\"" + std::to_string(i) + "\">" +
                escape_html(question.choices[i].in(language_)) + "</button>";
    }
    return html + "<p class=\"why\" hidden>" + escape_html(question.why.in(language_)) +
           "</p></div>";
}

void Events::tell(const Event& event) {
    const auto* const question = std::get_if<Question>(&event);
    const bool begins = std::holds_alternative<Heading>(event);
    if (question != nullptr || begins) {
        if (const std::string before = page_.take(); !before.empty()) write("part", before);
    }
    if (question != nullptr) {
        write("question", form_of(*question));
        return;
    }
    page_.tell(event);
    if (std::holds_alternative<Verdict>(event)) write("end", page_.take());
}

}  // namespace frsh::demo
