// The events of a lesson, reported while they happen.
//
// A lesson does not depend on terminals or pages. It reports what was sent, what was received and
// what it claims; each Teller shows that in its own way. The lesson compares every claim with what
// happened. A false claim makes the lesson fail.
#pragma once

#include "client/demo/text.hpp"

#include <cstddef>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <sys/types.h>

namespace frsh::demo {

enum class Side { Client, Server };

struct Title {
    std::string lesson;  // Its name on the command line.
    int number = 0;
    Text title;
    Text question;  // The question that the lesson answers.
};
struct Heading {
    Text text;
};
struct Paragraph {
    Text text;
};
// A system call that was made, in the format of strace(1).
struct Call {
    Side side = Side::Client;
    std::string call;
    std::string result;
    Text note;
};
// A packet that the kernel sent by itself. If it was not captured, the arrow follows from the rules
// of TCP, and each teller marks it so.
struct Packet {
    Side from = Side::Client;
    std::string label;  // "SYN+ACK seq=0 ack=1 len=0"
    bool captured = false;
    double milliseconds = 0;  // Captured: since the first packet of its connection.
    std::string flow = {};    // Captured: names the direction of its connection.
    std::size_t begin = 0;    // Captured: the bytes of that stream that it carries.
    std::size_t end = 0;
    std::size_t more = 0;  // Stands for so many captured packets, which carry [begin, end).
};
inline const Text kDrawn = {"(drawn)", "（示意）"};
// Returns the text of a packet that stands for several.
[[nodiscard]] Text more_packets(const Packet& packet);

// Bytes of the stream that were sent at once: a send, or a part of a frame.
struct Piece {
    Text label;
    std::string bytes;
    std::size_t colour = 0;
};
// How the next bytes of the stream were received.
struct Take {
    enum class Kind { Received, Waiting, Lost };
    Text label;
    std::size_t size = 0;
    Kind kind = Kind::Received;
};
// A recorded moment in the life of bytes [begin, end) of a ribbon.
struct Moment {
    enum class Kind { Sent, Packet, Acknowledged, Received };
    Kind kind = Kind::Sent;
    double milliseconds = 0;  // Since the first moment of the ribbon.
    std::size_t begin = 0;
    std::size_t end = 0;
};
// The byte stream: what was sent is drawn above it, what was received below it.
struct Ribbon {
    Text caption;
    std::vector<Piece> pieces;
    std::vector<Take> takes;
    std::string flow = {};  // The captured stream that these bytes are part of; or empty.
    std::size_t base = 0;   // Offset of the ribbon's first byte in that stream.
    std::vector<Moment> moments = {};  // By time. Empty: not recorded.
};

struct Table {
    std::vector<Text> head;
    std::vector<std::vector<Text>> rows;
};

// Which side waits for which, in measured seconds.
struct Span {
    enum class Kind { Waiting, Served, Idle };
    double begin = 0;
    double end = 0;
    Kind kind = Kind::Waiting;
};
struct Lane {
    Text label;
    std::vector<Span> spans;
};
struct Timeline {
    Text caption;
    std::vector<Lane> lanes;
};

struct Claim {
    bool held = false;
    Text text;
};
// A line of frsh's own source that does what the lesson has shown.
struct Source {
    std::string place;  // "common/proto/frame.cpp:57"
    std::string line;   // The text of the line.
    Text text;
};
// A question to the learner, between what is prepared and what happens.
struct Question {
    Text text;
    std::vector<Text> choices;
    std::size_t right = 0;  // Index into `choices`. The claims that follow show that it is right.
    Text why;
};
// A whole program that does what the lesson shows.
struct Code {
    std::string name;  // "naive.py"
    Text text;         // What it is, or why there is none.
    std::string lines;
};
// A statement of the lecture notes, the lesson that shows it, and a more precise one or nothing.
struct Note {
    int number = 0;
    Text says;
    Text where;
    Text precisely;
};
struct Verdict {
    std::string lesson;
    int claims = 0;
    int broken = 0;
    double seconds = 0;
};

using Event = std::variant<Title, Heading, Paragraph, Call, Packet, Ribbon, Table, Timeline, Claim,
                           Source, Question, Code, Note, Verdict>;

class Teller {
  public:
    virtual ~Teller() = default;
    virtual void tell(const Event& event) = 0;
};

class Recorder;  // See stage/recorder.hpp.

class Story {
  public:
    // Borrowed. The tellers get each event in this order. Without a recorder no packet is captured.
    explicit Story(std::vector<Teller*> tellers, Recorder* recorder = nullptr)
        : tellers_(std::move(tellers)), recorder_(recorder) {}

    void tell(const Event& event);
    // Tells the captured packets of watched connections since the last call.
    void packets();
    // Shows the packets of `fd`'s connection from now on: by the next call of packets().
    void watch(int fd);
    void watch_from_first_packet(int fd);
    // Shows no packet of the connections that were watched. A new heading does the same.
    void stop_watching();
    // Tells the captured packets of `fd`'s connection from its first on. If packets are not
    // captured, it tells the drawn ones.
    void packets_or_drawn(int fd, const std::vector<Packet>& drawn);
    // Tells a packet that is expected now, if packets are not captured.
    void drawn(Side from, const std::string& label);
    // Records that a call moved so many bytes of a connection, for a ribbon's moments. A send
    // counts when it begins, a receive when it has ended.
    void sent(int fd, ssize_t bytes, double at);
    void received(int fd, ssize_t bytes, double at);
    template <typename... Values>
    void heading(const Text& text, const Values&... values) {
        tell(Heading{fill(text, values...)});
    }
    template <typename... Values>
    void say(const Text& text, const Values&... values) {
        tell(Paragraph{fill(text, values...)});
    }
    template <typename... Values>
    void claim(bool held, const Text& text, const Values&... values) {
        ++claims_;
        if (!held) ++broken_;
        tell(Claim{held, fill(text, values...)});
    }
    // Asks for a prediction. Call it when all is prepared and nothing has happened yet.
    void ask(const Text& text, std::vector<Text> choices, std::size_t right, const Text& why) {
        tell(Question{text, std::move(choices), right, why});
    }
    // `key` names a line of sources.txt.
    void source(std::string_view key, const Text& text);

    [[nodiscard]] int claims() const { return claims_; }
    [[nodiscard]] int broken() const { return broken_; }

  private:
    std::vector<Teller*> tellers_;
    Recorder* recorder_;
    int claims_ = 0;
    int broken_ = 0;
};

}  // namespace frsh::demo
