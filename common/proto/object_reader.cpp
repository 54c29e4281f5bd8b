#include "common/proto/object_reader.hpp"

#include "common/base/error.hpp"

namespace frsh {

ObjectReader::ObjectReader(const JsonValue& json, std::string_view what)
    : members_(json.get_ptr<const JsonValue::object_t*>()), what_(what) {
    if (members_ == nullptr) throw ProtocolError(std::string(what) + " is not an object");
}

const JsonValue* ObjectReader::find(std::string_view key) const {
    for (const auto& [name, value] : *members_) {
        if (name == key) return &value;
    }
    return nullptr;
}

void ObjectReader::refuse(std::string_view key, std::string_view why) const {
    std::string message(what_);
    if (!message.empty()) message += ": ";
    message.append("\"").append(key).append("\" ").append(why);
    throw ProtocolError(message);
}

const JsonValue& ObjectReader::member(std::string_view key) const {
    const JsonValue* const found = find(key);
    if (found == nullptr) refuse(key, "is missing");
    return *found;
}

std::uint64_t ObjectReader::whole(std::string_view key, std::uint64_t most) const {
    const std::uint64_t* const value = as_whole(member(key));
    if (value == nullptr) refuse(key, "is not a whole number");
    if (*value > most) refuse(key, "is above " + std::to_string(most));
    return *value;
}

std::optional<std::uint64_t> ObjectReader::maybe_whole(std::string_view key,
                                                       std::uint64_t most) const {
    if (!has(key)) return std::nullopt;
    return whole(key, most);
}

std::string ObjectReader::text(std::string_view key, std::size_t longest) const {
    const std::string* const value = as_text(member(key));
    if (value == nullptr) refuse(key, "is not a string");
    if (value->size() > longest) refuse(key, "is too long");
    return *value;
}

bool ObjectReader::flag(std::string_view key) const {
    const JsonValue* const found = find(key);
    if (found == nullptr) return false;
    if (!found->is_boolean()) refuse(key, "is not true or false");
    return found->get<bool>();
}

double ObjectReader::number(std::string_view key) const {
    const JsonValue& value = member(key);
    if (!value.is_number()) refuse(key, "is not a number");
    return value.get<double>();
}

const JsonValue::array_t& ObjectReader::array(std::string_view key, std::size_t longest) const {
    const auto* const items = member(key).get_ptr<const JsonValue::array_t*>();
    if (items == nullptr) refuse(key, "is not an array");
    if (items->size() > longest) refuse(key, "has too many items");
    return *items;
}

}  // namespace frsh
