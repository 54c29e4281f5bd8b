#include "client/demo/text.hpp"

namespace frsh::demo {
namespace {

std::string fill_one(std::string_view text, const std::vector<std::string>& values) {
    std::string filled;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool is_slot = i + 2 < text.size() && text[i] == '{' && text[i + 1] >= '0' &&
                             text[i + 1] <= '9' && text[i + 2] == '}';
        const auto index = is_slot ? static_cast<std::size_t>(text[i + 1] - '0') : values.size();
        if (index < values.size()) {
            filled += values[index];
            i += 2;
        } else {
            filled += text[i];
        }
    }
    return filled;
}

}  // namespace

Text fill_in(const Text& text, const std::vector<std::string>& values) {
    return {fill_one(text.en, values), fill_one(text.zh, values)};
}

}  // namespace frsh::demo
