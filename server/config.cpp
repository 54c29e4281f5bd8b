#include "server/config.hpp"

#include "common/base/config.hpp"
#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/keys/host_pattern.hpp"
#include "common/sys/trusted_file.hpp"
#include "common/sys/user.hpp"

#include <cstdint>
#include <optional>
#include <vector>

#include <unistd.h>

namespace frsh {
namespace {

std::optional<log::Level> parse_level(std::string_view text) {
    if (text == "error") return log::Level::Error;
    if (text == "notice") return log::Level::Notice;
    if (text == "info") return log::Level::Info;
    if (text == "debug") return log::Level::Debug;
    return std::nullopt;
}

std::optional<SshdPolicyMode> parse_sshd_mode(std::string_view text) {
    if (text == "obey") return SshdPolicyMode::Obey;
    if (text == "refuse") return SshdPolicyMode::Refuse;
    if (text == "ignore") return SshdPolicyMode::Ignore;
    return std::nullopt;
}

std::optional<Forwarding> parse_forwarding(std::string_view text) {
    if (text == "none") return Forwarding::None;
    if (text == "local") return Forwarding::Local;
    if (text == "remote") return Forwarding::Remote;
    if (text == "all") return Forwarding::All;
    return std::nullopt;
}

// Refuses an entry that no request could match: the file would close more than it says.
void check_places(const ServerSettings::List& places, const char* key) {
    for (const std::string& place : places.value_or(std::vector<std::string>())) {
        const std::size_t colon = place.rfind(':');
        const bool has_port =
            colon != std::string::npos && colon > 0 &&
            (place.substr(colon + 1) == "*" || parse_number(place.substr(colon + 1), 0, 65535));
        if (has_port || place.starts_with('/')) continue;
        throw UserError(std::string(key) + ": \"" + escape_controls(place) +
                        "\" is not \"HOST:PORT\" or a path; each of HOST and PORT may be *");
    }
}

std::optional<std::uint64_t> parse_session_count(std::string_view text) {
    return parse_number(text, 1, 4096);
}

// Takes the key "unix": true selects the default path, a text is a path.
void take_unix(ConfigTable& table, std::optional<std::string>& into) {
    if (table.is_boolean("unix")) {
        std::optional<bool> usual;
        table.take("unix", usual);
        if (*usual) into = "";
        return;
    }
    std::string path;
    table.take("unix", path);
    if (!path.empty()) into = path;
}

// Throws UserError if a text is no address, network or pattern of addresses.
void check_addresses(const ServerSettings::List& list, const std::string& where) {
    for (const std::string& one : list.value_or(std::vector<std::string>())) {
        // With "!", a name is a fault, too.
        const std::string negated = one.starts_with('!') ? one : "!" + one;
        const bool is_one = !one.empty() && one.find(',') == std::string::npos;
        if (!is_one || find_fault_in_address_list(negated)) {
            throw UserError(where + ": not an address or network: \"" + escape_controls(one) +
                            "\"");
        }
    }
}

// Fills in what the command line leaves open. All places to listen come from one source: from
// systemd, else from the command line, else from the file.
void fill_in(ServerOptions& options, const ServerSettings& file) {
    ServerSettings& settings = options.settings;
    const bool says_where =
        settings.listen || settings.unix_path || options.stdio || options.listens_on_given_sockets;
    if (!says_where) {
        settings.listen = file.listen;
        settings.unix_path = file.unix_path;
    }
    if (settings.host_key.empty()) settings.host_key = file.host_key;
    if (settings.audit.empty()) settings.audit = file.audit;
    if (settings.sftp_server.empty()) settings.sftp_server = file.sftp_server;
    if (!settings.log_level) settings.log_level = file.log_level;
    if (!settings.permit_root_login) settings.permit_root_login = file.permit_root_login;
    // These have no option: they are too long for a command line.
    settings.permit_user_environment = file.permit_user_environment;
    settings.use_pam = file.use_pam;
    settings.allow_users = file.allow_users;
    settings.allow_groups = file.allow_groups;
    settings.sshd_policy = file.sshd_policy;
    settings.revoked_keys = file.revoked_keys;
    settings.trusted_user_ca_keys = file.trusted_user_ca_keys;
    settings.host_certificate = file.host_certificate;
    settings.accept_env = file.accept_env;
    settings.plain_shells = file.plain_shells;
    settings.forwarding = file.forwarding;
    settings.permit_open = file.permit_open;
    settings.permit_listen = file.permit_listen;
    settings.audit_required = file.audit_required;
    settings.max_sessions = file.max_sessions;
    settings.penalty_exempt = file.penalty_exempt;
    settings.keep_age = file.keep_age;
    settings.keep_total = file.keep_total;
    settings.keep_stream = file.keep_stream;
}

// Sets `read` to the path of the file, or "" if there is none.
ServerSettings read_config(const std::string& named, std::string& read) {
    std::string path = named;
    std::string home = home_folder();
    if (named.empty()) {
        path = ::geteuid() == 0 ? "/etc/frsh/frshd.toml" : config_folder() + "/frshd.toml";
    } else {
        // The caller chose where a named file lies: check only the file and its folder.
        const std::size_t slash = named.rfind('/');
        home = slash == std::string::npos ? "." : named.substr(0, slash + 1);
    }
    const auto content = read_config_file(path, home);
    if (!content) {
        if (!named.empty()) throw UserError(named + ": no such file");
        read.clear();
        return {};
    }
    read = path;
    ServerSettings settings = parse_server_config(*content, path);
    settings.host_key = expand_home(settings.host_key);
    settings.audit = expand_home(settings.audit);
    for (std::string* const file_name :
         {&settings.revoked_keys, &settings.trusted_user_ca_keys, &settings.host_certificate}) {
        *file_name = expand_home(*file_name);
    }
    return settings;
}

}  // namespace

ServerSettings parse_server_config(std::string_view text, const std::string& file) {
    ServerSettings settings;
    ConfigTable table = parse_config(text, file);
    table.take("listen", settings.listen);
    take_unix(table, settings.unix_path);
    table.take("host_key", settings.host_key);
    table.take("permit_root_login", settings.permit_root_login);
    table.take("permit_user_environment", settings.permit_user_environment);
    table.take("use_pam", settings.use_pam);
    table.take("allow_users", settings.allow_users);
    table.take("allow_groups", settings.allow_groups);
    table.take("sshd_policy", settings.sshd_policy, parse_sshd_mode,
               "\"obey\", \"refuse\" or \"ignore\"");
    table.take("revoked_keys", settings.revoked_keys);
    table.take("trusted_user_ca_keys", settings.trusted_user_ca_keys);
    table.take("host_certificate", settings.host_certificate);
    table.take("accept_env", settings.accept_env);
    table.take("plain_shells", settings.plain_shells);
    table.take("forwarding", settings.forwarding, parse_forwarding,
               "\"none\", \"local\", \"remote\" or \"all\"");
    table.take("permit_open", settings.permit_open);
    check_places(settings.permit_open, "permit_open");
    table.take("permit_listen", settings.permit_listen);
    check_places(settings.permit_listen, "permit_listen");
    table.take("keep_age", settings.keep_age, parse_duration, "a duration");
    table.take("keep_total", settings.keep_total, parse_size, "a size");
    table.take("keep_stream", settings.keep_stream, parse_size, "a size");
    table.take("audit", settings.audit);
    table.take("audit_required", settings.audit_required);
    table.take("max_sessions", settings.max_sessions, parse_session_count,
               "a number from 1 to 4096");
    table.take("penalty_exempt", settings.penalty_exempt);
    check_addresses(settings.penalty_exempt, file + ": penalty_exempt");
    table.take("sftp_server", settings.sftp_server);
    table.take("log_level", settings.log_level, parse_level,
               "\"error\", \"notice\", \"info\" or \"debug\"");
    table.finish();
    return settings;
}

void configure(ServerOptions& options) {
    fill_in(options, read_config(options.config, options.config_read));
    const bool says_where = (options.settings.listen && !options.settings.listen->empty()) ||
                            options.settings.unix_path || options.stdio ||
                            options.listens_on_given_sockets;
    if (!says_where) options.settings.unix_path = "";
    if (options.settings.audit_required.value_or(false) && options.settings.audit.empty()) {
        throw UserError("audit_required: there is no audit; set audit to a file");
    }
    // --plaintext is an option of the command line only: no file may switch TLS off.
    const bool is_for_tcp = options.listens_on_given_sockets || options.settings.listen;
    if (options.plaintext && !is_for_tcp) throw UserError("--plaintext: goes with --listen");
}

}  // namespace frsh
