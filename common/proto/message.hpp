// The messages of the protocol: one struct for each, named by the sender's act.
//
// PROTOCOL.md describes them. The decoder has checked each message that it returns: every key has
// its type and range, and every list is within its limit. The receiver checks what depends on its
// own state: an unknown channel, or an offset that does not follow.
#pragma once

#include "common/base/terminal.hpp"
#include "common/proto/frame.hpp"
#include "common/proto/listen_messages.hpp"
#include "common/proto/on_disconnect.hpp"
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
// The features that frsh and frshd send in their hello.
inline constexpr std::array<const char*, 10> kFeatures = {
    "runs", "shells", "ptys", "resume", "kept", "connect", "ping", "listen", "bashrc", "agent"};
using Channel = std::uint32_t;  // Chosen by the client; carries one run.
using ShellId = std::uint32_t;  // Chosen by the client.

// The most channels and the most shells that one link may have open at a time.
inline constexpr std::size_t kMaxChannels = 256;
inline constexpr std::size_t kMaxShells = 16;
// The most forwarded connections of one link, beside its channels for runs.
inline constexpr std::size_t kMaxForwards = 1024;
// The most bytes of arguments, environment and folder of one run. execve(2) of Linux takes 2 MiB
// unless the stack limit was raised; the rest is room for scripts.
inline constexpr std::size_t kMaxCommand = 8 * 1024 * 1024;

enum class StreamId { Stdin, Stdout, Stderr };

// Returns true for 1 to 64 characters of A-Z a-z 0-9 . _ - that do not begin with a dot or a dash.
// A run id is also the name of a folder.
[[nodiscard]] bool is_run_id(std::string_view text);

// Returns true for 16 to 64 characters of A-Z a-z 0-9. A client finds its session by this name
// after a lost connection, so it must be as hard to guess as a run id.
[[nodiscard]] bool is_session_name(std::string_view text);

// Returns true for the variables of the client's own environment that may travel with a run: the
// locale, colours and git's protocol version. The client sends, and the server takes, no others.
[[nodiscard]] bool is_forwardable(std::string_view variable);

// Returns true for a value of TERM that may travel: 1 to 128 characters of visible ASCII.
[[nodiscard]] bool is_term(std::string_view text);

struct ProcessName {
    std::int64_t pid = 0;
    std::string name;  // Raw bytes from the kernel; may not be UTF-8.
    bool operator==(const ProcessName&) const = default;
};

// The size and checksum of a stream, counted by its sender.
struct StreamSummary {
    Offset bytes = 0;  // Produced, also if not all were delivered.
    std::uint32_t crc32 = 0;
    bool eof = false;  // Every writer closed the stream, so that no byte can be missing.
    // If a cap left something out: the number of delivered bytes, and the offset of the first gap.
    std::optional<Offset> delivered;
    std::optional<Offset> gap_at;
    bool operator==(const StreamSummary&) const = default;
};

struct Usage {
    double wall_seconds = 0;
    double user_seconds = 0;
    double system_seconds = 0;
    std::uint64_t max_rss_kib = 0;
    // Processes that the kernel killed during the run because memory ran out, of any run.
    std::optional<std::uint64_t> oom_kills = {};
    bool operator==(const Usage&) const = default;
};

namespace msg {

// Both ways: the first message of each side.
struct Hello {
    unsigned proto = kProtocolVersion;
    std::string software;
    std::vector<std::string> features;
    std::string user;          // From the server: the user that the runs will belong to.
    std::string host;          // From the server: its own name.
    std::string nonce = {};    // From the server, if a login follows: 16 bytes for both proofs.
    std::string session = {};  // From the client: the name it will use in Resume.
};

// The login over TLS, before all other messages. common/keys/proof.hpp makes and checks the
// payloads.
struct Proof {  // From the server, after its hello: the host key and a signature.
    std::string payload;
};
struct Probe {  // From the client: which of these keys would the server accept?
    std::string payload;
};
struct Acceptable {  // The answer: the index of the key, from 0; nothing if there is none.
    std::optional<std::uint64_t> key;
};
struct AuthPending {};  // From the client: it waits for its user, so the login takes longer.
struct Auth {           // From the client: the signature. What follows is for the session.
    std::string payload;
};

// The terminal of a run.
struct Pty {
    std::string term;  // A name of terminfo(5), see is_term(); empty if unknown.
    WindowSize size;
    TerminalModes modes;
    bool operator==(const Pty&) const = default;
};

// Client to server: start a run.
struct Open {
    enum class Mode { Command, Argv, Login, Subsystem, Connect, Accept };
    Channel channel = 0;
    std::string run;
    Mode mode = Mode::Command;
    // Command, Subsystem: exactly one. Login: none. Connect: a host and a port, or one path.
    // Accept: the number of an incoming connection.
    std::vector<std::string> args;
    std::optional<std::string> cwd;
    std::vector<std::string> env;        // "K=V", set by the request.
    std::vector<std::string> forwarded;  // "K=V" of the client's own, see is_forwardable().
    bool stdin_null = false;
    std::optional<std::chrono::milliseconds> timeout;
    std::optional<std::chrono::milliseconds> idle_timeout;
    std::optional<std::chrono::milliseconds> linger;  // Absent: wait for the end of both streams.
    std::optional<std::uint64_t> max_output;          // For each stream, in bytes.
    std::optional<ShellId> shell;                     // Evaluate in this shell.
    OnDisconnect on_disconnect;
    std::optional<Pty> pty;  // The streams are one terminal; in a shell, that of the shell.
    bool kept = false;  // Keep the run and its end until a Forget, or follow the run of this id.
    std::string shell_name = {};  // Evaluate in the lasting shell of that name.
    bool bashrc = false;          // A bash that runs the command reads ~/.bashrc, as under sshd.
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
// Bytes [offset, to) were produced and left out. `crc32` is the checksum of all bytes below `to`.
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
// Receiver to sender: send no more of this stream.
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

// Client to server: follow a kept run on this channel. Any connection may have started it.
struct Attach {
    Channel channel = 0;
    std::string run;  // The id, or the beginning of an id if no other id begins so.
    // The offsets to continue from; nothing means the current end of the stream.
    std::optional<Offset> out = Offset{0};
    std::optional<Offset> err = Offset{0};
    bool follow = false;  // Send the run to its end; otherwise what there is now.
};
// The answer: the offset of each stream's next byte, and the checksum of all bytes before it.
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
// Client to server: list the kept runs. Answered with one Kept for each, then Listed.
struct List {
    Channel channel = 0;
};
struct Kept {
    Channel channel = 0;
    std::string run;
    Outcome outcome;               // Running until the run has ended.
    std::uint64_t started_at = 0;  // Seconds since 1970, on the server's clock.
    std::optional<std::uint64_t> ended_at;
    Open::Mode mode = Open::Mode::Command;
    std::vector<std::string> args;
    bool is_shell = false;  // A lasting shell; `run` is its name.
    Offset out = 0;         // Bytes produced, as far as known.
    Offset err = 0;
};
struct Listed {
    Channel channel = 0;
    std::uint64_t now = 0;  // Seconds since 1970, on the server's clock.
};
// Client to server: remove this kept run. Answered with Forgotten or Refused.
struct Forget {
    Channel channel = 0;
    std::string run;
};
struct Forgotten {
    Channel channel = 0;
    std::string run;
};

// Server to client: the last message of a run. EndAck, client to server, acknowledges it.
struct End {
    Channel channel = 0;
    std::string run;
    Outcome outcome;
    StreamSummary out;
    StreamSummary err;
    std::optional<Usage> usage;
    std::vector<ProcessName> holders;
    std::vector<ProcessName> survivors;
    std::optional<std::string> cwd;                // After a run in a shell: the shell's folder.
    std::optional<std::uint64_t> generation = {};  // In a shell with a name, from 1.
    std::optional<std::string> journal = {};       // Why some output could not be kept.
    bool is_unseen = false;                        // holders and survivors may be incomplete.
    std::optional<Offset> typed = {};              // On a shell's terminal: how much stdin it got,
    std::string unread = {};                       // and what of it no program has read.
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
    std::optional<Pty> pty = {};  // The terminal on which its commands may run.
};
struct ShellReady {
    ShellId shell = 0;
    std::int64_t pid = 0;
    std::string kind;  // "bash", or "sh" if the server has no bash.
    std::string cwd;
    std::string home;
    bool has_terminal = false;
    bool lacks_startup = false;  // It did not get ready with the start-up files.
};
struct ShellEnded {
    ShellId shell = 0;
    Outcome outcome;
};
struct ShellClose {
    ShellId shell = 0;
};

// Client to server, the first request on a new connection: continue the session of a connection
// that was lost. `points` lists the runs that the client still wants, and how much has arrived.
struct Resume {
    struct Point {
        Channel channel = 0;
        std::string run;
        Offset out = 0;
        Offset err = 0;
    };
    std::string session;
    std::vector<Point> points;
    // How long ago the oldest request without an answer was sent; 0 if there is none. Without a
    // value, the client does not send a request again.
    std::optional<std::chrono::milliseconds> age = {};
};
// The session's answer: the listed runs that it has, how much stdin of each has arrived, its
// shells, and the listed runs that it had and has ended. It has never seen the other listed runs.
struct Resumed {
    struct Point {
        Channel channel = 0;
        Offset in = 0;
        std::int64_t pid = 0;  // As in Started.
    };
    struct LostRun {
        Channel channel = 0;
        std::string message;
    };
    std::vector<Point> points;
    std::vector<ShellId> shells;
    std::vector<LostRun> lost = {};
};

// Client to server: the client leaves. Every run of this link that is not `keep` ends at once.
struct Bye {
    std::optional<std::string> signal = {};  // The signal that ended the client, if one did.
};
struct Ping {};  // Client to server: a request for a Pong, if its hello has the feature "ping".
struct Pong {};  // The answer.
struct Error {   // Both ways: the reason why the sender closes this connection.
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
                 msg::Resume, msg::Resumed, msg::Bye, msg::Ping, msg::Pong, msg::Error, msg::Listen,
                 msg::Listening, msg::Incoming, msg::Unlisten>;

// Appends the frame, or frames, of this message.
void encode(std::string& out, const Message& message);
// Appends the frame of a data message, by far the most frequent one. Faster than encode().
void encode_data(std::string& out, const msg::Data& data);

// Decodes bytes to messages and checks them.
class MessageDecoder {
  public:
    explicit MessageDecoder(FrameLimits limits = kFrameLimits) : frames_(limits) {}

    FrameDecoder& frames() { return frames_; }
    // Returns the next whole message, or nothing yet. Throws ProtocolError.
    std::optional<Message> next();

  private:
    void begin_open(const Frame& frame);
    Message finish_open();

    FrameDecoder frames_;
    // An open whose strings need several frames; the rest follows in "more" frames.
    std::optional<JsonObject> open_header_;
    std::string open_strings_;
};

[[nodiscard]] std::string_view name_of(StreamId stream);       // "stdin", "stdout", "stderr"
[[nodiscard]] std::string_view name_of(msg::Open::Mode mode);  // "command", "argv", ...
[[nodiscard]] std::optional<msg::Open::Mode> mode_named(std::string_view name);

// Convert the parts of an End that the client's record has too.
[[nodiscard]] JsonObject to_json(const StreamSummary& summary);
[[nodiscard]] JsonObject to_json(const Usage& usage);
[[nodiscard]] std::vector<JsonObject> to_json(const std::vector<ProcessName>& processes);

}  // namespace frsh
