#include "client/options.hpp"

#include "client/one_shot.hpp"
#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "server/options.hpp"

#include <doctest/doctest.h>

using namespace std::chrono_literals;

namespace {

template <typename Parse>
auto parse(Parse function, const char* program, std::vector<std::string> words, int& status) {
    words.insert(words.begin(), program);
    std::vector<char*> argv;
    for (std::string& word : words)
        argv.push_back(word.data());
    argv.push_back(nullptr);
    frsh::log::set_level(frsh::log::Level::Quiet);
    auto options = function(static_cast<int>(words.size()), argv.data(), status);
    frsh::log::set_level(frsh::log::Level::Error);
    return options;
}

auto client(const std::vector<std::string>& words) {
    int status = -1;
    auto options = parse(frsh::parse_client_options, "frsh", words, status);
    CHECK((options.has_value() || status == 255));
    return options;
}

auto server(const std::vector<std::string>& words) {
    int status = -1;
    auto options = parse(frsh::parse_server_options, "frshd", words, status);
    CHECK((options.has_value() || status == 255));
    return options;
}

using Strings = std::vector<std::string>;

}  // namespace

TEST_CASE("options: everything after the target belongs to the command") {
    const auto options = client({"-q", "host", "ls", "-l", "--json", "--", "-n"});
    REQUIRE(options);
    CHECK(options->target == "host");
    CHECK(options->words == Strings{"ls", "-l", "--json", "--", "-n"});
    CHECK(options->log_level == frsh::log::Level::Quiet);
    CHECK_FALSE(options->json);
    CHECK_FALSE(options->stdin_null);
}

TEST_CASE("options: each option of the client is understood") {
    const auto options = client({"-p",
                                 "22",
                                 "-l",
                                 "me",
                                 "--env",
                                 "A=1",
                                 "--env",
                                 "B=x=y",
                                 "--cwd",
                                 "/x",
                                 "-n",
                                 "--timeout",
                                 "1.5s",
                                 "--idle-timeout",
                                 "2m",
                                 "--max-output",
                                 "64K",
                                 "--linger",
                                 "inf",
                                 "--status-fd",
                                 "2",
                                 "--json",
                                 "--connect-timeout",
                                 "3",
                                 "-vv",
                                 "host"});
    REQUIRE(options);
    CHECK(options->settings.port == 22);
    CHECK(options->settings.user == "me");
    CHECK(options->env == Strings{"A=1", "B=x=y"});
    CHECK(options->cwd == "/x");
    CHECK(options->stdin_null);
    CHECK(options->timeout == 1500ms);
    CHECK(options->idle_timeout == 120s);
    CHECK(options->max_output == 65536U);
    REQUIRE(options->settings.linger);
    CHECK_FALSE(options->settings.linger->time);
    CHECK(options->status_fd == 2);
    CHECK(options->json);
    CHECK(options->settings.connect_timeout == 3s);
    CHECK(options->log_level == frsh::log::Level::Debug);
    CHECK(options->words.empty());
}

TEST_CASE("options: a client's command line that makes no sense is refused") {
    for (const Strings& words :
         std::vector<Strings>{{},
                              {"--no-such-option", "host"},
                              {"-p", "0", "host"},
                              {"-p", "65536", "host"},
                              {"--timeout", "x", "host"},
                              {"--timeout"},
                              {"--linger", "forever", "host"},
                              {"--max-output", "-1", "host"},
                              {"--status-fd", "-1", "host"},
                              {"--env", "A", "host"},
                              {"--env", "=A", "host"},
                              {"--argv", "host"},
                              {"--argv", "host", ""},
                              {"--jobs", "2", "host"},
                              {"--one-shell", "host"},
                              {"--batch", "host", "word"},
                              {"--batch", "--argv", "host"},
                              {"--batch", "--jobs", "2", "--one-shell", "host"},
                              {"--batch", "--jobs", "0", "host"}}) {
        CAPTURE(words.size());
        if (!words.empty()) CAPTURE(words[0]);
        CHECK_FALSE(client(words));
    }
}

TEST_CASE("options: what a client asks a server for") {
    auto options = client({"--env", "A=1", "--timeout", "5", "host"});
    REQUIRE(options);
    const auto open = frsh::open_for(*options, {"echo", "a  b"});
    CHECK(open.mode == frsh::msg::Open::Mode::Command);
    CHECK(open.args == Strings{"echo a  b"});
    CHECK(open.env == Strings{"A=1"});
    CHECK(open.timeout == 5s);
    CHECK(open.linger == 2s);
    CHECK_FALSE(open.max_output);
    CHECK(frsh::open_for(*options, {}).mode == frsh::msg::Open::Mode::Login);
    CHECK(frsh::open_for(*options, {""}).mode == frsh::msg::Open::Mode::Login);
    CHECK(frsh::open_for(*options, {" "}).mode == frsh::msg::Open::Mode::Command);
    options->argv = true;
    options->json = true;
    const auto argv = frsh::open_for(*options, {"echo", "a  b"});
    CHECK(argv.mode == frsh::msg::Open::Mode::Argv);
    CHECK(argv.args == Strings{"echo", "a  b"});
    CHECK(argv.max_output == 16U << 20);
    CHECK(frsh::is_run_id(argv.run));
}

TEST_CASE("options: whether there is to be a terminal, and what begins an escape on it") {
    using frsh::Tty;
    CHECK(client({"host"})->tty == Tty::Automatic);
    CHECK(client({"-t", "host"})->tty == Tty::Wanted);
    CHECK(client({"-tt", "host"})->tty == Tty::Forced);
    CHECK(client({"-t", "-t", "host"})->tty == Tty::Forced);
    CHECK(client({"-T", "host"})->tty == Tty::Never);
    CHECK(client({"host"})->escape == '~');
    CHECK(client({"-e", "%", "host"})->escape == '%');
    CHECK(client({"-e", "^]", "host"})->escape == '\x1d');
    CHECK(client({"-e", "^a", "host"})->escape == '\x01');
    CHECK(client({"-e", "^", "host"})->escape == '^');
    CHECK(client({"-e", "none", "host"})->escape == std::nullopt);
    for (const char* const bad : {"", "no", "^", "^^^", "^1"}) {
        if (std::string(bad) != "^") CHECK_FALSE(client({"-e", bad, "host"}));
    }
    for (const Strings& words : std::vector<Strings>{{"-t", "--json", "host"},
                                                     {"-tt", "--json", "host"},
                                                     {"-t", "--batch", "host"},
                                                     {"-t", "--max-output", "1K", "host"}}) {
        CHECK_FALSE(client(words));
    }
    CHECK(client({"-T", "--json", "host", "true"}));
}

TEST_CASE("options: a NUL in a command or an argument is refused in words") {
    auto options = client({"host"});
    REQUIRE(options);
    const std::string with_nul("a\0b", 3);
    CHECK_THROWS_AS((void)frsh::open_for(*options, {with_nul}), frsh::UserError);
    options->argv = true;
    CHECK_THROWS_AS((void)frsh::open_for(*options, {"true", with_nul}), frsh::UserError);
}

TEST_CASE("options: where a server listens") {
    CHECK_FALSE(server({})->settings.unix_path);
    CHECK_FALSE(server({})->settings.listen);
    CHECK(server({"--unix"})->settings.unix_path == "");
    CHECK(server({"--unix", "/x"})->settings.unix_path == "/x");
    CHECK(server({"--stdio"})->stdio);
    CHECK_FALSE(server({"--stdio"})->settings.unix_path);
    const auto options = server({"--listen", "1", "--listen", "[::1]:2", "--plaintext", "-v"});
    REQUIRE(options);
    CHECK(options->settings.listen == Strings{"1", "[::1]:2"});
    CHECK_FALSE(options->settings.unix_path);
    CHECK(options->settings.log_level == frsh::log::Level::Info);
}

TEST_CASE("options: a server's command line that makes no sense is refused") {
    for (const Strings& words : std::vector<Strings>{{"--stdio", "--unix"},
                                                     {"--stdio", "--listen", "1", "--plaintext"},
                                                     {"--listen"},
                                                     {"word"},
                                                     {"--no-such-option"}}) {
        CHECK_FALSE(server(words));
    }
}
