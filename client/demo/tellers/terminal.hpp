// Shows a lesson on a terminal, or in a file: at most 80 columns, readable without colour.
#pragma once

#include "client/demo/story.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace frsh::demo {

class Terminal : public Teller {
  public:
    struct Options {
        Language language = Language::English;
        bool colour = false;
        bool hex = false;
        bool step = false;  // Wait for a key.
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
    void show(const Verdict& verdict);

    void line(const std::string& text = {});
    void paragraph(const std::string& text, const std::string& first, const char* style);
    void blank();
    void sides();
    void hex(const Ribbon& ribbon);
    void wait_for_key();
    [[nodiscard]] std::string styled(std::string_view text, const char* style) const;

    Options options_;
    bool after_blank_ = true;
    bool sides_shown_ = false;  // This part already has the heads "client" and "server".
    std::size_t last_event_ = 0;
};

// Thrown if the reader presses q.
struct Stopped {};

}  // namespace frsh::demo
