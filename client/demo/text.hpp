// Sentences in both languages, side by side, so that neither can be forgotten.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace frsh::demo {

enum class Language { English, Chinese };

struct Text {
    std::string en;
    std::string zh;

    [[nodiscard]] bool is_empty() const { return en.empty(); }
    [[nodiscard]] const std::string& in(Language language) const {
        return language == Language::Chinese ? zh : en;
    }
};

// Makes a text that is the same in both: a system call, a number, a name of the kernel.
[[nodiscard]] inline Text plain(const std::string& text) {
    return {text, text};
}

inline std::string to_text(std::string_view value) {
    return std::string(value);
}
template <typename Number>
requires std::is_arithmetic_v<Number> std::string to_text(Number value) {
    return std::to_string(value);
}

// Replaces "{0}", "{1}" ... with the values. Each language may order them differently.
[[nodiscard]] Text fill_in(const Text& text, const std::vector<std::string>& values);

template <typename... Values>
Text fill(const Text& text, const Values&... values) {
    if constexpr (sizeof...(values) == 0) {
        return text;
    } else {
        return fill_in(text, {to_text(values)...});
    }
}

}  // namespace frsh::demo
