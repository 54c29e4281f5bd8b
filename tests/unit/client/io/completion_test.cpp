#include "client/io/completion.hpp"

#include <cstddef>
#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace {

using frsh::as_typed;
using frsh::Candidates;
using frsh::CompletionPlace;
using frsh::find_completion_place;
using Words = std::vector<std::string>;

TEST_CASE("completion: the place is the last word of the simple command") {
    const auto place = find_completion_place("ls -l; cat 'a b' x\\ y");
    CHECK(place.kind == CompletionPlace::Kind::Argument);
    CHECK(place.words == Words{"cat", "'a b'", "x\\ y"});
    CHECK(place.value == "x y");
    CHECK(place.begin == 17);
    CHECK(place.command == "cat 'a b' x\\ y");
}

TEST_CASE("completion: a command stands at the start of a command") {
    for (const char* const text : {"", "l", "a; l", "a | l", "a && l", "(l", "if l", "X=1 l", "$(l",
                                   "while true; do l", "! l", "X='a b' Y=2 l"})
        CHECK_MESSAGE(find_completion_place(text).kind == CompletionPlace::Kind::Command, text);
    for (const char* const text : {"ls ", "ls l", "a; ls l", "echo if l"})
        CHECK_MESSAGE(find_completion_place(text).kind == CompletionPlace::Kind::Argument, text);
    for (const char* const text : {"ls >l", "ls 2> l", "<", "cat < "})
        CHECK_MESSAGE(find_completion_place(text).kind == CompletionPlace::Kind::File, text);
    CHECK(find_completion_place("echo $HO").kind == CompletionPlace::Kind::Variable);
    CHECK(find_completion_place("echo \"$HO").kind == CompletionPlace::Kind::Variable);
    CHECK(find_completion_place("echo '$HO").kind == CompletionPlace::Kind::Argument);
}

TEST_CASE("completion: an equals sign and a colon part words as in bash") {
    CHECK(find_completion_place("dd if=/de").words == Words{"dd", "if", "=", "/de"});
    CHECK(find_completion_place("dd if=/de").begin == 6);
    CHECK(find_completion_place("X=/de").value == "/de");
}

TEST_CASE("completion: an open quote is kept and closed") {
    const auto open = find_completion_place("cat \"a b");
    CHECK(open.quote == '"');
    CHECK(open.value == "a b");
    CHECK(as_typed("a b$c", open, Candidates::One) == "\"a b\\$c\" ");
    CHECK(as_typed("a b$c", open, Candidates::Several) == "\"a b\\$c");
    const auto single = find_completion_place("cat 'a");
    CHECK(as_typed("a'b", single, Candidates::One) == "'a'\\''b' ");
}

TEST_CASE("completion: a name with special characters is quoted") {
    const auto place = find_completion_place("cat a");
    CHECK(as_typed("a b'c&d", place, Candidates::One) == "a\\ b\\'c\\&d ");
    CHECK(as_typed("日本", place, Candidates::One) == "日本 ");
    CHECK(as_typed("dir/", place, Candidates::One) == "dir/");
    CHECK(as_typed("--all=", place, Candidates::One) == "--all=");
    CHECK(as_typed("~x", place, Candidates::One) == "\\~x ");
    CHECK(as_typed("~/x", find_completion_place("cat ~/"), Candidates::One) == "~/x ");
    CHECK(as_typed("$HOME", find_completion_place("cat $HO"), Candidates::One) == "$HOME ");
}

TEST_CASE("completion: the common beginning ends between characters") {
    CHECK(frsh::common_beginning({"abc", "abd"}) == "ab");
    CHECK(frsh::common_beginning({"abc"}) == "abc");
    CHECK(frsh::common_beginning({"ä", "ö"}).empty());
    CHECK(frsh::common_beginning({"a", "b"}).empty());
}

TEST_CASE("completion: candidates are listed in columns") {
    CHECK(frsh::list_in_columns({"/x/a", "/x/bb/", "/x/ccc", "/x/d"}, 12, 5) ==
          Words{"a    ccc", "bb/  d"});
    Words many;
    for (int number = 0; number < 100; ++number)
        many.push_back("candidate" + std::to_string(number));
    const Words rows = frsh::list_in_columns(many, 30, 5);
    REQUIRE(rows.size() == 5);
    CHECK(rows.back() == "and 92 more");
    CHECK(frsh::list_in_columns({"a\x1b"}, 20, 5) == Words{"a^["});
}

}  // namespace
