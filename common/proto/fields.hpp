// Reads an object's members by name and checks their types and ranges. The object may be hostile.
//
// Every function throws ProtocolError that names the message and the key. Unknown keys are ignored,
// so that a newer peer may send more.
#pragma once

#include "common/proto/json.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace frsh {

class Fields {
  public:
    // `json` is lent and must outlive this. Throws if it is not an object.
    Fields(const Json& json, std::string_view what);

    [[nodiscard]] bool has(std::string_view key) const { return json_.find(key) != nullptr; }

    [[nodiscard]] std::uint64_t whole(std::string_view key, std::uint64_t most) const;
    [[nodiscard]] std::optional<std::uint64_t> maybe_whole(std::string_view key,
                                                           std::uint64_t most) const;
    [[nodiscard]] std::string text(std::string_view key, std::size_t longest) const;
    [[nodiscard]] bool flag(std::string_view key) const;  // False if absent.
    [[nodiscard]] double number(std::string_view key) const;
    [[nodiscard]] const Json& member(std::string_view key) const;
    [[nodiscard]] const Json::Array& array(std::string_view key, std::size_t longest) const;

    [[noreturn]] void refuse(std::string_view key, std::string_view why) const;

  private:
    const Json& json_;
    std::string_view what_;
};

}  // namespace frsh
