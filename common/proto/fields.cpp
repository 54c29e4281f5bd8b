#include "common/proto/fields.hpp"

#include "common/base/error.hpp"

namespace frsh {

Fields::Fields(const Json& json, std::string_view what) : json_(json), what_(what) {
    if (json.object() == nullptr) throw ProtocolError(std::string(what) + " is not an object");
}

void Fields::refuse(std::string_view key, std::string_view why) const {
    std::string message(what_);
    message.append(": \"").append(key).append("\" ").append(why);
    throw ProtocolError(message);
}

const Json& Fields::member(std::string_view key) const {
    const Json* const found = json_.find(key);
    if (found == nullptr) refuse(key, "is missing");
    return *found;
}

std::uint64_t Fields::whole(std::string_view key, std::uint64_t most) const {
    const std::uint64_t* const value = member(key).whole();
    if (value == nullptr) refuse(key, "is not a whole number");
    if (*value > most) refuse(key, "is above " + std::to_string(most));
    return *value;
}

std::optional<std::uint64_t> Fields::maybe_whole(std::string_view key, std::uint64_t most) const {
    if (!has(key)) return std::nullopt;
    return whole(key, most);
}

std::string Fields::text(std::string_view key, std::size_t longest) const {
    const std::string* const value = member(key).string();
    if (value == nullptr) refuse(key, "is not a string");
    if (value->size() > longest) refuse(key, "is too long");
    return *value;
}

bool Fields::flag(std::string_view key) const {
    const Json* const found = json_.find(key);
    if (found == nullptr) return false;
    if (found->boolean() == nullptr) refuse(key, "is not true or false");
    return *found->boolean();
}

double Fields::number(std::string_view key) const {
    double value = 0;
    if (!member(key).number(value)) refuse(key, "is not a number");
    return value;
}

const Json::Array& Fields::array(std::string_view key, std::size_t longest) const {
    const Json::Array* const items = member(key).array();
    if (items == nullptr) refuse(key, "is not an array");
    if (items->size() > longest) refuse(key, "has too many items");
    return *items;
}

}  // namespace frsh
