#include "client/demo/drawing/table.hpp"

#include "client/demo/drawing/cells.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

namespace frsh::demo {
namespace {

constexpr std::size_t kGap = 2;

std::vector<std::size_t> column_widths(const Table& table, Language language, std::size_t width) {
    std::vector<std::size_t> widths(table.head.size(), 0);
    const auto measure = [&](const std::vector<Text>& row) {
        for (std::size_t i = 0; i < row.size() && i < widths.size(); ++i)
            widths[i] = std::max(widths[i], width_of(row[i].in(language)));
    };
    measure(table.head);
    for (const auto& row : table.rows)
        measure(row);
    std::size_t total = (widths.size() - 1) * kGap;
    for (const std::size_t one : widths)
        total += one;
    // Narrow the widest column, one cell at a time.
    for (; total > width; --total)
        --*std::max_element(widths.begin(), widths.end());
    return widths;
}

void add_row(std::vector<std::string>& lines, const std::vector<Text>& row, Language language,
             const std::vector<std::size_t>& widths) {
    std::vector<std::vector<std::string>> cells;
    std::size_t height = 1;
    for (std::size_t i = 0; i < widths.size(); ++i) {
        cells.push_back(wrap(i < row.size() ? row[i].in(language) : "", widths[i]));
        height = std::max(height, cells.back().size());
    }
    for (std::size_t y = 0; y < height; ++y) {
        std::string line;
        for (std::size_t i = 0; i < widths.size(); ++i) {
            const std::string text = y < cells[i].size() ? cells[i][y] : "";
            line += i + 1 == widths.size() ? text : pad(text, widths[i] + kGap);
        }
        while (!line.empty() && line.back() == ' ')
            line.pop_back();
        lines.push_back(line);
    }
}

}  // namespace

std::vector<std::string> table_lines(const Table& table, Language language, std::size_t width) {
    const auto widths = column_widths(table, language, width);
    std::vector<std::string> lines;
    add_row(lines, table.head, language, widths);
    std::string rule;
    for (std::size_t i = 0; i < widths.size(); ++i) {
        for (std::size_t cell = 0; cell < widths[i]; ++cell)
            rule += "─";
        if (i + 1 < widths.size()) rule += std::string(kGap, ' ');
    }
    lines.push_back(rule);
    for (const auto& row : table.rows)
        add_row(lines, row, language, widths);
    return lines;
}

}  // namespace frsh::demo
