// Ten questions on a capture of one's own, and their answers for the instructor.
#include "client/demo/sheets/sheets.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace frsh::demo {
namespace {

struct CaptureQuestion {
    Text question;
    const char* filter;
    Text answer;
};

const std::vector<CaptureQuestion>& capture_questions() {
    static const std::vector<CaptureQuestion> all = {
        {{"Which three packets begin the connection, and which side sends each?",
          "哪三个报文开始连接？各由谁发？"},
         "tcp.flags.syn == 1 || tcp.seq == 1",
         {"SYN and ACK from the client, SYN+ACK from the server.",
          "SYN 和 ACK 由客户端发，SYN+ACK 由服务器发。"}},
        {{"Which ports are used? Which of them did the kernel pick?",
          "用了哪两个端口？哪个是内核挑的？"},
         "tcp.flags.syn == 1",
         {"The client's, from ip_local_port_range; the server's too, since --listen said :0.",
          "客户端的，来自 ip_local_port_range；因为 --listen 写了 :0，服务器的也是。"}},
        {{"How many bytes does the first packet with data carry?",
          "第一个带数据的报文带了多少字节？"},
         "tcp.len > 0",
         {"tcp.len: the four bytes of length, the header and what else was sent with it.",
          "看 tcp.len：四个长度字节、报头，以及一起发出的其余字节。"}},
        {{"Find the four bytes of length. Which number do they spell?",
          "找到四个长度字节，是多少？"},
         "frsh",
         {"The first four bytes of the data, most significant first.",
          "数据的前四个字节，高位在前。"}},
        {{"Is there a segment with several frames in it?", "有没有一个报文段里有好几帧？"},
         "frsh",
         {"Yes: hello and open share the client's first segment, and end shares one with eof.",
          "有：hello 和 open 在客户端的第一段里，end 也和 eof 在一起。"}},
        {{"Is there a frame in several segments? Run seq 1 20000 for it.",
          "有没有一帧跨了好几段？用 seq 1 20000 来看。"},
         "tcp.segments",
         {"Yes: a data frame of up to 64 KiB is cut where a segment or the window is full.",
          "有：data 帧可达 64 KiB，报文段或窗口一满，就在那里切开。"}},
        {{"Which ACK acknowledges the last byte of the output?",
          "哪个 ACK 确认了输出的最后一个字节？"},
         "tcp.ack",
         {"The first one from the client whose number is behind that byte's sequence number.",
          "客户端发的、确认号第一个越过那个字节的 ACK。"}},
        {{"Where is the exit code of the command?", "命令的退出码在哪里？"},
         "frsh.type == \"end\"",
         {"In the header of the end frame, outcome.code.", "在 end 帧的报头里，outcome.code。"}},
        {{"Which side sends the first FIN? Which side is then in TIME_WAIT?",
          "谁先发 FIN？然后谁停在 TIME_WAIT？"},
         "tcp.flags.fin == 1",
         {"The sender of the first FIN stays in TIME_WAIT (ss -tan shows it).",
          "先发 FIN 的一方停在 TIME_WAIT（用 ss -tan 看）。"}},
        {{"How many packets closed the connection: three or four?",
          "关闭用了几个报文，三个还是四个？"},
         "tcp.flags.fin == 1",
         {"Three if ACK and the second FIN share one, otherwise four.",
          "ACK 和第二个 FIN 合在一起就是三个，否则四个。"}}};
    return all;
}

}  // namespace

void sheet_wireshark(Story& story) {
    story.heading({"Capture", "抓包"});
    story.say(
        {"Start a server for yourself and note its port. Capture on loopback in a second "
         "terminal (this needs the right to capture), and run the command in a third:",
         "启动一个只给自己用的服务器，记下端口。在第二个终端里抓回环接口（需要抓包权限），"
         "在第三个终端里执行命令："});
    story.tell(Code{"capture",
                    {"three terminals", "三个终端"},
                    "frshd --listen 127.0.0.1:0 --plaintext\n"
                    "tshark -i lo -f 'tcp port PORT' -w mine.pcap\n"
                    "frsh --plaintext 127.0.0.1:PORT 'seq 1 20000; exit 3'\n"
                    "wireshark -X lua_script:scripts/frsh.lua mine.pcap\n"});
    story.heading({"Ten questions", "十个问题"});
    int number = 0;
    for (const CaptureQuestion& one : capture_questions()) {
        const std::string before = std::to_string(++number) + ". ";
        const std::string filter = std::string("  [") + one.filter + "]";
        Text text{before, before};
        text.en.append(one.question.en).append(filter);
        text.zh.append(one.question.zh).append(filter);
        story.say(text);
    }
    story.claim(capture_questions().size() == 10,
                {"Ten questions, each with a display filter. The answers are in frsh-demo teach.",
                 "十个问题，各带一个显示过滤器；答案在 frsh-demo teach 里。"});
}

void wireshark_answers(Story& story) {
    Table table;
    table.head = {{"question", "问题"}, {"answer", "答案"}};
    int number = 0;
    for (const CaptureQuestion& one : capture_questions())
        table.rows.push_back({plain(std::to_string(++number)), one.answer});
    story.tell(table);
}

}  // namespace frsh::demo
