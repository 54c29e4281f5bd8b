// Makes arrows, moments and a capture file of the packets that LoopbackTap captures.
//
// A connection's packets are shown from the moment when a lesson watches it. All packets are kept
// for the capture file. Times of sends and receives come from the lesson, by the same clock.
#pragma once

#include "client/demo/stage/loopback_tap.hpp"
#include "client/demo/story.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace frsh::demo {

// The fields of a TCP segment over IPv4 that a lesson shows (RFC 791, RFC 9293).
struct Segment4 {
    std::uint16_t from_port = 0;
    std::uint16_t to_port = 0;
    std::uint32_t sequence = 0;
    std::uint32_t acknowledged = 0;
    std::uint8_t flags = 0;
    std::string_view data;  // Part of the frame.
};
// Returns whether the frame is a whole TCP segment over IPv4.
[[nodiscard]] bool parse_segment(std::string_view frame, Segment4& segment);
// Returns the flags as "SYN+ACK".
[[nodiscard]] std::string flag_names(std::uint8_t flags);
// Returns the frames as a capture file: https://www.ietf.org/archive/id/draft-gharris-opsawg-pcap,
// with nanoseconds.
[[nodiscard]] std::string to_pcap(const std::vector<TappedFrame>& frames);

class Recorder {
  public:
    enum class From { FirstPacket, Now };

    // Shows the packets of `fd`'s TCP connection. Does nothing for another kind of socket.
    void watch(int fd, From from = From::Now);
    // Returns the packets of watched connections since the last call. The last one stands for the
    // rest, if they are many.
    [[nodiscard]] std::vector<Packet> news();
    // Stops showing packets of all connections.
    void forget();

    // Records that a call moved so many bytes, which began or ended at this time.
    void sent(int fd, std::size_t bytes, double at);
    void received(int fd, std::size_t bytes, double at);
    // Finds the ribbon's bytes in a captured stream, and adds their moments.
    void place(Ribbon& ribbon);

    // Throws SysError if the file cannot be written.
    void write_pcap(const std::string& file);
    [[nodiscard]] std::size_t captured() const { return frames_.size(); }
    [[nodiscard]] std::size_t lost() const { return tap_.lost() + dropped_; }

  private:
    // One direction of a connection. Offsets count from its first byte.
    struct Stream {
        std::uint32_t first = 0;  // The sequence number of its SYN.
        std::string bytes;
        std::vector<Moment> moments;  // The times are the clock's.
        std::size_t sent = 0;
        std::size_t received = 0;
    };
    struct Connection {
        std::uint16_t client_port = 0;
        double begin = 0;
        bool is_shown = false;
        std::array<Stream, 2> streams;  // From the client, from the server.
        std::vector<Packet> unseen;     // Packets since the last call of news().
    };
    using Ports = std::pair<std::uint16_t, std::uint16_t>;  // The lower one first.

    void collect();
    void add(const TappedFrame& frame);
    Stream* stream_of(int fd, bool is_sender);
    // Returns the index of the connection, or the number of connections.
    std::size_t find(int fd, bool& is_client);

    LoopbackTap tap_;
    std::vector<TappedFrame> frames_;
    std::size_t kept_bytes_ = 0;
    std::size_t dropped_ = 0;
    std::vector<Connection> connections_;
    std::map<Ports, std::size_t> newest_;  // Index of the newest connection with these ports.
};

}  // namespace frsh::demo
