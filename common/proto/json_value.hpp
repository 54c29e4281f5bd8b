// The JSON value of this folder, nlohmann's, with its strict reader and its writer. Only files of
// common/proto include this; json.hpp is for the others.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace frsh {

using JsonValue = nlohmann::ordered_json;  // Keeps the members in the order of the text.

struct JsonTree {
    JsonValue value;
};

inline constexpr int kMaxJsonDepth = 8;

// Throws ProtocolError that states what is wrong and at which byte.
[[nodiscard]] JsonValue parse_json(std::string_view text);

// Returns one line. All strings in `value` must be UTF-8. Control characters (escape_controls() in
// text.hpp lists them) are written as \uNNNN.
[[nodiscard]] std::string write_json(const JsonValue& value);

// Returns a string value. Each byte that is not UTF-8 becomes U+FFFD.
[[nodiscard]] JsonValue json_text(std::string_view text);

// Returns a number that is written without a fraction if it has none.
[[nodiscard]] JsonValue json_number(double value);

// Adds a member at the end. The caller ensures that `object` has no such key: the library's own
// functions would compare the key with all others.
void add_member(JsonValue& object, std::string_view key, JsonValue value);

// Adds {key: text}, or {key_b64: base64} if the bytes are not UTF-8.
void add_bytes(JsonValue& object, std::string_view key, std::string_view bytes);

}  // namespace frsh
