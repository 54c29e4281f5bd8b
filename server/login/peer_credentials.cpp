#include "server/login/peer_credentials.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/net/socket.hpp"

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

namespace frsh {
namespace {

constexpr int kMaxTableReads = 5;
constexpr std::size_t kMaxTable = 256 * 1024 * 1024;

std::vector<std::string_view> words(std::string_view line) {
    std::vector<std::string_view> found;
    for (const std::string_view word : split(line, ' ')) {
        if (!word.empty()) found.push_back(word);
    }
    return found;
}

// Returns an address in the form of the kernel's table: its machine words in hexadecimal, and the
// port.
std::string table_form(const void* words_of_address, std::size_t count, in_port_t port) {
    std::string text;
    char piece[16];
    for (std::size_t i = 0; i < count; ++i) {
        std::uint32_t word = 0;
        std::memcpy(&word, static_cast<const char*>(words_of_address) + 4 * i, 4);
        std::snprintf(piece, sizeof piece, "%08X", word);
        text += piece;
    }
    std::snprintf(piece, sizeof piece, ":%04X", ntohs(port));
    return text + piece;
}

std::string v4_form(const Address& address) {
    if (address.family() == AF_INET) {
        const auto& in = reinterpret_cast<const sockaddr_in&>(address.storage);
        return table_form(&in.sin_addr, 1, in.sin_port);
    }
    const auto& in6 = reinterpret_cast<const sockaddr_in6&>(address.storage);
    if (!IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) return "";
    return table_form(in6.sin6_addr.s6_addr + 12, 1, in6.sin6_port);
}

std::string v6_form(const Address& address) {
    if (address.family() == AF_INET6) {
        const auto& in6 = reinterpret_cast<const sockaddr_in6&>(address.storage);
        return table_form(&in6.sin6_addr, 4, in6.sin6_port);
    }
    const auto& in = reinterpret_cast<const sockaddr_in&>(address.storage);
    in6_addr mapped{};
    mapped.s6_addr[10] = mapped.s6_addr[11] = 0xFF;
    std::memcpy(mapped.s6_addr + 12, &in.sin_addr, 4);
    return table_form(&mapped, 4, in.sin_port);
}

struct Row {
    std::string_view state;
    std::string_view uid;
    std::string_view inode;
};

void find_rows(std::string_view table, const std::string& peer, const std::string& own,
               std::vector<Row>& rows) {
    if (peer.empty() || own.empty()) return;
    for (const std::string_view line : split(table, '\n')) {
        // sl local_address rem_address st tx:rx tr:tm->when retrnsmt uid timeout inode ...
        const auto fields = words(line);
        if (fields.size() < 10 || fields[1] != peer || fields[2] != own) continue;
        rows.push_back({fields[3], fields[7], fields[9]});
    }
}

}  // namespace

std::optional<std::string> refuse_unix_peer(int socket) {
    if (peer_uid(socket) == ::geteuid()) return std::nullopt;
    return "this socket serves its owner only";
}

std::optional<std::string> judge_tables(std::string_view tcp, std::string_view tcp6,
                                        const TableAddresses& addresses, uid_t uid) {
    std::vector<Row> rows;
    find_rows(tcp, addresses.v4_peer, addresses.v4_own, rows);
    find_rows(tcp6, addresses.v6_peer, addresses.v6_own, rows);
    if (rows.size() != 1) {
        return "plain TCP: the kernel shows " + std::to_string(rows.size()) +
               " sockets at your end, not one";
    }
    const Row& row = rows[0];
    if (row.state != "01" || row.inode == "0") {
        return "plain TCP: your end is closed already, so whose it was cannot be known";
    }
    if (row.uid != std::to_string(uid)) {
        return "plain TCP serves only the user who runs this server";
    }
    return std::nullopt;
}

std::optional<std::string> refuse_plaintext_peer(int socket) {
    try {
        const Address peer = peer_address(socket);
        const Address own = local_address(socket);
        if (!peer.is_loopback() || !own.is_loopback()) return "plain TCP is for loopback only";
        const TableAddresses addresses{v4_form(peer), v4_form(own), v6_form(peer), v6_form(own)};
        // The table is not a snapshot: while sockets open and close, a read may miss a row or
        // return it twice. So try again. Each read must prove the peer by itself.
        std::optional<std::string> why;
        for (int look = 0; look < kMaxTableReads; ++look) {
            why = judge_tables(read_file("/proc/net/tcp", kMaxTable),
                               read_file("/proc/net/tcp6", kMaxTable), addresses, ::geteuid());
            if (!why) break;
        }
        return why;
    } catch (const SysError& error) {
        return std::string("plain TCP: ") + error.what();
    }
}

}  // namespace frsh
