// Shows a lesson on a terminal, or in a file: at most 80 columns, readable without colour.
#pragma once

#include "client/demo/story.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace frsh::demo {

class Terminal : public Teller {
  public:
    struct Options {
        Language language = Language::English;
        bool colour = false;
        bool hex = false;
        bool step = false;  // Wait for a key.
        bool ask = false;   // Wait for an answer to each question, and count the right ones.
        double pace = 0;    // Seconds for each line; 0: no delay.
        std::size_t width = 80;
    };

    explicit Terminal(Options options) : options_(options) {}
    void tell(const Event& event) override;

  private:
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

    void line(const std::string& text = {});
    void paragraph(const std::string& text, const std::string& first, const char* style);
    void blank();
    void sides();
    void hex(const Ribbon& ribbon);
    void wait_for_key();
    void take_answer(const Question& question);
    [[nodiscard]] std::string styled(std::string_view text, const char* style) const;

    Options options_;
    bool after_blank_ = true;
    bool sides_shown_ = false;  // This part already has the heads "client" and "server".
    std::size_t last_event_ = 0;
    int asked_ = 0;                   // Questions of this lesson that were answered.
    int foreseen_ = 0;                // Those answered right.
    std::vector<std::string> parts_;  // What was shown between two keys, for the way back.
    std::string part_;
};

// Thrown if the reader presses q.
struct Stopped {};

}  // namespace frsh::demo
