// Reads an object's members by name and checks their types and ranges. The object may be hostile.
//
// Every function throws ProtocolError that names the object and the key. Unknown keys are ignored,
// so that a newer peer may send more.
#pragma once

#include "common/proto/json_value.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace frsh {

// Returns null unless the number was written without fraction, exponent and sign.
[[nodiscard]] inline const std::uint64_t* as_whole(const JsonValue& value) {
    return value.get_ptr<const JsonValue::number_unsigned_t*>();
}
[[nodiscard]] inline const std::string* as_text(const JsonValue& value) {
    return value.get_ptr<const JsonValue::string_t*>();
}

class ObjectReader {
  public:
    // `json` and `what` are lent and must outlive this. `what` begins each error text; it may be
    // empty. Throws if `json` is not an object.
    ObjectReader(const JsonValue& json, std::string_view what);

    [[nodiscard]] bool has(std::string_view key) const { return find(key) != nullptr; }

    [[nodiscard]] std::uint64_t whole(std::string_view key, std::uint64_t most) const;
    [[nodiscard]] std::optional<std::uint64_t> maybe_whole(std::string_view key,
                                                           std::uint64_t most) const;
    [[nodiscard]] std::string text(std::string_view key, std::size_t longest) const;
    [[nodiscard]] bool flag(std::string_view key) const;  // False if absent.
    [[nodiscard]] double number(std::string_view key) const;
    [[nodiscard]] const JsonValue& member(std::string_view key) const;
    [[nodiscard]] const JsonValue::array_t& array(std::string_view key, std::size_t longest) const;

    [[noreturn]] void refuse(std::string_view key, std::string_view why) const;

  private:
    // Returns null if there is no such member.
    [[nodiscard]] const JsonValue* find(std::string_view key) const;

    const JsonValue::object_t* members_;
    std::string_view what_;
};

}  // namespace frsh
