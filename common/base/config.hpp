// A configuration file in TOML (https://toml.io/en/v1.0.0), read strictly: each value is taken by
// its name and its kind, and what nobody takes is an unknown key.
//
// Bytes in, values out; where the bytes come from is the caller's business. Whatever is wrong is a
// UserError of one line, "FILE:LINE: what".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace frsh {

class ConfigTable {
  public:
    // Each leaves `into` alone where the key is not there, and throws where the value is of another
    // kind, out of range, or an empty text: that would pass for nothing said.
    void take(std::string_view key, std::optional<bool>& into);
    void take(std::string_view key, std::string& into);
    // A list of texts, or one alone; without `optional` there must be something in it.
    void take(std::string_view key, std::vector<std::string>& into);
    void take(std::string_view key, std::optional<std::vector<std::string>>& into);
    void take(std::string_view key, unsigned& into, unsigned low, unsigned high);

    // A text or a whole number that `parse` understands; `kind` is for people: "a duration".
    template <typename Value>
    void take(std::string_view key, std::optional<Value>& into,
              std::optional<Value> (*parse)(std::string_view), const char* kind) {
        const auto word = take_word(key);
        if (!word) return;
        into = parse(word->first);
        if (!into) refuse(word->second, std::string(key) + ": is not " + kind);
    }

    // "[KEY]", and each "[KEY.NAME]" with its name.
    std::optional<ConfigTable> take_table(std::string_view key);
    std::vector<std::pair<std::string, ConfigTable>> take_tables(std::string_view key);

    // Whether the key is there, and is true or false.
    [[nodiscard]] bool is_boolean(std::string_view key) const;
    // Throws for the first key that nobody has taken.
    void finish() const;
    [[noreturn]] void refuse(unsigned line, const std::string& why) const;

  private:
    friend class ConfigReader;
    struct Other {};  // A kind of value that no key of ours has.
    struct Entry;

    std::optional<Entry> remove(std::string_view key);
    std::optional<std::pair<std::string, unsigned>> take_word(std::string_view key);
    [[nodiscard]] std::vector<std::string> list_of(std::string_view key, const Entry& entry) const;
    [[nodiscard]] const std::string& text_of(std::string_view key, const Entry& entry) const;

    std::string file_;
    std::vector<Entry> entries_;
};

struct ConfigTable::Entry {
    std::string key;
    unsigned line = 0;
    std::variant<Other, bool, std::int64_t, std::string, std::vector<Entry>, ConfigTable> value;
};

// `file` is what messages call it.
[[nodiscard]] ConfigTable parse_config(std::string_view text, const std::string& file);

}  // namespace frsh
