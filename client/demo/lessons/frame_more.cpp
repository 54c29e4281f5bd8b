// More of lesson frame: the order of the four bytes, and a file with a dict as its header.
#include "client/demo/lessons/lessons.hpp"
#include "client/demo/stage/actor.hpp"
#include "client/demo/stage/kernel_view.hpp"
#include "common/base/error.hpp"
#include "common/proto/frame.hpp"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>

#include <arpa/inet.h>
#include <sys/socket.h>

namespace frsh::demo {
namespace {

std::string in_hex(std::uint32_t number) {
    unsigned char bytes[sizeof number];
    std::memcpy(bytes, &number, sizeof number);
    char text[12];
    std::snprintf(text, sizeof text, "%02x %02x %02x %02x", bytes[0], bytes[1], bytes[2], bytes[3]);
    return text;
}

// Two folders of files. The destructor removes them.
class Folders {
  public:
    Folders() {
        path_ = (std::filesystem::temp_directory_path() / "frsh-demo-XXXXXX").string();
        if (::mkdtemp(path_.data()) == nullptr) throw SysError("mkdtemp");
        std::filesystem::create_directories(path_ + "/sender");
        std::filesystem::create_directories(path_ + "/receiver");
    }
    ~Folders() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    Folders(const Folders&) = delete;
    Folders& operator=(const Folders&) = delete;

    void write(const std::string& name, std::string_view content) const {
        std::ofstream(path_ + "/" + name, std::ios::binary) << content;
    }
    [[nodiscard]] std::string read(const std::string& name) const {
        std::ostringstream content;
        content << std::ifstream(path_ + "/" + name, std::ios::binary).rdbuf();
        return content.str();
    }

  private:
    std::string path_;
};

bool leaves_folder(const std::string& name) {
    return name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos;
}

std::string packed(const std::string& name, std::string_view content) {
    JsonObject header;
    header.add_text("name", name);
    header.add_whole("len", content.size());
    std::string frame;
    append_frame(frame, header.dump(), content);
    return frame;
}

}  // namespace

void frame_byte_order(Story& story) {
    story.heading({"Four bytes, in which order?", "四个字节，按什么顺序？"});
    story.ask({"On a PC, what does struct.pack('i', 23) make?",
               "在 PC 上，struct.pack('i', 23) 得到什么？"},
              {plain("00 00 00 17"), plain("17 00 00 00"), plain("32 33")}, 1,
              {"'i' is the machine's own order, and most machines put the least byte first.",
               "'i' 用本机字节序，而多数机器低位在前。"});
    const std::uint32_t size = 23;
    const std::string here = in_hex(size);
    const std::string network = in_hex(htonl(size));
    story.tell(
        Table{{{"in Python", "Python 里"}, {"bytes", "字节"}, {"read as '>I'", "按 '>I' 读"}},
              {{plain("struct.pack('i', 23)"), plain(here), plain(std::to_string(ntohl(size)))},
               {plain("struct.pack('>I', 23)"), plain(network), plain("23")}}});
    story.claim(network == "00 00 00 17" && ntohl(htonl(size)) == size,
                {"In the order of the network 23 is {0} on every machine; this machine's own order "
                 "is {1}. 'i' has a sign, too: a length of ff ff ff ff would be -1.",
                 "网络字节序里，23 在任何机器上都是 {0}；这台机器自己的顺序是 {1}。"
                 "'i' 还带符号：ff ff ff ff 这样的长度会变成 -1。"},
                network, here);
}

void frame_file(Story& story) {
    story.heading({"A file: a dict as header, then the content", "传文件：先是字典报头，再是内容"});
    const Folders folders;
    folders.write("sender/a.txt", "two\nlines\n");
    const std::string content = folders.read("sender/a.txt");
    const std::string first = packed("a.txt", content);
    const std::string stream = first + packed("../b.txt", "gotcha");
    Actor client(story, Side::Client);
    const Connection connection = quiet_connection();
    client.send(connection.client, stream, 0, {"two files, glued", "两个文件，粘在一起"});
    wait_queued(connection.server.get(), stream.size());
    FrameDecoder decoder;
    std::string stored;
    std::string refused;
    for (std::size_t taken = 0; taken < stream.size();) {
        char part[7];
        const ssize_t got = ::recv(connection.server.get(), part, sizeof part, 0);
        if (got <= 0) break;
        taken += static_cast<std::size_t>(got);
        decoder.feed({part, static_cast<std::size_t>(got)});
        while (const auto frame = decoder.next()) {
            const std::string name = frame->header.text("name", 255);
            if (leaves_folder(name)) {
                refused = name;
                continue;
            }
            folders.write("receiver/" + name, frame->payload);
            stored = name;
        }
    }
    story.tell(Ribbon{{"The first file: length, dict, content", "第一个文件：长度、字典、内容"},
                      {{{"length", "长度"}, first.substr(0, 4), 4},
                       {{"header", "报头"}, first.substr(4, first.size() - 4 - content.size()), 1},
                       {{"content", "内容"}, content, 2}},
                      {{{"file", "文件"}, first.size()}}});
    story.claim(stored == "a.txt" && folders.read("receiver/a.txt") == content,
                {"Read 7 bytes at a time, the file was stored as {0}, with the same {1} bytes. "
                 "subprocess's output is sent the same way: its size is in the header.",
                 "一次只读 7 个字节，文件存成了 {0}，{1} 个字节完全一样。"
                 "subprocess 的输出也这样发：大小写在报头里。"},
                stored, content.size());
    story.claim(refused == "../b.txt" && folders.read("b.txt").empty(),
                {"The second one calls itself {0}. A name from the peer is input like a length: it "
                 "was judged first, and nothing was stored outside the folder.",
                 "第二个自称 {0}。对方给的名字和长度一样是输入：先检查，目录之外什么也没存。"},
                refused);
}

}  // namespace frsh::demo
