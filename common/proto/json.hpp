// JSON for headers and records: a small value, a strict reader, a plain writer.
//
// Strict means: one value, nothing behind it, valid UTF-8, no key twice, no nesting deeper than 8.
// RFC 8259 leaves these to each parser. They are refused here, because two programs that read one
// header differently are a security hole. Whole numbers and fractions are different types, so that
// 1.0 is not accepted where a whole number is required.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace frsh {

class Json {
  public:
    using Array = std::vector<Json>;
    using Object = std::vector<std::pair<std::string, Json>>;  // In the order of the text.

    static constexpr int kMaxDepth = 8;

    Json() = default;
    Json(std::nullptr_t) {}
    Json(bool value) : value_(value) {}
    Json(int value) : Json(static_cast<std::int64_t>(value)) {}
    Json(unsigned value) : value_(static_cast<std::uint64_t>(value)) {}
    Json(std::int64_t value) {
        if (value < 0) {
            value_ = value;
        } else {
            value_ = static_cast<std::uint64_t>(value);
        }
    }
    Json(std::uint64_t value) : value_(value) {}
    Json(double value) : value_(value) {}
    Json(const char* text) : value_(std::string(text)) {}
    Json(std::string text) : value_(std::move(text)) {}
    Json(std::string_view text) : value_(std::string(text)) {}
    Json(Array items) : value_(std::move(items)) {}
    Json(Object members) : value_(std::move(members)) {}

    // Throws ProtocolError that states what is wrong and at which byte.
    static Json parse(std::string_view text);

    // Returns one line. Each byte of a string that is not UTF-8 becomes U+FFFD.
    [[nodiscard]] std::string dump() const;

    [[nodiscard]] bool is_null() const { return std::holds_alternative<std::monostate>(value_); }
    [[nodiscard]] const bool* boolean() const { return std::get_if<bool>(&value_); }
    [[nodiscard]] const std::string* string() const { return std::get_if<std::string>(&value_); }
    [[nodiscard]] const Array* array() const { return std::get_if<Array>(&value_); }
    [[nodiscard]] const Object* object() const { return std::get_if<Object>(&value_); }
    [[nodiscard]] Array* array() { return std::get_if<Array>(&value_); }
    [[nodiscard]] Object* object() { return std::get_if<Object>(&value_); }
    // Returns null unless the number was written without fraction, exponent and sign.
    [[nodiscard]] const std::uint64_t* whole() const { return std::get_if<std::uint64_t>(&value_); }
    [[nodiscard]] const std::int64_t* negative() const {
        return std::get_if<std::int64_t>(&value_);
    }
    // Returns false if this is not a number.
    [[nodiscard]] bool number(double& result) const;

    // Returns the member of that name, or null if this is not an object or has no such member.
    [[nodiscard]] const Json* find(std::string_view key) const;

  private:
    std::variant<std::monostate, bool, std::uint64_t, std::int64_t, double, std::string, Array,
                 Object>
        value_;
};

}  // namespace frsh
