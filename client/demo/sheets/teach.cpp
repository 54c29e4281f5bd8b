// The instructor's sheet: for each lesson its aim, the minutes, and what learners believe before.
#include "client/demo/lessons/lessons.hpp"
#include "client/demo/sheets/sheets.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace frsh::demo {
namespace {

struct Guide {
    std::string_view lesson;
    int minutes;
    Text aim;
    Text misconception;
    Text answer;
};

const std::vector<Guide>& guides() {
    static const std::vector<Guide> all = {
        {"layers",
         20,
         {"Name what changes at a hop (MAC, TTL) and what stays (IP, port).",
          "说得出一跳之间什么变（MAC、TTL），什么不变（IP、端口）。"},
         {"\"The frame goes from my card to the server's card.\"",
          "“帧从我的网卡一直走到服务器的网卡。”"},
         {"A frame ends at the next router. Compare the MACs before and after it.",
          "帧到下一个路由器为止；比较路由器前后的 MAC。"}},
        {"flow",
         25,
         {"Order the calls of both sides, and say which packets each one causes.",
          "排出双方调用的顺序，并说出各自引出哪些报文。"},
         {"\"connect waits for accept.\"", "“connect 要等 accept。”"},
         {"The kernels shake hands alone. Show the queue before accept is called.",
          "握手由内核完成；给他们看 accept 之前的队列。"}},
        {"merge",
         15,
         {"Predict how many recvs three sends need, and give a reason.",
          "预测三次 send 要几次 recv，并说出理由。"},
         {"\"One send is one packet is one recv.\" \"It is Nagle's fault.\"",
          "“一次 send 就是一个报文，就是一次 recv。”“都怪 Nagle。”"},
         {"The three counts are independent. Nagle off: three packets, one recv.",
          "三个数互不相干。关掉 Nagle：三个报文，一次 recv。"}},
        {"split",
         15,
         {"Use what send and recv return, also for four bytes.",
          "会用 send 和 recv 的返回值，哪怕只有四个字节。"},
         {"\"recv(4) returns 4 bytes.\"", "“recv(4) 一定返回 4 个字节。”"},
         {"4 is a maximum. Exercise exactly makes them feel it.",
          "4 只是上限；练习 exactly 会让他们体会到。"}},
        {"naive",
         15,
         {"Find the fault of the textbooks' remote shell from its output.",
          "从输出看出课本里远程执行命令的毛病。"},
         {"\"It works on my machine.\"", "“在我机器上是好的。”"},
         {"Answers below 1024 bytes hide it. Let them choose the command.",
          "不到 1024 字节的结果看不出来；让学生自己挑命令。"}},
        {"empty",
         15,
         {"Tell an empty answer, the end and an error apart.", "分清空结果、结束和错误。"},
         {"\"recv's 0 is an empty message.\"", "“recv 返回 0 就是空消息。”"},
         {"0 is the end of the stream. A length of 0 is the empty message.",
          "0 是流的结束；长度写 0 才是空消息。"}},
        {"frame",
         25,
         {"Write a reader that survives every cut and refuses a hostile length.",
          "写出不怕任何切法、会拒绝恶意长度的接收方。"},
         {"\"The length solves all.\"", "“有了长度就万事大吉。”"},
         {"A length from the peer is input. Judge it before you wait or allocate.",
          "对方给的长度也是输入；先检查，再等待、再分配。"}},
        {"udp",
         20,
         {"Say what UDP keeps and what it may lose.", "说得出 UDP 保留什么、会丢什么。"},
         {"\"UDP does not stick, so it is the cure.\"", "“UDP 不粘包，所以用它就行。”"},
         {"It cuts and drops without a report. Exercise udp has to repair that.",
          "它会悄悄截断、悄悄丢；练习 udp 就是补救。"}},
        {"server",
         30,
         {"Choose between one at a time, fork, threads and epoll by measured cost.",
          "按测得的代价，在逐个服务、fork、线程、epoll 之间选择。"},
         {"\"Threads are always faster.\" \"A crash ends one client.\"",
          "“线程总是更快。”“崩溃只影响一个客户。”"},
         {"Read the table together: memory, latency, and the crash.",
          "一起读那张表：内存、延迟、崩溃。"}},
        {"cures",
         15,
         {"Refute four popular cures with one experiment each.", "用四个实验各推翻一种偏方。"},
         {"\"A short sleep is enough in practice.\"", "“实践中 sleep 一下就够了。”"},
         {"The reader may be busy for longer. Let a learner name the longest pause.",
          "接收方可能忙得更久；让学生说出最长要停多久。"}},
        {"framings",
         20,
         {"Compare framings by bytes added, by what they carry, and at every cut.",
          "从附加字节、能带什么、耐不耐切三方面比较成帧方式。"},
         {"\"Text protocols need no length.\"", "“文本协议不需要长度。”"},
         {"HTTP has Content-Length or chunks for that. Show the browser's request.",
          "HTTP 靠 Content-Length 或 chunked；给他们看浏览器的请求。"}}};
    return all;
}

const std::vector<std::vector<Text>>& exercise_rows() {
    static const std::vector<std::vector<Text>> rows = {
        {plain("1 printf"),
         {"printf '\\0\\0\\0\\15hello, 世界' >/dev/tcp/…; 13 bytes, 9 characters; one redirection "
          "is "
          "one connection",
          "printf '\\0\\0\\0\\15hello, 世界' >/dev/tcp/…；13 个字节，9 个字符；"
          "一次重定向就是一条连接"}},
        {plain("2 hunt"),
         {"<I for >I; recv where exactly is needed, twice; an empty message is no end",
          "<I 应为 >I；两处 recv 都要用 exactly；空消息不是结束"}},
        {plain("3 exactly"),
         {"a loop that asks for no more than is missing; an empty piece raises EOFError",
          "循环，只要还缺的那么多；收到空就抛 EOFError"}},
        {plain("4 echo"),
         {"exactly(4), exactly(size), sendall; a server that sends bytes back as they come is "
          "refused",
          "exactly(4)、exactly(size)、sendall；来什么字节就返回什么的服务器不算对"}},
        {plain("5 empty"),
         {"a length of 0 is a message; the end is not, also in the middle of a frame",
          "长度为 0 是消息；结束不是，在一帧中间也不是"}},
        {plain("6 hostile"),
         {"judge the length before reading; close; go on", "先检查长度再读；关闭；继续服务"}},
        {plain("7 file"),
         {"length, JSON dict, then size bytes and no more; refuse a name before storing",
          "长度、JSON 字典、再是 size 个字节，不多读；先检查名字再存"}},
        {plain("8 two"),
         {"a thread, a process, or selectors with a buffer for what a client does not read yet",
          "线程、进程，或 selectors 加上缓冲（客户还没读走的）"}},
        {plain("9 udp"),
         {"a number in each datagram; send again until this very number comes back",
          "每个数据报带编号；一直重发到这个编号回来为止"}},
        {plain("10 client"),
         {"hello, open, then read frames until end; credit, end_ack; compare count, checksum, eof",
          "hello、open，然后读帧直到 end；credit、end_ack；比较字节数、校验和、eof"}}};
    return rows;
}

}  // namespace

void sheet_teach(Story& story) {
    std::size_t shown = 0;
    int minutes = 0;
    for (const Lesson& lesson : lessons()) {
        const auto guide = std::find_if(guides().begin(), guides().end(), [&](const Guide& one) {
            return one.lesson == lesson.name;
        });
        if (guide == guides().end()) continue;
        ++shown;
        minutes += guide->minutes;
        story.heading(
            {std::string(lesson.name) + ": " + std::to_string(guide->minutes) + " minutes",
             std::string(lesson.name) + "：" + std::to_string(guide->minutes) + " 分钟"});
        story.tell(Table{{{"what", "项目"}, lesson.title},
                         {{{"aim", "目标"}, guide->aim},
                          {{"learners believe", "学生以为"}, guide->misconception},
                          {{"answer", "回答"}, guide->answer}}});
    }
    story.heading(
        {"The ladder of exercises: what a right answer does", "练习阶梯：正确答案做什么"});
    story.tell(Table{{{"exercise", "练习"}, {"answer", "答案"}}, exercise_rows()});
    story.heading({"Answers to the Wireshark sheet", "Wireshark 练习的答案"});
    wireshark_answers(story);
    story.heading({"Complete", "是否齐全"});
    story.claim(shown == lessons().size(),
                {"Each of the {0} lessons has its row; together they take {1} minutes.",
                 "{0} 课都有说明，合计 {1} 分钟。"},
                shown, minutes);
    story.claim(exercise_rows().size() == 10,
                {"All ten exercises have an answer.", "十个练习都有答案。"});
}

}  // namespace frsh::demo
