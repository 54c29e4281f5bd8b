// JSON objects for headers and records: a strict reader and a plain writer.
//
// Strict means: one value, nothing behind it, valid UTF-8, no key twice, no nesting deeper than 8.
// RFC 8259 leaves these to each parser. They are refused here, because two programs that read one
// header differently are a security hole. Whole numbers and fractions are different types, so that
// 1.0 is not accepted where a whole number is required.
//
// The values are nlohmann's. Its header is large, so only the files of this folder see it
// (json_value.hpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace frsh {

struct JsonTree;

// An object with its members in the order in which they were read or added.
class JsonObject {
  public:
    JsonObject();
    explicit JsonObject(JsonTree tree);
    ~JsonObject();
    JsonObject(const JsonObject& other);
    JsonObject(JsonObject&& other) noexcept;
    JsonObject& operator=(JsonObject other) noexcept;

    // Throws ProtocolError that states what is wrong and at which byte.
    static JsonObject parse(std::string_view text);

    // Returns one line. Each byte of a string that is not UTF-8 becomes U+FFFD. Control characters,
    // also those above U+007F, are written as \uNNNN.
    [[nodiscard]] std::string dump() const;

    [[nodiscard]] bool has(std::string_view key) const;
    // Each of these throws ProtocolError that names the key.
    [[nodiscard]] std::uint64_t whole(std::string_view key, std::uint64_t most) const;
    [[nodiscard]] std::optional<std::uint64_t> maybe_whole(std::string_view key,
                                                           std::uint64_t most) const;
    [[nodiscard]] std::string text(std::string_view key, std::size_t longest) const;
    [[nodiscard]] std::vector<std::string> texts(std::string_view key, std::size_t most) const;
    [[nodiscard]] bool flag(std::string_view key) const;  // False if absent.
    // Returns nothing if the member is absent or is not a string.
    [[nodiscard]] std::optional<std::string> find_text(std::string_view key) const;

    // Each of these adds a member at the end. The object must not have that key.
    void add_null(std::string_view key);
    void add_flag(std::string_view key, bool value);
    void add_whole(std::string_view key, std::uint64_t value);
    void add_number(std::string_view key, double value);
    void add_text(std::string_view key, std::string_view value);
    void add_texts(std::string_view key, const std::vector<std::string>& values);
    void add_object(std::string_view key, const JsonObject& value);
    void add_objects(std::string_view key, const std::vector<JsonObject>& values);
    // Adds {key: text}, or {key_b64: base64} if the bytes are not UTF-8.
    void add_bytes(std::string_view key, std::string_view bytes);

    // For the files of this folder; json_value.hpp completes the type.
    [[nodiscard]] const JsonTree& tree() const { return *tree_; }

  private:
    std::unique_ptr<JsonTree> tree_;  // Null only in an object that was moved from.
};

}  // namespace frsh
