// Fuzzes the history. The first line is typed at the prompt, the rest is a file of typed lines.
#include "client/io/history_expansion.hpp"
#include "client/io/history_file.hpp"
#include "tests/fuzz/must_hold.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const std::size_t end = std::min(input.find('\n'), input.size());
    const std::string_view line = input.substr(0, end);
    const std::string_view file = input.substr(end);

    const frsh::HistoryContent content = frsh::parse_history(file);
    std::string again;
    for (const std::string& entry : content.entries)
        again += frsh::encode_entry(entry);
    const frsh::HistoryContent same = frsh::parse_history(again);
    must_hold(same.entries == content.entries && same.damaged_lines == 0);
    must_hold(frsh::parse_history(frsh::encode_entry(file)).damaged_lines == 0);

    std::optional<std::string_view> newest;
    if (!content.entries.empty()) newest = content.entries.back();
    const auto expanded = frsh::expand_history(line, newest, file);
    must_hold(expanded.has_value() || !newest);
    const std::size_t longest = newest ? newest->size() : 0;
    if (expanded) must_hold(expanded->size() <= line.size() + line.size() / 2 * longest);
    if (line.find('!') == std::string_view::npos) must_hold(expanded == line);
    const std::string_view word = frsh::last_word(file);
    must_hold(file.find(word) != std::string_view::npos);
    return 0;
}
