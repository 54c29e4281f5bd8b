// Writes lessons into one self-contained page: inline SVG and CSS, no script, no network.
#pragma once

#include "client/demo/story.hpp"

#include <string>

namespace frsh::demo {

class Page : public Teller {
  public:
    explicit Page(Language language) : language_(language) {}
    void tell(const Event& event) override;

    [[nodiscard]] std::string html() const;
    // Returns what was told since the last call, as part of a page, and forgets it.
    [[nodiscard]] std::string take();
    // Throws SysError.
    void write_to(const std::string& file) const;

  private:
    enum class Open { Nothing, Calls, Claims, Sources };

    void show(const Title& title);
    void show(const Heading& heading);
    void show(const Paragraph& paragraph);
    void show(const Call& call);
    void show(const Packet& packet);
    void show(const Ribbon& ribbon);
    void show(const Table& table);
    void show(const Timeline& timeline);
    void show(const Claim& claim);
    void show(const Source& source);
    void show(const Question& question);
    void show(const Code& code);
    void show(const Note& note);
    void show(const Verdict& verdict);

    // Closes the open list and opens this one. Does nothing if it is the same.
    void in(Open list);
    [[nodiscard]] std::string text(const Text& text) const;
    [[nodiscard]] std::string element(const char* name, const Text& content) const;

    Language language_;
    std::string body_;
    std::string title_;
    Open open_ = Open::Nothing;
};

}  // namespace frsh::demo
