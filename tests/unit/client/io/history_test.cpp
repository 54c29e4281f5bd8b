#include "client/io/history.hpp"

#include "client/io/history_expansion.hpp"
#include "client/io/history_file.hpp"

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using frsh::expand_history;
using frsh::HistoryFile;
using frsh::last_word;
using Lines = std::vector<std::string>;

// A folder that lives as long as a test case.
struct Folder {
    Folder() {
        std::string name = "/tmp/frsh-history-XXXXXX";
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path = name;
    }
    ~Folder() { std::filesystem::remove_all(path); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    [[nodiscard]] std::string file() const { return path + "/history"; }
    std::string path;
};

void write_file(const std::string& path, std::string_view content) {
    std::ofstream(path, std::ios::binary) << content;
}

std::string content_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::string expanded(std::string_view line, std::string_view newest, std::string_view head = {}) {
    return expand_history(line, newest, head).value_or("(nothing)");
}

TEST_CASE("history: every byte comes back from the file unchanged") {
    std::string all;
    for (int byte = 1; byte < 256; ++byte)
        all += static_cast<char>(byte);
    all += '\0';
    for (const std::string& entry : {all, std::string("a\nb\n"), std::string("\\"),
                                     std::string("\\012"), std::string("_HiStOrY_V2_")}) {
        const std::string line = frsh::encode_entry(entry);
        CHECK(line.find('\n') == line.size() - 1);
        CHECK(frsh::parse_history(line).entries == Lines{entry});
    }
}

TEST_CASE("history: a file that libedit wrote is read") {
    const auto content = frsh::parse_history("_HiStOrY_V2_\necho\\040'a\\134b'\nls\n");
    CHECK(content.entries == Lines{"echo 'a\\b'", "ls"});
    CHECK(content.damaged_lines == 0);
}

TEST_CASE("history: damaged lines are left out and counted") {
    const std::string_view damaged("one\n\0\0\0\ntwo\\9\n\\12\n\\777\nthree\x1b\nfour", 34);
    const auto content = frsh::parse_history(damaged);
    CHECK(content.entries == Lines{"one", "four"});
    CHECK(content.damaged_lines == 5);
}

TEST_CASE("history: equal lines in a row are one entry") {
    CHECK(frsh::parse_history("a\na\nb\na\n").entries == Lines{"a", "b", "a"});
    frsh::History history;
    for (const char* const line : {"a", "a", " secret", "\tsecret", "", "b", "b"})
        history.add(line);
    REQUIRE(history.size() == 2);
    CHECK(history[0] == "a");
    CHECK(history.newest() == "b");
}

TEST_CASE("history: a damaged file is set aside once and goes on") {
    const Folder folder;
    write_file(folder.file(), "good\nbad\\x\n");
    const HistoryFile file(folder.file());
    CHECK(file.load() == Lines{"good"});
    CHECK(content_of(folder.file() + ".damaged") == "good\nbad\\x\n");
    CHECK(content_of(folder.file()) == "good\n");
    file.append("next");
    CHECK(file.load() == Lines{"good", "next"});
}

TEST_CASE("history: an entry behind one that was cut is whole") {
    const Folder folder;
    write_file(folder.file(), "cut he");
    const HistoryFile file(folder.file());
    file.append("whole");
    CHECK(file.load() == Lines{"cut he", "whole"});
}

TEST_CASE("history: the file is readable by its owner only") {
    const Folder folder;
    const HistoryFile file(folder.file());
    const mode_t before = ::umask(0);
    file.append("new");
    (void)::umask(before);
    struct stat info {};
    REQUIRE(::stat(folder.file().c_str(), &info) == 0);
    CHECK((info.st_mode & 07777) == 0600);
    REQUIRE(::chmod(folder.file().c_str(), 0644) == 0);
    file.append("next");
    REQUIRE(::stat(folder.file().c_str(), &info) == 0);
    CHECK((info.st_mode & 07777) == 0600);
}

TEST_CASE("history: what is no file is neither read nor waited for") {
    const Folder folder;
    REQUIRE(::mkfifo(folder.file().c_str(), 0600) == 0);
    const HistoryFile pipe(folder.file());
    pipe.append("x");
    CHECK(pipe.load().empty());
    const HistoryFile missing(folder.path + "/none/history");
    missing.append("x");
    CHECK(missing.load().empty());
    const HistoryFile none("/dev/null");
    none.append("x");
    CHECK(none.load().empty());
}

TEST_CASE("history: prompts that append and shorten at once lose no line") {
    const Folder folder;
    // Damage at the start of the file makes the first load() write it anew meanwhile.
    write_file(folder.file(), "bad\\x\n");
    constexpr int kPrompts = 6;
    constexpr int kLines = 150;
    std::vector<pid_t> prompts;
    for (int prompt = 0; prompt < kPrompts; ++prompt) {
        const pid_t child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            const HistoryFile file(folder.file());
            for (int line = 0; line < kLines; ++line) {
                file.append(std::to_string(prompt) + ":" + std::to_string(line));
                if (line % 50 == 0) {
                    std::ofstream(folder.file(), std::ios::app) << "bad\\x\n" << std::flush;
                    (void)!::freopen("/dev/null", "w", stderr);
                    (void)file.load();
                }
            }
            ::_exit(0);
        }
        prompts.push_back(child);
    }
    for (const pid_t prompt : prompts) {
        int status = 0;
        REQUIRE(::waitpid(prompt, &status, 0) == prompt);
        CHECK(status == 0);
    }
    const Lines lines = frsh::parse_history(content_of(folder.file())).entries;
    CHECK(std::set<std::string>(lines.begin(), lines.end()).size() == kPrompts * kLines);
}

TEST_CASE("history: each target has a file of its own, and all share one") {
    const Folder folder;
    REQUIRE(::setenv("XDG_STATE_HOME", folder.path.c_str(), 1) == 0);
    frsh::History one = frsh::History::of("alice@one:22");
    one.add("first");
    frsh::History::of("two").add("second");
    one = frsh::History::of("alice@one:22");
    REQUIRE(one.size() == 2);
    CHECK(one[0] == "second");  // Older than what was typed on this host.
    CHECK(one.newest() == "first");
    CHECK(content_of(folder.path + "/frsh/history") == "first\nsecond\n");
    CHECK(content_of(folder.path + "/frsh/history-two") == "second\n");
    (void)::unsetenv("XDG_STATE_HOME");
    CHECK(frsh::history_name("a/../b") == "history-a%2F..%2Fb");
    const std::string one_long(300, 'x');
    CHECK(frsh::history_name(one_long).size() <= 255);
    CHECK(frsh::history_name(one_long) != frsh::history_name(one_long + "y"));
}

TEST_CASE("history: the search finds the newest entry with the prefix or the part") {
    frsh::History history;
    for (const char* const line : {"ls a", "git log", "ls b", "ls b", "pwd"})
        history.add(line);
    CHECK(history.older_with_prefix("ls", history.size(), "") == 2);
    CHECK(history.older_with_prefix("ls", 4, "ls b") == 0);
    CHECK_FALSE(history.older_with_prefix("ls", 0, ""));
    CHECK(history.newer_with_prefix("ls", 1, "") == 2);
    CHECK(history.older_with("log", history.size()) == 1);
    CHECK(history.newer_with("w", 0) == 3);
}

TEST_CASE("history expansion: marks are replaced outside of single quotes") {
    CHECK(expanded("sudo !!", "make install") == "sudo make install");
    CHECK(expanded("ls !$", "cat a 'b c'") == "ls 'b c'");
    CHECK(expanded("!!; !!", "a") == "a; a");
    CHECK(expanded("echo \"!!\" \"!$\"", "a b") == "echo \"a b\" \"b\"");
    CHECK(expanded("x!!y", "a") == "xay");
    CHECK(expanded("!!", "a\nb") == "a\nb");
}

TEST_CASE("history expansion: quotes and the shell's own forms keep the mark") {
    for (const char* const line :
         {"echo '!!'", "echo \\!!", "echo \"\\!!\"", "echo $'it\\'s !!'", "echo a # !!",
          "[ a != b ]", "! true", "echo hi!", "echo $!", "echo ${!x}", "ls [!$a]*", "!(a)",
          "echo !x !-1", "echo 'a' '!$'", "echo \"'\" '!!'"})
        CHECK(expanded(line, "newest") == line);
    CHECK(expanded("echo \"'!!'\"", "a") == "echo \"'a'\"");
    CHECK(expanded("echo a#!!", "b") == "echo a#b");
    CHECK(expanded("echo '\\' !!", "b") == "echo '\\' b");
    CHECK(expanded("# x\n!!", "b") == "# x\nb");
}

TEST_CASE("history expansion: a quote of an earlier line of the command counts") {
    CHECK(expanded("!!'", "a", "echo 'b") == "!!'");
    CHECK(expanded("!!\"", "a", "echo \"b") == "a\"");
}

TEST_CASE("history expansion: without a line before, nothing can be run") {
    CHECK_FALSE(expand_history("!!", std::nullopt));
    CHECK(expand_history("echo '!!'", std::nullopt) == "echo '!!'");
}

TEST_CASE("history expansion: the last word is as bash counts it") {
    CHECK(last_word("echo a b  ") == "b");
    CHECK(last_word("echo 'a b'\"c d\"e\\ f") == "'a b'\"c d\"e\\ f");
    CHECK(last_word("echo $(ls -l | wc)") == "$(ls -l | wc)");
    CHECK(last_word("diff <(a) <(b c)") == "<(b c)");
    CHECK(last_word("sleep 1 &") == "&");
    CHECK(last_word("a && b") == "b");
    CHECK(last_word("a &&") == "&&");
    CHECK(last_word("(cd x)") == ")");
    CHECK(last_word("a # b") == "a");
    CHECK(last_word("   ") == "");
    CHECK(last_word("") == "");
}

}  // namespace
