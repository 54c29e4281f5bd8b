// Lists the keys of every message, for the page that describes them and the test that compares the
// two.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace frsh {

struct KeyRow {
    std::string key;        // "ch"; "payload" for what follows the header.
    std::string type;       // "whole", "text", "object", ...
    bool optional = false;  // The key may be absent.
};

// The values of "type", in the order of the variant Message.
[[nodiscard]] std::vector<std::string_view> message_types();
// The rows of one message, in the order in which they are written. Nested objects are one row.
[[nodiscard]] std::vector<KeyRow> message_keys(std::string_view type);
// Returns one item of a Markdown list, in lines of at most 100 columns, each with its line end:
//     - `credit`: `ch`, `stream`, `consumed`, `limit`
// A key with a question mark may be absent; "+ payload" ends the item of a message that has one.
[[nodiscard]] std::string message_list_item(std::string_view type);

}  // namespace frsh
