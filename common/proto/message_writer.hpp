// MessageWriter walks a description (message_fields.hpp) and collects the header's members and the
// payload of one message.
#pragma once

#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/proto/json_value.hpp"
#include "common/proto/message_fields.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace frsh {

class MessageWriter {
  public:
    static constexpr bool kReads = false;
    static constexpr bool kHasValues = true;

    explicit MessageWriter(JsonValue object = JsonValue(JsonValue::value_t::object))
        : object_(std::move(object)) {}

    [[nodiscard]] JsonValue take_object() { return std::move(object_); }
    [[nodiscard]] const std::string& payload() const { return payload_; }

    template <class T>
    void whole(const char* key, const T& value, std::uint64_t) {
        add(key, value);
    }
    template <class T>
    void whole_or_zero(const char* key, const T& value, std::uint64_t) {
        if (value != 0) add(key, value);
    }
    template <class T>
    void maybe_whole(const char* key, const std::optional<T>& value, std::uint64_t) {
        if (value) add(key, *value);
    }
    void whole_or_null(const char* key, const std::optional<Offset>& value, std::uint64_t) {
        add(key, value ? JsonValue(*value) : JsonValue());
    }
    template <class T>
    void wholes(const char* key, const std::vector<T>& values, std::size_t, std::uint64_t) {
        add(key, JsonValue::array_t(values.begin(), values.end()));
    }
    void number(const char* key, double value) { add(key, json_number(value)); }
    void boolean(const char* key, bool value) { add(key, value); }
    void flag(const char* key, bool value) {
        if (value) add(key, true);
    }
    void milliseconds(const char* key, std::chrono::milliseconds value) {
        add(key, static_cast<std::int64_t>(value.count()));
    }
    void maybe_milliseconds(const char* key,
                            const std::optional<std::chrono::milliseconds>& value) {
        if (value) milliseconds(key, *value);
    }
    template <class E, std::size_t N>
    void named(const char* key, E value, const std::array<std::string_view, N>& names) {
        add_text(key, names[static_cast<std::size_t>(value)]);
    }
    template <class E, std::size_t N>
    void named_or_first(const char* key, E value, const std::array<std::string_view, N>& names) {
        if (value != E{}) named(key, value, names);
    }
    void text(const char* key, const std::string& value, std::size_t) { add_text(key, value); }
    void text_or_empty(const char* key, const std::string& value, std::size_t) {
        if (!value.empty()) add_text(key, value);
    }
    void maybe_name(const char* key, const std::string& value, std::size_t,
                    bool (*)(std::string_view), std::string_view) {
        if (!value.empty()) add_text(key, value);
    }
    void maybe_text(const char* key, const std::optional<std::string>& value, std::size_t) {
        if (value) add_text(key, *value);
    }
    void texts(const char* key, const std::vector<std::string>& values, std::size_t) {
        JsonValue::array_t items;
        for (const std::string& value : values)
            items.push_back(json_text(value));
        add(key, std::move(items));
    }
    void run(const char* key, const std::string& value) { add_text(key, value); }
    // Writes {key: text}, or {key_b64: base64} if the bytes are not UTF-8.
    void bytes(const char* key, const std::string& value, std::size_t) {
        add_bytes(object_, key, value);
    }
    void bytes_or_none(const char* key, const std::string& value, std::size_t longest) {
        if (!value.empty()) bytes(key, value, longest);
    }
    void outcome(const char* key, const Outcome& value) { add(key, to_json(value).tree().value); }
    void modes(const char* key, const TerminalModes& modes) {
        JsonValue object(JsonValue::value_t::object);
        for (const auto& [name, value] : modes)
            add_member(object, name, value);
        if (!object.empty()) add(key, std::move(object));
    }

    template <class T>
    void object(const char* key, const T& value) {
        MessageWriter nested;
        fields(nested, value);
        add(key, nested.take_object());
    }
    template <class T>
    void maybe_object(const char* key, const std::optional<T>& value) {
        if (value) object(key, *value);
    }
    template <class T>
    void object_or_null(const char* key, const std::optional<T>& value) {
        if (value) {
            object(key, *value);
        } else {
            add(key, JsonValue());
        }
    }
    // Writes at most `most`; the others are left out.
    template <class T>
    void objects(const char* key, const std::vector<T>& values, std::size_t most) {
        JsonValue::array_t items;
        for (const T& value : values) {
            if (items.size() == most) break;
            MessageWriter nested;
            fields(nested, value);
            items.emplace_back(nested.take_object());
        }
        add(key, std::move(items));
    }
    template <class T>
    void maybe_objects(const char* key, const std::vector<T>& values, std::size_t most) {
        if (!values.empty()) objects(key, values, most);
    }

    // Appends to the payload: NUL-terminated strings, whose number is in the header, or raw bytes.
    void string(const char*, const std::string& value) { add_terminated(value); }
    void maybe_string(const char* key, const std::optional<std::string>& value) {
        if (!value) return;
        add(key, true);
        add_terminated(*value);
    }
    void strings(const char* key, const std::vector<std::string>& values) {
        add(key, values.size());
        for (const std::string& value : values)
            add_terminated(value);
    }
    void environment(const char* key, const std::vector<std::string>& values) {
        strings(key, values);
    }
    void environment_or_none(const char* key, const std::vector<std::string>& values) {
        if (!values.empty()) strings(key, values);
    }
    void payload(const char*, const std::string& bytes) { payload_ = bytes; }
    void maybe_payload(const char* key, const std::optional<std::string>& bytes) {
        if (!bytes) return;
        add(key, true);
        payload_ = *bytes;
    }
    void lent_payload(const char*, std::string_view bytes, std::size_t) { payload_ = bytes; }
    void ignore_payload() {}

    // Checks nothing: our own programs fill messages with valid values.
    void check(bool, std::string_view, std::string_view) {}

  private:
    void add(const char* key, JsonValue value) { add_member(object_, key, std::move(value)); }
    void add_text(const char* key, std::string_view text) { add(key, json_text(text)); }
    void add_terminated(std::string_view text) {
        must(text.find('\0') == std::string_view::npos, "a string on the wire has no NUL in it");
        payload_ += text;
        payload_ += '\0';
    }

    JsonValue object_;
    std::string payload_;
};

}  // namespace frsh
