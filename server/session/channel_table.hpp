// ChannelTable owns the channels of one link, and lends them to it as its sources.
//
// A channel that is given up leaves the link at once, and its number is free. Its run is kept among
// the ending ones until nothing of it is left, and its id among the lost ones until the client has
// received that it is lost. So a client that returns late gets three different answers: the run
// continues, it was ended, or it was never seen.
#pragma once

#include "common/link/link.hpp"
#include "server/run/server_channel.hpp"

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace frsh {

class ChannelTable {
  public:
    using Time = EventLoop::Time;
    // Returns when the grace period ends, for what a client wants for a lost connection.
    using ExpiresAt = std::function<Time(const OnDisconnect&)>;

    // `link` is lent.
    explicit ChannelTable(Link& link) : link_(link) {}

    void add(std::unique_ptr<ServerChannel> channel);
    // Throws ProtocolError if the client has more unacknowledged refusals than channels.
    void add_refused(Channel channel);
    [[nodiscard]] bool contains(Channel channel) const { return channels_.contains(channel); }
    // Removes the refusals. For a new connection: it does not carry their acknowledgements.
    void remove_refusals();
    // Throws ProtocolError if there is no such channel.
    [[nodiscard]] ServerChannel& at(Channel channel) const;
    // Checks the acknowledgement and removes its channel. Throws ProtocolError.
    void acknowledge(const msg::EndAck& ack, Time now);

    // Returns true if there are kMaxChannels channels, refusals and forwarded connections not
    // counted.
    [[nodiscard]] bool is_full() const;
    // Returns how many more forwarded connections there may be, kMaxForwards in all.
    [[nodiscard]] std::size_t room_for_forwards() const;
    // Returns true if there are no channels, refusals not counted.
    [[nodiscard]] bool is_idle() const;
    // Returns true if a run lives and dies with one of the channels.
    [[nodiscard]] bool owns_runs() const;
    // Returns true if a run of that id lives here, or has lived here and is lost.
    [[nodiscard]] bool has_seen(const std::string& id) const;
    // Returns true if the client has acknowledged every run.
    [[nodiscard]] bool is_all_acknowledged() const { return !owns_runs() && lost_.empty(); }

    // Continues the channels that the client lists, and abandons all others. Returns the answer to
    // the client, without the shells. Throws ProtocolError.
    msg::Resumed resume(const std::vector<msg::Resume::Point>& points, Time now);
    // Abandons all channels. `why` is for a client that asks for their runs later.
    void abandon_all(Termination::First first, const std::string& why, Time now);
    // Forgets the runs that are lost: the client will not return.
    void forget_lost() { lost_.clear(); }
    // Abandons the channels whose grace period has ended.
    void abandon_expired(const ExpiresAt& expires_at, Time now);
    // Returns when the next grace period ends; kNever if all channels are abandoned.
    [[nodiscard]] Time next_expiry(const ExpiresAt& expires_at) const;
    void remove_finished();

    // Returns false if no channel waits for this child.
    bool child_exited(const ExitStatus& status);
    void tick(Time now);
    [[nodiscard]] Time next_deadline() const;

  private:
    using Channels = std::map<Channel, std::unique_ptr<ServerChannel>>;

    [[nodiscard]] std::size_t active() const;
    [[nodiscard]] std::size_t forwards() const;
    Channels::iterator remove(Channels::iterator entry);
    // Abandons the channel and removes it. Returns the next.
    Channels::iterator abandon(Channels::iterator entry, Termination::First first, Time now);
    // Notes that the run of this channel is being ended and the client does not have its end.
    void note_lost(const ServerChannel& channel, const std::string& why);
    // Forgets the lost runs that the client does not list any more.
    void forget_unlisted(const std::vector<msg::Resume::Point>& points);

    Link& link_;
    Channels channels_;
    std::vector<std::unique_ptr<ServerChannel>> ending_;  // Abandoned, and not over.
    std::map<std::string, std::string> lost_;             // By id: the reason, for the client.
};

}  // namespace frsh
