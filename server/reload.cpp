#include "server/reload.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "server/config.hpp"

#include <utility>

namespace frsh {

void open_audit(AuditFile& audit, const ServerSettings& settings) {
    const bool is_required = settings.audit_required.value_or(false);
    audit.open(settings.audit,
               is_required ? AuditFile::Reader::Required : AuditFile::Reader::MayCome);
}

void reload(LiveConfiguration& live, const ServerOptions& command_line) {
    ServerOptions fresh = command_line;
    configure(fresh);
    // Without its file the server would go on with the defaults, and admit more users.
    if (fresh.config_read.empty() && !live.options.config_read.empty()) {
        throw UserError(live.options.config_read + ": no such file");
    }
    ServerSettings& settings = fresh.settings;
    const ServerSettings& old = live.options.settings;
    if (settings.host_key.empty()) settings.host_key = usual_host_key();
    std::optional<HostKey> host_key;
    if (live.host_key) host_key = read_host_key(settings.host_key);
    open_audit(live.audit, settings);

    if (settings.listen != old.listen || settings.unix_path != old.unix_path) {
        log::notice("reload: other addresses to listen on need a restart");
        settings.listen = old.listen;
        settings.unix_path = old.unix_path;
    }
    log::set_level(settings.log_level.value_or(log::Level::Notice));
    if (host_key) {
        log::notice("host key " + host_key->key.fingerprint() + " (" + settings.host_key + ")");
    }
    live.options = std::move(fresh);
    live.host_key = std::move(host_key);
}

}  // namespace frsh
