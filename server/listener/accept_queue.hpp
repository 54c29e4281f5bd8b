// Connections that were accepted and not yet given a process: who is next, and who has to go.
//
// Turns go round by source, so that whoever brings a thousand connections waits behind himself
// only. And over TLS the client speaks first: a connection is not worth a process before as much as
// a greeting has arrived. That is the kernel's count (SO_RCVLOWAT). Of the bytes only the first is
// looked at, whether it begins TLS: who speaks anything else is told so at once, and costs no
// process. All of them are left to the gate.
#pragma once

#include "common/sys/fd.hpp"
#include "server/listener/peer_source.hpp"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
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
        std::optional<char> foreign_byte = {};  // That his words begin with, in place of TLS.
    };

    AcceptQueue(EventLoop& loop, std::size_t most) : loop_(loop), most_(most) {}

    // Returns whom there was no room for, if so: somebody silent of the largest crowd, or the
    // guest.
    std::optional<Pending> add(Fd socket, Door door, PeerSource source, Time now);

    // The next who is ready and whose source may have one more.
    using May = std::function<bool(const PeerSource&)>;
    std::optional<Pending> take_next(const May& may);
    [[nodiscard]] bool has_ready() const;

    // Who has said too little for too long, or something else than TLS, or left, is dropped: those
    // are returned.
    std::vector<Pending> drop_hopeless(Time now);
    [[nodiscard]] Time next_deadline() const;

    [[nodiscard]] std::size_t size() const { return size_; }
    void clear();

  private:
    struct Entry {
        Pending pending;
        bool has_begun = false;  // TLS, but not said enough of it.
        bool is_hopeless = false;
        EventLoop::Watch watch;
    };
    using PerSource = std::deque<std::unique_ptr<Entry>>;

    void look(Entry& entry);
    std::optional<Pending> give_up_one();

    EventLoop& loop_;
    std::size_t most_;
    std::size_t size_ = 0;
    std::map<std::string, PerSource> sources_;  // By source; never an empty one.
    std::string last_source_;                   // Whose turn it was.
};

}  // namespace frsh
