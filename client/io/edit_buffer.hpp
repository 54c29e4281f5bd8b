// EditBuffer is the line that is being typed, and what the keys do to it. Pure: it shows nothing.
//
// The text may have several lines. The cursor stands between clusters (text_cells.hpp), never in
// one. What Ctrl-W, Ctrl-U and their like take out can be put back with Ctrl-Y.
#pragma once

#include "client/io/key_decoder.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace frsh {

class EditBuffer {
  public:
    [[nodiscard]] const std::string& text() const { return text_; }
    [[nodiscard]] std::size_t cursor() const { return cursor_; }  // In bytes.
    [[nodiscard]] bool is_at_end() const { return cursor_ == text_.size(); }

    // Begins an empty line. What was taken out before can still be put back.
    void clear();
    // Replaces the text, with the cursor at its end. Undo brings the old text back.
    void set(std::string text);
    void insert(std::string_view text);
    // Replaces the bytes from `begin` to `end`, with the cursor behind the new ones.
    void replace(std::size_t begin, std::size_t end, std::string_view text);
    void move_to(std::size_t cursor);

    // Does what the key means for the text. Returns false if it means nothing here.
    bool apply(const KeyPress& press);
    // Move the cursor to the line above and below. Return false if there is none.
    bool line_up();
    bool line_down();

  private:
    struct Snapshot {
        std::string text;
        std::size_t cursor;
    };
    // What the last key did: the same again may continue it.
    enum class Last { Other, Typing, Kill, Yank };

    bool move(EditKey key);
    bool kill(EditKey key);
    bool change(EditKey key);
    void cut(std::size_t begin, std::size_t end);
    void erase(std::size_t begin, std::size_t end);
    void type(const std::string& text);
    void yank(std::string_view text);
    void yank_older();
    void undo();
    void transpose();
    void change_case(EditKey key);
    void save();
    [[nodiscard]] std::size_t line_start() const;
    [[nodiscard]] std::size_t line_end() const;
    [[nodiscard]] std::size_t word_left() const;
    [[nodiscard]] std::size_t word_right() const;
    [[nodiscard]] std::size_t blank_word_left() const;

    std::string text_;
    std::size_t cursor_ = 0;
    std::vector<Snapshot> undo_;      // The newest last.
    std::vector<std::string> taken_;  // The newest last.
    std::size_t yanked_ = 0;          // Where the text begins that was put back last.
    std::size_t yanked_number_ = 0;   // Its number in taken_.
    Last last_ = Last::Other;
};

}  // namespace frsh
