// Reads a configuration file in TOML (https://toml.io/en/v1.0.0) strictly: the caller takes each
// value by its key and type, and finish() reports a key that was not taken as unknown.
//
// This file does no I/O: the caller provides the bytes. Every mistake is reported as a UserError
// with one line, "FILE:LINE: what".
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
    // Each leaves `into` unchanged if the key is absent. Throws if the value has another type, is
    // out of range, or is an empty text, which would look like an absent key.
    void take(std::string_view key, std::optional<bool>& into);
    void take(std::string_view key, std::string& into);
    // Takes a list of texts, or one text. Without `optional` the list must not be empty.
    void take(std::string_view key, std::vector<std::string>& into);
    void take(std::string_view key, std::optional<std::vector<std::string>>& into);
    void take(std::string_view key, unsigned& into, unsigned low, unsigned high);

    // Takes a text or whole number that `parse` accepts; error texts use `kind`: "a duration".
    template <typename Value>
    void take(std::string_view key, std::optional<Value>& into,
              std::optional<Value> (*parse)(std::string_view), const char* kind) {
        const auto word = take_word(key);
        if (!word) return;
        into = parse(word->first);
        if (!into) refuse(word->second, std::string(key) + ": is not " + kind);
    }

    // Take the table "[KEY]", and all tables "[KEY.NAME]" with their names.
    std::optional<ConfigTable> take_table(std::string_view key);
    std::vector<std::pair<std::string, ConfigTable>> take_tables(std::string_view key);

    // Returns true if the key is present and its value is a boolean.
    [[nodiscard]] bool is_boolean(std::string_view key) const;
    // Throws for the first key that was not taken.
    void finish() const;
    [[noreturn]] void refuse(unsigned line, const std::string& why) const;

  private:
    friend class ConfigReader;
    struct Other {};  // A type of value that no option has, such as a date.
    struct Entry;

    // Adds the table in `entry`, and the tables in it as "NAME.INNER": `[hosts.a.example]` is the
    // host "a.example", with or without quotes.
    void collect_tables(const std::string& outer, const std::string& name, Entry& entry,
                        std::vector<std::pair<std::string, ConfigTable>>& tables);
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

// Throws UserError if the text is not TOML. `file` is the name that error texts use.
[[nodiscard]] ConfigTable parse_config(std::string_view text, const std::string& file);

}  // namespace frsh
