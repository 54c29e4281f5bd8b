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
    return active() - forwards() >= kMaxChannels;
}

std::size_t ChannelTable::room_for_forwards() const {
    return kMaxForwards - std::min(kMaxForwards, forwards());
}

std::size_t ChannelTable::forwards() const {
    return static_cast<std::size_t>(
        std::count_if(channels_.begin(), channels_.end(),
                      [](const auto& entry) { return entry.second->is_forward(); }));
}

bool ChannelTable::is_idle() const {
    return active() == 0 && ending_.empty();
}

bool ChannelTable::owns_runs() const {
    return !ending_.empty() ||
           std::any_of(channels_.begin(), channels_.end(),
                       [](const auto& entry) { return entry.second->owns_run(); });
}

bool ChannelTable::has_seen(const std::string& id) const {
    return lost_.contains(id) ||
           std::any_of(channels_.begin(), channels_.end(), [&id](const auto& entry) {
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
    if (!entry->second->is_over()) {
        link_.remove(*entry->second);
        ending_.push_back(std::move(entry->second));
        return channels_.erase(entry);
    }
    return remove(entry);
}

void ChannelTable::note_lost(const ServerChannel& channel, const std::string& why) {
    if (channel.owns_run()) lost_.emplace(channel.id(), why);
}

void ChannelTable::forget_unlisted(const std::vector<msg::Resume::Point>& points) {
    std::erase_if(lost_, [&points](const auto& entry) {
        return std::none_of(points.begin(), points.end(),
                            [&entry](const auto& point) { return point.run == entry.first; });
    });
}

msg::Resumed ChannelTable::resume(const std::vector<msg::Resume::Point>& points, Time now) {
    msg::Resumed answer;
    std::set<Channel> resumed;
    forget_unlisted(points);
    for (const msg::Resume::Point& point : points) {
        if (const auto lost = lost_.find(point.run); lost != lost_.end()) {
            answer.lost.push_back({point.channel, lost->second});
            continue;
        }
        const auto found = channels_.find(point.channel);
        if (found == channels_.end() || found->second->id() != point.run) continue;
        const auto in = found->second->resume(point);
        if (!in) continue;
        answer.points.push_back({point.channel, *in, found->second->pid()});
        resumed.insert(point.channel);
    }
    // The client has acknowledged the others' ends on the lost connection, or wants them no more.
    for (auto next = channels_.begin(); next != channels_.end();) {
        next = resumed.contains(next->first) ? std::next(next)
                                             : abandon(next, Termination::First::HangUp, now);
    }
    return answer;
}

void ChannelTable::abandon_all(Termination::First first, const std::string& why, Time now) {
    for (auto next = channels_.begin(); next != channels_.end();) {
        note_lost(*next->second, why);
        next = abandon(next, first, now);
    }
}

void ChannelTable::abandon_expired(const ExpiresAt& expires_at, Time now) {
    for (auto next = channels_.begin(); next != channels_.end();) {
        if (now < expires_at(next->second->on_disconnect())) {
            ++next;
            continue;
        }
        note_lost(*next->second, "the server ended it when its grace period was over");
        next = abandon(next, Termination::First::HangUp, now);
    }
}

EventLoop::Time ChannelTable::next_expiry(const ExpiresAt& expires_at) const {
    Time next = EventLoop::kNever;
    for (const auto& [number, channel] : channels_)
        next = std::min(next, expires_at(channel->on_disconnect()));
    return next;
}

void ChannelTable::remove_finished() {
    std::erase_if(ending_, [](const auto& channel) { return channel->is_over(); });
}

bool ChannelTable::child_exited(const ExitStatus& status) {
    const auto take = [&status](ServerChannel& channel) {
        if (!channel.awaits(status.pid)) return false;
        channel.exited(status);
        return true;
    };
    return std::any_of(channels_.begin(), channels_.end(),
                       [&take](const auto& entry) { return take(*entry.second); }) ||
           std::any_of(ending_.begin(), ending_.end(),
                       [&take](const auto& channel) { return take(*channel); });
}

void ChannelTable::tick(Time now) {
    for (const auto& [number, channel] : channels_)
        channel->tick(now);
    for (const auto& channel : ending_)
        channel->tick(now);
}

EventLoop::Time ChannelTable::next_deadline() const {
    Time next = EventLoop::kNever;
    for (const auto& [number, channel] : channels_)
        next = std::min(next, channel->next_deadline());
    for (const auto& channel : ending_)
        next = std::min(next, channel->next_deadline());
    return next;
}

}  // namespace frsh
