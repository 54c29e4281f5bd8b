// Lesson layers: one datagram through a router, frame by frame.
#include "client/demo/lessons/layers_kept.hpp"
#include "client/demo/lessons/lessons.hpp"
#include "client/demo/stage/actor.hpp"
#include "client/demo/stage/kernel_view.hpp"
#include "client/demo/stage/small_network.hpp"
#include "common/base/error.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <sys/socket.h>

namespace frsh::demo {
namespace {

constexpr std::size_t kEthernetSize = 14;
constexpr std::size_t kIpSize = 20;
constexpr std::size_t kUdpSize = 8;

// The fields of a captured frame that the lesson shows (RFC 894, RFC 826, RFC 791, RFC 768).
struct Packet4 {
    enum class Kind { ArpRequest, ArpReply, Datagram, Other };
    Kind kind = Kind::Other;
    std::string to_mac;
    std::string from_mac;
    std::string from_ip;  // ARP: the sender's.
    std::string to_ip;    // ARP: the address that is looked for.
    unsigned ttl = 0;
    unsigned from_port = 0;
    unsigned to_port = 0;
    std::string data;
};

unsigned byte_at(const std::string& bytes, std::size_t at) {
    return at < bytes.size() ? static_cast<unsigned char>(bytes[at]) : 0;
}
unsigned number_at(const std::string& bytes, std::size_t at) {
    return byte_at(bytes, at) << 8 | byte_at(bytes, at + 1);
}
std::string mac_at(const std::string& bytes, std::size_t at) {
    char text[18];
    std::snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", byte_at(bytes, at),
                  byte_at(bytes, at + 1), byte_at(bytes, at + 2), byte_at(bytes, at + 3),
                  byte_at(bytes, at + 4), byte_at(bytes, at + 5));
    return text;
}
std::string ip_at(const std::string& bytes, std::size_t at) {
    std::string text;
    for (std::size_t i = at; i < at + 4; ++i)
        text += (i > at ? "." : "") + std::to_string(byte_at(bytes, i));
    return text;
}
std::string hex(std::string_view bytes) {
    std::string text;
    for (const char c : bytes) {
        char digits[4];
        std::snprintf(digits, sizeof digits, "%02x ", static_cast<unsigned char>(c));
        text += digits;
    }
    if (!text.empty()) text.pop_back();
    return text;
}

Packet4 parse(const std::string& frame) {
    Packet4 packet;
    packet.to_mac = mac_at(frame, 0);
    packet.from_mac = mac_at(frame, 6);
    const unsigned type = number_at(frame, 12);
    const std::size_t ip = kEthernetSize;
    if (type == 0x0806) {
        packet.kind =
            number_at(frame, ip + 6) == 1 ? Packet4::Kind::ArpRequest : Packet4::Kind::ArpReply;
        packet.from_ip = ip_at(frame, ip + 14);
        packet.to_ip = ip_at(frame, ip + 24);
    } else if (type == 0x0800 && byte_at(frame, ip + 9) == IPPROTO_UDP) {
        packet.kind = Packet4::Kind::Datagram;
        packet.ttl = byte_at(frame, ip + 8);
        packet.from_ip = ip_at(frame, ip + 12);
        packet.to_ip = ip_at(frame, ip + 16);
        packet.from_port = number_at(frame, ip + kIpSize);
        packet.to_port = number_at(frame, ip + kIpSize + 2);
        const unsigned size = number_at(frame, ip + kIpSize + 4);
        const std::size_t begin = ip + kIpSize + kUdpSize;
        if (size >= kUdpSize && begin <= frame.size())
            packet.data = frame.substr(begin, size - kUdpSize);
    }
    return packet;
}

struct Seen {
    std::string place;
    double seconds = 0;
    std::string bytes;
    Packet4 packet;
};

std::string what(const Packet4& packet) {
    switch (packet.kind) {
        case Packet4::Kind::ArpRequest:
            return "ARP  who has " + packet.to_ip + "? tell " + packet.from_ip;
        case Packet4::Kind::ArpReply:
            return "ARP  " + packet.from_ip + " is at " + packet.from_mac;
        case Packet4::Kind::Datagram:
            return "UDP  " + packet.from_ip + ":" + std::to_string(packet.from_port) + " > " +
                   packet.to_ip + ":" + std::to_string(packet.to_port) + "  " +
                   demo::quoted(packet.data);
        case Packet4::Kind::Other:
            break;
    }
    return "?";
}

// Returns the first frame at `place` that fits, or an empty one.
template <typename Fits>
Seen first(const std::vector<Seen>& all, std::string_view place, Fits fits) {
    for (const Seen& each : all) {
        if (each.place == place && fits(each.packet)) return each;
    }
    return {};
}

auto carries(std::string_view data) {
    return [data](const Packet4& packet) {
        return packet.kind == Packet4::Kind::Datagram && packet.data == data;
    };
}
auto asks_for(std::string_view ip) {
    return [ip](const Packet4& packet) {
        return packet.kind == Packet4::Kind::ArpRequest && packet.to_ip == ip;
    };
}

struct Journey {
    bool is_live = false;
    std::vector<Seen> frames;
};

// A claim is only made of what happened just now.
template <typename... Values>
void conclude(Story& story, const Journey& journey, bool held, const Text& text,
              const Values&... values) {
    if (journey.is_live) return story.claim(held, text, values...);
    const Text filled = fill(text, values...);
    story.say({"In the kept capture: " + filled.en, "在保存的抓包里：" + filled.zh});
}

Journey capture(Story& story) {
    story.heading({"Two hosts and a router", "两台主机和一台路由器"});
    story.say({"  alice 10.0.1.2 ── 10.0.1.1 router 10.0.2.1 ── 10.0.2.2 bob",
               "  alice 10.0.1.2 ── 10.0.1.1 router 10.0.2.1 ── 10.0.2.2 bob"});
    Journey journey;
    std::vector<CapturedFrame> frames;
    try {
        frames = record_journey();
        journey.is_live = true;
        story.say(
            {"Three network namespaces, joined by virtual cables (veth), all made just now and "
             "without privilege. Every frame below was captured on its interface (AF_PACKET).",
             "三个网络命名空间，用虚拟网线（veth）连起来：刚刚建好，不需要特权。"
             "下面每一帧都是在各自的接口上抓到的（AF_PACKET）。"});
    } catch (const SysError& error) {
        story.say(
            {"This machine allows no network of namespaces ({0}). What follows is NOT LIVE: it "
             "is a capture that was kept from another machine.",
             "这台机器不允许建立网络命名空间（{0}）。下面的内容【不是现场】："
             "而是在另一台机器上保存下来的抓包。"},
            std::string(error.what()));
        frames = from_lines(kKeptJourney);
    }
    for (const CapturedFrame& frame : frames) {
        journey.frames.push_back({frame.place, frame.seconds, frame.bytes, parse(frame.bytes)});
    }
    return journey;
}

void who_is_asked(Story& story, const Journey& journey) {
    const std::vector<Seen>& all = journey.frames;
    story.heading({"ARP: which MAC has this IP?", "ARP：这个 IP 对应哪个 MAC？"});
    story.ask({"alice (10.0.1.2/24) sends to bob, 10.0.2.2. Whose MAC does she ask for?",
               "alice（10.0.1.2/24）要发给 bob（10.0.2.2）。她先询问谁的 MAC？"},
              {{"bob's", "bob 的"},
               {"the router's, 10.0.1.1", "路由器的，10.0.1.1"},
               {"none, IP is enough", "不用问，有 IP 就够了"}},
              1,
              {"A frame goes no further than its own link, so it needs the MAC of the next hop.",
               "帧只能在本链路内传送，所以需要的是下一跳的 MAC。"});
    Table table;
    table.head = {{"ms", "毫秒"}, {"captured at", "抓包位置"}, {"frame", "帧"}};
    for (const Seen& each : all) {
        if (each.packet.kind == Packet4::Kind::Other) continue;
        char time[16];
        std::snprintf(time, sizeof time, "%.2f", each.seconds * 1000);
        table.rows.push_back({plain(time), plain(each.place), plain(what(each.packet))});
    }
    story.tell(table);
    const Seen question = first(all, "alice", asks_for("10.0.1.1"));
    const Seen answer = first(all, "alice", [](const Packet4& packet) {
        return packet.kind == Packet4::Kind::ArpReply && packet.from_ip == "10.0.1.1";
    });
    const Seen bob_asked = first(all, "alice", asks_for("10.0.2.2"));
    conclude(story, journey,
             question.packet.to_mac == "ff:ff:ff:ff:ff:ff" &&
                 answer.packet.to_mac == question.packet.from_mac && bob_asked.place.empty(),
             {"alice asked everyone on her link (ff:ff:ff:ff:ff:ff) for 10.0.1.1, the router, "
              "and only alice got the answer. She never asked for bob's MAC.",
              "alice 向本链路上的所有人（ff:ff:ff:ff:ff:ff）询问 10.0.1.1，也就是路由器；"
              "回答只发给 alice。她从没问过 bob 的 MAC。"});
    const Seen direct = first(all, "alice", asks_for("10.0.1.9"));
    conclude(story, journey, !direct.place.empty(),
             {"For 10.0.1.9 she asks directly: 10.0.1.9 & 255.255.255.0 = 10.0.1.0 is her own "
              "subnet; 10.0.2.2 & 255.255.255.0 = 10.0.2.0 is not, so it goes to the gateway. "
              "(No host has 10.0.1.9, so no answer comes.)",
              "而对 10.0.1.9 她直接询问：10.0.1.9 & 255.255.255.0 = 10.0.1.0，在自己的子网里；"
              "10.0.2.2 & 255.255.255.0 = 10.0.2.0 不是，所以交给网关。"
              "（没有主机用 10.0.1.9，所以没有回答。）"});
}

void hop_by_hop(Story& story, const Journey& journey) {
    const std::vector<Seen>& all = journey.frames;
    story.heading({"Hop by hop: what changes, and what stays", "一跳一跳地走：什么变了，什么没变"});
    story.ask(
        {"Between alice and bob stands one router. Which addresses of the packet does it change?",
         "alice 和 bob 之间有一台路由器。它会改报文里的哪些地址？"},
        {{"both MACs", "两个 MAC"}, {"both IPs", "两个 IP"}, {"all four", "四个都改"}}, 0,
        {"IP is end to end. MAC is from neighbour to neighbour.",
         "IP 管端到端，MAC 只管相邻两站。"});
    const Seen near = first(all, "alice", carries("hello"));
    const Seen far = first(all, "bob", carries("hello"));
    Table table;
    table.head = {{"\"hello\" at", "“hello” 所在"}, plain("MAC"), plain("IP"), plain("TTL")};
    for (const char* const place : {"alice", "router left", "router right", "bob"}) {
        const Seen each = first(all, place, carries("hello"));
        table.rows.push_back({plain(place),
                              plain(each.packet.from_mac + " > " + each.packet.to_mac),
                              plain(each.packet.from_ip + " > " + each.packet.to_ip),
                              plain(std::to_string(each.packet.ttl))});
    }
    story.tell(table);
    conclude(story, journey,
             near.packet.from_mac != far.packet.from_mac &&
                 near.packet.to_mac != far.packet.to_mac &&
                 near.packet.from_ip == far.packet.from_ip &&
                 near.packet.to_ip == far.packet.to_ip && !near.place.empty(),
             {"Both MAC addresses are new after the router. Both IP addresses are the same: "
              "MAC names a neighbour, IP names the two ends.",
              "过了路由器，两个 MAC 地址都换了；两个 IP 地址都没变："
              "MAC 指的是相邻的一站，IP 指的是两端。"});
    conclude(story, journey, near.packet.ttl == 64 && far.packet.ttl == 63,
             {"TTL: {0}, then {1}. Each router takes one; at 0 the packet is dropped, so none "
              "goes round for ever.",
              "TTL：先是 {0}，后是 {1}。每过一台路由器减一，减到 0 就丢弃，"
              "所以不会有报文永远转圈。"},
             near.packet.ttl, far.packet.ttl);
}

void layer_in_layer(Story& story, const Journey& journey) {
    const std::vector<Seen>& all = journey.frames;
    story.heading({"One frame, layer in layer", "一帧，层层相套"});
    const std::string frame = first(all, "alice", carries("hello")).bytes;
    const auto part = [&](std::size_t at, std::size_t size) {
        return plain(hex(at <= frame.size() ? frame.substr(at, size) : ""));
    };
    const std::size_t ip = kEthernetSize;
    const std::size_t udp = ip + kIpSize;
    Table table;
    table.head = {{"five layers", "五层"},
                  {"OSI's seven", "OSI 七层"},
                  {"bytes", "字节"},
                  {"what they are", "含义"}};
    table.rows = {
        {{"physical", "物理层"},
         plain("1"),
         plain("–"),
         {"signals; a virtual cable has none, so none are shown",
          "电信号；虚拟网线没有信号，所以没法演示"}},
        {{"data link", "数据链路层"},
         plain("2"),
         part(0, kEthernetSize),
         {"to MAC, from MAC, type 0800: IP is inside", "目的 MAC，源 MAC，类型 0800：里面是 IP"}},
        {{"network", "网络层"},
         plain("3"),
         part(ip, kIpSize),
         {"40: TTL 64; 11: UDP is inside; the two IPs", "40：TTL 64；11：里面是 UDP；两个 IP"}},
        {{"transport", "传输层"},
         plain("4"),
         part(udp, kUdpSize),
         {"from port, to port, length, checksum", "源端口，目的端口，长度，校验和"}},
        {{"application", "应用层"},
         plain("5–7"),
         part(udp + kUdpSize, 5),
         {"\"hello\": what the program sent", "“hello”：程序发送的内容"}},
    };
    story.tell(table);
    conclude(story, journey, frame.size() == kEthernetSize + kIpSize + kUdpSize + 5,
             {"5 bytes of the program became {0}: 14 + 20 + 8 + 5. Each layer puts its header "
              "in front and does not look into what it carries. frsh does the same once more, "
              "inside the application layer.",
              "程序的 5 个字节变成了 {0} 个：14 + 20 + 8 + 5。每一层在前面加上自己的头，"
              "不去看里面装的是什么。frsh 在应用层里又做了一次同样的事。"},
             frame.size());
}

void doors(Story& story) {
    story.heading(
        {"The socket: a door between application and transport", "套接字：应用层与传输层之间的门"});
    Actor server(story, Side::Server);
    Fd listener = server.socket(AF_INET, SOCK_STREAM);
    const int bound = server.bind(listener, 0);
    const std::uint16_t port = port_of(listener);
    const Fd datagrams = server.socket(AF_INET, SOCK_DGRAM);
    const int also = server.bind(datagrams, port, {"the same number", "同一个端口号"});
    const Fd second = server.socket(AF_INET, SOCK_DGRAM);
    const int taken = server.bind(second, port);
    story.claim(bound == 0 && also == 0 && taken == EADDRINUSE,
                {"A port number belongs to one protocol: TCP {0} and UDP {0} are two doors. A "
                 "second socket for UDP {0} is refused.",
                 "端口号分属各个协议：TCP {0} 和 UDP {0} 是两扇门；"
                 "再开一个 UDP {0} 就被拒绝。"},
                port);
    story.say(
        {"So which program? The notes say: MAC, IP and port together are unique. More "
         "precisely: the MAC only counts on one link; private IPs such as 10.0.1.2 exist in "
         "many networks at once; and a connection of TCP is named by both ends' IP and port. "
         "The five layers and OSI's seven are two ways to count the same: 5 to 7 are the "
         "program's own business.",
         "那么到底是哪个程序？讲义里说：MAC + IP + 端口唯一确定一个程序。更准确地说："
         "MAC 只在一条链路内有意义；10.0.1.2 这样的私有 IP 在许多网络里同时存在；"
         "一条 TCP 连接由两端的 IP 和端口共同确定。五层和 OSI 七层只是两种数法："
         "第五到第七层是程序自己的事。"});
}

}  // namespace

void lesson_layers(Story& story, unsigned) {
    const Journey journey = capture(story);
    who_is_asked(story, journey);
    hop_by_hop(story, journey);
    layer_in_layer(story, journey);
    doors(story);
    story.source("listen", {"The door of frshd: an address and a port, and nothing of a MAC.",
                            "frshd 的门：一个地址和一个端口，与 MAC 无关。"});
    story.source("frame-append", {"One more header around the data, by frsh itself.",
                                  "frsh 自己在数据外面再套一层头。"});
}

}  // namespace frsh::demo
