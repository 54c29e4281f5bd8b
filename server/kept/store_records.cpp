#include "server/kept/store_records.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/proto/frame.hpp"
#include "common/proto/json.hpp"
#include "server/kept/journal_record.hpp"

#include <algorithm>
#include <chrono>
#include <string_view>
#include <utility>
#include <variant>

#include <unistd.h>

namespace frsh {
namespace {

constexpr std::size_t kMaxArgs = std::size_t{4} * 1024 * 1024;

void add_args(JsonObject& record, const std::vector<std::string>& args) {
    const bool is_text =
        std::all_of(args.begin(), args.end(), [](const std::string& arg) { return is_utf8(arg); });
    if (is_text) return record.add_texts("args", args);
    std::vector<std::string> encoded;
    for (const std::string& arg : args)
        encoded.push_back(base64_encode(arg));
    record.add_texts("args_b64", encoded);
}

std::string bytes_of(const std::string& text) {
    auto bytes = base64_decode(text);
    if (!bytes) throw ProtocolError("a text is not base64");
    return std::move(*bytes);
}

std::vector<std::string> args_of(const JsonObject& record) {
    if (record.has("args")) return record.texts("args", kMaxArgs);
    std::vector<std::string> args = record.texts("args_b64", kMaxArgs);
    for (std::string& arg : args)
        arg = bytes_of(arg);
    return args;
}

std::optional<std::string> forced_command_of(const JsonObject& record) {
    if (record.has("forced_command")) return record.text("forced_command", kMaxStartRecord);
    if (!record.has("forced_command_b64")) return std::nullopt;
    return bytes_of(record.text("forced_command_b64", kMaxStartRecord));
}

}  // namespace

std::uint64_t now_in_seconds() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::seconds>(now).count());
}

std::string encode_start_record(const KeptRunInfo& info, const MachineBoot& machine) {
    JsonObject record;
    record.add_text("run", info.run);
    record.add_text("mode", name_of(info.mode));
    record.add_whole("started_at", info.started_at);
    record.add_text("session", info.session);
    record.add_whole("pid", static_cast<std::uint64_t>(::getpid()));
    record.add_text("host", machine.host);
    record.add_text("boot_id", machine.boot_id);
    if (info.is_shell) {
        record.add_flag("shell", true);
        record.add_whole("generation", info.generation);
    }
    if (info.forced_command) record.add_bytes("forced_command", *info.forced_command);
    add_args(record, info.args);
    return record.dump() + "\n";
}

std::optional<StartRecord> parse_start_record(const std::optional<std::string>& text,
                                              const std::string& run) {
    if (!text || !text->ends_with('\n')) return std::nullopt;
    try {
        const auto record = JsonObject::parse(std::string_view(*text).substr(0, text->size() - 1));
        StartRecord start;
        start.info.run = record.text("run", 64);
        const auto mode = mode_named(record.text("mode", 16));
        if (start.info.run != run || !mode) return std::nullopt;
        start.info.mode = *mode;
        start.info.args = args_of(record);
        start.info.is_shell = record.flag("shell");
        start.info.generation =
            record.maybe_whole("generation", UINT64_MAX).value_or(start.info.generation);
        start.info.started_at = record.whole("started_at", UINT64_MAX);
        start.info.session = record.text("session", 64);
        start.info.forced_command = forced_command_of(record);
        start.machine.host = record.text("host", 256);
        start.machine.boot_id = record.text("boot_id", 64);
        return start;
    } catch (const ProtocolError&) {
        return std::nullopt;
    }
}

std::string encode_end_record(const msg::End& end) {
    std::string bytes;
    encode(bytes, end);
    FrameDecoder decoder;
    decoder.feed(bytes);
    Frame frame = *decoder.next();
    frame.header.add_whole("ended_at", now_in_seconds());
    std::string extended;
    append_frame(extended, frame.header.dump(), frame.payload);
    std::string record;
    append_record(record, extended);
    return record;
}

std::optional<EndRecord> parse_end_record(const std::optional<std::string>& record,
                                          const std::string& run) {
    if (!record || record->size() < kRecordPrefix) return std::nullopt;
    const std::string_view bytes = std::string_view(*record).substr(kRecordPrefix);
    if (!is_intact(record_prefix(*record), bytes)) return std::nullopt;
    try {
        FrameDecoder frames;
        frames.feed(bytes);
        const auto frame = frames.next();
        if (!frame) return std::nullopt;
        EndRecord ended;
        ended.at = frame->header.whole("ended_at", UINT64_MAX);
        MessageDecoder messages;
        messages.frames().feed(bytes);
        auto message = messages.next();
        auto* const end = message ? std::get_if<msg::End>(&*message) : nullptr;
        if (end == nullptr || end->run != run || messages.frames().buffered() > 0) {
            return std::nullopt;
        }
        ended.end = std::move(*end);
        return ended;
    } catch (const ProtocolError&) {
        return std::nullopt;
    }
}

}  // namespace frsh
