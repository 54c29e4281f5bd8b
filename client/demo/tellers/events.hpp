// Reports a lesson as lines of JSON, one for each part: what the page in the browser is sent.
//
// Each line has `kind` ("part", "question" or "end") and `html`. A question stands between what is
// prepared and its result, so the page can keep the result folded until it is answered.
#pragma once

#include "client/demo/story.hpp"
#include "client/demo/tellers/page.hpp"

#include <string>

namespace frsh::demo {

class Events : public Teller {
  public:
    explicit Events(Language language) : page_(language), language_(language) {}
    // Throws SysError if stdout cannot be written.
    void tell(const Event& event) override;

  private:
    void write(const char* kind, const std::string& html);
    [[nodiscard]] std::string form_of(const Question& question) const;

    Page page_;
    Language language_;
};

}  // namespace frsh::demo
