// Shows every frame of a connection, both ways, with its parts: the output of `frsh --wire`.
//
//     <- recv 1: 64 bytes, 0 to 63 of the stream
//          64 bytes of frame 1 so far
//     <- recv 2: 9 bytes, 64 to 72 of the stream
//     <- frame 1: data, 66 bytes from 0: recv 1 (64), recv 2 (2)
//          00000000  00 00 00 38   length of the header: 56
//          header    {"type":"data","ch":1,"stream":"stdout","off":0,"len":6}
//          payload   6 bytes
//          0000003c  68 65 6c 6c 6f 0a                                |hello.|
//          7 bytes of frame 2 so far
//
// The log never changes the connection. If bytes are not a frame, it reports that and only counts
// the bytes from there on.
#pragma once

#include "common/net/tapped_transport.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <utility>

namespace frsh {

class WireLog : public Tap {
  public:
    // Takes one or more whole lines, each with its newline. The peer's control bytes are escaped.
    // If it throws std::system_error, the error is logged once and this log ends.
    using Out = std::function<void(std::string_view)>;

    explicit WireLog(Out out) : out_(std::move(out)) {}
    // Reports a frame that was cut off.
    ~WireLog() override;
    WireLog(const WireLog&) = delete;
    WireLog& operator=(const WireLog&) = delete;

    void on_read(std::string_view bytes) override { take(read_, bytes); }
    void on_write(std::string_view bytes) override { take(written_, bytes); }

  private:
    // One call that moved bytes [begin, end) of the stream.
    struct Call {
        std::uint64_t number;
        std::uint64_t begin;
        std::uint64_t end;
    };
    struct Direction {
        const char* arrow;
        const char* call;
        std::string waiting;       // The bytes of an incomplete frame.
        std::uint64_t begin = 0;   // The offset of those bytes.
        std::uint64_t calls = 0;   // The number of calls so far.
        std::uint64_t frames = 0;  // The number of whole frames so far.
        std::deque<Call> recent;   // The calls that moved the bytes of `waiting`.
        bool lost = false;         // The bytes were not a frame; they are only counted now.
    };

    void show(const std::string& lines);
    void take(Direction& way, std::string_view bytes);
    // Returns the size of the frame that `waiting` begins with; 0 while the frame is incomplete.
    // Throws ProtocolError if the bytes are not a frame.
    static std::size_t whole_frame(const Direction& way, std::size_t& header_size,
                                   std::string& type);
    static std::string describe_frame(Direction& way, std::size_t size, std::size_t header_size,
                                      const std::string& type);

    Direction read_{"<-", "recv", {}, 0, 0, 0, {}, false};
    Direction written_{"->", "send", {}, 0, 0, 0, {}, false};
    Out out_;  // Empty once it has failed.
};

}  // namespace frsh
