// Lesson 4: the classic remote shell with one recv for each answer, and its two ways to go wrong.
#include "client/demo/lessons/lessons.hpp"
#include "client/demo/lessons/naive_shell.hpp"
#include "client/demo/stage/kernel_view.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include <sys/socket.h>

namespace frsh::demo {
namespace {

constexpr std::size_t kBuffer = 64;  // Small, so that a ribbon shows each byte.
constexpr const char* kLongCommand = "seq 1 50";

void answers_stick(Story& story) {
    story.heading({"The second answer begins with the first one's tail",
                   "第二条命令的结果，以第一条的尾巴开头"});
    story.say(
        {"The program of every first course: the client sends a command and calls recv(1024) "
         "once for the answer; the server calls recv(1024) once for the command, runs it and "
         "sends what it printed. It works as long as answers are short. Here the client reads "
         "64 bytes instead of 1024, so that each byte can be drawn.",
         "这是每门网络编程课的第一个程序：客户端发一条命令，然后 recv(1024) 一次取结果；"
         "服务器 recv(1024) 一次取命令，执行，把输出发回去。只要结果短，它就“能用”。"
         "这里客户端每次只读 64 字节而不是 1024，好让每个字节都画得出来。"});
    story.ask({"The first answer has more than 64 bytes; the client reads 64. What does it "
               "take for the second answer?",
               "第一条结果超过 64 字节，客户端只读 64。它会把什么当成第二条结果？"},
              {{"hello", "hello"},
               {"the rest of the first", "第一条剩下的部分"},
               {"nothing", "什么都没有"}},
              1,
              {"The rest waits in the kernel, in front of hello.",
               "剩下的还在内核里，排在 hello 前面。"});
    Actor client(story, Side::Client);
    Actor server(story, Side::Server);
    const Connection connection = quiet_connection();
    const std::size_t long_answer = run_command(kLongCommand).output.size();

    client.send(connection.client, kLongCommand);
    const Turn first = serve_once(server, connection.server);
    wait_queued(connection.client.get(), long_answer);
    const Received first_answer = client.recv(connection.client, kBuffer);

    client.send(connection.client, "echo hello");
    const Turn second = serve_once(server, connection.server);
    const std::size_t left = long_answer - first_answer.bytes.size();
    wait_queued(connection.client.get(), left + second.ran.output.size());
    const Received second_answer = client.recv(connection.client, kBuffer);

    const std::string stream = first.ran.output + second.ran.output;
    const std::size_t waiting =
        stream.size() - first_answer.bytes.size() - second_answer.bytes.size();
    story.tell(Ribbon{{"Both answers in the stream, and what the client took for which",
                       "两条结果在字节流里的样子，以及客户端各当成了什么"},
                      {{{"answer 1", "结果 1"}, first.ran.output, 0},
                       {{"answer 2", "结果 2"}, second.ran.output, 1}},
                      {{plain("recv 1"), first_answer.bytes.size()},
                       {plain("recv 2"), second_answer.bytes.size()},
                       {{"left", "剩余"}, waiting, Take::Kind::Waiting}}});
    story.claim(
        first_answer.bytes.size() == kBuffer && long_answer > kBuffer,
        {"\"seq 1 50\" printed {0} bytes; the client took {1} of them for the whole answer.",
         "seq 1 50 输出了 {0} 字节；客户端只取了 {1} 字节，就以为这是全部结果。"},
        long_answer, first_answer.bytes.size());
    const std::string tail = first.ran.output.substr(kBuffer, 24);
    story.claim(
        second_answer.bytes.rfind(tail, 0) == 0 &&
            second_answer.bytes.find("hello") == std::string::npos,
        {"The \"answer\" to echo hello begins with {0}, the tail of seq's, and has no hello in "
         "it.",
         "echo hello 的“结果”以 {0} 开头，那是 seq 的尾巴，里面根本没有 hello。"},
        demo::quoted(tail, 12));
}

// Returns what one recv(2) gave for each of five commands. A paced client reads after the server
// has answered; a hasty client reads as soon as one byte has arrived.
enum class Pace { Paced, Hasty };
std::vector<std::string> take_five_answers(Pace pace) {
    const Connection connection = quiet_connection();
    const std::array<std::string, 5> commands = {kLongCommand, "echo two", "echo three",
                                                 "echo four", "echo five"};
    std::vector<std::string> answers;
    const auto receive = [&] {
        std::string buffer(kBuffer, '\0');
        const ssize_t got = ::recv(connection.client.get(), buffer.data(), buffer.size(), 0);
        answers.push_back(buffer.substr(0, got > 0 ? static_cast<std::size_t>(got) : 0));
    };
    for (std::size_t i = 0; i < commands.size(); ++i) {
        const std::string output = run_command(commands[i]).output;
        const std::size_t before = queued(connection.client.get());
        const bool reads_first = pace == Pace::Hasty && before > 0;
        if (reads_first) receive();
        static_cast<void>(
            ::send(connection.server.get(), output.data(), output.size(), MSG_NOSIGNAL));
        wait_queued(connection.client.get(), output.size() + (reads_first ? 0 : before));
        if (!reads_first) receive();
    }
    return answers;
}

std::string end_of(const std::string& answer) {
    return answer.empty()
               ? ""
               : demo::quoted(
                     answer.substr(answer.size() - std::min<std::size_t>(answer.size(), 6)), 14);
}

void later_answers(Story& story) {
    story.heading({"And the commands after that? It depends on timing", "后面的命令呢？全看时机"});
    const std::vector<std::string> paced = take_five_answers(Pace::Paced);
    const std::vector<std::string> hasty = take_five_answers(Pace::Hasty);
    Table table;
    table.head = {{"command", "命令"},
                  {"reads late: recv ends with", "晚读：recv 的结尾"},
                  {"reads at once: recv ends with", "立刻读：recv 的结尾"}};
    const std::array<const char*, 3> commands = {"echo three", "echo four", "echo five"};
    for (std::size_t i = 0; i < commands.size(); ++i) {
        table.rows.push_back(
            {plain(commands[i]), plain(end_of(paced[i + 2])), plain(end_of(hasty[i + 2]))});
    }
    story.tell(table);
    story.claim(
        paced[3] == "four\n" && paced[4] == "five\n" && paced[2].find("two\n") != std::string::npos,
        {"A client that reads late gets two answers at once for the third command, and is "
         "in step again from the fourth: by luck.",
         "晚读的客户端在第三条命令处一次拿到两条结果，从第四条起又对上了：纯属运气。"});
    story.claim(
        hasty[3] == "three\n" && hasty[4] == "four\n",
        {"A client that reads at once stays one answer behind: the fourth command shows the "
         "third one's answer. The same program is right or wrong by timing alone.",
         "立刻读的客户端一直错后一条：第四条命令显示的是第三条的结果。"
         "同一个程序，对错全凭时机。"});
}

void commands_stick(Story& story) {
    story.heading({"It happens to commands as well", "命令本身也会粘"});
    story.ask(
        {"Two commands are sent without a pause. What does the server run?",
         "两条命令连着发出，服务器会执行什么？"},
        {{"one, then the other", "先一条，再一条"},
         {"both joined, as one command", "连成一条命令"},
         {"only the first", "只有第一条"}},
        1,
        {"One recv is one command for this server.", "对这个服务器来说，一次 recv 就是一条命令。"});
    Actor client(story, Side::Client);
    Actor server(story, Side::Server);
    const Connection connection = quiet_connection();
    client.send(connection.client, "echo one");
    client.send(connection.client, "echo two");
    wait_queued(connection.server.get(), 16);
    const Turn turn = serve_once(server, connection.server);
    story.tell(Ribbon{{"Two commands, run as one", "两条命令，被当成一条执行"},
                      {{plain("send A"), "echo one", 0}, {plain("send B"), "echo two", 1}},
                      {{plain("recv 1"), turn.command.size()}}});
    story.claim(turn.command == "echo oneecho two" && turn.ran.output == "oneecho two\n",
                {"The server ran \"echo oneecho two\", a command that nobody sent.",
                 "服务器执行了 echo oneecho two，一条谁也没发过的命令。"});
}

void streams_joined(Story& story) {
    story.heading({"stdout, stderr and the exit code", "stdout、stderr 和退出码"});
    Actor client(story, Side::Client);
    Actor server(story, Side::Server);
    const Connection connection = quiet_connection();
    client.send(connection.client, "echo out; ls /no/such; exit 3");
    const Turn turn = serve_once(server, connection.server);
    const Received answer = client.recv(connection.client, 1024);
    story.claim(answer.bytes == turn.ran.output && answer.bytes.starts_with("out\n") &&
                    answer.bytes.find("/no/such") != std::string::npos && turn.ran.code == 3,
                {"stdout and stderr arrived as one: nothing tells which bytes are an error's. The "
                 "command ended with {0}, and no byte of the answer says so.",
                 "stdout 和 stderr 混在一起到达：看不出哪些字节是错误信息。"
                 "命令以 {0} 退出，而结果里没有一个字节说到它。"},
                turn.ran.code);
}

}  // namespace

void lesson_naive(Story& story, unsigned) {
    answers_stick(story);
    later_answers(story);
    commands_stick(story);
    streams_joined(story);
    story.heading({"Three cures that are none", "三种不是解法的“解法”"});
    story.say(
        {"A larger buffer: only moves the size at which it breaks. sleep() between sends: a "
         "guess about the other side's load, and slow. \"Read until nothing comes\": silence "
         "is not an end; a command may be thinking. What is missing is knowledge: how long is "
         "this message? Only the sender knows, so the sender must say it (lesson frame).",
         "加大缓冲区：只是把出错的长度往后挪。两次 send 之间 sleep 一下：是在猜对方忙不忙，还慢。"
         "“一直读到没有数据为止”：没有数据不等于结束，命令可能正在算。缺的是一个信息："
         "这条消息有多长？只有发送方知道，所以必须由发送方说出来（见 frame 一课）。"});
    story.source("frame-append",
                 {"How frsh says the length first.", "frsh 就是这样先把长度说出来。"});
    story.source("end-counts",
                 {"And at the end of a run, how many bytes there were of each stream, "
                  "with a checksum.",
                  "一条命令结束时，再报出每个流一共多少字节，外加校验和。"});
}

}  // namespace frsh::demo
