// A file of the lines that were typed at the prompt: an entry a line, the newest last.
//
// Several prompts append to one file at once. Each entry is one write(2) with O_APPEND, so none is
// lost or mixed with another. A line feed, another control byte and a backslash of an entry are
// written as a backslash and three octal digits, so that a command of several lines is one line of
// the file and any byte comes back unchanged.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace frsh {

// Returns the entry as a line of the file, with its newline.
[[nodiscard]] std::string encode_entry(std::string_view entry);

struct HistoryContent {
    std::vector<std::string> entries;  // None equals the one before it.
    std::size_t damaged_lines = 0;     // Left out.
};
// Parses the content of a file. Damaged is what encode_entry() cannot have written, and libedit
// neither, which wrote the file before.
[[nodiscard]] HistoryContent parse_history(std::string_view content);

class HistoryFile {
  public:
    explicit HistoryFile(std::string path) : path_(std::move(path)) {}

    // Returns the newest entries, at most kMostEntries; none if the file cannot be read. A file
    // that has grown large or is damaged is written anew; a damaged one is reported once, and its
    // content stays in PATH.damaged.
    [[nodiscard]] std::vector<std::string> load() const;
    // Appends the entry at once, so that a crash loses nothing. A file that cannot be written is
    // ignored: history is a convenience. Blocks while another prompt writes the file anew.
    void append(std::string_view entry) const;

    static constexpr std::size_t kMostEntries = 5000;

  private:
    void write_anew() const;

    std::string path_;
};

}  // namespace frsh
