#include "client/cli/options.hpp"

#include "client/run/run_request.hpp"
#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "server/options.hpp"

#include <optional>
#include <string>
#include <vector>

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

std::optional<frsh::ClientOptions> parse_client(int argc, char** argv, int& status) {
    return frsh::parse_client_options(argc, argv, status);
}

auto client(const std::vector<std::string>& words) {
    int status = -1;
    auto options = parse(parse_client, "frsh", words, status);
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

TEST_CASE("options: --kill and --forget take several ids") {
    const auto kill = client({"--kill", "a,b", "--kill", "c", "host"});
    REQUIRE(kill);
    CHECK(kill->request->run == "a");
    CHECK(kill->request->more == std::vector<std::string>{"b", "c"});
    const auto forget = client({"--forget", "--ended", "host"});
    REQUIRE(forget);
    CHECK(forget->request->all_ended);
    CHECK(forget->request->run.empty());
    CHECK_FALSE(client({"--forget", "a,--ended", "host"}));
    CHECK_FALSE(client({"--kill", "--ended", "host"}));
    CHECK_FALSE(client({"--attach", "a,b", "host"}));
}

TEST_CASE("options: a run without a target is answered with the order of both") {
    int status = 0;
    std::string why;
    std::string words[] = {"frsh", "--attach", "abc"};
    char* argv[] = {words[0].data(), words[1].data(), words[2].data(), nullptr};
    frsh::log::set_level(frsh::log::Level::Quiet);
    CHECK_FALSE(frsh::parse_client_options(3, argv, status, &why));
    frsh::log::set_level(frsh::log::Level::Error);
    CHECK(why.find("--attach abc TARGET") != std::string::npos);
}

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

TEST_CASE("options: an invalid command line of the client is refused") {
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

TEST_CASE("options: client options become the request") {
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

TEST_CASE("options: -t, -T and -e set terminal and escape character") {
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

TEST_CASE("options: a kept run outlives its client by default") {
    using Kind = frsh::OnDisconnect::Kind;
    const auto open_of = [](Strings words) {
        words.insert(words.end(), {"local", "true"});
        return frsh::open_for(*client(words), {"true"});
    };
    CHECK_FALSE(open_of({}).kept);
    for (const Strings& words :
         std::vector<Strings>{{"--detach"},
                              {"--run-id", "job-7"},
                              {"--soft-timeout", "2s"},
                              {"--on-disconnect=keep"},
                              {"--run-id", "a", "--detach", "--on-disconnect=keep"}}) {
        // Given on the command line, so the file's value for the target does not count.
        Strings line = words;
        line.insert(line.end(), {"local", "true"});
        CHECK(client(line)->settings.on_disconnect == frsh::OnDisconnect{Kind::Keep, 30s});
        const auto open = open_of(words);
        CHECK(open.kept);
        CHECK(open.on_disconnect == frsh::OnDisconnect{Kind::Keep, 30s});
    }
    CHECK(open_of({"--run-id", "job-7"}).run == "job-7");
    CHECK(open_of({"--detach"}).stdin_null);
    const auto graced = open_of({"--run-id", "job-7", "--on-disconnect=grace:5s"});
    CHECK(graced.kept);
    CHECK(graced.on_disconnect == frsh::OnDisconnect{Kind::Grace, 5s});
    CHECK(open_of({"--run-id", "job-7", "--on-disconnect=kill"}).on_disconnect.kind == Kind::Kill);
    const auto in_shell = open_of({"--shell", "work"});
    CHECK(in_shell.shell_name == "work");
    CHECK_FALSE(in_shell.kept);
    CHECK(in_shell.on_disconnect.kind == Kind::Kill);
}

TEST_CASE("options: called as ssh, kept runs are requested as usual") {
    int status = -1;
    const auto options = parse(parse_client, "ssh", {"--detach", "host", "x"}, status);
    REQUIRE(options);
    CHECK(frsh::on_disconnect_of(*options).kind == frsh::OnDisconnect::Kind::Keep);
    CHECK(parse(parse_client, "ssh", {"--attach", "x", "host"}, status));
}

TEST_CASE("options: requests about kept runs are parsed") {
    using Kind = frsh::KeptRequest::Kind;
    CHECK_FALSE(client({"host"})->request);
    CHECK(client({"--runs", "--json", "host"})->request->kind == Kind::List);
    const auto attach = client({"--attach", "k3v9", "host", "--from", "12,end", "--json"});
    REQUIRE(attach);
    CHECK(attach->request->kind == Kind::Attach);
    CHECK(attach->request->run == "k3v9");
    CHECK(attach->target == "host");
    const auto request = frsh::attach_for(*attach);
    CHECK(request.run == "k3v9");
    CHECK(request.out == 12U);
    CHECK_FALSE(request.err);
    CHECK(request.follow);
    const auto logs = frsh::attach_for(*client({"--logs", "k3v9", "host"}));
    CHECK(logs.out == 0U);
    CHECK(logs.err == 0U);
    CHECK_FALSE(logs.follow);
    const auto wait = frsh::attach_for(*client({"--wait", "k3v9", "host", "--status-fd", "2"}));
    CHECK_FALSE(wait.out);
    CHECK_FALSE(wait.err);
    CHECK(wait.follow);
    CHECK(client({"--kill", "k3v9", "host"})->signal.empty());
    CHECK(client({"--kill", "k3v9", "--signal", "sigusr1", "host"})->signal == "USR1");
    CHECK(client({"--forget", "k3v9", "host"})->request->kind == Kind::Forget);
}

TEST_CASE("options: --from gives the offsets of both streams") {
    const auto from = [](const char* text) { return frsh::parse_from(text); };
    CHECK(from("7")->out == 7U);
    CHECK(from("7")->err == 0U);
    CHECK(from("7,8")->err == 8U);
    CHECK_FALSE(from("end")->out);
    CHECK_FALSE(from("end")->err);
    CHECK_FALSE(from("end,3")->out);
    CHECK(from("end,3")->err == 3U);
    CHECK(from("9007199254740991")->out == 9007199254740991U);
    for (const char* const bad : {"", ",", "1,", ",1", "1,2,3", "-1", "x", "9007199254740992"})
        CHECK_FALSE(from(bad));
}

TEST_CASE("options: conflicts with a kept run or its requests are refused") {
    for (const Strings& words :
         std::vector<Strings>{{"--detach", "host"},
                              {"--run-id", "a", "host"},
                              {"--soft-timeout", "1s", "host"},
                              {"--shell", "a", "host"},
                              {"--run-id", ".a", "host", "x"},
                              {"--run-id", "", "host", "x"},
                              {"--run-id", "a/b", "host", "x"},
                              {"--shell", "a b", "host", "x"},
                              {"--soft-timeout", "x", "host", "x"},
                              {"--on-disconnect=kept", "host", "x"},
                              {"--on-disconnect=keep", "-t", "host", "x"},
                              {"--on-disconnect=keep", "--batch", "host"},
                              {"--detach", "--batch", "host"},
                              {"--detach", "-t", "host", "x"},
                              {"--detach", "--json", "host", "x"},
                              {"--detach", "--soft-timeout", "1", "host", "x"},
                              {"--detach", "--on-disconnect=kill", "host", "x"},
                              {"--detach", "--on-disconnect=grace:1s", "host", "x"},
                              {"--detach", "--shell", "a", "host", "x"},
                              {"--soft-timeout", "1", "--on-disconnect=kill", "host", "x"},
                              {"--soft-timeout", "1", "-tt", "host", "x"},
                              {"--run-id", "a", "-t", "host", "x"},
                              {"--run-id", "a", "--shell", "b", "host", "x"},
                              {"--shell", "a", "--argv", "host", "x"},
                              {"--shell", "a", "-t", "host", "x"},
                              {"--shell", "a", "-s", "host", "sftp"},
                              {"--shell", "a", "--on-disconnect=keep", "host", "x"},
                              {"--runs", "--attach", "a", "host"},
                              {"--kill", "a", "--forget", "a", "host"},
                              {"--attach", "a", "--attach", "b", "host"},
                              {"--attach", "", "host"},
                              {"--attach", "-a", "host"},
                              {"--attach", "a", "host", "x"},
                              {"--attach", "a", "-t", "host"},
                              {"--attach", "a", "--detach", "host"},
                              {"--attach", "a", "--from", "x", "host"},
                              {"--attach", "a", "--env", "A=1", "host"},
                              {"--attach", "a", "--timeout", "1", "host"},
                              {"--wait", "a", "--from", "1", "host"},
                              {"--from", "1", "host", "x"},
                              {"--runs", "--batch", "host"},
                              {"--runs", "--status-fd", "2", "host"},
                              {"--kill", "a", "--json", "host"},
                              {"--kill", "a", "--signal", "NONE", "host"},
                              {"--attach", "a", "--signal", "INT", "host"},
                              {"--signal", "INT", "host", "x"},
                              {"--forget", "a", "--on-disconnect=keep", "host"}}) {
        std::string line;
        for (const std::string& word : words)
            line += word + " ";
        CAPTURE(line);
        CHECK_FALSE(client(words));
    }
}

TEST_CASE("options: a NUL in a command or argument is refused") {
    auto options = client({"host"});
    REQUIRE(options);
    const std::string with_nul("a\0b", 3);
    CHECK_THROWS_AS((void)frsh::open_for(*options, {with_nul}), frsh::UserError);
    options->argv = true;
    CHECK_THROWS_AS((void)frsh::open_for(*options, {"true", with_nul}), frsh::UserError);
}

TEST_CASE("options: --listen and --unix set where a server listens") {
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

TEST_CASE("options: an invalid command line of the server is refused") {
    for (const Strings& words : std::vector<Strings>{{"--stdio", "--unix"},
                                                     {"--stdio", "--listen", "1", "--plaintext"},
                                                     {"--listen"},
                                                     {"word"},
                                                     {"--no-such-option"}}) {
        CHECK_FALSE(server(words));
    }
}
