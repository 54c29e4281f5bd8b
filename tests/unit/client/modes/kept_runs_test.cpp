#include "client/modes/kept_runs.hpp"

#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

using frsh::kept_json;
using frsh::kept_line;
using Mode = frsh::msg::Open::Mode;

namespace {

frsh::msg::Kept kept(std::vector<std::string> args, frsh::Outcome outcome = frsh::Running{}) {
    frsh::msg::Kept one;
    one.run = "k3v9q0w2x7m1c5tz";
    one.outcome = std::move(outcome);
    one.started_at = 1000;
    one.args = std::move(args);
    one.out = 12;
    one.err = 3456789;
    return one;
}

}  // namespace

TEST_CASE("kept runs: a line has id, state, age, bytes, outcome and command") {
    CHECK(kept_line(kept({"make -j8"}), 1075, 0) ==
          "k3v9q0w2x7m1c5tz  running   75s         12    3456789  -              make -j8");
    CHECK(kept_line(kept({"make"}, frsh::Exited{3}), 1000 + 7200, 0) ==
          "k3v9q0w2x7m1c5tz  ended      2h         12    3456789  exited with 3  make");
    CHECK(
        kept_line(kept({"make"}, frsh::Lost{"the machine went down"}), 0, 0) ==
        "k3v9q0w2x7m1c5tz  lost       0s         12    3456789  lost: the machine went down  make");
    auto shell = kept({});
    shell.is_shell = true;
    shell.mode = Mode::Login;
    CHECK(kept_line(shell, 1000 + 86'400 * 3, 0) ==
          "k3v9q0w2x7m1c5tz  shell      3d         12    3456789  -              ");
    shell.outcome = frsh::Exited{0};
    CHECK(kept_line(shell, 1000, 0).find("  ended  ") != std::string::npos);
}

TEST_CASE("kept runs: control characters are escaped, on one line") {
    const std::string line = kept_line(kept({"a\x1b[31m\nb\xff"}), 1000, 0);
    CHECK(line.ends_with("a\\x1b[31m\\x0ab\\xff"));
}

TEST_CASE("kept runs: --argv, login and subsystem runs are marked") {
    auto one = kept({"ls", "a  b", ""});
    one.mode = Mode::Argv;
    CHECK(kept_line(one, 1000, 0).ends_with("  ls 'a  b' ''"));
    CHECK(kept_json(one).find(R"("command":["ls","a  b",""])") != std::string::npos);
    one = kept({});
    one.mode = Mode::Login;
    CHECK(kept_line(one, 1000, 0).ends_with("  (a login shell)"));
    one = kept({"sftp"});
    one.mode = Mode::Subsystem;
    CHECK(kept_line(one, 1000, 0).ends_with("  (subsystem) sftp"));
}

TEST_CASE("kept runs: a line fits the terminal and cuts no character") {
    const std::string whole = kept_line(kept({"ab\u00e4\u00e4\u6f22\u6f22"}), 1000, 0);
    const auto head = static_cast<unsigned>(whole.find("ab\u00e4"));
    const auto cut = [&](unsigned columns) {
        return kept_line(kept({"ab\u00e4\u00e4\u6f22\u6f22"}), 1000, head + columns).substr(head);
    };
    CHECK(cut(0).empty());
    CHECK(cut(2) == "ab");
    CHECK(cut(3) == "ab\u00e4");
    CHECK(cut(5) == "ab\u00e4\u00e4");
    CHECK(cut(6) == "ab\u00e4\u00e4\u6f22");
    CHECK(cut(7) == "ab\u00e4\u00e4\u6f22");
    CHECK(cut(8) == "ab\u00e4\u00e4\u6f22\u6f22");
    CHECK(frsh::kept_heading(9) == "RUN      ");
}

TEST_CASE("kept runs: JSON has every field on one line") {
    CHECK(kept_json(kept({"make"})) ==
          R"({"run":"k3v9q0w2x7m1c5tz","state":"running","started_at":1000,"command":"make",)"
          R"("outcome":{"kind":"running"},"stdout":{"bytes":12},"stderr":{"bytes":3456789}})");
    auto ended = kept({"a\xff"}, frsh::Signaled{"KILL", 9, false});
    ended.ended_at = 1010;
    CHECK(kept_json(ended) ==
          R"({"run":"k3v9q0w2x7m1c5tz","state":"ended","started_at":1000,"ended_at":1010,)"
          R"("command_b64":"Yf8=","outcome":{"kind":"signaled","signal":"KILL","number":9,)"
          R"("core":false},"stdout":{"bytes":12},"stderr":{"bytes":3456789}})");
}
