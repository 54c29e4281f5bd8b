#include "common/proto/message.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/proto/fields.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace frsh {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t kMaxOffset = (1ULL << 53) - 1;  // What every language's JSON can hold.
constexpr std::uint64_t kMaxId = UINT32_MAX;
constexpr std::uint64_t kMaxMilliseconds = 32'000'000'000'000;
constexpr std::size_t kMaxStrings = 512 * 1024;
constexpr std::size_t kNonce = 16;
constexpr std::size_t kMaxProbedKeys = 6;
constexpr std::size_t kMaxTerm = 128;
constexpr std::uint64_t kMaxCells = 65535;  // A terminal's size is in 16 bits everywhere.
constexpr std::size_t kMaxModes = 128;
constexpr std::size_t kMaxModeName = 32;
constexpr std::size_t kMaxNames = 64;  // Holders and survivors that one end names.
constexpr std::array<std::string_view, 3> kStreamNames = {"stdin", "stdout", "stderr"};
constexpr std::array<std::string_view, 4> kModeNames = {"command", "argv", "login", "subsystem"};
constexpr std::array<std::string_view, 3> kDisconnectNames = {"kill", "grace", "keep"};

// --- writing ---------------------------------------------------------------------------------

void finish(std::string& out, Json::Object members, std::string_view payload = {}) {
    if (!payload.empty()) members.emplace_back("len", payload.size());
    append_frame(out, Json(std::move(members)).dump(), payload);
}

Json::Object header(const char* type) {
    return {{"type", type}};
}

Json::Object header(const char* type, Channel channel) {
    return {{"type", type}, {"ch", channel}};
}

Json::Object header(const char* type, Channel channel, const std::string& run) {
    return {{"type", type}, {"ch", channel}, {"run", run}};
}

Json::Object header(const char* type, Channel channel, StreamId stream) {
    return {{"type", type}, {"ch", channel}, {"stream", name_of(stream)}};
}

void add_terminated(std::string& strings, std::string_view text) {
    must(text.find('\0') == std::string_view::npos, "a string on the wire has no NUL in it");
    strings += text;
    strings += '\0';
}

void put(std::string& out, const msg::Hello& hello) {
    auto members = header("hello");
    members.emplace_back("proto", hello.proto);
    members.emplace_back("software", hello.software);
    members.emplace_back("features", Json::Array(hello.features.begin(), hello.features.end()));
    if (!hello.user.empty()) members.emplace_back("user", hello.user);
    if (!hello.host.empty()) members.emplace_back("host", hello.host);
    if (!hello.session.empty()) members.emplace_back("session", hello.session);
    finish(out, std::move(members), hello.nonce);
}

void put(std::string& out, const msg::Proof& proof) {
    finish(out, header("proof"), proof.payload);
}

void put(std::string& out, const msg::Probe& probe) {
    finish(out, header("probe"), probe.payload);
}

void put(std::string& out, const msg::Acceptable& acceptable) {
    auto members = header("acceptable");
    if (acceptable.key) members.emplace_back("key", *acceptable.key);
    finish(out, std::move(members));
}

void put(std::string& out, const msg::AuthPending&) {
    finish(out, header("auth_pending"));
}

void put(std::string& out, const msg::Auth& auth) {
    finish(out, header("auth"), auth.payload);
}

void add_milliseconds(Json::Object& members, const char* key,
                      const std::optional<milliseconds>& value) {
    if (value) members.emplace_back(key, static_cast<std::int64_t>(value->count()));
}

void add_on_disconnect(Json::Object& members, const OnDisconnect& wish) {
    if (wish.kind == OnDisconnect::Kind::Kill) return;
    members.emplace_back("on_disconnect", kDisconnectNames[static_cast<std::size_t>(wish.kind)]);
    add_milliseconds(members, "grace_ms", wish.grace);
}

void add_size(Json::Object& members, const WindowSize& size) {
    members.emplace_back("columns", size.columns);
    members.emplace_back("rows", size.rows);
    if (size.width != 0) members.emplace_back("width", size.width);
    if (size.height != 0) members.emplace_back("height", size.height);
}

Json to_json(const msg::Pty& pty) {
    Json::Object members;
    if (!pty.term.empty()) members.emplace_back("term", pty.term);
    add_size(members, pty.size);
    Json::Object modes;
    for (const auto& [name, value] : pty.modes)
        modes.emplace_back(name, value);
    if (!modes.empty()) members.emplace_back("modes", std::move(modes));
    return members;
}

void put(std::string& out, const msg::Open& open) {
    auto members = header("open", open.channel, open.run);
    members.emplace_back("mode", name_of(open.mode));
    members.emplace_back("args", open.args.size());
    if (open.cwd) members.emplace_back("cwd", true);
    members.emplace_back("env", open.env.size());
    if (!open.forwarded.empty()) members.emplace_back("forwarded", open.forwarded.size());
    if (open.stdin_null) members.emplace_back("stdin_null", true);
    add_milliseconds(members, "timeout_ms", open.timeout);
    add_milliseconds(members, "idle_ms", open.idle_timeout);
    add_milliseconds(members, "linger_ms", open.linger);
    if (open.max_output) members.emplace_back("max_output", *open.max_output);
    if (open.shell) members.emplace_back("shell", *open.shell);
    add_on_disconnect(members, open.on_disconnect);
    if (open.pty) members.emplace_back("pty", to_json(*open.pty));
    if (open.kept) members.emplace_back("kept", true);
    if (!open.shell_name.empty()) members.emplace_back("shell_name", open.shell_name);

    std::string strings;
    for (const std::string& arg : open.args)
        add_terminated(strings, arg);
    if (open.cwd) add_terminated(strings, *open.cwd);
    for (const auto* const entries : {&open.env, &open.forwarded}) {
        for (const std::string& entry : *entries)
            add_terminated(strings, entry);
    }
    std::string_view rest = strings;
    // In pieces, where it is more than a frame may carry.
    for (;;) {
        const std::string_view piece = rest.substr(0, kFrameLimits.payload);
        rest.remove_prefix(piece.size());
        if (!rest.empty()) members.emplace_back("more", true);
        finish(out, std::move(members), piece);
        if (rest.empty()) return;
        members = header("more", open.channel);
    }
}

void put(std::string& out, const msg::Started& started) {
    auto members = header("started", started.channel, started.run);
    members.emplace_back("pid", started.pid);
    finish(out, std::move(members));
}

void put(std::string& out, const msg::Refused& refused) {
    auto members = header("refused", refused.channel);
    members.emplace_back("reason", refused.reason);
    members.emplace_back("message", refused.message);
    finish(out, std::move(members));
}

void put(std::string& out, const msg::Data& data) {
    encode_data(out, data);
}

void put(std::string& out, const msg::Eof& eof) {
    auto members = header("eof", eof.channel, eof.stream);
    members.emplace_back("off", eof.offset);
    finish(out, std::move(members));
}

void put(std::string& out, const msg::Gap& gap) {
    auto members = header("gap", gap.channel, gap.stream);
    members.emplace_back("off", gap.offset);
    members.emplace_back("to", gap.to);
    members.emplace_back("crc32", gap.crc32);
    finish(out, std::move(members));
}

void put(std::string& out, const msg::Credit& credit) {
    auto members = header("credit", credit.channel, credit.stream);
    members.emplace_back("consumed", credit.consumed);
    members.emplace_back("limit", credit.limit);
    finish(out, std::move(members));
}

void put(std::string& out, const msg::Stop& stop) {
    finish(out, header("stop", stop.channel, stop.stream));
}

void put(std::string& out, const msg::Signal& signal) {
    auto members = header("signal", signal.channel);
    members.emplace_back("name", signal.name);
    finish(out, std::move(members));
}

void put(std::string& out, const msg::Cancel& cancel) {
    finish(out, header("cancel", cancel.channel));
}

void put(std::string& out, const msg::Resize& resize) {
    auto members = header("resize", resize.channel);
    add_size(members, resize.size);
    finish(out, std::move(members));
}

void add_offset(Json::Object& members, const char* key, const std::optional<Offset>& at) {
    if (at) {
        members.emplace_back(key, *at);
    } else {
        members.emplace_back(key, nullptr);
    }
}

void put(std::string& out, const msg::Attach& attach) {
    auto members = header("attach", attach.channel, attach.run);
    add_offset(members, "stdout", attach.out);
    add_offset(members, "stderr", attach.err);
    if (attach.follow) members.emplace_back("follow", true);
    finish(out, std::move(members));
}

Json to_json(const msg::Attached::Point& point) {
    return Json::Object{{"at", point.at}, {"crc32", point.crc32}};
}

void put(std::string& out, const msg::Attached& attached) {
    auto members = header("attached", attached.channel, attached.run);
    members.emplace_back("pid", attached.pid);
    members.emplace_back("stdout", to_json(attached.out));
    members.emplace_back("stderr", to_json(attached.err));
    finish(out, std::move(members));
}

void put(std::string& out, const msg::List& list) {
    finish(out, header("list", list.channel));
}

void put(std::string& out, const msg::Kept& kept) {
    auto members = header("kept", kept.channel, kept.run);
    members.emplace_back("outcome", to_json(kept.outcome));
    members.emplace_back("started_at", kept.started_at);
    if (kept.ended_at) members.emplace_back("ended_at", *kept.ended_at);
    members.emplace_back("mode", name_of(kept.mode));
    members.emplace_back("args", kept.args.size());
    if (kept.is_shell) members.emplace_back("shell", true);
    members.emplace_back("stdout", kept.out);
    members.emplace_back("stderr", kept.err);
    std::string strings;
    for (const std::string& arg : kept.args)
        add_terminated(strings, arg);
    finish(out, std::move(members), strings);
}

void put(std::string& out, const msg::Listed& listed) {
    auto members = header("listed", listed.channel);
    members.emplace_back("now", listed.now);
    finish(out, std::move(members));
}

void put(std::string& out, const msg::Forget& forget) {
    finish(out, header("forget", forget.channel, forget.run));
}

void put(std::string& out, const msg::Forgotten& forgotten) {
    finish(out, header("forgotten", forgotten.channel, forgotten.run));
}

void put(std::string& out, const msg::End& end) {
    auto members = header("end", end.channel, end.run);
    members.emplace_back("outcome", to_json(end.outcome));
    members.emplace_back("stdout", to_json(end.out));
    members.emplace_back("stderr", to_json(end.err));
    members.emplace_back("usage", end.usage ? to_json(*end.usage) : Json());
    members.emplace_back("holders", to_json(end.holders));
    members.emplace_back("survivors", to_json(end.survivors));
    if (end.journal) members.emplace_back("journal", *end.journal);
    if (end.cwd) members.emplace_back("cwd", true);
    finish(out, std::move(members), end.cwd ? std::string_view(*end.cwd) : std::string_view());
}

void put(std::string& out, const msg::EndAck& ack) {
    finish(out, header("end_ack", ack.channel, ack.run));
}

void put(std::string& out, const msg::ShellOpen& open) {
    auto members = header("shell_open");
    members.emplace_back("shell", open.shell);
    std::string strings;
    if (open.cwd) {
        members.emplace_back("cwd", true);
        add_terminated(strings, *open.cwd);
    }
    members.emplace_back("env", open.env.size());
    for (const std::string& entry : open.env)
        add_terminated(strings, entry);
    add_on_disconnect(members, open.on_disconnect);
    finish(out, std::move(members), strings);
}

void put(std::string& out, const msg::ShellReady& ready) {
    auto members = header("shell_ready");
    members.emplace_back("shell", ready.shell);
    members.emplace_back("pid", ready.pid);
    members.emplace_back("kind", ready.kind);
    std::string strings;
    add_terminated(strings, ready.cwd);
    add_terminated(strings, ready.home);
    finish(out, std::move(members), strings);
}

void put(std::string& out, const msg::ShellEnded& ended) {
    auto members = header("shell_ended");
    members.emplace_back("shell", ended.shell);
    members.emplace_back("outcome", to_json(ended.outcome));
    finish(out, std::move(members));
}

void put(std::string& out, const msg::ShellClose& close) {
    auto members = header("shell_close");
    members.emplace_back("shell", close.shell);
    finish(out, std::move(members));
}

void put(std::string& out, const msg::Resume& resume) {
    auto members = header("resume");
    members.emplace_back("session", resume.session);
    Json::Array points;
    for (const msg::Resume::Point& point : resume.points) {
        points.emplace_back(Json::Object{{"ch", point.channel},
                                         {"run", point.run},
                                         {"stdout", point.out},
                                         {"stderr", point.err}});
    }
    members.emplace_back("runs", std::move(points));
    finish(out, std::move(members));
}

void put(std::string& out, const msg::Resumed& resumed) {
    auto members = header("resumed");
    Json::Array points;
    for (const msg::Resumed::Point& point : resumed.points) {
        points.emplace_back(Json::Object{{"ch", point.channel}, {"stdin", point.in}});
    }
    members.emplace_back("runs", std::move(points));
    members.emplace_back("shells", Json::Array(resumed.shells.begin(), resumed.shells.end()));
    finish(out, std::move(members));
}

void put(std::string& out, const msg::Bye& bye) {
    auto members = header("bye");
    if (bye.signal) members.emplace_back("signal", *bye.signal);
    finish(out, std::move(members));
}

void put(std::string& out, const msg::Error& error) {
    auto members = header("error");
    members.emplace_back("reason", error.reason);
    members.emplace_back("message", error.message);
    if (error.retry_after) members.emplace_back("retry_after", *error.retry_after);
    finish(out, std::move(members));
}

// --- reading ---------------------------------------------------------------------------------

Channel channel_of(const Fields& fields) {
    return static_cast<Channel>(fields.whole("ch", kMaxId));
}

ShellId shell_of(const Fields& fields) {
    return static_cast<ShellId>(fields.whole("shell", kMaxId));
}

StreamId stream_of(const Fields& fields) {
    const std::string name = fields.text("stream", 8);
    for (std::size_t i = 0; i < kStreamNames.size(); ++i) {
        if (name == kStreamNames[i]) return static_cast<StreamId>(i);
    }
    fields.refuse("stream", "is none of stdin, stdout, stderr");
}

msg::Open::Mode mode_of(const Fields& fields) {
    const auto mode = mode_named(fields.text("mode", 16));
    if (!mode) fields.refuse("mode", "is unknown");
    return *mode;
}

std::string run_of(const Fields& fields) {
    std::string run = fields.text("run", 64);
    if (!is_run_id(run)) fields.refuse("run", "is no run id");
    return run;
}

std::string session_of(const Fields& fields) {
    std::string session = fields.text("session", 64);
    if (!is_session_name(session)) fields.refuse("session", "is no name of a session");
    return session;
}

std::optional<milliseconds> milliseconds_of(const Fields& fields, std::string_view key) {
    const auto value = fields.maybe_whole(key, kMaxMilliseconds);
    if (!value) return std::nullopt;
    return milliseconds(*value);
}

OnDisconnect on_disconnect_of(const Fields& fields) {
    OnDisconnect wish;
    if (!fields.has("on_disconnect")) return wish;
    const std::string name = fields.text("on_disconnect", 16);
    const auto* const found =
        std::find(kDisconnectNames.begin(), kDisconnectNames.end(), std::string_view(name));
    if (found == kDisconnectNames.end()) fields.refuse("on_disconnect", "is unknown");
    wish.kind = static_cast<OnDisconnect::Kind>(found - kDisconnectNames.begin());
    if (wish.kind != OnDisconnect::Kind::Kill) {
        wish.grace = milliseconds(fields.whole("grace_ms", kMaxMilliseconds));
    }
    return wish;
}

WindowSize size_of(const Fields& fields) {
    const auto cells = [&](std::uint64_t value) { return static_cast<unsigned>(value); };
    return {cells(fields.whole("columns", kMaxCells)), cells(fields.whole("rows", kMaxCells)),
            cells(fields.maybe_whole("width", kMaxCells).value_or(0)),
            cells(fields.maybe_whole("height", kMaxCells).value_or(0))};
}

TerminalModes modes_from(const Json& json) {
    const Fields fields(json, "open: pty: modes");
    TerminalModes modes;
    if (json.object()->size() > kMaxModes) throw ProtocolError("open: pty: too many modes");
    for (const auto& [name, value] : *json.object()) {
        if (name.size() > kMaxModeName)
            throw ProtocolError("open: pty: the name of a mode is too long");
        modes[name] = static_cast<std::uint32_t>(fields.whole(name, UINT32_MAX));
    }
    return modes;
}

msg::Pty pty_from(const Json& json) {
    const Fields fields(json, "open: pty");
    msg::Pty pty;
    if (fields.has("term")) {
        pty.term = fields.text("term", kMaxTerm);
        if (!is_term(pty.term)) fields.refuse("term", "is no name of a terminal");
    }
    pty.size = size_of(fields);
    if (fields.has("modes")) pty.modes = modes_from(fields.member("modes"));
    return pty;
}

// A payload of NUL-terminated strings, taken one after another.
class Strings {
  public:
    Strings(std::string_view payload, const Fields& fields) : rest_(payload), fields_(fields) {}

    std::string one(std::string_view key) {
        const std::size_t end = rest_.find('\0');
        if (end == std::string_view::npos) fields_.refuse(key, "promises more than there is");
        std::string text(rest_.substr(0, end));
        rest_.remove_prefix(end + 1);
        return text;
    }
    std::vector<std::string> many(std::string_view key) {
        std::vector<std::string> texts;
        const auto count = fields_.maybe_whole(key, kMaxStrings).value_or(0);
        for (std::uint64_t i = 0; i < count; ++i)
            texts.push_back(one(key));
        return texts;
    }
    std::optional<std::string> maybe(std::string_view key) {
        if (!fields_.flag(key)) return std::nullopt;
        return one(key);
    }
    void finish() const {
        if (!rest_.empty())
            fields_.refuse("len",
                           "is more than the strings need, each of which ends at its first NUL");
    }

  private:
    std::string_view rest_;
    const Fields& fields_;
};

void check_env(const std::vector<std::string>& env, const Fields& fields) {
    for (const std::string& entry : env) {
        const std::size_t equals = entry.find('=');
        if (equals == std::string::npos || equals == 0) fields.refuse("env", "is not NAME=VALUE");
    }
}

Message read_hello(const Fields& fields, std::string_view payload) {
    msg::Hello hello;
    hello.proto = static_cast<unsigned>(fields.whole("proto", UINT32_MAX));
    // Another version may mean anything by the rest; the receiver says so and closes.
    if (hello.proto != kProtocolVersion) return hello;
    hello.software = fields.text("software", 128);
    for (const Json& feature : fields.array("features", 64)) {
        if (feature.string() == nullptr) fields.refuse("features", "has an item that is no string");
        hello.features.push_back(*feature.string());
    }
    if (fields.has("user")) hello.user = fields.text("user", 256);
    if (fields.has("host")) hello.host = fields.text("host", 256);
    if (fields.has("session")) hello.session = session_of(fields);
    if (!payload.empty() && payload.size() != kNonce) fields.refuse("len", "is not 16");
    hello.nonce = payload;
    return hello;
}

// The payload of all three is judged by whoever checks signatures.
Message read_proof(const Fields&, std::string_view payload) {
    return msg::Proof{std::string(payload)};
}

Message read_probe(const Fields&, std::string_view payload) {
    return msg::Probe{std::string(payload)};
}

Message read_auth(const Fields&, std::string_view payload) {
    return msg::Auth{std::string(payload)};
}

Message read_acceptable(const Fields& fields, std::string_view) {
    return msg::Acceptable{fields.maybe_whole("key", kMaxProbedKeys - 1)};
}

Message read_auth_pending(const Fields&, std::string_view) {
    return msg::AuthPending{};
}

Message read_started(const Fields& fields, std::string_view) {
    return msg::Started{channel_of(fields), run_of(fields),
                        static_cast<std::int64_t>(fields.whole("pid", INT32_MAX))};
}

Message read_refused(const Fields& fields, std::string_view) {
    return msg::Refused{channel_of(fields), fields.text("reason", 32),
                        fields.text("message", 8192)};
}

Message read_data(const Fields& fields, std::string_view payload) {
    if (payload.size() > kMaxData) fields.refuse("len", "is above 65536");
    return msg::Data{channel_of(fields), stream_of(fields), fields.whole("off", kMaxOffset),
                     fields.maybe_whole("t", kMaxOffset).value_or(0), payload};
}

Message read_eof(const Fields& fields, std::string_view) {
    return msg::Eof{channel_of(fields), stream_of(fields), fields.whole("off", kMaxOffset)};
}

Message read_gap(const Fields& fields, std::string_view) {
    return msg::Gap{channel_of(fields), stream_of(fields), fields.whole("off", kMaxOffset),
                    fields.whole("to", kMaxOffset),
                    static_cast<std::uint32_t>(fields.whole("crc32", UINT32_MAX))};
}

Message read_credit(const Fields& fields, std::string_view) {
    return msg::Credit{channel_of(fields), stream_of(fields), fields.whole("consumed", kMaxOffset),
                       fields.whole("limit", kMaxOffset)};
}

Message read_stop(const Fields& fields, std::string_view) {
    return msg::Stop{channel_of(fields), stream_of(fields)};
}

Message read_signal(const Fields& fields, std::string_view) {
    return msg::Signal{channel_of(fields), fields.text("name", 16)};
}

Message read_cancel(const Fields& fields, std::string_view) {
    return msg::Cancel{channel_of(fields)};
}

StreamSummary summary_from(const Json& json, std::string_view what) {
    const Fields fields(json, what);
    StreamSummary summary;
    summary.bytes = fields.whole("bytes", kMaxOffset);
    summary.crc32 = static_cast<std::uint32_t>(fields.whole("crc32", UINT32_MAX));
    summary.eof = fields.flag("eof");
    summary.delivered = fields.maybe_whole("delivered", kMaxOffset);
    summary.gap_at = fields.maybe_whole("gap_at", kMaxOffset);
    return summary;
}

std::vector<ProcessName> processes_from(const Fields& fields, std::string_view key) {
    std::vector<ProcessName> processes;
    for (const Json& item : fields.array(key, kMaxNames)) {
        const Fields process(item, key);
        std::string name;
        if (process.has("name_b64")) {
            const auto decoded = base64_decode(process.text("name_b64", 4096));
            if (!decoded) process.refuse("name_b64", "is not base64");
            name = *decoded;
        } else {
            name = process.text("name", 4096);
        }
        processes.push_back({static_cast<std::int64_t>(process.whole("pid", INT32_MAX)), name});
    }
    return processes;
}

Message read_end(const Fields& fields, std::string_view payload) {
    msg::End end;
    end.channel = channel_of(fields);
    end.run = run_of(fields);
    end.outcome = outcome_from(fields.member("outcome"));
    end.out = summary_from(fields.member("stdout"), "end: stdout");
    end.err = summary_from(fields.member("stderr"), "end: stderr");
    if (const Json& json = fields.member("usage"); !json.is_null()) {
        const Fields usage(json, "end: usage");
        end.usage = Usage{usage.number("wall_s"), usage.number("user_s"), usage.number("sys_s"),
                          usage.whole("max_rss_kib", kMaxOffset),
                          usage.maybe_whole("oom_kills", kMaxOffset)};
    }
    end.holders = processes_from(fields, "holders");
    end.survivors = processes_from(fields, "survivors");
    if (fields.flag("cwd")) end.cwd = std::string(payload);
    if (fields.has("journal")) end.journal = fields.text("journal", 8192);
    return end;
}

std::optional<Offset> offset_or_null(const Fields& fields, std::string_view key) {
    if (fields.member(key).is_null()) return std::nullopt;
    return fields.whole(key, kMaxOffset);
}

Message read_attach(const Fields& fields, std::string_view) {
    return msg::Attach{channel_of(fields), run_of(fields), offset_or_null(fields, "stdout"),
                       offset_or_null(fields, "stderr"), fields.flag("follow")};
}

msg::Attached::Point point_from(const Json& json, std::string_view what) {
    const Fields fields(json, what);
    return {fields.whole("at", kMaxOffset),
            static_cast<std::uint32_t>(fields.whole("crc32", UINT32_MAX))};
}

Message read_attached(const Fields& fields, std::string_view) {
    return msg::Attached{channel_of(fields), run_of(fields),
                         static_cast<std::int64_t>(fields.whole("pid", INT32_MAX)),
                         point_from(fields.member("stdout"), "attached: stdout"),
                         point_from(fields.member("stderr"), "attached: stderr")};
}

Message read_list(const Fields& fields, std::string_view) {
    return msg::List{channel_of(fields)};
}

Message read_kept(const Fields& fields, std::string_view payload) {
    msg::Kept kept;
    kept.channel = channel_of(fields);
    kept.run = run_of(fields);
    kept.outcome = outcome_from(fields.member("outcome"));
    kept.started_at = fields.whole("started_at", kMaxOffset);
    kept.ended_at = fields.maybe_whole("ended_at", kMaxOffset);
    kept.mode = mode_of(fields);
    Strings strings(payload, fields);
    kept.args = strings.many("args");
    strings.finish();
    kept.is_shell = fields.flag("shell");
    kept.out = fields.whole("stdout", kMaxOffset);
    kept.err = fields.whole("stderr", kMaxOffset);
    return kept;
}

Message read_listed(const Fields& fields, std::string_view) {
    return msg::Listed{channel_of(fields), fields.whole("now", kMaxOffset)};
}

Message read_forget(const Fields& fields, std::string_view) {
    return msg::Forget{channel_of(fields), run_of(fields)};
}

Message read_forgotten(const Fields& fields, std::string_view) {
    return msg::Forgotten{channel_of(fields), run_of(fields)};
}

Message read_resize(const Fields& fields, std::string_view) {
    return msg::Resize{channel_of(fields), size_of(fields)};
}

Message read_end_ack(const Fields& fields, std::string_view) {
    return msg::EndAck{channel_of(fields), run_of(fields)};
}

Message read_shell_open(const Fields& fields, std::string_view payload) {
    msg::ShellOpen open;
    open.shell = shell_of(fields);
    Strings strings(payload, fields);
    open.cwd = strings.maybe("cwd");
    open.env = strings.many("env");
    strings.finish();
    check_env(open.env, fields);
    open.on_disconnect = on_disconnect_of(fields);
    return open;
}

Message read_shell_ready(const Fields& fields, std::string_view payload) {
    msg::ShellReady ready;
    ready.shell = shell_of(fields);
    ready.pid = static_cast<std::int64_t>(fields.whole("pid", INT32_MAX));
    ready.kind = fields.text("kind", 16);
    Strings strings(payload, fields);
    ready.cwd = strings.one("len");
    ready.home = strings.one("len");
    strings.finish();
    return ready;
}

Message read_shell_ended(const Fields& fields, std::string_view) {
    return msg::ShellEnded{shell_of(fields), outcome_from(fields.member("outcome"))};
}

Message read_shell_close(const Fields& fields, std::string_view) {
    return msg::ShellClose{shell_of(fields)};
}

Message read_resume(const Fields& fields, std::string_view) {
    msg::Resume resume;
    resume.session = session_of(fields);
    for (const Json& item : fields.array("runs", kMaxChannels)) {
        const Fields point(item, "resume: runs");
        resume.points.push_back({channel_of(point), run_of(point),
                                 point.whole("stdout", kMaxOffset),
                                 point.whole("stderr", kMaxOffset)});
    }
    return resume;
}

Message read_resumed(const Fields& fields, std::string_view) {
    msg::Resumed resumed;
    for (const Json& item : fields.array("runs", kMaxChannels)) {
        const Fields point(item, "resumed: runs");
        resumed.points.push_back({channel_of(point), point.whole("stdin", kMaxOffset)});
    }
    for (const Json& item : fields.array("shells", kMaxShells)) {
        if (item.whole() == nullptr || *item.whole() > kMaxId) {
            fields.refuse("shells", "has an item that is no shell");
        }
        resumed.shells.push_back(static_cast<ShellId>(*item.whole()));
    }
    return resumed;
}

Message read_bye(const Fields& fields, std::string_view) {
    msg::Bye bye;
    if (fields.has("signal")) bye.signal = fields.text("signal", 16);
    return bye;
}

Message read_error(const Fields& fields, std::string_view) {
    return msg::Error{fields.text("reason", 32), fields.text("message", 8192),
                      fields.maybe_whole("retry_after", 86400)};
}

struct Reader {
    std::string_view type;
    Message (*read)(const Fields&, std::string_view payload);
    bool has_payload = false;
};
// Two types more, "open" and "more", are the decoder's own: they can span frames.
constexpr std::array kReaders = {
    Reader{"data", read_data, true},
    Reader{"credit", read_credit},
    Reader{"eof", read_eof},
    Reader{"started", read_started},
    Reader{"end", read_end, true},
    Reader{"end_ack", read_end_ack},
    Reader{"hello", read_hello, true},
    Reader{"proof", read_proof, true},
    Reader{"probe", read_probe, true},
    Reader{"acceptable", read_acceptable},
    Reader{"auth_pending", read_auth_pending},
    Reader{"auth", read_auth, true},
    Reader{"refused", read_refused},
    Reader{"gap", read_gap},
    Reader{"stop", read_stop},
    Reader{"signal", read_signal},
    Reader{"cancel", read_cancel},
    Reader{"resize", read_resize},
    Reader{"shell_open", read_shell_open, true},
    Reader{"shell_ready", read_shell_ready, true},
    Reader{"shell_ended", read_shell_ended},
    Reader{"shell_close", read_shell_close},
    Reader{"attach", read_attach},
    Reader{"attached", read_attached},
    Reader{"list", read_list},
    Reader{"kept", read_kept, true},
    Reader{"listed", read_listed},
    Reader{"forget", read_forget},
    Reader{"forgotten", read_forgotten},
    Reader{"resume", read_resume},
    Reader{"resumed", read_resumed},
    Reader{"bye", read_bye},
    Reader{"error", read_error},
};

}  // namespace

bool is_run_id(std::string_view text) {
    constexpr std::string_view kAllowed =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    return !text.empty() && text.size() <= 64 && text[0] != '.' && text[0] != '-' &&
           text.find_first_not_of(kAllowed) == std::string_view::npos;
}

bool is_session_name(std::string_view text) {
    constexpr std::string_view kAllowed =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    return text.size() >= 16 && text.size() <= 64 &&
           text.find_first_not_of(kAllowed) == std::string_view::npos;
}

bool is_forwardable(std::string_view variable) {
    return variable == "LANG" || variable.starts_with("LC_") || variable == "COLORTERM" ||
           variable == "GIT_PROTOCOL";
}

bool is_term(std::string_view text) {
    return !text.empty() && text.size() <= kMaxTerm &&
           std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7F; });
}

std::string_view name_of(StreamId stream) {
    return kStreamNames[static_cast<std::size_t>(stream)];
}

std::string_view name_of(msg::Open::Mode mode) {
    return kModeNames[static_cast<std::size_t>(mode)];
}

std::optional<msg::Open::Mode> mode_named(std::string_view name) {
    const auto* const found = std::find(kModeNames.begin(), kModeNames.end(), name);
    if (found == kModeNames.end()) return std::nullopt;
    return static_cast<msg::Open::Mode>(found - kModeNames.begin());
}

void encode(std::string& out, const Message& message) {
    std::visit([&](const auto& one) { put(out, one); }, message);
}

// Written by hand: at full speed this header is made tens of thousands of times a second.
void encode_data(std::string& out, const msg::Data& data) {
    char header[192];
    char* at = header;
    const auto text = [&](std::string_view piece) { at += piece.copy(at, piece.size()); };
    const auto number = [&](std::uint64_t value) { at = std::to_chars(at, at + 20, value).ptr; };
    text(R"({"type":"data","ch":)");
    number(data.channel);
    text(R"(,"stream":")");
    text(name_of(data.stream));
    text(R"(","off":)");
    number(data.offset);
    if (data.stream != StreamId::Stdin) {
        text(R"(,"t":)");
        number(data.time_us);
    }
    text(R"(,"len":)");
    number(data.bytes.size());
    text("}");
    append_frame(out, {header, static_cast<std::size_t>(at - header)}, data.bytes);
}

std::optional<Message> MessageDecoder::next() {
    while (const auto frame = frames_.next()) {
        const Json* const type = frame->header.find("type");
        if (type == nullptr || type->string() == nullptr) {
            throw ProtocolError("a frame without a \"type\"");
        }
        const std::string_view name = *type->string();
        if (name == "open" || name == "more") {
            begin_open(*frame);
            if (!Fields(frame->header, name).flag("more")) return finish_open();
            continue;
        }
        for (const Reader& reader : kReaders) {
            if (reader.type != name) continue;
            const Fields fields(frame->header, reader.type);
            if (!reader.has_payload && !frame->payload.empty()) {
                fields.refuse("len", "promises bytes that have no place here");
            }
            return reader.read(fields, frame->payload);
        }
        throw ProtocolError("unknown type \"" + escape_controls(name.substr(0, 64)) + "\"");
    }
    return std::nullopt;
}

void MessageDecoder::begin_open(const Frame& frame) {
    const Fields fields(frame.header, "open");
    if (*frame.header.find("type")->string() == "open") {
        if (open_header_) throw ProtocolError("an open within another");
        open_header_ = frame.header;
        open_strings_.clear();
    } else if (!open_header_ || channel_of(fields) != channel_of(Fields(*open_header_, "open"))) {
        throw ProtocolError("more of an open that was not begun");
    }
    open_strings_ += frame.payload;
    if (open_strings_.size() > kMaxCommand) {
        throw ProtocolError("a command above " + std::to_string(kMaxCommand) + " bytes");
    }
}

Message MessageDecoder::finish_open() {
    const Json header = std::move(*open_header_);
    open_header_.reset();
    const std::string payload = std::move(open_strings_);
    open_strings_ = {};

    const Fields fields(header, "open");
    msg::Open open;
    open.channel = channel_of(fields);
    open.run = run_of(fields);
    open.mode = mode_of(fields);

    Strings strings(payload, fields);
    open.args = strings.many("args");
    open.cwd = strings.maybe("cwd");
    open.env = strings.many("env");
    open.forwarded = strings.many("forwarded");
    strings.finish();
    check_env(open.env, fields);
    check_env(open.forwarded, fields);
    const bool fits = open.mode == msg::Open::Mode::Argv    ? !open.args.empty()
                      : open.mode == msg::Open::Mode::Login ? open.args.empty()
                                                            : open.args.size() == 1;
    if (!fits) fields.refuse("args", "does not fit the mode");

    open.stdin_null = fields.flag("stdin_null");
    open.timeout = milliseconds_of(fields, "timeout_ms");
    open.idle_timeout = milliseconds_of(fields, "idle_ms");
    open.linger = milliseconds_of(fields, "linger_ms");
    open.max_output = fields.maybe_whole("max_output", kMaxOffset);
    if (fields.has("shell")) {
        open.shell = shell_of(fields);
        if (open.mode != msg::Open::Mode::Command) fields.refuse("mode", "does not fit a shell");
    }
    open.on_disconnect = on_disconnect_of(fields);
    if (fields.has("pty")) {
        if (open.shell) fields.refuse("pty", "does not fit a shell");
        open.pty = pty_from(fields.member("pty"));
    }
    open.kept = fields.flag("kept");
    if (open.kept && (open.pty || open.shell)) {
        fields.refuse("kept", "fits neither a terminal nor a shell");
    }
    if (open.on_disconnect.kind == OnDisconnect::Kind::Keep && !open.kept) {
        fields.refuse("on_disconnect", "is keep, so the run must be kept");
    }
    if (fields.has("shell_name")) {
        open.shell_name = fields.text("shell_name", 64);
        if (!is_run_id(open.shell_name)) fields.refuse("shell_name", "is no name of a shell");
        if (open.pty || open.shell || open.kept || open.mode != msg::Open::Mode::Command) {
            fields.refuse("shell_name", "fits only a command in no other shell, not kept");
        }
    }
    return open;
}

void add_bytes(Json::Object& members, std::string key, std::string_view bytes) {
    if (is_utf8(bytes)) {
        members.emplace_back(std::move(key), bytes);
    } else {
        members.emplace_back(key + "_b64", base64_encode(bytes));
    }
}

Json to_json(const StreamSummary& summary) {
    Json::Object members{{"bytes", summary.bytes}, {"crc32", summary.crc32}, {"eof", summary.eof}};
    if (summary.delivered) members.emplace_back("delivered", *summary.delivered);
    if (summary.gap_at) members.emplace_back("gap_at", *summary.gap_at);
    return members;
}

Json to_json(const Usage& usage) {
    Json::Object members{{"wall_s", usage.wall_seconds},
                         {"user_s", usage.user_seconds},
                         {"sys_s", usage.system_seconds},
                         {"max_rss_kib", usage.max_rss_kib}};
    if (usage.oom_kills) members.emplace_back("oom_kills", *usage.oom_kills);
    return members;
}

Json to_json(const std::vector<ProcessName>& processes) {
    Json::Array items;
    for (const ProcessName& process : processes) {
        if (items.size() == kMaxNames) break;
        Json::Object members{{"pid", process.pid}};
        add_bytes(members, "name", process.name);
        items.emplace_back(std::move(members));
    }
    return items;
}

}  // namespace frsh
