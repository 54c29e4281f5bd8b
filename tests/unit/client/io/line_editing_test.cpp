// The pure parts of the line editor: keys, text, rows, and the bytes for the terminal.
#include "client/io/edit_buffer.hpp"
#include "client/io/history.hpp"
#include "client/io/history_search.hpp"
#include "client/io/history_walk.hpp"
#include "client/io/key_decoder.hpp"
#include "client/io/line_layout.hpp"
#include "client/io/line_view.hpp"
#include "client/io/text_cells.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

namespace {

using frsh::EditBuffer;
using frsh::EditKey;
using frsh::KeyDecoder;
using frsh::LineContent;
using frsh::LineView;

// Returns the keys, each with its text, cut into single bytes or not.
std::vector<std::pair<EditKey, std::string>> keys_of(std::string_view bytes) {
    std::vector<std::pair<EditKey, std::string>> whole;
    std::vector<std::pair<EditKey, std::string>> cut;
    KeyDecoder one;
    one.feed(bytes);
    while (const auto press = one.next())
        whole.emplace_back(press->key, press->text);
    KeyDecoder other;
    for (const char byte : bytes) {
        other.feed({&byte, 1});
        while (const auto press = other.next())
            cut.emplace_back(press->key, press->text);
    }
    CHECK(whole == cut);
    return whole;
}

EditKey key_of(std::string_view bytes) {
    const auto keys = keys_of(bytes);
    CHECK(keys.size() == 1);
    return keys.empty() ? EditKey::None : keys[0].first;
}

// Types the bytes into the buffer.
void type(EditBuffer& buffer, std::string_view bytes) {
    KeyDecoder decoder;
    decoder.feed(bytes);
    while (const auto press = decoder.next())
        CHECK(buffer.apply(*press));
}

// Returns the text after these keys, with a bar at the cursor.
std::string edited(std::string_view bytes) {
    EditBuffer buffer;
    type(buffer, bytes);
    std::string text = buffer.text();
    return text.insert(buffer.cursor(), "|");
}

LineContent content_of(std::string_view text, std::size_t cursor) {
    LineContent content;
    content.prompt = "$ ";
    content.text = text;
    content.cursor = cursor;
    return content;
}

TEST_CASE("keys: the sequences of common terminals have their names") {
    for (const char* const up : {"\x1b[A", "\x1bOA", "\x1b[1;2A"})
        CHECK(key_of(up) == EditKey::Up);
    for (const char* const left : {"\x1b[1;5D", "\x1b[1;3D", "\x1b\x1b[D", "\x1b\x62", "\x1bOd"})
        CHECK(key_of(left) == EditKey::WordLeft);
    for (const char* const right : {"\x1b[1;5C", "\x1b[1;3C", "\x1b\x1b[C", "\x1b\x66", "\x1bOc"})
        CHECK(key_of(right) == EditKey::WordRight);
    for (const char* const home : {"\x1b[H", "\x1bOH", "\x1b[1~", "\x1b[7~", "\x01"})
        CHECK(key_of(home) == EditKey::Home);
    for (const char* const end : {"\x1b[F", "\x1bOF", "\x1b[4~", "\x1b[8~", "\x05"})
        CHECK(key_of(end) == EditKey::End);
    CHECK(key_of("\x1b[3~") == EditKey::Delete);
    CHECK(key_of("\x1b[3;5~") == EditKey::KillWordRight);
    CHECK(key_of("\x1b[5~") == EditKey::PageUp);
    CHECK(key_of("\x1b[6~") == EditKey::PageDown);
    CHECK(key_of("\x1b.") == EditKey::LastWord);
    CHECK(key_of("\x1b\x7f") == EditKey::KillWordLeft);
    CHECK(key_of("\x1b[Z") == EditKey::CompleteBack);
    CHECK(key_of("\x1f") == EditKey::Undo);
    CHECK(keys_of("\x18\x15").back().first == EditKey::Undo);
}

TEST_CASE("keys: a sequence without a function shows nothing") {
    for (const char* const odd : {"\x1b[[A", "\x1b[15~", "\x1b[?1;2c", "\x1b[<0;3;4M", "\x1bZ"}) {
        for (const auto& [key, text] : keys_of(odd))
            CHECK(text.empty());
    }
    CHECK(keys_of("\x1b[200").empty());
    CHECK(keys_of("\x1b").empty());
}

TEST_CASE("keys: nothing in a paste is a key") {
    const auto keys = keys_of("\x1b[200~a\rb\r\n\x03\tc\n\x1b[A\x1b[201~x");
    REQUIRE(keys.size() == 2);
    CHECK(keys[0] == std::pair(EditKey::Paste, std::string("a\nb\n\x03\tc\n\x1b[A")));
    CHECK(keys[1].second == "x");
    CHECK(keys_of("\x1b[200~one\n\x1b[201~")[0].second == "one");
}

TEST_CASE("keys: bytes that are no characters are dropped") {
    std::string text;
    for (const auto& [key, piece] : keys_of("\xff\xfe\xc3x\xe6\x97\xa5\xe6\x97y"))
        text += piece;
    CHECK(text == "x日y");
    CHECK(keys_of("\x16\x03").back().second == "\x03");  // Ctrl-V.
}

TEST_CASE("editing: words, lines and what was taken out") {
    CHECK(edited("one two-three\x17") == "one |");
    CHECK(edited("one two-three\x1b\x7f") == "one two-|");
    CHECK(edited("one two\x1b\x62\x1b\x64") == "one |");
    CHECK(edited("one two\x15") == "|");
    CHECK(edited("one two\x01\x0b") == "|");
    CHECK(edited("one two\x17\x17\x19") == "one two|");  // Taken in a row, put back as one.
    CHECK(edited("a b\x17\x01\x0b\x19\x19") == "a a |");
    CHECK(edited("one\x17two\x17\x19\x1b\x79") == "one|");  // Alt-Y.
    CHECK(edited("ab\x14") == "ba|");
    CHECK(edited("one two\x01\x1b\x75\x1b\x63") == "ONE Two|");
    CHECK(edited("one two\x1b[1;5D\x1b[1;5Dx\x05!") == "xone two!|");
    CHECK(edited("ab\x1b[D\x04\x7f") == "|");
}

TEST_CASE("editing: undo takes back a word, a cut and a paste each at once") {
    CHECK(edited("one two\x1f") == "one|");
    CHECK(edited("one two\x15\x1f") == "one two|");
    CHECK(edited("a\x1b[200~b\nc\x1b[201~\x1f") == "a|");
    CHECK(edited("one two\x1b\x72") == "|");
    CHECK(edited("\x1f\x1b\x72") == "|");
}

TEST_CASE("editing: keys step over wide, combined and joined characters") {
    const std::string family = "👩‍👩‍👧";
    const std::string marked = "e\xcc\x81";
    for (const std::string& one : {std::string("日"), family, marked, std::string("🇩🇪"),
                                   std::string("👍🏽"), std::string("❤️")}) {
        CHECK(edited("a" + one + "\x7f") == "a|");
        CHECK(edited("a" + one + "b\x1b[D\x1b[Dx") == "ax|" + one + "b");
        CHECK(edited(one + "\x01\x1b[3~") == "|");
    }
    CHECK(frsh::cells_of("a日" + marked) == 4);
    CHECK(frsh::cells_of(family) == 2);
    CHECK(frsh::cells_of("🇩🇪") == 2);
}

TEST_CASE("editing: the cursor moves between the lines of one entry") {
    EditBuffer buffer;
    type(buffer, "\x1b[200~long line\nx\nlast\x1b[201~");
    CHECK(buffer.line_up());
    CHECK(buffer.cursor() == 11);
    CHECK(buffer.line_up());
    CHECK_FALSE(buffer.line_up());
    CHECK(buffer.cursor() == 1);
    CHECK(buffer.line_down());
    CHECK(buffer.line_down());
    CHECK_FALSE(buffer.line_down());
}

TEST_CASE("layout: a control is shown as text, and no byte reaches the terminal") {
    const auto frame = frsh::lay_out(content_of("a\x1b[2J\x9b\tb\nc", 0), 40);
    REQUIRE(frame.rows.size() == 2);
    CHECK(frame.rows[0].bytes == "$ a^[[2J\\x9b    b");
    CHECK(frame.rows[1].bytes == "c");
}

TEST_CASE("layout: rows wrap by width, and the last one is never full") {
    const auto frame = frsh::lay_out(content_of("abcdefgh日", 8), 10);
    REQUIRE(frame.rows.size() == 2);
    CHECK(frame.rows[0].wraps);
    CHECK(frame.rows[1].bytes == "日");
    CHECK(frame.cursor_row == 1);
    CHECK(frame.cursor_byte == 0);
    const auto full = frsh::lay_out(content_of("abcdefgh", 8), 10);
    REQUIRE(full.rows.size() == 2);
    CHECK(full.cursor_row == 1);
}

TEST_CASE("layout: suggestion, note, match and list have their places") {
    LineContent content = content_of("git", 3);
    content.suggestion = " log\nmore";
    content.note = "took 3 s";
    content.below = {"one  two", std::string(60, 'x')};
    const auto frame = frsh::lay_out(content, 40);
    REQUIRE(frame.rows.size() == 3);
    CHECK(frame.rows[0].bytes.starts_with("$ git\x1b[90m log ...\x1b[0m  "));
    CHECK(frame.rows[0].bytes.ends_with("took 3 s\x1b[0m"));
    CHECK(frame.rows[0].width == 39);
    CHECK(frame.cursor_byte == 5);
    CHECK(frame.rows[2].width == 39);
    content.has_colour = false;
    CHECK(frsh::lay_out(content, 40).rows[0].bytes.find("\x1b[9") == std::string::npos);
    LineContent found = content_of("a needle", 2);
    found.match = 2;
    found.match_size = 6;
    CHECK(frsh::lay_out(found, 40).rows[0].bytes == "$ a \x1b[7mneedle\x1b[0m");
}

TEST_CASE("view: only what has changed is drawn") {
    LineView view(LineView::Kind::Escapes);
    view.set_size(20, 10);
    const std::string text(40, 'x');
    (void)view.draw(content_of(text, text.size()));
    const std::string more = text + "y";
    const std::string bytes = view.draw(content_of(more, more.size()));
    CHECK(bytes.find("$ ") == std::string::npos);
    CHECK(bytes.find('y') != std::string::npos);
}

TEST_CASE("view: a line higher than the screen shows the rows around the cursor") {
    LineView view(LineView::Kind::Escapes);
    view.set_size(20, 5);
    std::string text;
    for (int line = 0; line < 200; ++line)
        text += "line" + std::to_string(line) + "\n";
    const std::string end = view.draw(content_of(text, text.size()));
    CHECK(end.find("line199") != std::string::npos);
    CHECK(end.find("line100") == std::string::npos);
    const std::string start = view.draw(content_of(text, 0));
    CHECK(start.find("line0\x1b[K\r\nline1") != std::string::npos);
    CHECK(start.find("line199") == std::string::npos);
}

TEST_CASE("view: a dumb terminal gets no escape sequence") {
    LineView view(LineView::Kind::Dumb);
    view.set_size(20, 5);
    LineContent content = content_of("echo one two three four five\nsix\x1b", 33);
    content.prompt = "\1\x1b[1m\1user:\1\x1b[0m\1$ ";
    std::string bytes = view.draw(content);
    content.cursor = 0;
    bytes += view.draw(content);
    content.text = "ls";
    bytes += view.draw(content) + view.resize(content, 10, 5) + view.erase();
    bytes += view.leave(content) + view.clear_screen();
    CHECK(bytes.find('\x1b') == std::string::npos);
    CHECK(bytes.find("five^Jsix^[") != std::string::npos);
}

TEST_CASE("search: it follows the typed part, back and forth") {
    frsh::History history;
    for (const char* const line : {"echo one", "git log", "echo two", "git log", "ls"})
        history.add(line);
    frsh::HistorySearch search(history);
    search.begin("typed");
    CHECK(search.line() == "typed");
    CHECK(search.apply({EditKey::Text, "o"}));
    CHECK(search.line() == "git log");
    CHECK(search.apply({EditKey::Text, " "}));
    CHECK(search.line() == "echo two");
    CHECK(search.match() == 3);
    CHECK(search.apply({EditKey::SearchOlder}));
    CHECK(search.line() == "echo one");
    CHECK(search.apply({EditKey::SearchNewer}));
    CHECK(search.line() == "echo two");
    CHECK(search.apply({EditKey::Text, "x"}));
    CHECK(search.status() == "no match: o x");
    CHECK(search.apply({EditKey::Backspace}));
    CHECK(search.status() == "search: o ");
    CHECK_FALSE(search.apply({EditKey::Left}));
    CHECK(search.abort() == "typed");
}

TEST_CASE("walk: only lines with the typed beginning, and back to what was typed") {
    frsh::History history;
    for (const char* const line : {"echo one", "ls", "echo two", "echo two", "pwd"})
        history.add(line);
    frsh::HistoryWalk walk(history);
    CHECK(walk.older("echo") == "echo two");
    CHECK(walk.older("echo two") == "echo one");
    CHECK_FALSE(walk.older("echo one"));
    CHECK(walk.newer("echo one") == "echo two");
    CHECK(walk.newer("echo two") == "echo");
    CHECK_FALSE(walk.newer("echo"));
    walk.stop();
    CHECK(walk.oldest("") == "echo one");
    CHECK(walk.newest() == "");
    CHECK(walk.older_by(2, "") == "echo two");
    CHECK(walk.older_last_word() == "pwd");
    CHECK(walk.older_last_word() == "two");
}

}  // namespace
