#include "server/session/channel_table.hpp"

#include "common/base/error.hpp"
#include "server/session/refused_channel.hpp"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

namespace frsh {

void ChannelTable::add(std::unique_ptr<ServerChannel> channel) {
    link_.add(*channel);
    const Channel number = channel->channel();
    channels_.emplace(number, std::move(channel));
}

void ChannelTable::add_refused(Channel channel) {
    if (channels_.size() - active() >= kMaxChannels) throw ProtocolError("a flood of opens");
    add(std::make_unique<RefusedChannel>(channel));
}

void ChannelTable::remove_refusals() {
    for (auto next = channels_.begin(); next != channels_.end();)
        next = next->second->is_active() ? std::next(next) : remove(next);
}

ServerChannel& ChannelTable::at(Channel channel) const {
    const auto found = channels_.find(channel);
    if (found == channels_.end()) {
        throw ProtocolError("unknown channel " + std::to_string(channel));
    }
    return *found->second;
}

void ChannelTable::acknowledge(const msg::EndAck& ack, Time now) {
    at(ack.channel).acknowledge(ack, now);
    remove(channels_.find(ack.channel));
}

std::size_t ChannelTable::active() const {
    return static_cast<std::size_t>(
        std::count_if(channels_.begin(), channels_.end(),
                      [](const auto& entry) { return entry.second->is_active(); }));
}

bool ChannelTable::is_full() const {
    return active() >= kMaxChannels;
}

bool ChannelTable::is_idle() const {
    return active() == 0;
}

bool ChannelTable::owns_runs() const {
    return std::any_of(channels_.begin(), channels_.end(),
                       [](const auto& entry) { return entry.second->owns_run(); });
}

bool ChannelTable::owns_run(const std::string& id) const {
    return std::any_of(channels_.begin(), channels_.end(), [&id](const auto& entry) {
        return entry.second->owns_run() && entry.second->id() == id;
    });
}

ChannelTable::Channels::iterator ChannelTable::remove(Channels::iterator entry) {
    link_.remove(*entry->second);
    return channels_.erase(entry);
}

ChannelTable::Channels::iterator ChannelTable::abandon(Channels::iterator entry,
                                                       Termination::First first, Time now) {
    entry->second->abandon(first, now);
    return entry->second->is_over() ? remove(entry) : std::next(entry);
}

std::vector<msg::Resumed::Point> ChannelTable::resume(const std::vector<msg::Resume::Point>& points,
                                                      Time now) {
    std::vector<msg::Resumed::Point> answer;
    std::set<Channel> resumed;
    for (const msg::Resume::Point& point : points) {
        const auto found = channels_.find(point.channel);
        if (found == channels_.end() || found->second->id() != point.run) continue;
        const auto in = found->second->resume(point);
        if (!in) continue;
        answer.push_back({point.channel, *in});
        resumed.insert(point.channel);
    }
    // The client has acknowledged the others' ends on the lost connection, or wants them no more.
    for (auto next = channels_.begin(); next != channels_.end();) {
        next = resumed.contains(next->first) ? std::next(next)
                                             : abandon(next, Termination::First::HangUp, now);
    }
    return answer;
}

void ChannelTable::abandon_all(Termination::First first, Time now) {
    for (auto next = channels_.begin(); next != channels_.end();)
        next = abandon(next, first, now);
}

void ChannelTable::abandon_expired(const ExpiresAt& expires_at, Time now) {
    for (auto next = channels_.begin(); next != channels_.end();) {
        const ServerChannel& channel = *next->second;
        const bool is_due = !channel.is_abandoned() && now >= expires_at(channel.on_disconnect());
        next = is_due ? abandon(next, Termination::First::HangUp, now) : std::next(next);
    }
}

EventLoop::Time ChannelTable::next_expiry(const ExpiresAt& expires_at) const {
    Time next = EventLoop::kNever;
    for (const auto& [number, channel] : channels_) {
        if (!channel->is_abandoned()) next = std::min(next, expires_at(channel->on_disconnect()));
    }
    return next;
}

void ChannelTable::remove_finished() {
    for (auto next = channels_.begin(); next != channels_.end();)
        next = next->second->is_over() ? remove(next) : std::next(next);
}

bool ChannelTable::child_exited(const ExitStatus& status) {
    for (const auto& [number, channel] : channels_) {
        if (!channel->awaits(status.pid)) continue;
        channel->exited(status);
        return true;
    }
    return false;
}

void ChannelTable::tick(Time now) {
    for (const auto& [number, channel] : channels_)
        channel->tick(now);
}

EventLoop::Time ChannelTable::next_deadline() const {
    Time next = EventLoop::kNever;
    for (const auto& [number, channel] : channels_)
        next = std::min(next, channel->next_deadline());
    return next;
}

}  // namespace frsh
