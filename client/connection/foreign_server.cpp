#include "client/connection/foreign_server.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/net/address.hpp"
#include "common/net/foreign_peer.hpp"

#include <algorithm>
#include <cstddef>

#include <sys/socket.h>
#include <sys/un.h>

namespace frsh {

std::string name_of_server(const Connection& connection, const Transport* transport) {
    if (connection.login) return connection.login->name;
    if (connection.child) return "the command that leads to the server";
    try {
        if (transport != nullptr) {
            const Address peer = peer_address(transport->read_fd());
            if (peer.family() != AF_UNIX) return peer.text();
            const auto* const path = reinterpret_cast<const sockaddr_un*>(peer.get())->sun_path;
            const std::size_t before = offsetof(sockaddr_un, sun_path);
            const std::string_view all(path, peer.size - std::min<std::size_t>(before, peer.size));
            return escape_controls(all.substr(0, all.find('\0')));
        }
    } catch (const SysError&) {
        // The other end has reset the connection.
    }
    return "the server";
}

OtherEnd judge_other_end(const std::string& name, std::string_view first,
                         const std::string& problem) {
    if (!first.empty() && !may_be_frame(first)) {
        return {name + ": " + describe_foreign(first, "server"), true};
    }
    if (problem.starts_with("protocol error")) {
        // It reads frames, so it may have taken the request.
        return {name + ": " + problem + "; probably another version of frshd answers there", false};
    }
    const std::string why =
        problem.empty() ? "the connection ended before a greeting of frshd" : problem;
    return {name + ": " + why, false};
}

std::string describe_silence(const std::string& name, const std::string& problem) {
    return name + ": " + problem + "; probably another program answers there, or none";
}

std::string describe_refusal(const msg::Error& refusal, const Login* login) {
    const std::string words = escape_controls(refusal.message);
    std::string text = refusal.reason == kAnotherServer ? words : "the server says: " + words;
    if (login != nullptr) {
        text = login->name + ": Permission denied (publickey): " + words + "; " + login->tried;
        if (login->on_refused) login->on_refused();
    }
    if (refusal.retry_after) {
        text += " (try again in " + std::to_string(*refusal.retry_after) + " s)";
    }
    return text;
}

}  // namespace frsh
