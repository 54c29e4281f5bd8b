#include "client/io/history.hpp"

#include "common/base/error.hpp"
#include "common/sys/user.hpp"

#include <cstdio>
#include <functional>
#include <iterator>
#include <unordered_set>
#include <utility>

#include <unistd.h>

namespace frsh {
namespace {

constexpr std::size_t kLongestName = 200;  // Bytes; a name in a folder has at most 255.

// Returns the state folder; empty if it cannot be created or written.
std::string history_folder() {
    const std::string folder = state_folder(home_folder());
    try {
        make_folders(folder);
    } catch (const SysError&) {
        return "";
    }
    return ::access(folder.c_str(), W_OK) == 0 ? folder : "";
}

bool is_safe_in_a_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_' || c == '@' || c == ':';
}

}  // namespace

std::string history_name(std::string_view target) {
    std::string name = "history-";
    for (const char c : target) {
        if (is_safe_in_a_name(c)) {
            name += c;
            continue;
        }
        char escape[4];
        std::snprintf(escape, sizeof escape, "%%%02X", static_cast<unsigned char>(c));
        name += escape;
    }
    if (name.size() <= kLongestName) return name;
    // Two long targets with the same beginning must not share a file.
    char mark[20];
    std::snprintf(mark, sizeof mark, "%%%zx", std::hash<std::string_view>{}(target));
    return name.substr(0, kLongestName) + mark;
}

History History::of(std::string_view target) {
    History history;
    const std::string folder = history_folder();
    if (folder.empty()) return history;
    history.files_.emplace_back(folder + "/history");
    history.files_.emplace_back(folder + "/" + history_name(target));
    std::vector<std::string> own = history.files_[1].load();
    const std::unordered_set<std::string_view> known(own.begin(), own.end());
    for (std::string& entry : history.files_[0].load()) {
        if (!known.contains(entry)) history.entries_.push_back(std::move(entry));
    }
    history.entries_.insert(history.entries_.end(), std::make_move_iterator(own.begin()),
                            std::make_move_iterator(own.end()));
    return history;
}

void History::add(const std::string& line) {
    if (line.empty() || line[0] == ' ' || line[0] == '\t') return;
    if (!entries_.empty() && entries_.back() == line) return;
    entries_.push_back(line);
    for (const HistoryFile& file : files_)
        file.append(line);
}

std::optional<std::string_view> History::newest() const {
    if (entries_.empty()) return std::nullopt;
    return entries_.back();
}

std::optional<std::size_t> History::older_with_prefix(std::string_view prefix, std::size_t end,
                                                      std::string_view skipped) const {
    for (std::size_t number = end; number-- > 0;) {
        if (entries_[number].starts_with(prefix) && entries_[number] != skipped) return number;
    }
    return std::nullopt;
}

std::optional<std::size_t> History::newer_with_prefix(std::string_view prefix, std::size_t begin,
                                                      std::string_view skipped) const {
    for (std::size_t number = begin; number < entries_.size(); ++number) {
        if (entries_[number].starts_with(prefix) && entries_[number] != skipped) return number;
    }
    return std::nullopt;
}

std::optional<std::size_t> History::older_with(std::string_view part, std::size_t end) const {
    for (std::size_t number = end; number-- > 0;) {
        if (entries_[number].find(part) != std::string::npos) return number;
    }
    return std::nullopt;
}

std::optional<std::size_t> History::newer_with(std::string_view part, std::size_t begin) const {
    for (std::size_t number = begin; number < entries_.size(); ++number) {
        if (entries_[number].find(part) != std::string::npos) return number;
    }
    return std::nullopt;
}

}  // namespace frsh
