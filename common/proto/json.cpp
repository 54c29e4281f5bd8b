#include "common/proto/json.hpp"

#include "common/base/error.hpp"
#include "common/proto/json_value.hpp"
#include "common/proto/object_reader.hpp"

#include <utility>

namespace frsh {

JsonObject::JsonObject() : JsonObject(JsonTree{JsonValue(JsonValue::value_t::object)}) {}
JsonObject::JsonObject(JsonTree tree) : tree_(std::make_unique<JsonTree>(std::move(tree))) {}
JsonObject::~JsonObject() = default;
JsonObject::JsonObject(const JsonObject& other) : JsonObject(JsonTree(*other.tree_)) {}
JsonObject::JsonObject(JsonObject&& other) noexcept = default;
JsonObject& JsonObject::operator=(JsonObject other) noexcept {
    tree_ = std::move(other.tree_);
    return *this;
}

JsonObject JsonObject::parse(std::string_view text) {
    JsonTree tree{parse_json(text)};
    if (!tree.value.is_object()) throw ProtocolError("the header is not a JSON object");
    return JsonObject(std::move(tree));
}

std::string JsonObject::dump() const {
    return write_json(tree_->value);
}

bool JsonObject::has(std::string_view key) const {
    return ObjectReader(tree_->value, "").has(key);
}

std::uint64_t JsonObject::whole(std::string_view key, std::uint64_t most) const {
    return ObjectReader(tree_->value, "").whole(key, most);
}

std::optional<std::uint64_t> JsonObject::maybe_whole(std::string_view key,
                                                     std::uint64_t most) const {
    return ObjectReader(tree_->value, "").maybe_whole(key, most);
}

std::string JsonObject::text(std::string_view key, std::size_t longest) const {
    return ObjectReader(tree_->value, "").text(key, longest);
}

std::vector<std::string> JsonObject::texts(std::string_view key, std::size_t most) const {
    const ObjectReader reader(tree_->value, "");
    std::vector<std::string> texts;
    for (const JsonValue& item : reader.array(key, most)) {
        const std::string* const text = as_text(item);
        if (text == nullptr) reader.refuse(key, "has an item that is no string");
        texts.push_back(*text);
    }
    return texts;
}

bool JsonObject::flag(std::string_view key) const {
    return ObjectReader(tree_->value, "").flag(key);
}

std::optional<std::string> JsonObject::find_text(std::string_view key) const {
    const ObjectReader reader(tree_->value, "");
    const std::string* const text = reader.has(key) ? as_text(reader.member(key)) : nullptr;
    if (text == nullptr) return std::nullopt;
    return *text;
}

void JsonObject::add_null(std::string_view key) {
    add_member(tree_->value, key, JsonValue());
}

void JsonObject::add_flag(std::string_view key, bool value) {
    add_member(tree_->value, key, JsonValue(value));
}

void JsonObject::add_whole(std::string_view key, std::uint64_t value) {
    add_member(tree_->value, key, JsonValue(value));
}

void JsonObject::add_number(std::string_view key, double value) {
    add_member(tree_->value, key, json_number(value));
}

void JsonObject::add_text(std::string_view key, std::string_view value) {
    add_member(tree_->value, key, json_text(value));
}

void JsonObject::add_texts(std::string_view key, const std::vector<std::string>& values) {
    JsonValue items(JsonValue::value_t::array);
    for (const std::string& value : values)
        items.push_back(json_text(value));
    add_member(tree_->value, key, std::move(items));
}

void JsonObject::add_object(std::string_view key, const JsonObject& value) {
    add_member(tree_->value, key, value.tree_->value);
}

void JsonObject::add_objects(std::string_view key, const std::vector<JsonObject>& values) {
    JsonValue items(JsonValue::value_t::array);
    for (const JsonObject& value : values)
        items.push_back(value.tree_->value);
    add_member(tree_->value, key, std::move(items));
}

void JsonObject::add_bytes(std::string_view key, std::string_view bytes) {
    frsh::add_bytes(tree_->value, key, bytes);
}

}  // namespace frsh
