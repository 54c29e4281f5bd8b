#include "common/proto/message.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/proto/json_value.hpp"
#include "common/proto/message_fields.hpp"
#include "common/proto/message_reader.hpp"
#include "common/proto/message_writer.hpp"
#include "common/proto/object_reader.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace frsh {
namespace {

void append(std::string& out, JsonValue header, std::string_view payload) {
    if (!payload.empty()) add_member(header, "len", payload.size());
    append_frame(out, write_json(header), payload);
}

JsonValue header_of(std::string_view type) {
    JsonValue header(JsonValue::value_t::object);
    add_member(header, "type", type);
    return header;
}

template <class M>
MessageWriter write_fields(const M& message, std::size_t index) {
    MessageWriter writer(header_of(kTypes[index]));
    fields(writer, message);
    return writer;
}

// The strings of an open may need several frames: each but the last has "more".
void append_open(std::string& out, MessageWriter writer, Channel channel) {
    JsonValue header = writer.take_object();
    std::string_view rest = writer.payload();
    for (;;) {
        const std::string_view piece = rest.substr(0, kFrameLimits.payload);
        rest.remove_prefix(piece.size());
        if (!rest.empty()) add_member(header, "more", true);
        append(out, std::move(header), piece);
        if (rest.empty()) return;
        header = header_of("more");
        add_member(header, "ch", channel);
    }
}

template <std::size_t Index>
Message read(const JsonValue& header, std::string_view payload) {
    MessageReader reader(header, std::string(kTypes[Index]), payload);
    std::variant_alternative_t<Index, Message> message;
    fields(reader, message);
    reader.finish();
    return message;
}

using Read = Message (*)(const JsonValue& header, std::string_view payload);
template <std::size_t... Indices>
constexpr std::array<Read, sizeof...(Indices)> make_readers(std::index_sequence<Indices...>) {
    return {read<Indices>...};
}
// In the order of kTypes.
constexpr auto kReaders = make_readers(std::make_index_sequence<kTypes.size()>());

Read find_reader(std::string_view type) {
    const auto* const found = std::find(kTypes.begin(), kTypes.end(), type);
    if (found == kTypes.end()) {
        throw ProtocolError("unknown type \"" + escape_controls(type.substr(0, 64)) + "\"");
    }
    return kReaders[static_cast<std::size_t>(found - kTypes.begin())];
}

std::string type_of(const Frame& frame) {
    auto type = frame.header.find_text("type");
    if (!type) throw ProtocolError("a frame without a \"type\"");
    return std::move(*type);
}

template <class T>
JsonObject object_of(const T& value) {
    MessageWriter writer;
    fields(writer, value);
    return JsonObject(JsonTree{writer.take_object()});
}

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
    if (const auto* const data = std::get_if<msg::Data>(&message)) return encode_data(out, *data);
    MessageWriter writer =
        std::visit([&](const auto& one) { return write_fields(one, message.index()); }, message);
    if (const auto* const open = std::get_if<msg::Open>(&message)) {
        return append_open(out, std::move(writer), open->channel);
    }
    append(out, writer.take_object(), writer.payload());
}

// Written by hand: at full speed this header is needed tens of thousands of times a second.
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
        const std::string type = type_of(*frame);
        const JsonValue& header = frame->header.tree().value;
        if (type != "open" && type != "more") return find_reader(type)(header, frame->payload);
        begin_open(*frame);
        if (!ObjectReader(header, type).flag("more")) return finish_open();
    }
    return std::nullopt;
}

void MessageDecoder::begin_open(const Frame& frame) {
    const ObjectReader fields(frame.header.tree().value, "open");
    if (type_of(frame) == "open") {
        if (open_header_) throw ProtocolError("an open within another");
        open_header_ = frame.header;
        open_strings_.clear();
    } else if (!open_header_ ||
               fields.whole("ch", kMaxId) !=
                   ObjectReader(open_header_->tree().value, "open").whole("ch", kMaxId)) {
        throw ProtocolError("more of an open that was not begun");
    }
    open_strings_ += frame.payload;
    if (open_strings_.size() > kMaxCommand) {
        throw ProtocolError("a command above " + std::to_string(kMaxCommand) + " bytes");
    }
}

Message MessageDecoder::finish_open() {
    const JsonObject header = std::move(*open_header_);
    open_header_.reset();
    const std::string payload = std::exchange(open_strings_, {});
    return find_reader("open")(header.tree().value, payload);
}

JsonObject to_json(const StreamSummary& summary) {
    return object_of(summary);
}

JsonObject to_json(const Usage& usage) {
    return object_of(usage);
}

std::vector<JsonObject> to_json(const std::vector<ProcessName>& processes) {
    std::vector<JsonObject> items;
    for (const ProcessName& process : processes) {
        if (items.size() == kMaxNames) break;
        items.push_back(object_of(process));
    }
    return items;
}

}  // namespace frsh
