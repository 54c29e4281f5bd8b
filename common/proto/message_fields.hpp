// The one description of every message: which keys it has, in the order in which they are written,
// with their types and ranges.
//
// A Writer, a Reader and a TablePrinter walk the same description (message_writer.hpp,
// message_reader.hpp, message_table.hpp). So what is sent, what is accepted and what PROTOCOL.md
// lists cannot differ. `data` is written by hand besides (encode_data), for speed.
//
// To add a message: a struct and a place in the variant in message.hpp, a type in
// message_names.hpp, a fields() function here, a section in PROTOCOL.md.
#pragma once

#include "common/proto/message.hpp"
#include "common/proto/message_limits.hpp"
#include "common/proto/message_names.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <variant>

namespace frsh {

// A Reader changes the message; a Writer and a TablePrinter take it as const.
template <class Io, class M>
using Seen = std::conditional_t<Io::kReads, M, const M>;

// ---- messages that share one shape

template <class M, class... Others>
concept OneOf = (std::is_same_v<std::remove_const_t<M>, Others> || ...);

template <class Io, OneOf<msg::Cancel, msg::List> M>
void fields(Io& io, M& m) {
    io.whole("ch", m.channel, kMaxId);
}

template <class Io, OneOf<msg::EndAck, msg::Forget, msg::Forgotten> M>
void fields(Io& io, M& m) {
    io.whole("ch", m.channel, kMaxId);
    io.run("run", m.run);
}

// common/keys/proof.hpp parses these payloads; here they are only bytes.
template <class Io, OneOf<msg::Proof, msg::Probe, msg::Auth> M>
void fields(Io& io, M& m) {
    io.payload("see proof.hpp", m.payload);
}

template <class Io>
void fields(Io& io, Seen<Io, msg::Stop>& m) {
    io.whole("ch", m.channel, kMaxId);
    io.named("stream", m.stream, kStreamNames);
}

// ---- parts

template <class Io>
void fields(Io& io, Seen<Io, WindowSize>& m) {
    io.whole("columns", m.columns, kMaxCells);
    io.whole("rows", m.rows, kMaxCells);
    io.whole_or_zero("width", m.width, kMaxCells);
    io.whole_or_zero("height", m.height, kMaxCells);
}

template <class Io>
void fields(Io& io, Seen<Io, msg::Pty>& m) {
    io.maybe_name("term", m.term, kMaxTerm, is_term, "is no name of a terminal");
    fields(io, m.size);
    io.modes("modes", m.modes);
}

template <class Io>
void fields(Io& io, Seen<Io, OnDisconnect>& m) {
    io.named_or_first("on_disconnect", m.kind, kDisconnectNames);
    if (m.kind != OnDisconnect::Kind::Kill || !Io::kHasValues) io.milliseconds("grace_ms", m.grace);
}

template <class Io>
void fields(Io& io, Seen<Io, StreamSummary>& m) {
    io.whole("bytes", m.bytes, kMaxOffset);
    io.whole("crc32", m.crc32, kMaxCrc32);
    io.boolean("eof", m.eof);
    io.maybe_whole("delivered", m.delivered, kMaxOffset);
    io.maybe_whole("gap_at", m.gap_at, kMaxOffset);
}

template <class Io>
void fields(Io& io, Seen<Io, Usage>& m) {
    io.number("wall_s", m.wall_seconds);
    io.number("user_s", m.user_seconds);
    io.number("sys_s", m.system_seconds);
    io.whole("max_rss_kib", m.max_rss_kib, kMaxOffset);
    io.maybe_whole("oom_kills", m.oom_kills, kMaxOffset);
}

template <class Io>
void fields(Io& io, Seen<Io, ProcessName>& m) {
    io.whole("pid", m.pid, kMaxPid);
    io.bytes("name", m.name, 4096);
}

template <class Io>
void fields(Io& io, Seen<Io, msg::Attached::Point>& m) {
    io.whole("at", m.at, kMaxOffset);
    io.whole("crc32", m.crc32, kMaxCrc32);
}

template <class Io>
void fields(Io& io, Seen<Io, msg::Resume::Point>& m) {
    io.whole("ch", m.channel, kMaxId);
    io.run("run", m.run);
    io.whole("stdout", m.out, kMaxOffset);
    io.whole("stderr", m.err, kMaxOffset);
}

template <class Io>
void fields(Io& io, Seen<Io, msg::Resumed::Point>& m) {
    io.whole("ch", m.channel, kMaxId);
    io.whole("stdin", m.in, kMaxOffset);
    io.whole_or_zero("pid", m.pid, kMaxPid);
}

template <class Io>
void fields(Io& io, Seen<Io, msg::Resumed::LostRun>& m) {
    io.whole("ch", m.channel, kMaxId);
    io.text("message", m.message, kMaxMessage);
}

// ---- hello and login

template <class Io>
void fields(Io& io, Seen<Io, msg::Hello>& m) {
    io.whole("proto", m.proto, UINT32_MAX);
    // The other keys of another version may mean anything: the receiver reports it and closes.
    if (Io::kReads && m.proto != kProtocolVersion) return io.ignore_payload();
    io.text("software", m.software, 128);
    io.texts("features", m.features, kMaxFeatures);
    io.text_or_empty("user", m.user, 256);
    io.text_or_empty("host", m.host, 256);
    io.maybe_name("session", m.session, 64, is_session_name, "is no name of a session");
    io.payload("nonce", m.nonce);
    io.check(m.nonce.empty() || m.nonce.size() == kNonce, "len", "is not 16");
}

template <class Io>
void fields(Io& io, Seen<Io, msg::Acceptable>& m) {
    io.maybe_whole("key", m.key, kMaxProbedKeys - 1);
}

template <class Io, OneOf<msg::AuthPending, msg::Ping, msg::Pong> M>
void fields(Io&, M&) {}

// ---- runs

template <class Io>
void check_open(Io& io, const msg::Open& m) {
    using Mode = msg::Open::Mode;
    const std::size_t args = m.args.size();
    const bool fits = m.mode == Mode::Argv      ? args > 0
                      : m.mode == Mode::Login   ? args == 0
                      : m.mode == Mode::Connect ? args == 1 || args == 2
                                                : args == 1;
    io.check(fits, "args", "does not fit the mode");
    io.check(!m.shell || m.mode == Mode::Command, "mode", "does not fit a shell");
    const bool is_forward = m.mode == Mode::Connect || m.mode == Mode::Accept;
    io.check(!is_forward || (!m.pty && !m.kept), "mode", "has no program to keep");
    io.check(!m.kept || (!m.pty && !m.shell), "kept", "fits neither a terminal nor a shell");
    io.check(m.on_disconnect.kind != OnDisconnect::Kind::Keep || m.kept, "on_disconnect",
             "is keep, which requires \"kept\": true");
    io.check(m.shell_name.empty() || (!m.pty && !m.shell && !m.kept && m.mode == Mode::Command),
             "shell_name", "fits only a command in no other shell, not kept");
}

template <class Io>
void fields(Io& io, Seen<Io, msg::Open>& m) {
    io.whole("ch", m.channel, kMaxId);
    io.run("run", m.run);
    io.named("mode", m.mode, kModeNames);
    io.strings("args", m.args);
    io.maybe_string("cwd", m.cwd);
    io.environment("env", m.env);
    io.environment_or_none("forwarded", m.forwarded);
    io.flag("stdin_null", m.stdin_null);
    io.maybe_milliseconds("timeout_ms", m.timeout);
    io.maybe_milliseconds("idle_ms", m.idle_timeout);
    io.maybe_milliseconds("linger_ms", m.linger);
    io.maybe_whole("max_output", m.max_output, kMaxOffset);
    io.maybe_whole("shell", m.shell, kMaxId);
    fields(io, m.on_disconnect);
    io.maybe_object("pty", m.pty);
    io.flag("kept", m.kept);
    io.maybe_name("shell_name", m.shell_name, 64, is_run_id, "is no name of a shell");
    io.flag("bashrc", m.bashrc);
    check_open(io, m);
}

template <class Io>
void fields(Io& io, Seen<Io, msg::Started>& m) {
    io.whole("ch", m.channel, kMaxId);
    io.run("run", m.run);
    io.whole("pid", m.pid, kMaxPid);
}

template <class Io>
void fields(Io& io, Seen<Io, msg::Refused>& m) {
    io.whole("ch", m.channel, kMaxId);
    io.text("reason", m.reason, 32);
    io.text("message", m.message, kMaxMessage);
}

template <class Io>
void fields(Io& io, Seen<Io, msg::End>& m) {
    io.whole("ch", m.channel, kMaxId);
    io.run("run", m.run);
    io.outcome("outcome", m.outcome);
    io.object("stdout", m.out);
    io.object("stderr", m.err);
    io.object_or_null("usage", m.usage);
    io.objects("holders", m.holders, kMaxNames);
    io.objects("survivors", m.survivors, kMaxNames);
    io.maybe_text("journal", m.journal, kMaxMessage);
    io.flag("unseen", m.is_unseen);
    io.maybe_whole("generation", m.generation, kMaxOffset);
    io.maybe_whole("typed", m.typed, kMaxOffset);
    io.bytes_or_none("unread", m.unread, 8192);
    io.maybe_payload("cwd", m.cwd);
}

// ---- streams

template <class Io>
void fields(Io& io, Seen<Io, msg::Data>& m) {
    io.whole("ch", m.channel, kMaxId);
    io.named("stream", m.stream, kStreamNames);
    io.whole("off", m.offset, kMaxOffset);
    io.whole_or_zero("t", m.time_us, kMaxOffset);
    io.lent_payload("bytes", m.bytes, kMaxData);
}

template <class Io>
void fields(Io& io, Seen<Io, msg::Eof>& m) {
    io.whole("ch", m.channel, kMaxId);
    io.named("stream", m.stream, kStreamNames);
    io.whole("off", m.offset, kMaxOffset);
}

template <class Io>
void fields(Io& io, Seen<Io, msg::Gap>& m) {
    io.whole("ch", m.channel, kMaxId);
    io.named("stream", m.stream, kStreamNames);
    io.whole("off", m.offset, kMaxOffset);
    io.whole("to", m.to, kMaxOffset);
    io.whole("crc32", m.crc32, kMaxCrc32);
}

template <class Io>
void fields(Io& io, Seen<Io, msg::Credit>& m) {
    io.whole("ch", m.channel, kMaxId);
    io.named("stream", m.stream, kStreamNames);
    io.whole("consumed", m.consumed, kMaxOffset);
    io.whole("limit", m.limit, kMaxOffset);
}

// ---- control

template <class Io>
void fields(Io& io, Seen<Io, msg::Signal>& m) {
    io.whole("ch", m.channel, kMaxId);
    io.text("name", m.name, 16);
}

template <class Io>
void fields(Io& io, Seen<Io, msg::Resize>& m) {
    io.whole("ch", m.channel, kMaxId);
    fields(io, m.size);
}

template <class Io>
void fields(Io& io, Seen<Io, msg::Bye>& m) {
    io.maybe_text("signal", m.signal, 16);
}

template <class Io>
void fields(Io& io, Seen<Io, msg::Error>& m) {
    io.text("reason", m.reason, 32);
    io.text("message", m.message, kMaxMessage);
    io.maybe_whole("retry_after", m.retry_after, kMaxRetrySeconds);
}

// ---- kept runs

template <class Io>
void fields(Io& io, Seen<Io, msg::Attach>& m) {
    io.whole("ch", m.channel, kMaxId);
    io.run("run", m.run);
    io.whole_or_null("stdout", m.out, kMaxOffset);
    io.whole_or_null("stderr", m.err, kMaxOffset);
    io.flag("follow", m.follow);
}

template <class Io>
void fields(Io& io, Seen<Io, msg::Attached>& m) {
    io.whole("ch", m.channel, kMaxId);
    io.run("run", m.run);
    io.whole("pid", m.pid, kMaxPid);
    io.object("stdout", m.out);
    io.object("stderr", m.err);
}

template <class Io>
void fields(Io& io, Seen<Io, msg::Kept>& m) {
    io.whole("ch", m.channel, kMaxId);
    io.run("run", m.run);
    io.outcome("outcome", m.outcome);
    io.whole("started_at", m.started_at, kMaxOffset);
    io.maybe_whole("ended_at", m.ended_at, kMaxOffset);
    io.named("mode", m.mode, kModeNames);
    io.strings("args", m.args);
    io.flag("shell", m.is_shell);
    io.whole("stdout", m.out, kMaxOffset);
    io.whole("stderr", m.err, kMaxOffset);
}

template <class Io>
void fields(Io& io, Seen<Io, msg::Listed>& m) {
    io.whole("ch", m.channel, kMaxId);
    io.whole("now", m.now, kMaxOffset);
}

// ---- shells

template <class Io>
void fields(Io& io, Seen<Io, msg::ShellOpen>& m) {
    io.whole("shell", m.shell, kMaxId);
    io.maybe_string("cwd", m.cwd);
    io.environment("env", m.env);
    fields(io, m.on_disconnect);
    io.maybe_object("pty", m.pty);
}

template <class Io>
void fields(Io& io, Seen<Io, msg::ShellReady>& m) {
    io.whole("shell", m.shell, kMaxId);
    io.whole("pid", m.pid, kMaxPid);
    io.text("kind", m.kind, 16);
    io.string("folder", m.cwd);
    io.string("home", m.home);
    io.flag("terminal", m.has_terminal);
    io.flag("no_startup", m.lacks_startup);
}

template <class Io>
void fields(Io& io, Seen<Io, msg::ShellEnded>& m) {
    io.whole("shell", m.shell, kMaxId);
    io.outcome("outcome", m.outcome);
}

template <class Io>
void fields(Io& io, Seen<Io, msg::ShellClose>& m) {
    io.whole("shell", m.shell, kMaxId);
}

// ---- a lost connection

template <class Io>
void fields(Io& io, Seen<Io, msg::Resume>& m) {
    io.text("session", m.session, 64);
    io.check(is_session_name(m.session), "session", "is no name of a session");
    io.objects("runs", m.points, kMaxChannels + kMaxForwards);
    io.maybe_milliseconds("age_ms", m.age);
}

template <class Io>
void fields(Io& io, Seen<Io, msg::Resumed>& m) {
    io.objects("runs", m.points, kMaxChannels + kMaxForwards);
    io.wholes("shells", m.shells, kMaxShells, kMaxId);
    io.maybe_objects("lost", m.lost, kMaxChannels + kMaxForwards);
}

// ---- listeners

template <class Io>
void fields(Io& io, Seen<Io, msg::Listen>& m) {
    io.whole("listener", m.listener, kMaxId);
    io.strings("args", m.args);
    fields(io, m.on_disconnect);
    io.flag("unlink", m.unlink);
    io.flag("agent", m.agent);
    const bool is_place = m.args.size() == 1 || m.args.size() == 2;
    io.check(m.agent ? m.args.empty() : is_place, "args", "is no host and port, and no path");
}

template <class Io>
void fields(Io& io, Seen<Io, msg::Listening>& m) {
    io.whole("listener", m.listener, kMaxId);
    io.whole_or_zero("port", m.port, 65535);
    io.maybe_text("problem", m.problem, kMaxMessage);
}

template <class Io>
void fields(Io& io, Seen<Io, msg::Incoming>& m) {
    io.whole("listener", m.listener, kMaxId);
    io.whole("connection", m.connection, kMaxOffset);
    io.text_or_empty("from", m.from, 128);
}

template <class Io>
void fields(Io& io, Seen<Io, msg::Unlisten>& m) {
    io.whole("listener", m.listener, kMaxId);
}

}  // namespace frsh
