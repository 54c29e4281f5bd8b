#include "common/proto/message_table.hpp"

#include "common/base/error.hpp"
#include "common/proto/message_fields.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>
#include <variant>

namespace frsh {
namespace {

// TablePrinter walks a description and notes each key instead of a value.
class TablePrinter {
  public:
    static constexpr bool kReads = false;
    static constexpr bool kHasValues = false;  // Note every key, also one that depends on a value.

    std::vector<KeyRow> rows;

    template <class T>
    void whole(const char* key, const T&, std::uint64_t) {
        note(key, "whole");
    }
    template <class T>
    void whole_or_zero(const char* key, const T&, std::uint64_t) {
        note_optional(key, "whole");
    }
    template <class T>
    void maybe_whole(const char* key, const T&, std::uint64_t) {
        note_optional(key, "whole");
    }
    template <class T>
    void whole_or_null(const char* key, const T&, std::uint64_t) {
        note(key, "whole or null");
    }
    template <class T>
    void wholes(const char* key, const T&, std::size_t, std::uint64_t) {
        note(key, "array of whole");
    }
    void number(const char* key, double) { note(key, "number"); }
    void boolean(const char* key, bool) { note(key, "true or false"); }
    void flag(const char* key, bool) { note_optional(key, "true or false"); }
    template <class T>
    void milliseconds(const char* key, const T&) {
        note_optional(key, "whole");
    }
    template <class T>
    void maybe_milliseconds(const char* key, const T&) {
        note_optional(key, "whole");
    }
    template <class E, class Names>
    void named(const char* key, E, const Names&) {
        note(key, "string");
    }
    template <class E, class Names>
    void named_or_first(const char* key, E, const Names&) {
        note_optional(key, "string");
    }
    void text(const char* key, const std::string&, std::size_t) { note(key, "string"); }
    void text_or_empty(const char* key, const std::string&, std::size_t) {
        note_optional(key, "string");
    }
    void maybe_name(const char* key, const std::string&, std::size_t, bool (*)(std::string_view),
                    std::string_view) {
        note_optional(key, "string");
    }
    template <class T>
    void maybe_text(const char* key, const T&, std::size_t) {
        note_optional(key, "string");
    }
    template <class T>
    void texts(const char* key, const T&, std::size_t) {
        note(key, "array of strings");
    }
    void run(const char* key, const std::string&) { note(key, "string"); }
    void bytes(const char* key, const std::string&, std::size_t) { note(key, "string"); }
    void bytes_or_none(const char* key, const std::string&, std::size_t) {
        note_optional(key, "string");
    }
    template <class T>
    void outcome(const char* key, const T&) {
        note(key, "object");
    }
    template <class T>
    void modes(const char* key, const T&) {
        note_optional(key, "object");
    }
    template <class T>
    void object(const char* key, const T&) {
        note(key, "object");
    }
    template <class T>
    void maybe_object(const char* key, const T&) {
        note_optional(key, "object");
    }
    template <class T>
    void object_or_null(const char* key, const T&) {
        note(key, "object or null");
    }
    template <class T>
    void objects(const char* key, const T&, std::size_t) {
        note(key, "array of objects");
    }
    template <class T>
    void maybe_objects(const char* key, const T&, std::size_t) {
        note_optional(key, "array of objects");
    }
    // Strings in the payload have no key of their own unless the header counts them.
    void string(const char*, const std::string&) { note_payload(); }
    template <class T>
    void maybe_string(const char* key, const T&) {
        note_optional(key, "true or false");
        note_payload();
    }
    template <class T>
    void strings(const char* key, const T&) {
        note(key, "whole");
        note_payload();
    }
    template <class T>
    void environment(const char* key, const T&) {
        note_optional(key, "whole");
        note_payload();
    }
    template <class T>
    void environment_or_none(const char* key, const T&) {
        note_optional(key, "whole");
        note_payload();
    }
    void payload(const char*, const std::string&) { note_payload(); }
    template <class T>
    void maybe_payload(const char* key, const T&) {
        note_optional(key, "true or false");
        note_payload();
    }
    void lent_payload(const char*, std::string_view, std::size_t) { note_payload(); }
    void ignore_payload() {}
    void check(bool, std::string_view, std::string_view) {}

    [[nodiscard]] bool has_payload() const { return has_payload_; }

  private:
    void note(const char* key, const char* type) { rows.push_back({key, type, false}); }
    void note_optional(const char* key, const char* type) { rows.push_back({key, type, true}); }
    void note_payload() { has_payload_ = true; }

    bool has_payload_ = false;
};

template <std::size_t Index>
std::vector<KeyRow> keys_of() {
    TablePrinter printer;
    const std::variant_alternative_t<Index, Message> message{};
    fields(printer, message);
    if (printer.has_payload()) printer.rows.push_back({"payload", "bytes", false});
    return printer.rows;
}

template <std::size_t... Indices>
std::vector<KeyRow> keys_at(std::size_t index, std::index_sequence<Indices...>) {
    using Keys = std::vector<KeyRow> (*)();
    constexpr std::array<Keys, sizeof...(Indices)> kKeys = {keys_of<Indices>...};
    return kKeys[index]();
}

}  // namespace

std::vector<std::string_view> message_types() {
    return {kTypes.begin(), kTypes.end()};
}

std::vector<KeyRow> message_keys(std::string_view type) {
    const auto* const found = std::find(kTypes.begin(), kTypes.end(), type);
    must(found != kTypes.end(), "a type of the protocol");
    return keys_at(static_cast<std::size_t>(found - kTypes.begin()),
                   std::make_index_sequence<kTypes.size()>());
}

std::string message_list_item(std::string_view type) {
    constexpr std::size_t kWidth = 100;
    std::vector<std::string> words;
    bool has_payload = false;
    for (const KeyRow& row : message_keys(type)) {
        has_payload |= row.key == "payload";
        if (row.key != "payload") words.push_back("`" + row.key + "`" + (row.optional ? "?" : ""));
    }
    for (std::size_t i = 0; i + 1 < words.size(); ++i)
        words[i] += ',';
    if (has_payload) words.emplace_back("+ payload");
    std::string item;
    std::string line = "- `" + std::string(type) + "`" + (words.empty() ? "" : ":");
    for (const std::string& word : words) {
        if (line.size() + 1 + word.size() > kWidth) {
            item += line + "\n";
            line = " ";
        }
        line += " " + word;
    }
    return item + line + "\n";
}

}  // namespace frsh
