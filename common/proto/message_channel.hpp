// The channel of a message, for a receiver that passes messages on to what it has behind channels.
#pragma once

#include "common/proto/message.hpp"

#include <optional>
#include <variant>

namespace frsh {

// Returns the channel that the message belongs to; nothing for a message of the whole link.
[[nodiscard]] inline std::optional<Channel> channel_of(const Message& message) {
    return std::visit(
        [](const auto& one) -> std::optional<Channel> {
            if constexpr (requires { one.channel; }) return one.channel;
            return std::nullopt;
        },
        message);
}

}  // namespace frsh
