#include "common/proto/json_value.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <utility>
#include <vector>

namespace frsh {
namespace {

using Members = JsonValue::object_t;

// Most headers have no more members. A larger object copies its members each time it grows.
constexpr std::size_t kUsualMembers = 8;

// Builds the value from the library's parser events, because the library itself would accept a
// repeated key and any depth.
class Builder : public nlohmann::json_sax<JsonValue> {
  public:
    JsonValue result;
    std::string problem;

    bool null() override { return put(JsonValue()); }
    bool boolean(bool value) override { return put(JsonValue(value)); }
    bool number_integer(number_integer_t value) override {
        // The library takes "-0" for a negative number.
        return value < 0 ? put(JsonValue(value))
                         : put(JsonValue(static_cast<number_unsigned_t>(value)));
    }
    bool number_unsigned(number_unsigned_t value) override { return put(JsonValue(value)); }
    bool number_float(number_float_t value, const string_t&) override {
        return put(JsonValue(value));
    }
    bool string(string_t& value) override { return put(JsonValue(std::move(value))); }
    bool binary(binary_t&) override { return false; }
    bool start_object(std::size_t) override {
        if (!open(JsonValue(JsonValue::value_t::object))) return false;
        members().reserve(kUsualMembers);
        return true;
    }
    bool end_object() override { return has_unique_keys() && close(); }
    bool start_array(std::size_t) override { return open(JsonValue(JsonValue::value_t::array)); }
    bool end_array() override { return close(); }

    bool key(string_t& name) override {
        open_.back().key = std::move(name);
        return true;
    }

    bool parse_error(std::size_t position, const std::string&,
                     const nlohmann::detail::exception&) override {
        return refuse("malformed JSON at byte " + std::to_string(position));
    }

  private:
    struct Level {
        std::string key;  // If this is an object: the key of the member that is being read.
        JsonValue value;
    };

    Members& members() { return open_.back().value.get_ref<Members&>(); }

    bool refuse(std::string why) {
        if (problem.empty()) problem = std::move(why);
        return false;
    }

    // Sorts the keys, because comparing each with each takes quadratic time: 82 ms for the largest
    // header. A hash table would do so too if a peer chooses keys that collide.
    bool has_unique_keys() {
        names_.clear();
        for (const auto& [name, value] : members())
            names_.emplace_back(name);
        std::sort(names_.begin(), names_.end());
        const auto twice = std::adjacent_find(names_.begin(), names_.end());
        return twice == names_.end() || refuse("repeated key \"" + escape_controls(*twice) + "\"");
    }

    bool put(JsonValue value) {
        if (open_.empty()) {
            result = std::move(value);
            return true;
        }
        Level& level = open_.back();
        if (level.value.is_object()) {
            members().emplace_back(std::move(level.key), std::move(value));
        } else {
            level.value.get_ref<JsonValue::array_t&>().push_back(std::move(value));
        }
        return true;
    }

    bool open(JsonValue value) {
        if (open_.size() == kMaxJsonDepth) return refuse("nested deeper than 8");
        open_.push_back({{}, std::move(value)});
        return true;
    }

    bool close() {
        JsonValue value = std::move(open_.back().value);
        open_.pop_back();
        return put(std::move(value));
    }

    std::vector<Level> open_;
    std::vector<std::string_view> names_;  // A member, so that its memory is used again.
};

// Replaces every byte that does not begin a well-formed character by U+FFFD.
std::string repaired(std::string_view text) {
    std::string result;
    for (std::size_t i = 0; i < text.size();) {
        std::size_t length = 1;
        while (length <= 4 && i + length <= text.size() && !is_utf8(text.substr(i, length))) {
            ++length;
        }
        if (length > 4 || i + length > text.size()) {
            result += "\xEF\xBF\xBD";
            ++i;
        } else {
            result += text.substr(i, length);
            i += length;
        }
    }
    return result;
}

// The bytes that begin a control character of text.hpp above U+001F, and an escape.
constexpr std::string_view kSuspicious = "\\\x7F\xC2\xD8\xE2";

// Writes every control in the form \u00NN: those that the library leaves as they are, because JSON
// is read on terminals too, and those that it writes as \b and \f. Outside strings, JSON has none
// of these characters.
std::string with_controls_escaped(std::string_view json) {
    std::string text;
    while (!json.empty()) {
        Character character = first_character(json);
        if (character.is_control) {
            char escape[8];
            std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(character.value));
            text += escape;
        } else if (json[0] == '\\') {
            character.size = 2;  // Keeps an escaped backslash from beginning another escape.
            const std::string_view escape = json.substr(0, 2);
            text += escape == "\\b" ? "\\u0008" : escape == "\\f" ? "\\u000c" : escape;
        } else {
            text += json.substr(0, character.size);
        }
        json.remove_prefix(character.size);
    }
    return text;
}

}  // namespace

JsonValue parse_json(std::string_view text) {
    if (!is_utf8(text)) throw ProtocolError("JSON is not valid UTF-8");
    // RFC 8259, section 8.1, forbids a byte order mark; the library would skip it.
    if (text.starts_with("\xEF\xBB\xBF")) throw ProtocolError("JSON begins with a byte order mark");
    // The library ends the text at a NUL and would ignore the bytes behind it.
    if (text.find('\0') != std::string_view::npos) throw ProtocolError("JSON has a NUL in it");
    Builder builder;
    const bool parsed = JsonValue::sax_parse(text.begin(), text.end(), &builder);
    if (!parsed) throw ProtocolError(builder.problem.empty() ? "malformed JSON" : builder.problem);
    return std::move(builder.result);
}

std::string write_json(const JsonValue& value) {
    std::string text = value.dump();
    return text.find_first_of(kSuspicious) == std::string::npos ? text
                                                                : with_controls_escaped(text);
}

JsonValue json_text(std::string_view text) {
    return is_utf8(text) ? JsonValue(text) : JsonValue(repaired(text));
}

JsonValue json_number(double value) {
    constexpr double kExact = 1LL << 53;  // Below it, a double holds every whole number.
    if (std::abs(value) < kExact && value == std::trunc(value)) {
        return JsonValue(static_cast<std::int64_t>(value));
    }
    return JsonValue(value);
}

void add_member(JsonValue& object, std::string_view key, JsonValue value) {
    object.get_ref<Members&>().emplace_back(std::string(key), std::move(value));
}

void add_bytes(JsonValue& object, std::string_view key, std::string_view bytes) {
    if (is_utf8(bytes)) {
        add_member(object, key, json_text(bytes));
    } else {
        add_member(object, std::string(key) + "_b64", JsonValue(base64_encode(bytes)));
    }
}

}  // namespace frsh
