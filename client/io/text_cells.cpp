#include "client/io/text_cells.hpp"

#include "common/base/text.hpp"

#include <algorithm>
#include <clocale>
#include <cwchar>

namespace frsh {
namespace {

constexpr char32_t kJoiner = 0x200D;
constexpr char32_t kFirstSymbol = 0x2190;  // Joined parts of an emoji are symbols.
constexpr int kMostParts = 32;             // A hostile text stays editable.

// Returns the cells of one code point, by the tables of the C library.
int width_of(char32_t value) {
    static const locale_t utf8 = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    if (utf8 == nullptr) return 1;
    const locale_t before = ::uselocale(utf8);
    const int width = ::wcwidth(static_cast<wchar_t>(value));
    ::uselocale(before);
    return width < 0 ? 1 : width;  // Unknown to this version of the library.
}

bool is_skin_tone(char32_t value) {
    return value >= 0x1F3FB && value <= 0x1F3FF;
}
bool is_half_of_a_flag(char32_t value) {
    return value >= 0x1F1E6 && value <= 0x1F1FF;
}

Cluster control_at(std::string_view text, std::size_t at, std::size_t size) {
    if (text[at] == '\n') return {size, 0, Cluster::Kind::Newline};
    if (text[at] == '\t') return {size, 0, Cluster::Kind::Tab};
    Cluster cluster{size, 0, Cluster::Kind::Escaped};
    cluster.width = static_cast<unsigned>(shown_form(text, at, cluster).size());
    return cluster;
}

}  // namespace

Cluster cluster_at(std::string_view text, std::size_t at) {
    const Character first = first_character(text.substr(at));
    if (first.is_control) return control_at(text, at, first.size);
    const int width = width_of(first.value);
    Cluster cluster{first.size, static_cast<unsigned>(width), Cluster::Kind::Text};
    char32_t before = first.value;
    bool is_half = is_half_of_a_flag(first.value);
    for (int part = 1; part < kMostParts && at + cluster.size < text.size(); ++part) {
        const Character next = first_character(text.substr(at + cluster.size));
        if (next.is_control) break;
        const bool is_flag = is_half && is_half_of_a_flag(next.value);
        const bool is_joined = before == kJoiner && width == 2 && next.value >= kFirstSymbol;
        const bool is_toned = width == 2 && is_skin_tone(next.value);
        if (!is_flag && !is_joined && !is_toned && width_of(next.value) != 0) break;
        if (is_flag) cluster.width = 2;
        is_half = false;
        before = next.value;
        cluster.size += next.size;
    }
    return cluster;
}

std::string shown_form(std::string_view text, std::size_t at, const Cluster& cluster) {
    const std::string_view bytes = text.substr(at, cluster.size);
    if (cluster.kind == Cluster::Kind::Text) return std::string(bytes);
    const auto byte = static_cast<unsigned char>(bytes[0]);
    if (byte < ' ') return {'^', static_cast<char>(byte + '@')};
    if (byte == 0x7F) return "^?";
    return escape_controls(bytes);
}

std::size_t next_cluster(std::string_view text, std::size_t at) {
    return at >= text.size() ? text.size() : at + cluster_at(text, at).size;
}

std::size_t previous_cluster(std::string_view text, std::size_t at) {
    if (at == 0) return 0;
    if (text[at - 1] == '\n') return at - 1;
    // A newline ends every cluster, so the clusters of this line can be counted from its start.
    const std::size_t newline = text.rfind('\n', at - 1);
    std::size_t begin = newline == std::string_view::npos ? 0 : newline + 1;
    for (;;) {
        const std::size_t next = next_cluster(text, begin);
        if (next >= at) return begin;
        begin = next;
    }
}

unsigned cells_of(std::string_view text) {
    unsigned cells = 0;
    for (std::size_t at = 0; at < text.size();) {
        const Cluster cluster = cluster_at(text, at);
        cells += cluster.width;
        at += cluster.size;
    }
    return cells;
}

}  // namespace frsh
