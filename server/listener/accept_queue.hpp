// Connections that are accepted and wait for a process: which is next, and which is dropped.
//
// Sources take turns, so that a source with a thousand connections delays only its own. Over TLS
// the client sends first, and a connection gets no process before the size of a greeting has
// arrived. The kernel counts the bytes (SO_RCVLOWAT, socket(7)). Only the first byte is looked at:
// a connection that does not begin with TLS is refused at once, without a process. All bytes stay
// in the socket for the gate (MSG_PEEK).
#pragma once

#include "common/sys/event_loop.hpp"
#include "common/sys/fd.hpp"
#include "server/listener/peer_source.hpp"

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace frsh {

enum class Door { Unix, Plaintext, Tls };

class AcceptQueue {
  public:
    using Time = EventLoop::Time;
    struct Pending {
        Fd socket;
        Door door;
        PeerSource source;
        Time since;
        bool is_ready;
        std::optional<char> foreign_byte = {};  // The first byte, if it is not TLS.
    };

    AcceptQueue(EventLoop& loop, std::size_t most, std::chrono::milliseconds greeting_timeout)
        : loop_(loop), most_(most), greeting_timeout_(greeting_timeout) {}

    // If the queue is full, returns the connection that has no room: a silent one of the source
    // with the most connections, or else the new one.
    std::optional<Pending> add(Fd socket, Door door, PeerSource source, Time now);

    // Returns the next connection that is ready and whose source may have one more.
    using May = std::function<bool(const PeerSource&)>;
    std::optional<Pending> take_next(const May& may);
    [[nodiscard]] bool has_ready() const;

    // Drops and returns the connections that have sent too little within the time, or no TLS, or
    // that their client has closed.
    std::vector<Pending> drop_hopeless(Time now);
    [[nodiscard]] Time next_deadline() const;

    [[nodiscard]] std::size_t size() const { return size_; }
    // Removes and returns all connections, also those that have sent nothing yet.
    [[nodiscard]] std::vector<Pending> take_all();

  private:
    struct Entry {
        Pending pending;
        bool has_begun = false;  // TLS, but not a whole greeting.
        bool is_hopeless = false;
        EventLoop::Watch watch;
    };
    using PerSource = std::deque<std::unique_ptr<Entry>>;

    void check_greeting(Entry& entry);
    std::optional<Pending> drop_silent();

    EventLoop& loop_;
    std::size_t most_;
    std::chrono::milliseconds greeting_timeout_;
    std::size_t size_ = 0;
    std::map<std::string, PerSource> sources_;  // By source name; no queue is empty.
    std::string last_source_;                   // The source of the last turn.
};

}  // namespace frsh
