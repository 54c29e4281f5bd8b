#include "client/settings.hpp"

namespace frsh {

void fill_in(ConnectionSettings& settings, const ConnectionSettings& more) {
    if (settings.address.empty()) settings.address = more.address;
    if (settings.port == 0) settings.port = more.port;
    if (settings.user.empty()) settings.user = more.user;
    if (settings.identities.empty()) settings.identities = more.identities;
    if (settings.via.empty()) settings.via = more.via;
    if (!settings.accept_new) settings.accept_new = more.accept_new;
    if (!settings.connect_timeout) settings.connect_timeout = more.connect_timeout;
    if (!settings.linger) settings.linger = more.linger;
    if (!settings.family) settings.family = more.family;
    if (settings.bind_address.empty()) settings.bind_address = more.bind_address;
    if (settings.proxy_command.empty()) settings.proxy_command = more.proxy_command;
    if (!settings.connection_attempts) settings.connection_attempts = more.connection_attempts;
    if (!settings.alive_interval) settings.alive_interval = more.alive_interval;
    if (!settings.alive_count) settings.alive_count = more.alive_count;
    if (!settings.identities_only) settings.identities_only = more.identities_only;
    if (settings.identity_agent.empty()) settings.identity_agent = more.identity_agent;
    if (!settings.batch_mode) settings.batch_mode = more.batch_mode;
    if (!settings.refuse_unknown) settings.refuse_unknown = more.refuse_unknown;
    if (settings.host_key_alias.empty()) settings.host_key_alias = more.host_key_alias;
    if (!settings.user_known_hosts) settings.user_known_hosts = more.user_known_hosts;
    if (!settings.global_known_hosts) settings.global_known_hosts = more.global_known_hosts;
}

}  // namespace frsh
