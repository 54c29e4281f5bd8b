#include "server/reload.hpp"

#include "common/base/log.hpp"
#include "server/config.hpp"
#include "server/login/host_key.hpp"

#include <utility>

namespace frsh {

std::optional<PublicKey> reload(LiveConfiguration& live, const ServerOptions& command_line,
                                bool needs_host_key) {
    ServerOptions fresh = command_line;
    configure(fresh);
    ServerSettings& settings = fresh.settings;
    const ServerSettings& old = live.options.settings;
    if (settings.host_key.empty()) settings.host_key = usual_host_key();
    std::optional<PublicKey> host_key;
    if (needs_host_key) host_key = prepare_host_key(settings.host_key);
    live.audit.open(settings.audit);

    if (settings.listen != old.listen || settings.unix_path != old.unix_path) {
        log::notice("reload: other addresses to listen on need a restart");
        settings.listen = old.listen;
        settings.unix_path = old.unix_path;
    }
    log::set_level(settings.log_level.value_or(log::Level::Notice));
    if (host_key) {
        log::notice("host key " + host_key->fingerprint() + " (" + settings.host_key + ")");
    }
    live.options = std::move(fresh);
    return host_key;
}

}  // namespace frsh
