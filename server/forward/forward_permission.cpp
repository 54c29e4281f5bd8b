#include "server/forward/forward_permission.hpp"

#include "common/base/brackets.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <string_view>

namespace frsh {
namespace {

using List = std::optional<std::vector<std::string>>;
using Place = std::vector<std::string>;

bool fits(const std::string& permitted, const Place& place) {
    if (place.size() == 1) return permitted == place[0];
    const std::size_t colon = permitted.rfind(':');
    if (colon == std::string::npos) return false;
    const std::string_view host = std::string_view(permitted).substr(0, colon);
    const std::string_view port = std::string_view(permitted).substr(colon + 1);
    const std::string wanted = place_text(place);
    const std::string_view wanted_host = std::string_view(wanted).substr(0, wanted.rfind(':'));
    return (host == "*" || host == wanted_host) && (port == "*" || port == place[1]);
}

bool is_permitted(const List& list, const Place& place) {
    return !list || std::any_of(list->begin(), list->end(), [&](const std::string& permitted) {
        return fits(permitted, place);
    });
}

std::optional<std::string> agent_refusal(const ForwardRules& rules) {
    if (!rules.server_may_have_agent) return "forwarding in frshd.toml does not allow it";
    if (rules.key_may_have_agent) return std::nullopt;
    return "this key may not forward an agent (authorized_keys: restrict, no-agent-forwarding, or "
           "command= without agent-forwarding; or sshd_config)";
}

}  // namespace

std::string place_text(const std::vector<std::string>& place) {
    if (place.size() < 2) return place.empty() ? "" : place[0];
    return in_brackets(place[0]) + ":" + place[1];
}

std::optional<NotStarted> forward_refusal(const msg::Open& open, const ForwardRules& rules) {
    const char* why = nullptr;
    if (!rules.server_may_connect) {
        why = "forwarding in frshd.toml does not allow it";
    } else if (!rules.key_may_connect) {
        why =
            "this key may not forward ports (authorized_keys: restrict, no-port-forwarding, or "
            "command= without permitopen=)";
    } else if (!is_permitted(rules.key_permit_open, open.args)) {
        why = "permitopen of this key does not name it";
    } else if (!is_permitted(rules.server_permit_open, open.args)) {
        why = "permit_open in frshd.toml does not name it";
    }
    if (why == nullptr) return std::nullopt;
    return NotStarted{"connect", EPERM, place_text(open.args) + ": " + why};
}

std::optional<std::string> listen_refusal(const msg::Listen& listen, const ForwardRules& rules) {
    const char* why = nullptr;
    if (listen.agent) return agent_refusal(rules);
    if (!rules.server_may_listen) {
        why = "forwarding in frshd.toml does not allow it";
    } else if (!rules.key_may_listen) {
        why =
            "this key may not forward ports (authorized_keys: restrict, no-port-forwarding, or "
            "command= without permitlisten=)";
    } else if (!is_permitted(rules.key_permit_listen, listen.args)) {
        why = "permitlisten of this key does not name it";
    } else if (!is_permitted(rules.server_permit_listen, listen.args)) {
        why = "permit_listen in frshd.toml does not name it";
    }
    if (why == nullptr) return std::nullopt;
    return place_text(listen.args) + ": " + why;
}

}  // namespace frsh
