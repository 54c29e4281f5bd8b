#include "common/base/config.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"

#include <algorithm>

// toml++ 3.3 says of a key that it begins as keys do, where "[[[" proves it wrong: an abort with
// assertions, and without them undefined behaviour, since it then has the compiler rely on it. The
// line behind it handles that case, with an error that says where; so nothing is asserted.
#undef NDEBUG
#define TOML_ASSERT(expression) static_cast<void>(0)
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

namespace frsh {

// The library's tree as ours. Its own would bring its headers, which take long to compile, to
// everybody.
class ConfigReader {
  public:
    explicit ConfigReader(std::string file) : file_(std::move(file)) {}

    [[nodiscard]] ConfigTable read(const toml::table& from) const {
        ConfigTable table;
        table.file_ = file_;
        for (const auto& [key, node] : from) {
            table.entries_.push_back(read(node));
            table.entries_.back().key = key.str();
            // A table that only its parts are in has no line of its own; the key has that of one.
            table.entries_.back().line = key.source().begin.line;
        }
        return table;
    }

  private:
    [[nodiscard]] ConfigTable::Entry read(const toml::node& node) const {
        ConfigTable::Entry entry;
        entry.line = node.source().begin.line;
        if (const auto* const boolean = node.as_boolean()) {
            entry.value = boolean->get();
        } else if (const auto* const number = node.as_integer()) {
            entry.value = number->get();
        } else if (const auto* const text = node.as_string()) {
            entry.value = text->get();
        } else if (const auto* const table = node.as_table()) {
            entry.value = read(*table);
        } else if (const auto* const array = node.as_array()) {
            std::vector<ConfigTable::Entry> elements;
            for (const toml::node& element : *array)
                elements.push_back(read(element));
            entry.value = std::move(elements);
        }
        return entry;
    }

    std::string file_;
};

ConfigTable parse_config(std::string_view text, const std::string& file) {
    try {
        return ConfigReader(file).read(toml::parse(text));
    } catch (const toml::parse_error& error) {
        throw UserError(file + ":" + std::to_string(error.source().begin.line) + ": " +
                        escape_controls(error.description()));
    }
}

void ConfigTable::refuse(unsigned line, const std::string& why) const {
    throw UserError(file_ + ":" + std::to_string(line) + ": " + escape_controls(why));
}

std::optional<ConfigTable::Entry> ConfigTable::remove(std::string_view key) {
    const auto found = std::find_if(entries_.begin(), entries_.end(),
                                    [&](const Entry& entry) { return entry.key == key; });
    if (found == entries_.end()) return std::nullopt;
    Entry entry = std::move(*found);
    entries_.erase(found);
    return entry;
}

// Of a text, as the name of a file or a user may be: with something in it, and no NUL.
const std::string& ConfigTable::text_of(std::string_view key, const Entry& entry) const {
    const auto* const text = std::get_if<std::string>(&entry.value);
    if (text == nullptr) refuse(entry.line, std::string(key) + ": is not a text in quotes");
    if (text->empty()) refuse(entry.line, std::string(key) + ": is empty");
    if (text->find('\0') != std::string::npos) {
        refuse(entry.line, std::string(key) + ": has a NUL in it");
    }
    return *text;
}

void ConfigTable::take(std::string_view key, std::optional<bool>& into) {
    const auto entry = remove(key);
    if (!entry) return;
    const bool* const value = std::get_if<bool>(&entry->value);
    if (value == nullptr) refuse(entry->line, std::string(key) + ": is neither true nor false");
    into = *value;
}

void ConfigTable::take(std::string_view key, std::string& into) {
    if (const auto entry = remove(key)) into = text_of(key, *entry);
}

std::vector<std::string> ConfigTable::list_of(std::string_view key, const Entry& entry) const {
    const auto* const elements = std::get_if<std::vector<Entry>>(&entry.value);
    if (elements == nullptr) return {text_of(key, entry)};
    std::vector<std::string> list;
    for (const Entry& element : *elements)
        list.push_back(text_of(key, element));
    return list;
}

void ConfigTable::take(std::string_view key, std::optional<std::vector<std::string>>& into) {
    if (const auto entry = remove(key)) into = list_of(key, *entry);
}

void ConfigTable::take(std::string_view key, std::vector<std::string>& into) {
    const auto entry = remove(key);
    if (!entry) return;
    into = list_of(key, *entry);
    if (into.empty()) refuse(entry->line, std::string(key) + ": is empty");
}

void ConfigTable::take(std::string_view key, unsigned& into, unsigned low, unsigned high) {
    const auto entry = remove(key);
    if (!entry) return;
    const std::int64_t* const value = std::get_if<std::int64_t>(&entry->value);
    if (value == nullptr || *value < low || *value > high) {
        refuse(entry->line, std::string(key) + ": is not a whole number from " +
                                std::to_string(low) + " to " + std::to_string(high));
    }
    into = static_cast<unsigned>(*value);
}

std::optional<std::pair<std::string, unsigned>> ConfigTable::take_word(std::string_view key) {
    const auto entry = remove(key);
    if (!entry) return std::nullopt;
    if (const auto* const number = std::get_if<std::int64_t>(&entry->value)) {
        return std::pair(std::to_string(*number), entry->line);
    }
    return std::pair(text_of(key, *entry), entry->line);
}

std::optional<ConfigTable> ConfigTable::take_table(std::string_view key) {
    auto entry = remove(key);
    if (!entry) return std::nullopt;
    auto* const table = std::get_if<ConfigTable>(&entry->value);
    if (table == nullptr) refuse(entry->line, std::string(key) + ": is not a table");
    return std::move(*table);
}

std::vector<std::pair<std::string, ConfigTable>> ConfigTable::take_tables(std::string_view key) {
    std::vector<std::pair<std::string, ConfigTable>> tables;
    auto outer = take_table(key);
    if (!outer) return tables;
    for (Entry& entry : outer->entries_) {
        auto* const table = std::get_if<ConfigTable>(&entry.value);
        if (table == nullptr) {
            refuse(entry.line, std::string(key) + "." + entry.key + ": is not a table");
        }
        tables.emplace_back(std::move(entry.key), std::move(*table));
    }
    return tables;
}

bool ConfigTable::is_boolean(std::string_view key) const {
    return std::any_of(entries_.begin(), entries_.end(), [&](const Entry& entry) {
        return entry.key == key && std::holds_alternative<bool>(entry.value);
    });
}

void ConfigTable::finish() const {
    const auto first =
        std::min_element(entries_.begin(), entries_.end(),
                         [](const Entry& a, const Entry& b) { return a.line < b.line; });
    if (first != entries_.end()) refuse(first->line, "unknown key: " + first->key);
}

}  // namespace frsh
