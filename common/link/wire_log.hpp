// Every frame of a connection, both ways, taken apart and annotated: what `frsh --wire` shows.
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
// It reads along and judges nothing: bytes that are no frame are said to be none, and from there on
// only counted.
#pragma once

#include "common/net/tapped_transport.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <string>

namespace frsh {

class WireLog : public Tap {
  public:
    // Takes whole lines, one or more at a time, each ended by a newline. Control bytes of the peer
    // are escaped. Where it throws, that is said once and the log ends; the connection does not.
    using Out = std::function<void(std::string_view)>;

    explicit WireLog(Out out) : out_(std::move(out)) {}
    // Says so where a frame was cut off.
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
        std::string waiting;       // Of a frame that is not whole.
        std::uint64_t begin = 0;   // Where that lies in the stream.
        std::uint64_t calls = 0;   // So far.
        std::uint64_t frames = 0;  // Whole ones, so far.
        std::deque<Call> recent;   // Those that brought what is waiting.
        bool lost = false;         // No frames can be told apart any more.
    };

    void show(const std::string& lines);
    void take(Direction& way, std::string_view bytes);
    // The size of the frame at the beginning of what waits; 0 while that cannot be known or it is
    // not whole. Throws ProtocolError.
    static std::size_t whole_frame(const Direction& way, std::size_t& header_size,
                                   std::string& type);
    static std::string describe_frame(Direction& way, std::size_t size, std::size_t header_size,
                                      const std::string& type);

    Direction read_{"<-", "recv", {}, 0, 0, 0, {}, false};
    Direction written_{"->", "send", {}, 0, 0, 0, {}, false};
    Out out_;  // Empty once it has failed.
};

}  // namespace frsh
