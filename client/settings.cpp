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
}

}  // namespace frsh
