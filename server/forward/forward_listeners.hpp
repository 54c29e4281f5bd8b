// ForwardListeners are the ports and sockets on which the session listens for one client, and the
// connections that it has accepted there and the client has not opened yet.
//
// A lost link closes none of them: new connections wait in the kernel until the client resumes. At
// the end of the grace period they are reset.
#pragma once

#include "common/link/link.hpp"
#include "common/proto/message.hpp"
#include "common/sys/event_loop.hpp"
#include "common/sys/fd.hpp"
#include "server/run/forward_rules.hpp"
#include "server/run/private_folder.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace frsh {

class ForwardListeners {
  public:
    using Time = EventLoop::Time;
    using ExpiresAt = std::function<Time(const OnDisconnect&)>;

    // A connection, and where it came from and arrived, for the audit.
    struct Accepted {
        Fd socket;
        std::string from;
        std::string place;
    };

    // All are lent. `room` returns how many connections may be accepted now.
    ForwardListeners(EventLoop& loop, Link& link, const ForwardRules& rules,
                     std::function<std::size_t()> room)
        : loop_(loop), link_(link), rules_(rules), room_(std::move(room)) {}
    ~ForwardListeners() { end_all(); }
    ForwardListeners(const ForwardListeners&) = delete;
    ForwardListeners& operator=(const ForwardListeners&) = delete;

    // Binds and answers. If the client has that listener already, only answers.
    void open(const msg::Listen& listen);
    // Answers that there is no such listener, for this reason.
    void refuse(const msg::Listen& listen, const std::string& why);
    void close(const msg::Unlisten& unlisten);
    // Returns the accepted connection of that number, which this object forgets.
    [[nodiscard]] std::optional<Accepted> take(const std::string& connection);
    // Announces all connections again that wait for the client, which has resumed.
    void announce_again();

    void end_all();
    // Closes the listeners whose grace period has ended, and resets what waits there.
    void end_expired(const ExpiresAt& expires_at, Time now);
    // Returns when the next grace period ends; kNever if there is no listener.
    [[nodiscard]] Time next_expiry(const ExpiresAt& expires_at) const;
    // Returns the path of the client's agent for its runs; empty if it lends none.
    [[nodiscard]] std::string agent_path() const;
    [[nodiscard]] bool is_empty() const { return listeners_.empty() && waiting_.empty(); }
    // Returns how many connections wait for the client.
    [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }
    [[nodiscard]] Time next_deadline() const { return paused_until_; }
    void tick(Time now);

  private:
    struct Socket {
        Fd fd;
        EventLoop::Watch watch = {};
    };
    struct Listener {
        msg::Listen listen;
        std::uint64_t port = 0;
        std::vector<Socket> sockets;
        std::string place;
        std::string path;                            // To be removed; empty for a port.
        std::unique_ptr<PrivateFolder> folder = {};  // That of an agent's socket.
    };
    struct Waiting {
        ListenerId listener = 0;
        Accepted accepted;
    };

    Listener bind(const msg::Listen& listen);
    void watch(Listener& listener);
    [[nodiscard]] bool may_accept() const;
    void accept(const Listener& listener, int socket);
    void announce(std::uint64_t connection, const Waiting& waiting);
    std::map<ListenerId, Listener>::iterator end(std::map<ListenerId, Listener>::iterator entry);

    EventLoop& loop_;
    Link& link_;
    const ForwardRules& rules_;
    std::function<std::size_t()> room_;
    std::map<ListenerId, Listener> listeners_;
    std::map<std::uint64_t, Waiting> waiting_;  // By the number of the connection.
    std::uint64_t last_connection_ = 0;
    // After a failure for lack of descriptors or memory; kNever: no pause.
    Time paused_until_ = EventLoop::kNever;
};

}  // namespace frsh
