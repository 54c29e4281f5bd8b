#include "server/handoff.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/net/socket.hpp"
#include "common/sys/fd_passing.hpp"

#include <cstddef>

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

namespace frsh {
namespace {

// Both are of the same user and on the same machine; this is for one that is stopped or dying.
constexpr timeval kPatience{5, 0};
constexpr std::size_t kMaxBytes = 16 * 1024 * 1024;
constexpr char kTaken = '+';

struct AbstractAddress {
    sockaddr_un address{};
    socklen_t size = 0;
};

// A first byte of 0: the name is in no folder, and goes when its socket does.
AbstractAddress abstract_address(const std::string& name) {
    AbstractAddress result;
    const std::string path = "frsh/" + name;
    must(path.size() + 1 <= sizeof result.address.sun_path, "a session's name fits an address");
    result.address.sun_family = AF_UNIX;
    path.copy(result.address.sun_path + 1, path.size());
    result.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + path.size());
    return result;
}

void set_patience(int socket) {
    for (const int option : {SO_RCVTIMEO, SO_SNDTIMEO}) {
        check(::setsockopt(socket, SOL_SOCKET, option, &kPatience, sizeof kPatience), "setsockopt");
    }
}

void read_whole(int socket, void* into, std::size_t size) {
    for (auto* at = static_cast<char*>(into); size > 0;) {
        const ssize_t got = check(::read(socket, at, size), "read of a connection");
        if (got == 0) throw SysError("read of a connection", ECONNRESET);
        at += got;
        size -= static_cast<std::size_t>(got);
    }
}

void write_text(int socket, std::string_view text) {
    const std::uint64_t size = text.size();
    write_all(socket, {reinterpret_cast<const char*>(&size), sizeof size});
    write_all(socket, text);
}

std::string read_text(int socket) {
    std::uint64_t size = 0;
    read_whole(socket, &size, sizeof size);
    if (size > kMaxBytes) throw SysError("read of a connection", EMSGSIZE);
    std::string text(size, '\0');
    read_whole(socket, text.data(), text.size());
    return text;
}

// One byte and the descriptors: whether there are two of them, and a forced command.
struct Opening {
    bool has_output;
    bool is_forced;
};

Opening receive_opening(int socket, Fd& input, Fd& output) {
    Opening opening{};
    Passed passed = receive_descriptors(socket, reinterpret_cast<char*>(&opening), sizeof opening);
    input = std::move(passed.descriptors[0]);
    output = std::move(passed.descriptors[1]);
    const bool is_whole = passed.result.bytes == sizeof opening && input.is_open() &&
                          output.is_open() == opening.has_output;
    if (!is_whole) throw SysError("recvmsg", EBADMSG);
    return opening;
}

Handoff receive(int socket) {
    Handoff result;
    const Opening opening = receive_opening(socket, result.input, result.output);
    if (opening.is_forced) result.forced_command = read_text(socket);
    result.bytes = read_text(socket);
    return result;
}

}  // namespace

HandoffPoint::HandoffPoint(EventLoop& loop, const std::string& name, MayTake may_take,
                           OnArrival on_arrival)
    : may_take_(std::move(may_take)),
      on_arrival_(std::move(on_arrival)),
      listening_(
          check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket")) {
    const AbstractAddress where = abstract_address(name);
    check(::bind(listening_.get(), reinterpret_cast<const sockaddr*>(&where.address), where.size),
          "bind");
    check(::listen(listening_.get(), 16), "listen");
    watch_ = loop.watch(
        "session: another session brings a connection", listening_.get(),
        [] { return short{POLLIN}; }, [this](short) { on_visitor(); });
}

void HandoffPoint::on_visitor() {
    try {
        Fd visit(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!visit.is_open()) return;
        if (peer_uid(visit.get()) != ::geteuid()) return;
        set_patience(visit.get());
        Handoff arrived = receive(visit.get());
        if (!may_take_(arrived)) return;
        write_all(visit.get(), {&kTaken, 1});
        on_arrival_(std::move(arrived), std::move(visit));
    } catch (const SysError& error) {
        log::info(std::string("a connection that did not arrive: ") + error.what());
    }
}

std::optional<Fd> hand_over(const std::string& name, int input, int output,
                            const std::string& bytes,
                            const std::optional<std::string>& forced_command) {
    const AbstractAddress where = abstract_address(name);
    Fd socket(check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
    const auto* const generic = reinterpret_cast<const sockaddr*>(&where.address);
    if (::connect(socket.get(), generic, where.size) == -1) return std::nullopt;
    if (peer_uid(socket.get()) != ::geteuid()) return std::nullopt;
    set_patience(socket.get());
    try {
        const Opening opening{input != output, forced_command.has_value()};
        std::vector<int> descriptors{input};
        if (opening.has_output) descriptors.push_back(output);
        if (!pass_descriptors(socket.get(),
                              {reinterpret_cast<const char*>(&opening), sizeof opening},
                              descriptors)) {
            return std::nullopt;
        }
        if (forced_command) write_text(socket.get(), *forced_command);
        write_text(socket.get(), bytes);
        char answer = 0;
        read_whole(socket.get(), &answer, 1);
        if (answer == kTaken) return socket;
    } catch (const SysError& error) {
        log::info("session " + name + ": " + error.what());
    }
    return std::nullopt;
}

}  // namespace frsh
