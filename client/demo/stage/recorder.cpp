#include "client/demo/stage/recorder.hpp"

#include "common/base/error.hpp"

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace frsh::demo {
namespace {

constexpr std::size_t kEthernet = 14;
constexpr std::size_t kMostKept = 96 * 1024 * 1024;   // Bytes of frames for the capture file.
constexpr std::size_t kMostStream = 4 * 1024 * 1024;  // Bytes of one stream.
constexpr std::size_t kMostArrows = 6;                // Arrows for one call.
constexpr std::size_t kMostMoments = 400;             // Moments of one ribbon.
constexpr std::uint8_t kFin = 0x01;
constexpr std::uint8_t kSyn = 0x02;
constexpr std::uint8_t kAck = 0x10;

std::uint32_t value_at(std::string_view bytes, std::size_t at, std::size_t size) {
    std::uint32_t value = 0;
    for (std::size_t i = at; i < at + size; ++i)
        value = value << 8 | static_cast<unsigned char>(bytes[i]);
    return value;
}

// Returns the ports of an IPv4 TCP connection, its own first. Zeros: `fd` is something else.
std::pair<std::uint16_t, std::uint16_t> ports_of(int fd) {
    int type = 0;
    socklen_t size = sizeof type;
    sockaddr_in own{};
    sockaddr_in peer{};
    if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM) return {};
    size = sizeof own;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size) != 0) return {};
    if (own.sin_family != AF_INET) return {};
    size = sizeof peer;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0) return {};
    return {ntohs(own.sin_port), ntohs(peer.sin_port)};
}

void put(std::string& out, std::uint32_t value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

}  // namespace

bool parse_segment(std::string_view frame, Segment4& segment) {
    if (frame.size() < kEthernet + 20 || value_at(frame, 12, 2) != 0x0800) return false;
    std::string_view packet = frame.substr(kEthernet);
    const std::size_t head = (value_at(packet, 0, 1) & 15) * 4;
    const std::size_t whole = value_at(packet, 2, 2);
    if (value_at(packet, 9, 1) != IPPROTO_TCP || whole > packet.size() || whole < head + 20)
        return false;
    packet = packet.substr(head, whole - head);
    const std::size_t offset = value_at(packet, 12, 1) / 16 * 4;
    if (offset < 20 || offset > packet.size()) return false;
    segment.from_port = static_cast<std::uint16_t>(value_at(packet, 0, 2));
    segment.to_port = static_cast<std::uint16_t>(value_at(packet, 2, 2));
    segment.sequence = value_at(packet, 4, 4);
    segment.acknowledged = value_at(packet, 8, 4);
    segment.flags = static_cast<std::uint8_t>(packet[13]);
    segment.data = packet.substr(offset);
    return true;
}

std::string flag_names(std::uint8_t flags) {
    constexpr std::array kNames = {"FIN", "SYN", "RST", "PSH", "ACK", "URG"};
    std::string names;
    for (const std::size_t bit : {1U, 0U, 2U, 3U, 5U, 4U}) {
        if ((flags >> bit & 1) != 0) names.append(names.empty() ? "" : "+").append(kNames[bit]);
    }
    return names;
}

std::string to_pcap(const std::vector<TappedFrame>& frames) {
    constexpr std::uint32_t kNanoseconds = 0xA1B23C4D;
    constexpr std::uint32_t kVersion = 2 | 4 << 16;
    constexpr std::uint32_t kLargest = 262144;
    constexpr std::uint32_t kEthernetLink = 1;
    std::string out;
    for (const std::uint32_t value : {kNanoseconds, kVersion, 0U, 0U, kLargest, kEthernetLink})
        put(out, value);
    for (const TappedFrame& frame : frames) {
        const auto seconds = static_cast<std::uint32_t>(frame.seconds);
        put(out, seconds);
        put(out, static_cast<std::uint32_t>((frame.seconds - seconds) * 1e9));
        put(out, static_cast<std::uint32_t>(frame.bytes.size()));
        put(out, static_cast<std::uint32_t>(frame.bytes.size()));
        out += frame.bytes;
    }
    return out;
}

void Recorder::collect() {
    for (TappedFrame& frame : tap_.take()) {
        add(frame);
        if (kept_bytes_ + frame.bytes.size() > kMostKept) {
            ++dropped_;
            continue;
        }
        kept_bytes_ += frame.bytes.size();
        frames_.push_back(std::move(frame));
    }
}

void Recorder::add(const TappedFrame& frame) {
    Segment4 segment;
    if (!parse_segment(frame.bytes, segment)) return;
    const Ports ports = std::minmax(segment.from_port, segment.to_port);
    const bool is_first = (segment.flags & (kSyn | kAck)) == kSyn;
    auto found = newest_.find(ports);
    // A SYN that is sent again belongs to the connection that is there already.
    if (is_first && (found == newest_.end() ||
                     connections_[found->second].streams[0].first != segment.sequence)) {
        newest_[ports] = connections_.size();
        connections_.push_back({segment.from_port, frame.seconds, false, {}, {}});
        found = newest_.find(ports);
    }
    if (found == newest_.end()) return;
    Connection& connection = connections_[found->second];
    const std::size_t way = segment.from_port == connection.client_port ? 0 : 1;
    Stream& mine = connection.streams[way];
    Stream& other = connection.streams[1 - way];
    const bool has_syn = (segment.flags & kSyn) != 0;
    if (has_syn) mine.first = segment.sequence;
    const std::uint32_t relative = segment.sequence - mine.first;
    const std::size_t begin = relative == 0 ? 0 : relative - 1;
    const std::size_t end = begin + segment.data.size();
    if (!segment.data.empty() && end <= kMostStream) {
        mine.bytes.resize(std::max(mine.bytes.size(), end));
        segment.data.copy(mine.bytes.data() + begin, segment.data.size());
        mine.moments.push_back({Moment::Kind::Packet, frame.seconds, begin, end});
    }
    const std::uint32_t acknowledged = segment.acknowledged - other.first;
    const bool has_ack = (segment.flags & kAck) != 0;
    if (has_ack && acknowledged > 1) {
        const std::size_t upto = std::min<std::size_t>(acknowledged - 1, other.bytes.size());
        other.moments.push_back({Moment::Kind::Acknowledged, frame.seconds, 0, upto});
    }
    std::string label = flag_names(segment.flags) + " seq=" + std::to_string(relative);
    if (has_ack) label += " ack=" + std::to_string(acknowledged);
    label += " len=" + std::to_string(segment.data.size());
    connection.unseen.push_back({way == 0 ? Side::Client : Side::Server, std::move(label), true,
                                 (frame.seconds - connection.begin) * 1000,
                                 std::to_string(found->second) + (way == 0 ? "c" : "s"), begin, end,
                                 0});
}

std::size_t Recorder::find(int fd, bool& is_client) {
    collect();
    const auto [own, peer] = ports_of(fd);
    const auto found = newest_.find(std::minmax(own, peer));
    if (own == 0 || found == newest_.end()) return connections_.size();
    is_client = connections_[found->second].client_port == own;
    return found->second;
}

void Recorder::watch(int fd, From from) {
    bool is_client = false;
    const std::size_t index = find(fd, is_client);
    if (index == connections_.size() || connections_[index].is_shown) return;
    connections_[index].is_shown = true;
    if (from == From::Now) connections_[index].unseen.clear();
}

std::vector<Packet> Recorder::news() {
    collect();
    std::vector<Packet> all;
    for (Connection& connection : connections_) {
        if (!connection.is_shown) continue;
        std::move(connection.unseen.begin(), connection.unseen.end(), std::back_inserter(all));
        connection.unseen.clear();
    }
    if (all.size() <= kMostArrows + 1) return all;
    Packet rest = all[kMostArrows];
    rest.more = all.size() - kMostArrows;
    std::size_t bytes = 0;
    for (std::size_t i = kMostArrows; i < all.size(); ++i)
        bytes += all[i].end - all[i].begin;
    rest.end = rest.begin + bytes;
    all.resize(kMostArrows);
    all.push_back(rest);
    return all;
}

void Recorder::forget() {
    collect();
    for (Connection& connection : connections_) {
        connection.is_shown = false;
        connection.unseen.clear();
    }
}

Recorder::Stream* Recorder::stream_of(int fd, bool is_sender) {
    bool is_client = false;
    const std::size_t index = find(fd, is_client);
    if (index == connections_.size()) return nullptr;
    return &connections_[index].streams[is_client == is_sender ? 0 : 1];
}

void Recorder::sent(int fd, std::size_t bytes, double at) {
    Stream* const stream = stream_of(fd, true);
    if (stream == nullptr || bytes == 0) return;
    stream->moments.push_back({Moment::Kind::Sent, at, stream->sent, stream->sent + bytes});
    stream->sent += bytes;
}

void Recorder::received(int fd, std::size_t bytes, double at) {
    Stream* const stream = stream_of(fd, false);
    if (stream == nullptr || bytes == 0) return;
    stream->moments.push_back(
        {Moment::Kind::Received, at, stream->received, stream->received + bytes});
    stream->received += bytes;
}

void Recorder::place(Ribbon& ribbon) {
    collect();
    std::string whole;
    for (const Piece& piece : ribbon.pieces)
        whole += piece.bytes;
    if (whole.empty()) return;
    const Stream* found = nullptr;
    for (std::size_t i = connections_.size(); i-- > 0 && found == nullptr;) {
        for (std::size_t way = 0; way < 2 && found == nullptr; ++way) {
            const std::size_t at = connections_[i].streams[way].bytes.rfind(whole);
            if (at == std::string::npos || !connections_[i].is_shown) continue;
            found = &connections_[i].streams[way];
            ribbon.base = at;
            ribbon.flow = std::to_string(i) + (way == 0 ? "c" : "s");
        }
    }
    if (found == nullptr) return;
    std::size_t sent = 0;
    for (const Moment& moment : found->moments) {
        Moment one = moment;
        one.begin = std::max(one.begin, ribbon.base) - ribbon.base;
        one.end = std::min(one.end, ribbon.base + whole.size());
        one.end -= std::min(one.end, ribbon.base);
        if (one.begin >= one.end) continue;
        if (one.kind == Moment::Kind::Sent) sent += one.end - one.begin;
        ribbon.moments.push_back(one);
    }
    // Without the lesson's own times there is no sender to be drawn.
    if (sent != whole.size() || ribbon.moments.size() > kMostMoments) return ribbon.moments.clear();
    std::stable_sort(
        ribbon.moments.begin(), ribbon.moments.end(),
        [](const Moment& a, const Moment& b) { return a.milliseconds < b.milliseconds; });
    // A send that the lesson did not record would shift all others.
    std::size_t put_in = 0;
    std::size_t carried = 0;
    for (const Moment& moment : ribbon.moments) {
        if (moment.kind == Moment::Kind::Sent) put_in = moment.end;
        if (moment.kind == Moment::Kind::Packet) carried = std::max(carried, moment.end);
        if (carried > put_in || (moment.kind == Moment::Kind::Received && moment.end > carried))
            return ribbon.moments.clear();
    }
    const double first = ribbon.moments.front().milliseconds;
    for (Moment& moment : ribbon.moments)
        moment.milliseconds = (moment.milliseconds - first) * 1000;
}

void Recorder::write_pcap(const std::string& file) {
    collect();
    const Fd out(check(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644),
                       "open " + file));
    write_all(out.get(), to_pcap(frames_));
}

}  // namespace frsh::demo
