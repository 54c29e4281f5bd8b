#include "server/kept/store_records.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/proto/fields.hpp"
#include "common/proto/frame.hpp"
#include "common/proto/json.hpp"
#include "server/kept/journal_record.hpp"

#include <algorithm>
#include <chrono>
#include <string_view>
#include <utility>

#include <unistd.h>

namespace frsh {
namespace {

constexpr std::size_t kMaxArgs = std::size_t{4} * 1024 * 1024;

void add_args(Json::Object& members, const std::vector<std::string>& args) {
    const bool is_text =
        std::all_of(args.begin(), args.end(), [](const std::string& arg) { return is_utf8(arg); });
    Json::Array items;
    for (const std::string& arg : args)
        items.emplace_back(is_text ? arg : base64_encode(arg));
    members.emplace_back(is_text ? "args" : "args_b64", std::move(items));
}

std::string bytes_of(const Fields& fields, const std::string& text) {
    auto bytes = base64_decode(text);
    if (!bytes) fields.refuse("base64", "is none");
    return std::move(*bytes);
}

std::vector<std::string> args_of(const Fields& fields) {
    const bool is_text = fields.has("args");
    const std::string_view key = is_text ? "args" : "args_b64";
    std::vector<std::string> args;
    for (const Json& item : fields.array(key, kMaxArgs)) {
        if (item.string() == nullptr) fields.refuse(key, "has an item that is no string");
        args.push_back(is_text ? *item.string() : bytes_of(fields, *item.string()));
    }
    return args;
}

std::optional<std::string> forced_command_of(const Fields& fields) {
    if (fields.has("forced_command")) return fields.text("forced_command", kMaxStartRecord);
    if (!fields.has("forced_command_b64")) return std::nullopt;
    return bytes_of(fields, fields.text("forced_command_b64", kMaxStartRecord));
}

}  // namespace

std::uint64_t now_in_seconds() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::seconds>(now).count());
}

std::string encode_start_record(const KeptRunInfo& info, const MachineBoot& machine) {
    Json::Object members{{"run", info.run},
                         {"mode", name_of(info.mode)},
                         {"started_at", info.started_at},
                         {"session", info.session},
                         {"pid", std::int64_t{::getpid()}},
                         {"host", machine.host},
                         {"boot_id", machine.boot_id}};
    if (info.is_shell) {
        members.emplace_back("shell", true);
        members.emplace_back("generation", info.generation);
    }
    if (info.forced_command) add_bytes(members, "forced_command", *info.forced_command);
    add_args(members, info.args);
    return Json(std::move(members)).dump() + "\n";
}

std::optional<StartRecord> parse_start_record(const std::optional<std::string>& text,
                                              const std::string& run) {
    if (!text || !text->ends_with('\n')) return std::nullopt;
    try {
        const Json json = Json::parse(std::string_view(*text).substr(0, text->size() - 1));
        const Fields fields(json, "asked");
        StartRecord start;
        start.info.run = fields.text("run", 64);
        const auto mode = mode_named(fields.text("mode", 16));
        if (start.info.run != run || !mode) return std::nullopt;
        start.info.mode = *mode;
        start.info.args = args_of(fields);
        start.info.is_shell = fields.flag("shell");
        if (fields.has("generation"))
            start.info.generation = fields.whole("generation", UINT64_MAX);
        start.info.started_at = fields.whole("started_at", UINT64_MAX);
        start.info.session = fields.text("session", 64);
        start.info.forced_command = forced_command_of(fields);
        start.machine.host = fields.text("host", 256);
        start.machine.boot_id = fields.text("boot_id", 64);
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
    frame.header.object()->emplace_back("ended_at", now_in_seconds());
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
        ended.at = Fields(frame->header, "end").whole("ended_at", UINT64_MAX);
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
