#include "client/run/typed_ahead.hpp"

#include <cstddef>

namespace frsh {

std::string typed_ahead(const msg::End& end, std::string_view sent) {
    constexpr std::string_view kFlushing = "\x03\x1a\x1c";  // INT, SUSP and QUIT.
    if (!end.typed) return "";
    std::string bytes = end.unread;
    if (*end.typed < sent.size()) bytes += sent.substr(static_cast<std::size_t>(*end.typed));
    const std::size_t last = bytes.find_last_of(kFlushing);
    return last == std::string::npos ? bytes : bytes.substr(last + 1);
}

}  // namespace frsh
