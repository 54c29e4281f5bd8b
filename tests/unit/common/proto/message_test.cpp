#include "common/proto/message.hpp"

#include "common/base/error.hpp"
#include "common/proto/json_value.hpp"
#include "common/proto/object_reader.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using frsh::JsonValue;
using frsh::Message;
using frsh::MessageDecoder;
using frsh::ProtocolError;
using frsh::StreamId;
namespace msg = frsh::msg;

namespace {

std::string encoded(const Message& message) {
    std::string bytes;
    frsh::encode(bytes, message);
    return bytes;
}

Message decoded(const std::string& bytes) {
    MessageDecoder decoder;
    decoder.frames().feed(bytes);
    auto message = decoder.next();
    REQUIRE(message);
    CHECK(decoder.frames().buffered() == 0);
    // Data is lent by the decoder, which ends here.
    if (auto* const data = std::get_if<msg::Data>(&*message)) data->bytes = {};
    return *message;
}

frsh::StreamSummary summary(bool capped) {
    frsh::StreamSummary result{9007199254740991, 0xFFFFFFFF, true, std::nullopt, std::nullopt};
    if (capped) result.delivered = result.gap_at = 7;
    return result;
}

// One message of each type, with every optional key present.
std::vector<Message> one_of_each() {
    msg::Open open;
    open.channel = 4294967295;
    open.run = "run-1";
    open.mode = msg::Open::Mode::Argv;
    open.args = {"a", "", "\xFF\n"};
    open.cwd = "/\xFE";
    open.env = {"A=1", "B="};
    open.forwarded = {"LANG=C"};
    open.stdin_null = true;
    open.timeout = 1ms;
    open.idle_timeout = 0ms;
    open.linger = 2s;
    open.max_output = 0;
    open.on_disconnect = {frsh::OnDisconnect::Kind::Grace, 30s};
    msg::Open in_shell;
    in_shell.run = "x";
    in_shell.args = {"echo"};
    in_shell.shell = 3;
    msg::Open login;
    login.run = "x";
    login.mode = msg::Open::Mode::Login;
    msg::Open subsystem;
    subsystem.run = "x";
    subsystem.mode = msg::Open::Mode::Subsystem;
    subsystem.args = {"sftp"};
    msg::Open incoming;
    incoming.run = "x";
    incoming.mode = msg::Open::Mode::Accept;
    incoming.args = {"7"};
    msg::Open on_terminal;
    on_terminal.run = "x";
    on_terminal.args = {"vi"};
    on_terminal.pty =
        msg::Pty{"xterm-256color", {80, 24, 800, 480}, {{"ECHO", 1}, {"VINTR", 3}, {"VEOL", 255}}};
    msg::End end;
    end.channel = 1;
    end.run = "r";
    end.outcome = frsh::Signaled{"KILL", 9, true};
    end.out = summary(true);
    end.err = summary(false);
    end.usage = frsh::Usage{1.5, 0.25, 0, 4096, 2};
    end.holders = {{7, "sleep"}, {8, "\xFF"}};
    end.survivors = {{9, "x"}};
    end.cwd = "/\xFD";
    end.journal = "No space left on device";
    end.typed = 5;
    end.unread = "ls\n\xFF";
    msg::End bare;
    bare.run = "r";
    msg::Open to_keep;
    to_keep.run = "x";
    to_keep.args = {"make"};
    to_keep.kept = true;
    to_keep.on_disconnect = {frsh::OnDisconnect::Kind::Keep, 30s};
    msg::Open in_named_shell;
    in_named_shell.run = "x";
    in_named_shell.args = {"cd"};
    in_named_shell.shell_name = "build";
    return {
        msg::Hello{1, "software", {"runs", "shells"}, "user", "host", {}, "0123456789abcdef"},
        open,
        in_shell,
        login,
        subsystem,
        incoming,
        on_terminal,
        to_keep,
        in_named_shell,
        msg::Attach{1, "r", 5, 6, true},
        msg::Attached{1, "r", 7, {5, 0xFFFFFFFF}, {0, 0}},
        msg::List{1},
        msg::Kept{1, "r", frsh::Running{}, 5, 6, msg::Open::Mode::Argv, {"a", "\xFF"}, true, 7, 8},
        msg::Listed{1, 5},
        msg::Forget{1, "r"},
        msg::Forgotten{1, "r"},
        msg::Started{1, "r", 2},
        msg::Refused{1, "busy", "message"},
        msg::Data{1, StreamId::Stdout, 5, 6, {}},
        msg::Data{1, StreamId::Stdin, 5, 0, {}},
        msg::Eof{1, StreamId::Stderr, 5},
        msg::Gap{1, StreamId::Stdout, 5, 6, 7},
        msg::Credit{1, StreamId::Stdin, 5, 6},
        msg::Stop{1, StreamId::Stdin},
        msg::Signal{1, "INT"},
        msg::Cancel{1},
        msg::Resize{1, {65535, 0, 1, 2}},
        end,
        bare,
        msg::EndAck{1, "r"},
        msg::ShellOpen{1, "/home", {"A=1"}, {frsh::OnDisconnect::Kind::Grace, 5s}},
        msg::ShellOpen{2, {}, {}, {}, msg::Pty{"xterm", {80, 24, 0, 0}, {}}},
        msg::ShellReady{1, 2, "bash", "/cwd", "/home"},
        msg::ShellReady{1, 2, "bash", "/cwd", "/home", true, true},
        msg::ShellEnded{1, frsh::Exited{3}},
        msg::ShellClose{1},
        msg::Listen{1, {"localhost", "0"}, {frsh::OnDisconnect::Kind::Grace, 5s}, true},
        msg::Listening{1, 65535, "taken"},
        msg::Incoming{1, 2, "[::1]:3"},
        msg::Unlisten{1},
        msg::Resume{"0123456789abcdef", {{1, "r", 2, 3}, {4294967295, "s", 0, 0}}},
        msg::Resume{"0123456789abcdef", {}, 0ms},
        msg::Resumed{{{1, 2}, {4, 0, 4711}}, {1, 4294967295}},
        msg::Resumed{{}, {}, {{4, "its grace period is over"}, {5, ""}}},
        msg::Bye{},
        msg::Bye{"TERM"},
        msg::Ping{},
        msg::Pong{},
        msg::Error{"protocol", "message", 5}};
}

JsonValue::object_t& members(JsonValue& object) {
    return object.get_ref<JsonValue::object_t&>();
}
const JsonValue::object_t& members(const JsonValue& object) {
    return object.get_ref<const JsonValue::object_t&>();
}

// Returns the header and payload of a message that fits into one frame.
std::pair<JsonValue, std::string> parts(const std::string& bytes) {
    frsh::FrameDecoder decoder;
    decoder.feed(bytes);
    auto frame = decoder.next();
    REQUIRE(frame);
    return {frame->header.tree().value, std::string(frame->payload)};
}

bool is_refused(const std::string& header, const std::string& payload) {
    MessageDecoder decoder;
    std::string bytes;
    frsh::append_frame(bytes, header, payload);
    decoder.frames().feed(bytes);
    try {
        return !decoder.next();
    } catch (const ProtocolError&) {
        return true;
    }
}

bool refuses(const JsonValue& header, const std::string& payload) {
    return is_refused(frsh::write_json(header), payload);
}

// Optional keys: leaving them out is not an error.
bool is_optional(const std::string& type, const std::string& key) {
    static const std::map<std::string, std::set<std::string>> kOptional = {
        {"hello", {"user", "host", "session"}},
        {"open",
         {"env", "forwarded", "timeout_ms", "idle_ms", "linger_ms", "max_output", "shell",
          "stdin_null", "pty", "on_disconnect", "kept", "shell_name"}},
        {"attach", {"follow"}},
        {"kept", {"ended_at", "shell"}},
        {"end", {"journal", "typed", "unread_b64"}},
        {"resize", {"width", "height"}},
        {"data", {"t"}},
        {"shell_open", {"env", "on_disconnect", "pty"}},
        {"shell_ready", {"terminal", "no_startup"}},
        {"listen", {"on_disconnect", "unlink"}},
        {"listening", {"port", "problem"}},
        {"incoming", {"from"}},
        {"resume", {"age_ms"}},
        {"resumed", {"lost"}},
        {"bye", {"signal"}},
        {"error", {"retry_after"}}};
    const auto found = kOptional.find(type);
    return found != kOptional.end() && found->second.contains(key);
}

}  // namespace

TEST_CASE("message: every message survives a round trip, byte for byte") {
    for (const Message& message : one_of_each()) {
        const std::string bytes = encoded(message);
        CAPTURE(bytes);
        const Message again = decoded(bytes);
        CHECK(again.index() == message.index());
        CHECK(encoded(again) == bytes);
    }
}

TEST_CASE("message: data carries any bytes, up to 64 KiB") {
    std::string every;
    for (int i = 0; i < 65536; ++i)
        every += static_cast<char>(i * 7);
    for (const std::size_t size : {0U, 1U, 255U, 65536U}) {
        std::string bytes;
        frsh::encode_data(bytes,
                          {7, StreamId::Stderr, 1, 2, std::string_view(every).substr(0, size)});
        MessageDecoder decoder;
        decoder.frames().feed(bytes);
        const auto message = decoder.next();
        REQUIRE(message);
        const auto& data = std::get<msg::Data>(*message);
        CHECK(data.bytes == std::string_view(every).substr(0, size));
        CHECK(data.channel == 7);
        CHECK(data.stream == StreamId::Stderr);
    }
    CHECK(is_refused(R"({"type":"data","ch":1,"stream":"stdout","off":0,"len":65537})",
                     std::string(65537, 'x')));
}

TEST_CASE("message: a missing key is refused unless it is optional") {
    for (const Message& message : one_of_each()) {
        const auto [header, payload] = parts(encoded(message));
        const std::string type = header["type"].get<std::string>();
        for (const auto& [key, value] : members(header)) {
            if (key == "len" || is_optional(type, key)) continue;
            if (type == "open" && key == "args" && frsh::as_whole(value) != nullptr &&
                *frsh::as_whole(value) == 0) {
                continue;
            }
            // An absent flag is false, and the payload that it announced is left over.
            if (value.is_boolean() && type == "end") continue;
            JsonValue without = header;
            members(without).erase(key);
            CAPTURE(frsh::write_json(without));
            CHECK(refuses(without, payload));
        }
    }
}

TEST_CASE("message: any key of the wrong type or range is refused") {
    for (const Message& message : one_of_each()) {
        const auto [header, payload] = parts(encoded(message));
        const std::string type = header["type"].get<std::string>();
        for (std::size_t i = 0; i < members(header).size(); ++i) {
            const std::string& key = members(header).begin()[static_cast<std::ptrdiff_t>(i)].first;
            const JsonValue& value = members(header).begin()[static_cast<std::ptrdiff_t>(i)].second;
            std::vector<JsonValue> hostile{JsonValue(1.5), JsonValue(-1), JsonValue(1e308),
                                           JsonValue(INT64_MIN)};
            if (!value.is_string()) hostile.emplace_back("1");
            if (!value.is_boolean()) hostile.emplace_back(true);
            if (!value.is_array()) hostile.emplace_back(JsonValue::array());
            if (!value.is_object()) hostile.emplace_back(JsonValue::object());
            if (frsh::as_whole(value) == nullptr) {
                hostile.emplace_back(0U);
            } else {
                hostile.emplace_back(UINT64_MAX);
                hostile.emplace_back(std::uint64_t{1} << 53);
            }
            if (value.is_string()) hostile.emplace_back(std::string(9000, 'x'));
            // Null is a valid value here.
            const bool may_be_null = key == "usage" || type == "attach";
            if (!may_be_null) hostile.emplace_back(nullptr);
            for (const JsonValue& bad : hostile) {
                JsonValue changed = header;
                members(changed).begin()[static_cast<std::ptrdiff_t>(i)].second = bad;
                CAPTURE(type);
                CAPTURE(key);
                CAPTURE(frsh::write_json(bad));
                CHECK(refuses(changed, payload));
            }
        }
    }
}

TEST_CASE("message: any repeated key is refused") {
    for (const Message& message : one_of_each()) {
        const auto [header, payload] = parts(encoded(message));
        for (const auto& [key, value] : members(header)) {
            JsonValue twice = header;
            members(twice).emplace_back(key, value);
            CAPTURE(frsh::write_json(twice));
            CHECK(refuses(twice, payload));
        }
    }
}

TEST_CASE("message: an unknown key is ignored") {
    for (const Message& message : one_of_each()) {
        const std::string bytes = encoded(message);
        auto [header, payload] = parts(bytes);
        JsonValue later(JsonValue::value_t::object);
        frsh::add_member(later, "later", JsonValue::object({{"x", 1.5}}));
        for (const auto& [key, value] : members(header))
            frsh::add_member(later, key, value);
        header = later;
        std::string changed;
        frsh::append_frame(changed, frsh::write_json(header), payload);
        CHECK(encoded(decoded(changed)) == bytes);
    }
}

TEST_CASE("message: a payload on a message without one is refused") {
    for (const char* const type :
         {"eof",    "gap",       "credit",    "stop",     "signal",      "cancel",
          "resize", "end_ack",   "started",   "refused",  "shell_ended", "shell_close",
          "bye",    "error",     "attach",    "attached", "list",        "listed",
          "forget", "forgotten", "listening", "incoming", "unlisten"}) {
        for (const Message& message : one_of_each()) {
            auto [header, payload] = parts(encoded(message));
            if (header["type"].get<std::string>() != type) continue;
            members(header).emplace_back("len", 1U);
            CAPTURE(type);
            CHECK(refuses(header, "x"));
        }
    }
}

TEST_CASE("message: a frame that is not a message is refused") {
    for (const char* const header :
         {"{}", R"({"type":null})", R"({"type":1})", R"({"type":"nothing"})", R"({"type":""})",
          R"({"type":"Bye"})", R"({"type":["bye"]})", R"({"type":"more","ch":1})"}) {
        CAPTURE(header);
        CHECK(is_refused(header, ""));
    }
}

TEST_CASE("message: an unknown stream or an invalid run id is refused") {
    for (const char* const stream : {"", "Stdin", "stdin ", "stdlog", "0"}) {
        CHECK(is_refused(R"({"type":"stop","ch":1,"stream":")" + std::string(stream) + "\"}", ""));
    }
    for (const char* const run :
         {"", ".", "..", ".x", "-x", "a/b", "a b", "a\\u0000", "\xC3\xA9",
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}) {
        CAPTURE(run);
        CHECK(is_refused(R"({"type":"end_ack","ch":1,"run":")" + std::string(run) + "\"}", ""));
    }
    CHECK(frsh::is_run_id("A.z_0-9"));
    CHECK(frsh::is_run_id(std::string(64, 'x')));
}

TEST_CASE("message: too few or too many strings are refused") {
    const auto open = [](const std::string& rest) {
        return R"({"type":"open","ch":1,"run":"r","mode":"argv",)" + rest + "}";
    };
    CHECK_FALSE(is_refused(open(R"("args":2,"env":0,"len":4)"), std::string("a\0b\0", 4)));
    CHECK(is_refused(open(R"("args":3,"env":0,"len":4)"), std::string("a\0b\0", 4)));
    CHECK(is_refused(open(R"("args":1,"env":0,"len":4)"), std::string("a\0b\0", 4)));
    CHECK(is_refused(open(R"("args":2,"env":0,"len":3)"), std::string("a\0b", 3)));
    CHECK(is_refused(open(R"("args":524289,"env":0,"len":2)"), std::string("a\0", 2)));
    CHECK(is_refused(open(R"("args":1,"env":0,"cwd":true,"len":2)"), std::string("a\0", 2)));
    CHECK(is_refused(open(R"("args":0,"env":0)"), ""));
    // A variable without a name, or without a value.
    for (const std::string& entry : {std::string("A"), std::string("=x"), std::string()}) {
        const std::string payload = std::string("a\0", 2) + entry + '\0';
        CHECK(is_refused(open(R"("args":1,"env":1,"len":)" + std::to_string(payload.size())),
                         payload));
        CHECK(is_refused(
            open(R"("args":1,"env":0,"forwarded":1,"len":)" + std::to_string(payload.size())),
            payload));
    }
}

TEST_CASE("message: the number of arguments must fit the mode") {
    const auto open = [](const char* mode, const std::string& count, const std::string& payload,
                         const std::string& more = "") {
        return is_refused(R"({"type":"open","ch":1,"run":"r","mode":")" + std::string(mode) +
                              R"(","args":)" + count + R"(,"env":0,"len":)" +
                              std::to_string(payload.size()) + more + "}",
                          payload);
    };
    const std::string one("a\0", 2);
    const std::string two("a\0b\0", 4);
    CHECK_FALSE(open("command", "1", one));
    CHECK(open("command", "2", two));
    CHECK(open("command", "0", ""));
    CHECK(open("login", "1", one));
    CHECK_FALSE(open("login", "0", ""));
    CHECK(open("argv", "0", ""));
    CHECK_FALSE(open("argv", "2", two));
    CHECK(open("shell", "1", one));
    CHECK(open("argv", "1", one, R"(,"shell":1)"));
    CHECK_FALSE(open("command", "1", one, R"(,"shell":1)"));
}

TEST_CASE("message: a terminal with invalid values is refused") {
    const auto pty = [](const std::string& members, const std::string& more = "") {
        return is_refused(R"({"type":"open","ch":1,"run":"r","mode":"command","args":1,"len":2,)" +
                              more + R"("pty":{)" + members + "}}",
                          std::string("a\0", 2));
    };
    const std::string size = R"("columns":80,"rows":24)";
    const auto modes = [](int count) {
        std::string text;
        for (int i = 0; i < count; ++i)
            text += (i == 0 ? "\"M" : ",\"M") + std::to_string(i) + "\":0";
        return R"(,"modes":{)" + text + "}";
    };
    CHECK_FALSE(pty(size));
    CHECK_FALSE(pty(R"("columns":0,"rows":65535,"later":{})"));
    CHECK_FALSE(pty(size + R"(,"term":"vt100","modes":{})"));
    CHECK_FALSE(pty(size + modes(128)));
    for (const std::string& bad : {
             std::string(R"("columns":80)"),
             std::string(R"("rows":24)"),
             std::string(R"("columns":65536,"rows":24)"),
             std::string(R"("columns":80,"rows":-1)"),
             std::string(R"("columns":80,"rows":24.0)"),
             size + R"(,"width":65536)",
             size + R"(,"term":"")",
             size + R"(,"term":"a b")",
             size + R"(,"term":"a\u0000")",
             size + R"(,"term":"\u001b[31m")",
             size + R"(,"term":")" + std::string(129, 'x') + "\"",
             size + R"(,"term":1)",
             size + R"(,"modes":[])",
             size + R"(,"modes":{"ECHO":true})",
             size + R"(,"modes":{"ECHO":-1})",
             size + R"(,"modes":{"ECHO":4294967296})",
             size + R"(,"modes":{"ECHO":1,"ECHO":1})",
             size + R"(,"modes":{")" + std::string(33, 'x') + "\":1}",
             size + modes(129),
         }) {
        CAPTURE(bad);
        CHECK(pty(bad));
    }
    CHECK_FALSE(pty(size, R"("shell":1,)"));  // The terminal of the shell.
}

TEST_CASE("message: an open larger than a frame is sent in several") {
    msg::Open open;
    open.channel = 3;
    open.run = "r";
    open.args = {std::string(3 * 1024 * 1024, 'x') + "end"};
    open.env = {"A=" + std::string(100, 'y')};
    const std::string bytes = encoded(open);
    MessageDecoder decoder;
    std::optional<Message> message;
    for (std::size_t at = 0; at < bytes.size(); at += 100'003) {
        CHECK_FALSE(message);
        decoder.frames().feed(std::string_view(bytes).substr(at, 100'003));
        message = decoder.next();
    }
    REQUIRE(message);
    CHECK(std::get<msg::Open>(*message).args == open.args);
    CHECK(std::get<msg::Open>(*message).env == open.env);
}

TEST_CASE("message: other messages may come between the frames of an open") {
    const std::string first =
        R"({"type":"open","ch":1,"run":"r","mode":"argv","args":2,"env":0,"len":2,"more":true})";
    std::string bytes;
    frsh::append_frame(bytes, first, std::string("a\0", 2));
    frsh::append_frame(bytes, R"({"type":"cancel","ch":9})", "");
    frsh::append_frame(bytes, R"({"type":"more","ch":1,"len":2})", std::string("b\0", 2));
    MessageDecoder decoder;
    decoder.frames().feed(bytes);
    const auto one = decoder.next();
    REQUIRE(one);
    CHECK(std::holds_alternative<msg::Cancel>(*one));
    const auto two = decoder.next();
    REQUIRE(two);
    CHECK(std::get<msg::Open>(*two).args == std::vector<std::string>{"a", "b"});
}

TEST_CASE("message: a \"more\" without its open, or too long, is refused") {
    const std::string first =
        R"({"type":"open","ch":1,"run":"r","mode":"argv","args":2,"env":0,"len":2,"more":true})";
    for (const char* const second :
         {R"({"type":"more","ch":2})", R"({"type":"open","ch":1,"run":"r"})", R"({"type":"more"})",
          R"({"type":"more","ch":1,"more":1})"}) {
        std::string bytes;
        frsh::append_frame(bytes, first, std::string("a\0", 2));
        frsh::append_frame(bytes, second, "");
        MessageDecoder decoder;
        decoder.frames().feed(bytes);
        CHECK_THROWS_AS((void)decoder.next(), ProtocolError);
    }
    std::string bytes;
    frsh::append_frame(bytes, first, std::string("a\0", 2));
    const std::string piece(1024 * 1024, 'x');
    for (int i = 0; i < 9; ++i)
        frsh::append_frame(bytes, R"({"type":"more","ch":1,"more":true,"len":1048576})", piece);
    MessageDecoder decoder;
    decoder.frames().feed(bytes);
    CHECK_THROWS_AS((void)decoder.next(), ProtocolError);
}

TEST_CASE("message: more than 524288 strings in one open are refused") {
    const auto decode = [](std::size_t count) {
        const std::string payload(count, '\0');
        std::string bytes;
        frsh::append_frame(bytes,
                           R"({"type":"open","ch":1,"run":"r","mode":"argv","env":0,"args":)" +
                               std::to_string(count) + ",\"len\":" + std::to_string(count) + "}",
                           payload);
        MessageDecoder decoder;
        decoder.frames().feed(bytes);
        return decoder.next();
    };
    CHECK(decode(512 * 1024));
    CHECK_THROWS_AS((void)decode(512 * 1024 + 1), ProtocolError);
}

TEST_CASE("message: a hello of another version is read") {
    const Message message = decoded(encoded(msg::Hello{2, "", {}, "", ""}));
    CHECK(std::get<msg::Hello>(message).proto == 2);
    CHECK_FALSE(is_refused(R"({"type":"hello","proto":9,"software":{},"features":1})", ""));
    CHECK(is_refused(R"({"type":"hello","proto":"1","software":"","features":[]})", ""));
}

TEST_CASE("message: an end with an invalid part is refused") {
    msg::End end;
    end.run = "r";
    end.outcome = frsh::Exited{1};
    end.usage = frsh::Usage{};
    end.holders = {{1, "x"}};
    const std::string bytes = encoded(end);
    const auto [header, payload] = parts(bytes);
    const auto with = [&h = header](const std::string& key, const std::string& text) {
        JsonValue changed = h;
        for (auto& [name, value] : members(changed)) {
            if (name == key) value = frsh::parse_json(text);
        }
        return changed;
    };
    for (const auto& one : std::vector<std::pair<std::string, std::string>>{
             {"outcome", R"({"kind":"exited"})"},
             {"outcome", R"({"kind":"exited","code":256})"},
             {"outcome", R"({"kind":"exited","code":-1})"},
             {"outcome", R"({"kind":"done","code":0})"},
             {"outcome", R"({"kind":"signaled","signal":"KILL"})"},
             {"outcome", R"({"kind":"signaled","signal":"KILL","number":128})"},
             {"outcome", R"({"kind":"timed_out"})"},
             {"outcome", R"({"kind":"timed_out","limit":"lunch"})"},
             {"outcome", R"({"kind":"not_started","stage":"exec","errno":5000,"message":""})"},
             {"outcome", R"({"kind":"lost"})"},
             {"stdout", R"({"bytes":1})"},
             {"stdout", R"({"bytes":1,"crc32":4294967296})"},
             {"stdout", R"({"bytes":1,"crc32":1,"eof":1})"},
             {"stderr", R"({"bytes":9007199254740992,"crc32":1})"},
             {"usage", R"({"wall_s":1})"},
             {"usage", R"({"wall_s":"1","user_s":1,"sys_s":1,"max_rss_kib":1})"},
             {"holders", R"([1])"},
             {"holders", R"([{"pid":1}])"},
             {"holders", R"([{"pid":-1,"name":"x"}])"},
             {"holders", R"([{"pid":1,"name_b64":"?"}])"},
             {"survivors", R"({})"}}) {
        CAPTURE(one.first);
        CAPTURE(one.second);
        CHECK(refuses(with(one.first, one.second), payload));
    }
    JsonValue::array_t many(65, frsh::parse_json(R"({"pid":1,"name":"x"})"));
    CHECK(refuses(with("holders", frsh::write_json(JsonValue(many))), payload));
}

TEST_CASE("message: kept, shell and terminal exclude each other") {
    const auto open = [](const std::string& rest) {
        return is_refused(
            R"({"type":"open","ch":1,"run":"r","mode":"command","args":1,"len":2,)" + rest + "}",
            std::string("a\0", 2));
    };
    CHECK_FALSE(open(R"("kept":true)"));
    CHECK_FALSE(open(R"("kept":true,"on_disconnect":"keep","grace_ms":0)"));
    CHECK(open(R"("kept":true,"on_disconnect":"keep")"));
    CHECK(open(R"("on_disconnect":"keep","grace_ms":0)"));
    CHECK(open(R"("kept":true,"shell":1)"));
    CHECK(open(R"("kept":true,"shell_name":"x")"));
    CHECK(open(R"("kept":true,"pty":{"columns":1,"rows":1})"));
    CHECK_FALSE(open(R"("shell_name":"x")"));
    CHECK(open(R"("shell_name":"../x")"));
    CHECK(open(R"("shell_name":"x","shell":1)"));
    CHECK(open(R"("shell_name":"x","pty":{"columns":1,"rows":1})"));
}

TEST_CASE("message: an attach to the current offsets is written as null") {
    const std::string bytes = encoded(msg::Attach{1, "r", std::nullopt, std::nullopt, false});
    CHECK(bytes.find(R"("stdout":null,"stderr":null)") != std::string::npos);
    CHECK_FALSE(std::get<msg::Attach>(decoded(bytes)).out);
    CHECK_FALSE(std::get<msg::Attach>(decoded(bytes)).err);
}
