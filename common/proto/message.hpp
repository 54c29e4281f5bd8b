// What the two sides say to each other: one struct a message, named by the sender's act.
//
// PROTOCOL.md is the description; this is its C++. A message that gets out of the decoder has been
// judged: every key of the right type and range, every list within its bounds. What only the state
// of a link can judge (an unknown channel, an offset that does not follow) is the link's business.
#pragma once

#include "common/base/terminal.hpp"
#include "common/proto/frame.hpp"
#include "common/proto/outcome.hpp"
#include "common/proto/stream.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace frsh {

inline constexpr unsigned kProtocolVersion = 1;
// What both of our own ends can do, as they say in their hello.
inline constexpr std::array<const char*, 5> kFeatures = {"runs", "shells", "ptys", "resume",
                                                         "kept"};
using Channel = std::uint32_t;  // Chosen by the client; one run each.
using ShellId = std::uint32_t;  // Chosen by the client.

// The most channels, and the most shells, of one link at a time.
inline constexpr std::size_t kMaxChannels = 256;
inline constexpr std::size_t kMaxShells = 16;
// The most bytes of arguments, environment and folder of one run: more than Linux lets through
// execve(2) (2 MiB unless the stack limit was raised), and room for scripts beyond it.
inline constexpr std::size_t kMaxCommand = 8 * 1024 * 1024;

enum class StreamId { Stdin, Stdout, Stderr };

// 1 to 64 characters of A-Z a-z 0-9 . _ - that do not begin with a dot or a dash: it is a file
// name.
[[nodiscard]] bool is_run_id(std::string_view text);

// What a session is found again by, as unlikely to be chosen twice as a run id: 16 to 64 characters
// of A-Z a-z 0-9.
[[nodiscard]] bool is_session_name(std::string_view text);

// What of a client's own environment may come along with a run: how text looks, and what git asks
// its server. The client offers no more, and the server takes no more.
[[nodiscard]] bool is_forwardable(std::string_view variable);

// The name of a terminal's kind, as it may travel: visible ASCII, at most 128 of it.
[[nodiscard]] bool is_term(std::string_view text);

struct ProcessName {
    std::int64_t pid = 0;
    std::string name;  // Bytes, as the kernel has it.
    bool operator==(const ProcessName&) const = default;
};

// What is to happen to a run, or a shell, when its connection goes.
struct OnDisconnect {
    enum class Kind {
        Kill,   // It is ended at once,
        Grace,  // or when nobody has come back for it within this time,
        Keep,   // or not at all; who comes back within this time finds his place as he left it.
    };
    Kind kind = Kind::Kill;
    std::chrono::milliseconds grace{0};
    bool operator==(const OnDisconnect&) const = default;
};

// What a stream came to, as its sender counted it.
struct StreamSummary {
    Offset bytes = 0;  // Produced, whether or not all were delivered.
    std::uint32_t crc32 = 0;
    bool eof = false;  // Only then is it certain that nothing more could have come.
    // Where a cap left something out: how many bytes were delivered, and where the first hole is.
    std::optional<Offset> delivered;
    std::optional<Offset> gap_at;
    bool operator==(const StreamSummary&) const = default;
};

struct Usage {
    double wall_seconds = 0;
    double user_seconds = 0;
    double system_seconds = 0;
    std::uint64_t max_rss_kib = 0;
    // Processes that the kernel killed for want of memory meanwhile, this run's or a neighbour's.
    std::optional<std::uint64_t> oom_kills = {};
    bool operator==(const Usage&) const = default;
};

namespace msg {

// Both ways, first of all.
struct Hello {
    unsigned proto = kProtocolVersion;
    std::string software;
    std::vector<std::string> features;
    std::string user;          // From the server, once it knows: whose runs these will be.
    std::string host;          // From the server: its own name.
    std::string nonce = {};    // From the server, where a login follows: 16 bytes for both proofs.
    std::string session = {};  // From the client: what it will ask for if the connection goes.
};

// The login over TLS, before anything else. The payloads are proof.hpp's, which this layer neither
// reads nor makes.
struct Proof {  // From the server, behind its hello: whose host this is.
    std::string payload;
};
struct Probe {  // From the client: which of these keys would do?
    std::string payload;
};
struct Acceptable {  // The answer: counted from 0; nothing if none would.
    std::optional<std::uint64_t> key;
};
struct AuthPending {};  // From the client: its user is being asked, which takes a while.
struct Auth {           // From the client: the signature. All that follows is for the session.
    std::string payload;
};

// The terminal that a run is to have.
struct Pty {
    std::string term;  // Of terminfo(5): printable ASCII without blanks; empty: not known.
    WindowSize size;
    TerminalModes modes;
    bool operator==(const Pty&) const = default;
};

// Client to server: start a run.
struct Open {
    enum class Mode { Command, Argv, Login, Subsystem };
    Channel channel = 0;
    std::string run;
    Mode mode = Mode::Command;
    std::vector<std::string> args;  // Command, Subsystem: exactly one. Login: none.
    std::optional<std::string> cwd;
    std::vector<std::string> env;        // "K=V", asked for by name.
    std::vector<std::string> forwarded;  // "K=V" of the client's own, as far as the server allows.
    bool stdin_null = false;
    std::optional<std::chrono::milliseconds> timeout;
    std::optional<std::chrono::milliseconds> idle_timeout;
    std::optional<std::chrono::milliseconds> linger;  // Absent: wait for the end of both streams.
    std::optional<std::uint64_t> max_output;          // Of each stream, in bytes.
    std::optional<ShellId> shell;                     // Evaluate in this shell.
    OnDisconnect on_disconnect;
    std::optional<Pty> pty;  // Its streams are one terminal.
    // To be found again under its id, with its output and its end, until it is told to be
    // forgotten. Where there is such a run already, that is meant, and nothing is started.
    bool kept = false;
    std::string shell_name = {};  // Evaluate in the shell of that name, which lasts.
};

// Server to client: the answer to an open.
struct Started {
    Channel channel = 0;
    std::string run;
    std::int64_t pid = 0;
};
struct Refused {
    Channel channel = 0;
    std::string reason;
    std::string message;
};

// Both ways: bytes of a stream.
struct Data {
    Channel channel = 0;
    StreamId stream = StreamId::Stdin;
    Offset offset = 0;
    std::uint64_t time_us = 0;  // Since the run started, on the server's clock; 0 for stdin.
    std::string_view bytes;     // Lent by the decoder until its next call.
};
struct Eof {
    Channel channel = 0;
    StreamId stream = StreamId::Stdin;
    Offset offset = 0;
};
// Bytes [offset, to) were produced and will not come; `crc32` is the checksum of all below `to`.
struct Gap {
    Channel channel = 0;
    StreamId stream = StreamId::Stdout;
    Offset offset = 0;
    Offset to = 0;
    std::uint32_t crc32 = 0;
};
struct Credit {
    Channel channel = 0;
    StreamId stream = StreamId::Stdin;
    Offset consumed = 0;
    Offset limit = 0;
};
// Receiver to sender: no more of this stream.
struct Stop {
    Channel channel = 0;
    StreamId stream = StreamId::Stdin;
};

// Client to server.
struct Signal {
    Channel channel = 0;
    std::string name;
};
struct Cancel {
    Channel channel = 0;
};
struct Resize {
    Channel channel = 0;
    WindowSize size;
};

// Client to server: a run that was kept, whoever started it, is to be followed on this channel.
struct Attach {
    Channel channel = 0;
    std::string run;  // Or how its id begins, if no other does.
    // From here on; nothing: from where the stream is now.
    std::optional<Offset> out = Offset{0};
    std::optional<Offset> err = Offset{0};
    bool follow = false;  // To its end; else what there is now.
};
// The answer: where the streams go on here, and the checksum of everything before.
struct Attached {
    struct Point {
        Offset at = 0;
        std::uint32_t crc32 = 0;
        bool operator==(const Point&) const = default;
    };
    Channel channel = 0;
    std::string run;
    std::int64_t pid = 0;
    Point out;
    Point err;
};
// Client to server: which runs were kept? One Kept each, then Listed.
struct List {
    Channel channel = 0;
};
struct Kept {
    Channel channel = 0;
    std::string run;
    Outcome outcome;  // Running, until it has another.
    // Seconds since 1970, on the server's clock.
    std::uint64_t started_at = 0;
    std::optional<std::uint64_t> ended_at;
    Open::Mode mode = Open::Mode::Command;
    std::vector<std::string> args;
    bool is_shell = false;  // One that lasts, under its name.
    Offset out = 0;         // Produced, as far as that is known.
    Offset err = 0;
};
struct Listed {
    Channel channel = 0;
    std::uint64_t now = 0;  // As started_at.
};
// Client to server: this run is not wanted any more. Answered with Forgotten or Refused.
struct Forget {
    Channel channel = 0;
    std::string run;
};
struct Forgotten {
    Channel channel = 0;
    std::string run;
};

// Server to client: the last message of a run. Client to server: it has been seen.
struct End {
    Channel channel = 0;
    std::string run;
    Outcome outcome;
    StreamSummary out;
    StreamSummary err;
    std::optional<Usage> usage;
    std::vector<ProcessName> holders;
    std::vector<ProcessName> survivors;
    std::optional<std::string> cwd;  // Of the shell, after a run in one.
    // Why not everything could be kept, where that is so.
    std::optional<std::string> journal = {};
};
struct EndAck {
    Channel channel = 0;
    std::string run;
};

// Stateful shells.
struct ShellOpen {
    ShellId shell = 0;
    std::optional<std::string> cwd;
    std::vector<std::string> env;
    OnDisconnect on_disconnect = {};
};
struct ShellReady {
    ShellId shell = 0;
    std::int64_t pid = 0;
    std::string kind;  // "bash", or "sh" where there is no bash.
    std::string cwd;
    std::string home;
};
struct ShellEnded {
    ShellId shell = 0;
    Outcome outcome;
};
struct ShellClose {
    ShellId shell = 0;
};

// Client to server, as the first request on a new connection: go on with the session that another
// connection has lost. These runs are still of interest, and so much of each has arrived.
struct Resume {
    struct Point {
        Channel channel = 0;
        std::string run;
        Offset out = 0;
        Offset err = 0;
    };
    std::string session;
    std::vector<Point> points;
};
// The answer of that session: which of these runs it has, and how much stdin has arrived of each;
// and which shells.
struct Resumed {
    struct Point {
        Channel channel = 0;
        Offset in = 0;
    };
    std::vector<Point> points;
    std::vector<ShellId> shells;
};

// Client to server: this end is wanted; do at once what was asked for the loss of the connection.
struct Bye {
    std::optional<std::string> signal = {};  // What the client was told to go by, to be passed on.
};

// Both ways: why this connection ends here.
struct Error {
    std::string reason;  // "protocol", "version", "busy", "denied", "timeout", "shutdown", "gone"
    std::string message;
    std::optional<std::uint64_t> retry_after;  // Seconds.
};

}  // namespace msg

using Message =
    std::variant<msg::Hello, msg::Proof, msg::Probe, msg::Acceptable, msg::AuthPending, msg::Auth,
                 msg::Open, msg::Started, msg::Refused, msg::Data, msg::Eof, msg::Gap, msg::Credit,
                 msg::Stop, msg::Signal, msg::Cancel, msg::Resize, msg::Attach, msg::Attached,
                 msg::List, msg::Kept, msg::Listed, msg::Forget, msg::Forgotten, msg::End,
                 msg::EndAck, msg::ShellOpen, msg::ShellReady, msg::ShellEnded, msg::ShellClose,
                 msg::Resume, msg::Resumed, msg::Bye, msg::Error>;

// Appends the frame, or frames, of this message.
void encode(std::string& out, const Message& message);
// The same for the one message that is not rare.
void encode_data(std::string& out, const msg::Data& data);

// Bytes in, judged messages out.
class MessageDecoder {
  public:
    explicit MessageDecoder(FrameLimits limits = kFrameLimits) : frames_(limits) {}

    FrameDecoder& frames() { return frames_; }
    // The next whole message, or nothing yet. Throws ProtocolError.
    std::optional<Message> next();

  private:
    void begin_open(const Frame& frame);
    Message finish_open();

    FrameDecoder frames_;
    // An open whose strings do not fit into one frame; the rest follows in "more" frames.
    std::optional<Json> open_header_;
    std::string open_strings_;
};

[[nodiscard]] std::string_view name_of(StreamId stream);       // "stdin", "stdout", "stderr"
[[nodiscard]] std::string_view name_of(msg::Open::Mode mode);  // "command", "argv", ...
[[nodiscard]] std::optional<msg::Open::Mode> mode_named(std::string_view name);

// The parts of an end that are also parts of the client's record.
[[nodiscard]] Json to_json(const StreamSummary& summary);
[[nodiscard]] Json to_json(const Usage& usage);
[[nodiscard]] Json to_json(const std::vector<ProcessName>& processes);
// {key: text}, or {key_b64: base64} where the bytes are not UTF-8.
void add_bytes(Json::Object& members, std::string key, std::string_view bytes);

}  // namespace frsh
