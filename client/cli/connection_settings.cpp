#include "client/cli/connection_settings.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"

#include <utility>

namespace frsh {
namespace {

constexpr unsigned kNoPort = 65536;

template <typename Field>
bool is_given(const std::optional<Field>& field) {
    return field.has_value();
}
template <typename Element>
bool is_given(const std::vector<Element>& list) {
    return !list.empty();
}

}  // namespace

std::optional<OnDisconnect> parse_on_disconnect(std::string_view text) {
    constexpr std::string_view kGracePrefix = "grace:";
    if (text == "kill") return OnDisconnect{};
    if (text == "keep") return OnDisconnect{OnDisconnect::Kind::Keep, kDefaultGracePeriod};
    if (!text.starts_with(kGracePrefix)) return std::nullopt;
    const auto time = parse_duration(text.substr(kGracePrefix.size()));
    if (!time) return std::nullopt;
    return OnDisconnect{OnDisconnect::Kind::Grace, *time};
}

std::optional<Linger> parse_linger(std::string_view text) {
    if (text == "inf") return Linger{};
    const auto time = parse_duration(text);
    if (!time) return std::nullopt;
    return Linger{time};
}

std::optional<Sharing> parse_sharing(std::string_view text) {
    constexpr std::string_view kStayPrefix = "stay:";
    const bool stays = text.starts_with(kStayPrefix);
    const auto time = parse_duration(text.substr(stays ? kStayPrefix.size() : 0));
    if (!time) return std::nullopt;
    return Sharing{*time, stays};
}

void fill_in(ConnectionSettings& settings, const ConnectionSettings& more) {
    // The earlier source decides about proxy_command and jump together: only one can be used.
    const bool has_way = settings.proxy_command || settings.jump;
    const auto proxy_command = has_way ? settings.proxy_command : more.proxy_command;
    const auto jump = has_way ? settings.jump : more.jump;
    visit_fields(
        [](auto& ours, const auto& theirs) {
            if (!is_given(ours)) ours = theirs;
        },
        settings, more);
    settings.proxy_command = proxy_command;
    settings.jump = jump;
}

bool is_host(std::string_view target) {
    return target != "local" && !target.starts_with("unix:");
}

std::optional<TcpTarget> parse_tcp_target(std::string_view target) {
    if (!is_host(target)) return std::nullopt;
    TcpTarget parsed;
    std::string_view text = target;
    if (const std::size_t at = text.rfind('@'); at != std::string_view::npos) {
        parsed.settings.user = text.substr(0, at);
        text.remove_prefix(at + 1);
    }
    HostPort where = parse_host_port(text, BarePort::Refused, "", kNoPort);
    if (where.port == 0)
        throw UserError("'" + escape_controls(target) + "': port 0 cannot be connected to");
    if (where.port != kNoPort) parsed.settings.port = where.port;
    parsed.host = std::move(where.host);
    return parsed;
}

HostPort place_of(std::string_view target, const ConnectionSettings& settings) {
    HostPort where;
    where.host =
        settings.address ? *settings.address : parse_tcp_target(target).value_or(TcpTarget{}).host;
    where.port = settings.port.value_or(where.port);
    return where;
}

}  // namespace frsh
