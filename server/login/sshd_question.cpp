#include "server/login/sshd_question.hpp"

#include "common/net/address.hpp"
#include "server/login/peer_name.hpp"
#include "server/login/sshd_files.hpp"
#include "server/login/tool.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include <net/if.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace frsh {
namespace {

constexpr const char* kConfig = "/etc/ssh/sshd_config";
constexpr std::array kPrograms = {"/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"};
constexpr unsigned kSshPort = 22;

SshdAnswer no_answer(const std::string& why) {
    return {std::nullopt, "sshd_config cannot be evaluated: " + why + " (sshd_policy)"};
}

// One login as sshd sees it, and the program to ask.
struct SshdQuestion {
    std::string program;
    std::string user;
    SshdConnection connection;
    std::string host_key;
    std::chrono::milliseconds timeout;
    std::string host = {};  // The peer's name or address.
    unsigned port = kSshPort;
};

ToolResult ask(const SshdQuestion& question) {
    // sshd names a peer without an address so. No pattern for addresses matches it.
    const auto or_unknown = [](const std::string& text) { return text.empty() ? "UNKNOWN" : text; };
    const SshdConnection& connection = question.connection;
    const std::string who = "user=" + question.user + ",host=" + or_unknown(question.host) +
                            ",addr=" + or_unknown(connection.address) +
                            ",laddr=" + or_unknown(connection.local_address) +
                            ",lport=" + std::to_string(question.port) +
                            ",rdomain=" + connection.routing_domain;
    std::vector<std::string> argv{question.program, "-T", "-C", who};
    if (::access(question.host_key.c_str(), R_OK) == 0) {
        argv.emplace_back("-h");
        argv.push_back(question.host_key);
    }
    return run_tool(argv, {}, question.timeout);
}

// A name from the DNS must not add fields to the question.
bool is_host_name(const std::string& name) {
    return std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
               std::string_view("-._:%").find(c) != std::string_view::npos;
    });
}

// Asks for each port that a login by ssh could have, and for the one that this login has. frshd
// cannot choose between answers that differ.
SshdAnswer answer_for_each_port(SshdQuestion question, const SshdPolicy& first,
                                const std::string& text) {
    std::vector<unsigned> ports = first.ports;
    if (question.connection.local_port != 0) ports.push_back(question.connection.local_port);
    for (const unsigned port : ports) {
        question.port = port;
        const ToolResult result = ask(question);
        if (result.status != 0) return no_answer(result.last_line);
        if (result.output != text) {
            return {std::nullopt,
                    "Match LocalPort decides about this login, and frshd has a port of its own "
                    "(sshd_config)"};
        }
    }
    return {first, std::nullopt};
}

}  // namespace

SshdConnection sshd_connection_of(int socket) {
    const Address own = local_address(socket);
    SshdConnection connection{peer_address(socket).host_text(), "", 0, ""};
    if (own.family() != AF_INET && own.family() != AF_INET6) return connection;
    connection.local_address = own.host_text();
    connection.local_port = own.port();
    char device[IFNAMSIZ] = "";
    socklen_t size = sizeof device - 1;
    if (::getsockopt(socket, SOL_SOCKET, SO_BINDTODEVICE, device, &size) == 0) {
        connection.routing_domain = device;
    }
    return connection;
}

SshdAnswer ask_sshd(const User& user, const SshdConnection& connection, const std::string& host_key,
                    std::chrono::milliseconds timeout) {
    const auto* const program =
        std::find_if(kPrograms.begin(), kPrograms.end(),
                     [](const char* path) { return ::access(path, X_OK) == 0; });
    if (program == kPrograms.end() || ::access(kConfig, F_OK) == -1) return {};
    const SshdFiles files = read_sshd_files(kConfig);
    if (files.fault) return no_answer(*files.fault);
    if (files.is_harmless) return {};
    if (files.has_quoted_key_files) {
        return {std::nullopt,
                "AuthorizedKeysFile has quotes, which frshd cannot obey (sshd_config)"};
    }
    if (user.name.find_first_of(",= ") != std::string::npos) {
        return {std::nullopt, "sshd_config cannot be evaluated for this name (sshd_policy)"};
    }
    // sshd does not start without this folder, which its service makes. It stays empty.
    (void)::mkdir("/run/sshd", 0755);
    SshdQuestion question{*program, user.name, connection, host_key, timeout, connection.address};
    ToolResult result = ask(question);
    SshdPolicy policy = parse_sshd_settings(result.output);
    if (result.status == 0 && policy.uses_dns && files.has_host_names &&
        !connection.address.empty()) {
        const auto name = find_peer_name(connection.address, timeout);
        if (!name || !is_host_name(*name)) {
            return {std::nullopt, "UseDNS is yes, and the name of " + connection.address +
                                      " cannot be found (sshd_config)"};
        }
        question.host = *name;
        if (*name != connection.address) {
            result = ask(question);
            policy = parse_sshd_settings(result.output);
        }
    }
    if (result.status != 0) {
        return no_answer(result.status == ToolResult::kTimedOut ? "no answer" : result.last_line);
    }
    policy.host = question.host;
    if (files.has_local_port) return answer_for_each_port(question, policy, result.output);
    return {std::move(policy), std::nullopt};
}

}  // namespace frsh
