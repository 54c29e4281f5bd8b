// The names that the protocol has for types of messages, streams and modes.
#pragma once

#include "common/proto/message.hpp"

#include <array>
#include <string_view>
#include <variant>

namespace frsh {

inline constexpr std::array<std::string_view, 3> kStreamNames = {"stdin", "stdout", "stderr"};
inline constexpr std::array<std::string_view, 6> kModeNames = {"command",   "argv",    "login",
                                                               "subsystem", "connect", "accept"};
inline constexpr std::array<std::string_view, 3> kDisconnectNames = {"kill", "grace", "keep"};

// The values of the key "type", in the order of the variant Message.
inline constexpr std::array<std::string_view, std::variant_size_v<Message>> kTypes = {
    "hello",    "proof",     "probe",      "acceptable",  "auth_pending", "auth",
    "open",     "started",   "refused",    "data",        "eof",          "gap",
    "credit",   "stop",      "signal",     "cancel",      "resize",       "attach",
    "attached", "list",      "kept",       "listed",      "forget",       "forgotten",
    "end",      "end_ack",   "shell_open", "shell_ready", "shell_ended",  "shell_close",
    "resume",   "resumed",   "bye",        "ping",        "pong",         "error",
    "listen",   "listening", "incoming",   "unlisten"};

}  // namespace frsh
