// How a terminal shows text: in clusters that the cursor never splits, each some cells wide. A
// letter with its combining marks is a cluster; so are a flag and an emoji of joined parts. Pure.
//
// Terminals disagree about the width of joined emoji. So LineView never computes the column of the
// cursor: it lets the terminal save the place while the text is drawn.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace frsh {

struct Cluster {
    std::size_t size = 0;  // Bytes.
    unsigned width = 0;    // Cells of the shown form; for a tab and a newline 0.
    enum class Kind { Text, Newline, Tab, Escaped } kind = Kind::Text;
};

// Returns the cluster that begins at offset `at`, which is less than the size of the text. Bytes
// that are no UTF-8 are clusters of one byte.
[[nodiscard]] Cluster cluster_at(std::string_view text, std::size_t at);
// Returns what a terminal may be sent for a cluster: a control becomes "^A" or "\x9B".
[[nodiscard]] std::string shown_form(std::string_view text, std::size_t at, const Cluster& cluster);

// Return the start of the next and of the previous cluster. `at` is the start of a cluster.
[[nodiscard]] std::size_t next_cluster(std::string_view text, std::size_t at);
[[nodiscard]] std::size_t previous_cluster(std::string_view text, std::size_t at);

// Returns the cells that a text without tabs and newlines takes on one row.
[[nodiscard]] unsigned cells_of(std::string_view text);

}  // namespace frsh
