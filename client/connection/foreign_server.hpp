// What is at the other end of a connection that has ended before the greeting of a frshd, and why a
// server has refused a connection.
#pragma once

#include "client/connection/connection.hpp"
#include "common/proto/message.hpp"

#include <string>
#include <string_view>

namespace frsh {

// The reason of a refusal by this client: another program, or a server of another protocol version,
// has taken nothing.
inline constexpr const char* kAnotherServer = "another server";

// Returns the server's name for messages: of the login, or the address of the other end.
[[nodiscard]] std::string name_of_server(const Connection& connection, const Transport* transport);

struct OtherEnd {
    // Names the place and what is probably there.
    std::string text;
    // Another program answers there, so another attempt would have the same end.
    bool is_foreign;
};

// `name` is the place as the user knows it. `first` has the bytes that were received and could not
// be read; `problem` is the link's, or empty if the other end closed the connection.
[[nodiscard]] OtherEnd judge_other_end(const std::string& name, std::string_view first,
                                       const std::string& problem);

// Returns the text for a peer that was reached and has sent nothing, with the reason `problem`.
[[nodiscard]] std::string describe_silence(const std::string& name, const std::string& problem);

// Returns the text for a refusal. `login` is the one that was refused, lent, or null. Calls its
// on_refused.
[[nodiscard]] std::string describe_refusal(const msg::Error& refusal, const Login* login);

}  // namespace frsh
