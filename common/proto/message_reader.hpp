// MessageReader walks a description (message_fields.hpp) and fills a message from a header and a
// payload that a peer sent.
//
// Every function throws ProtocolError that names the message and the key. Unknown keys are ignored,
// so that a newer peer may send more.
#pragma once

#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/proto/message_fields.hpp"
#include "common/proto/object_reader.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace frsh {

class MessageReader {
  public:
    static constexpr bool kReads = true;
    static constexpr bool kHasValues = true;

    // `header` and `payload` are lent and must outlive this. `what` begins each error text.
    MessageReader(const JsonValue& header, std::string what, std::string_view payload = {})
        : what_(std::move(what)), header_(header, what_), rest_(payload) {}
    MessageReader(const MessageReader&) = delete;
    MessageReader& operator=(const MessageReader&) = delete;

    // Throws if the payload has bytes that no field has taken.
    void finish() const {
        if (rest_.empty()) return;
        header_.refuse("len", takes_strings_ ? "is more than the strings need, each of which ends "
                                               "at its first NUL"
                                             : "promises bytes that have no place here");
    }

    template <class T>
    void whole(std::string_view key, T& value, std::uint64_t most) {
        value = static_cast<T>(header_.whole(key, most));
    }
    template <class T>
    void whole_or_zero(std::string_view key, T& value, std::uint64_t most) {
        value = static_cast<T>(header_.maybe_whole(key, most).value_or(0));
    }
    template <class T>
    void maybe_whole(std::string_view key, std::optional<T>& value, std::uint64_t most) {
        if (header_.has(key)) value = static_cast<T>(header_.whole(key, most));
    }
    void whole_or_null(std::string_view key, std::optional<Offset>& value, std::uint64_t most) {
        value.reset();
        if (!header_.member(key).is_null()) value = header_.whole(key, most);
    }
    template <class T>
    void wholes(std::string_view key, std::vector<T>& values, std::size_t most_items,
                std::uint64_t most) {
        for (const JsonValue& item : header_.array(key, most_items)) {
            if (as_whole(item) == nullptr || *as_whole(item) > most) {
                header_.refuse(key, "has an item that is no whole number in range");
            }
            values.push_back(static_cast<T>(*as_whole(item)));
        }
    }
    void number(std::string_view key, double& value) { value = header_.number(key); }
    void boolean(std::string_view key, bool& value) { value = header_.flag(key); }
    void flag(std::string_view key, bool& value) { value = header_.flag(key); }
    void milliseconds(std::string_view key, std::chrono::milliseconds& value) {
        value = std::chrono::milliseconds(header_.whole(key, kMaxMilliseconds));
    }
    void maybe_milliseconds(std::string_view key, std::optional<std::chrono::milliseconds>& value) {
        if (header_.has(key)) milliseconds(key, value.emplace());
    }
    template <class E, std::size_t N>
    void named(std::string_view key, E& value, const std::array<std::string_view, N>& names) {
        const std::string name = header_.text(key, 16);
        const auto* const found = std::find(names.begin(), names.end(), std::string_view(name));
        if (found == names.end()) header_.refuse(key, "is unknown");
        value = static_cast<E>(found - names.begin());
    }
    template <class E, std::size_t N>
    void named_or_first(std::string_view key, E& value,
                        const std::array<std::string_view, N>& names) {
        if (header_.has(key)) named(key, value, names);
    }
    void text(std::string_view key, std::string& value, std::size_t longest) {
        value = header_.text(key, longest);
    }
    void text_or_empty(std::string_view key, std::string& value, std::size_t longest) {
        if (header_.has(key)) value = header_.text(key, longest);
    }
    // Reads a name. It stays empty if the key is absent; otherwise it must satisfy `is_valid`.
    void maybe_name(std::string_view key, std::string& value, std::size_t longest,
                    bool (*is_valid)(std::string_view), std::string_view why) {
        if (!header_.has(key)) return;
        value = header_.text(key, longest);
        if (!is_valid(value)) header_.refuse(key, why);
    }
    void maybe_text(std::string_view key, std::optional<std::string>& value, std::size_t longest) {
        if (header_.has(key)) value = header_.text(key, longest);
    }
    void texts(std::string_view key, std::vector<std::string>& values, std::size_t most) {
        for (const JsonValue& item : header_.array(key, most)) {
            if (as_text(item) == nullptr) header_.refuse(key, "has an item that is no string");
            values.push_back(*as_text(item));
        }
    }
    void run(std::string_view key, std::string& value) {
        value = header_.text(key, 64);
        if (!is_run_id(value)) header_.refuse(key, "is no run id");
    }
    void bytes(const std::string& key, std::string& value, std::size_t longest) {
        const std::string encoded = key + "_b64";
        if (!header_.has(encoded)) return text(key, value, longest);
        auto decoded = base64_decode(header_.text(encoded, longest));
        if (!decoded) header_.refuse(encoded, "is not base64");
        value = std::move(*decoded);
    }
    void bytes_or_none(const std::string& key, std::string& value, std::size_t longest) {
        if (header_.has(key) || header_.has(key + "_b64")) bytes(key, value, longest);
    }
    void outcome(std::string_view key, Outcome& value) {
        value = outcome_from(ObjectReader(header_.member(key), "outcome"));
    }
    void modes(std::string_view key, TerminalModes& modes) {
        if (!header_.has(key)) return;
        const JsonValue& json = header_.member(key);
        const std::string what = what_ + ": " + std::string(key);
        const ObjectReader values(json, what);
        if (json.size() > kMaxModes) header_.refuse(key, "has too many items");
        for (const auto& [name, value] : json.get_ref<const JsonValue::object_t&>()) {
            if (name.size() > kMaxModeName) header_.refuse(key, "has a name that is too long");
            modes[name] = static_cast<std::uint32_t>(values.whole(name, UINT32_MAX));
        }
    }

    template <class T>
    void object(std::string_view key, T& value) {
        read_object(header_.member(key), key, value);
    }
    template <class T>
    void maybe_object(std::string_view key, std::optional<T>& value) {
        if (header_.has(key)) object(key, value.emplace());
    }
    template <class T>
    void object_or_null(std::string_view key, std::optional<T>& value) {
        if (!header_.member(key).is_null()) object(key, value.emplace());
    }
    template <class T>
    void objects(std::string_view key, std::vector<T>& values, std::size_t most) {
        for (const JsonValue& item : header_.array(key, most))
            read_object(item, key, values.emplace_back());
    }
    template <class T>
    void maybe_objects(std::string_view key, std::vector<T>& values, std::size_t most) {
        if (header_.has(key)) objects(key, values, most);
    }

    void string(std::string_view, std::string& value) { value = take_string("len"); }
    void maybe_string(std::string_view key, std::optional<std::string>& value) {
        if (header_.flag(key)) value = take_string(key);
    }
    void strings(std::string_view key, std::vector<std::string>& values) {
        takes_strings_ = true;
        // Each string costs 32 bytes of memory here and one byte at least in the payload.
        const auto count = header_.maybe_whole(key, kMaxStrings).value_or(0);
        for (std::uint64_t i = 0; i < count; ++i)
            values.push_back(take_string(key));
    }
    void environment(std::string_view key, std::vector<std::string>& values) {
        strings(key, values);
        for (const std::string& entry : values) {
            const std::size_t equals = entry.find('=');
            if (equals == std::string::npos || equals == 0) {
                header_.refuse(key, "is not NAME=VALUE");
            }
        }
    }
    void environment_or_none(std::string_view key, std::vector<std::string>& values) {
        environment(key, values);
    }
    void payload(std::string_view, std::string& bytes) {
        bytes = rest_;
        rest_ = {};
    }
    void maybe_payload(std::string_view key, std::optional<std::string>& bytes) {
        if (header_.flag(key)) bytes = std::string(rest_);
        rest_ = {};
    }
    void lent_payload(std::string_view, std::string_view& bytes, std::size_t most) {
        if (rest_.size() > most) header_.refuse("len", "is above " + std::to_string(most));
        bytes = rest_;
        rest_ = {};
    }
    void ignore_payload() { rest_ = {}; }

    void check(bool holds, std::string_view key, std::string_view why) {
        if (!holds) header_.refuse(key, why);
    }

  private:
    template <class T>
    void read_object(const JsonValue& json, std::string_view key, T& value) {
        MessageReader nested(json, what_ + ": " + std::string(key));
        fields(nested, value);
    }
    std::string take_string(std::string_view key) {
        takes_strings_ = true;
        const std::size_t end = rest_.find('\0');
        if (end == std::string_view::npos) header_.refuse(key, "promises more than there is");
        std::string text(rest_.substr(0, end));
        rest_.remove_prefix(end + 1);
        return text;
    }

    std::string what_;
    ObjectReader header_;
    std::string_view rest_;  // The part of the payload that no field has taken.
    bool takes_strings_ = false;
};

}  // namespace frsh
