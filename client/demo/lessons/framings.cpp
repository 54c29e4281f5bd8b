// Lesson 10: the same four messages in eight framings, each cut at every place.
#include "client/demo/lessons/framing_kinds.hpp"
#include "client/demo/lessons/lessons.hpp"
#include "client/demo/stage/actor.hpp"
#include "client/demo/stage/kernel_view.hpp"
#include "common/base/error.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace frsh::demo {
namespace {

using Messages = std::vector<std::string>;

// A plain one, one with a newline, an empty one, and one that ends in a zero byte.
const Messages& the_four() {
    static const Messages four = {"echo one", "printf 'a\nb'", "", std::string("raw\\\0", 5)};
    return four;
}

std::size_t data_bytes() {
    std::size_t sum = 0;
    for (const std::string& message : the_four())
        sum += message.size();
    return sum;
}

// Moves bytes from one end to the other, and returns what one recv takes.
std::string through(const Connection& connection, std::string_view bytes) {
    if (bytes.empty()) return {};
    check(::send(connection.client.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), "send");
    wait_queued(connection.server.get(), bytes.size());
    std::string buffer(bytes.size(), '\0');
    const ssize_t got =
        check(::recv(connection.server.get(), buffer.data(), buffer.size(), 0), "recv");
    buffer.resize(static_cast<std::size_t>(got));
    return buffer;
}

// Sends the stream in two parts, cut at `cut`, and returns the messages that come out.
Messages decode_cut(const FramingKind& kind, const Connection& connection, std::string_view stream,
                    std::size_t cut) {
    std::string waiting;
    Messages messages;
    std::string message;
    for (const std::string_view part : {stream.substr(0, cut), stream.substr(cut)}) {
        waiting += through(connection, part);
        while (kind.decode(waiting, message))
            messages.push_back(message);
    }
    return messages;
}

struct CutResult {
    std::size_t bytes = 0;
    std::size_t cuts = 0;
    std::size_t same = 0;     // Cuts after which the same messages came out as without a cut.
    std::size_t correct = 0;  // How many of the four came out right, at the worst cut.
};

CutResult try_every_cut(const FramingKind& kind) {
    std::string stream;
    for (const std::string& message : the_four())
        stream += encoded(kind, message);
    const Connection connection = quiet_connection();
    const int on = 1;
    ::setsockopt(connection.client.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    CutResult tried{stream.size(), 0, 0, the_four().size()};
    const Messages uncut = decode_cut(kind, connection, stream, stream.size());
    for (std::size_t cut = 1; cut < stream.size(); ++cut) {
        const Messages got = decode_cut(kind, connection, stream, cut);
        std::size_t correct = 0;
        for (std::size_t i = 0; i < std::min(got.size(), the_four().size()); ++i)
            correct += got[i] == the_four()[i] ? 1 : 0;
        ++tried.cuts;
        tried.same += got == uncut ? 1 : 0;
        tried.correct = std::min(tried.correct, correct);
    }
    return tried;
}

// Takes each recv for a message, as the textbooks do. Returns how many cuts gave the right
// messages.
std::size_t each_recv_is_a_message(std::size_t& cuts) {
    std::string stream;
    for (const std::string& message : the_four())
        stream += message;
    const Connection connection = quiet_connection();
    std::size_t right = 0;
    for (cuts = 0; cuts + 1 < stream.size(); ++cuts) {
        const std::string_view all = stream;
        const Messages got = {through(connection, all.substr(0, cuts + 1)),
                              through(connection, all.substr(cuts + 1))};
        right += got == the_four() ? 1 : 0;
    }
    return right;
}

struct Closing {
    std::size_t correct = 0;
    std::size_t packets = 0;
};

// Sends each message on a connection of its own and reads until 0.
Closing one_connection_each() {
    Closing result;
    for (const std::string& message : the_four()) {
        Connection connection = quiet_connection();
        std::string got;
        for (const char& byte : message)
            got += through(connection, {&byte, 1});
        ::shutdown(connection.client.get(), SHUT_WR);
        char extra = 0;
        const ssize_t end = ::recv(connection.server.get(), &extra, 1, 0);
        ::shutdown(connection.server.get(), SHUT_WR);
        static_cast<void>(::recv(connection.client.get(), &extra, 1, 0));
        result.correct += end == 0 && got == message ? 1 : 0;
        const TcpView view = tcp_view(connection.client.get());
        result.packets += view.segments_out + view.segments_in;
    }
    return result;
}

void no_framing(Story& story) {
    story.heading({"Without any: a recv is a message", "没有边界：一次 recv 当一条消息"});
    story.say({"Four messages of {0} bytes: a plain one, one with a newline, an empty one, and one "
               "that ends in a zero byte. Each framing sends these four; the stream is cut at "
               "every place, on a real connection.",
               "四条消息，共 {0} 个字节：一条普通的，一条带换行，一条空的，一条以零字节结尾。"
               "每种成帧方式都发这四条；在真实的连接上，把流在每一个位置切开。"},
              data_bytes());
    std::size_t cuts = 0;
    const std::size_t right = each_recv_is_a_message(cuts);
    story.claim(cuts == data_bytes() - 1 && right == 0,
                {"Bytes added: 0. Of {0} places to cut, {1} gave the four messages.",
                 "附加 0 个字节。{0} 个切口里，能得到那四条消息的有 {1} 个。"},
                cuts, right);
}

void show_one(Story& story) {
    story.heading({"One message, as each framing sends it", "同一条消息，每种方式怎样发"});
    story.ask(
        {"Which of these adds the fewest bytes?", "其中哪一种附加的字节最少？"},
        {{"newline with escape", "换行加转义"},
         {"four bytes of length", "四个字节的长度"},
         plain("HTTP Content-Length")},
        0,
        {"A newline costs a byte a message, and one more for each escape. In return each byte "
         "of the data is inspected.",
         "每条消息一个换行，每处转义再多一个字节；代价是数据里的每个字节都要检查。"});
    for (const FramingKind& kind : framing_kinds()) {
        const std::string bytes = encoded(kind, the_four()[0]);
        story.tell(
            Ribbon{kind.name, kind.encode(the_four()[0]), {{{"message", "消息"}, bytes.size()}}});
    }
}

void compare(Story& story) {
    story.heading({"Bytes added, and every cut", "附加的字节，以及每一个切口"});
    story.ask(
        {"One of the seven loses a byte, whatever the cut. Which?",
         "七种里有一种不管怎么切都会丢一个字节，是哪一种？"},
        {{"fixed size", "定长"}, {"type, length, value", "类型、长度、值"}, plain("WebSocket")}, 0,
        {"The zeros that fill it up look like the zero that belongs to the message.",
         "补上去的零，和消息自己的零分不出来。"});
    Table table;
    table.head = {{"framing", "方式"},
                  {"added", "附加"},
                  {"cuts", "切口"},
                  {"right", "正确"},
                  {"price", "代价"}};
    std::vector<CutResult> all;
    for (const FramingKind& kind : framing_kinds()) {
        const CutResult tried = try_every_cut(kind);
        all.push_back(tried);
        const long added = static_cast<long>(tried.bytes) - static_cast<long>(data_bytes());
        table.rows.push_back({kind.name, plain(std::to_string(added)),
                              plain(std::to_string(tried.same) + "/" + std::to_string(tried.cuts)),
                              plain(std::to_string(tried.correct) + "/4"), kind.price});
    }
    story.tell(table);
    const bool survive = std::all_of(all.begin(), all.end(),
                                     [](const CutResult& one) { return one.same == one.cuts; });
    const bool rest = std::all_of(all.begin() + 1, all.end(),
                                  [](const CutResult& one) { return one.correct == 4; });
    story.claim(survive,
                {"Each of the seven gave the same messages at every cut: a decoder that keeps what "
                 "it has and waits for the rest survives any cut.",
                 "七种方式在每一个切口都得到同样的消息：留住已有的、等待其余的，就不怕任何切法。"});
    story.claim(rest && all[0].correct == 3,
                {"Six gave all four messages. Fixed size gave {0}: the zero at the end of the last "
                 "one was taken for filling.",
                 "六种得到全部四条。定长只得到 {0} 条：最后一条末尾的零被当成了补零。"},
                all[0].correct);
    story.claim(all[1].bytes < all[3].bytes && all[3].bytes < all[2].bytes &&
                    all[2].bytes < all[6].bytes && all[6].bytes < all[0].bytes &&
                    all[0].bytes < all[4].bytes && all[4].bytes < all[5].bytes,
                {"From cheap to dear: newline, TLV, length, WebSocket, fixed size, Content-Length, "
                 "chunked. A header of text costs more than these short messages.",
                 "从省到费：换行、TLV、长度、WebSocket、定长、Content-Length、chunked。"
                 "文本报头比这些短消息本身还大。"});
}

void closing(Story& story) {
    story.heading({"Close as the end", "用关闭连接表示结束"});
    const Closing closing = one_connection_each();
    story.claim(closing.correct == the_four().size() && closing.packets > 4 * 7,
                {"No byte was added and all four came out, one byte at a time. But each message "
                 "needed a connection: {0} packets for {1} bytes.",
                 "没有附加一个字节，一次一个字节也全都完整。但每条消息要一个连接："
                 "{1} 个字节用了 {0} 个报文。"},
                closing.packets, data_bytes());
    Actor client(story, Side::Client);
    Actor server(story, Side::Server);
    Connection connection = quiet_connection();
    client.send(connection.client, "rm -r /tmp/a", 0,
                {"of \"rm -r /tmp/abc\"", "原本要发 rm -r /tmp/abc"});
    client.close(connection.client, {"the sender crashes", "发送方崩溃"});
    const Received part = server.recv(connection.server, 1024);
    const Received end = server.recv(connection.server, 1024);
    story.claim(part.bytes == "rm -r /tmp/a" && end.bytes.empty() && end.error == 0,
                {"A sender that dies in the middle closes too: half a message looks like a whole "
                 "one. HTTP/1.0 has this flaw; a length shows that something is missing.",
                 "发送方中途死掉也会关闭：半条消息看起来像完整的。HTTP/1.0 就有这个毛病；"
                 "有长度才看得出少了。"});
}

}  // namespace

void lesson_framings(Story& story, unsigned) {
    no_framing(story);
    show_one(story);
    compare(story);
    closing(story);
    story.source("frame-append", {"frsh: four bytes of length, a header as JSON, then the data.",
                                  "frsh：四个字节的长度，JSON 报头，然后是数据。"});
    story.source("frame-judge", {"A length is judged before its bytes are waited for.",
                                 "先判断长度是否合理，再等它的字节。"});
}

}  // namespace frsh::demo
