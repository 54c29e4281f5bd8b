// ChannelTable owns the channels of one link, and lends them to it as its sources.
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

    // Returns true if there are kMaxChannels channels, refusals not counted.
    [[nodiscard]] bool is_full() const;
    // Returns true if there are no channels, refusals not counted.
    [[nodiscard]] bool is_idle() const;
    // Returns true if a run lives and dies with one of the channels.
    [[nodiscard]] bool owns_runs() const;
    [[nodiscard]] bool owns_run(const std::string& id) const;

    // Continues the channels that the client lists, and abandons all others. Returns the answer to
    // the client. Throws ProtocolError.
    std::vector<msg::Resumed::Point> resume(const std::vector<msg::Resume::Point>& points,
                                            Time now);
    void abandon_all(Termination::First first, Time now);
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
    Channels::iterator remove(Channels::iterator entry);
    // Abandons the channel, and removes it at once if nothing is left to end. Returns the next one.
    Channels::iterator abandon(Channels::iterator entry, Termination::First first, Time now);

    Link& link_;
    Channels channels_;
};

}  // namespace frsh
