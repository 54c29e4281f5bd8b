#include "server/listener/session_shares.hpp"

#include <algorithm>
#include <chrono>

namespace frsh {
namespace {

using namespace std::chrono_literals;

constexpr auto kAskInterval = 1s;

std::size_t part(std::size_t most, std::size_t parts, std::size_t of) {
    return std::max<std::size_t>(1, most * parts / of);
}

// A server of very few sessions keeps none of them free.
std::size_t reserve(std::size_t most, std::size_t of) {
    return most < 4 ? 0 : part(most, 1, of);
}

std::string full(const std::string& what, std::size_t limit) {
    return what + " has " + std::to_string(limit) + " sessions already";
}

}  // namespace

SessionShares::SessionShares(std::size_t most, uid_t own) : own_(own) {
    limit(most);
}

void SessionShares::limit(std::size_t most) {
    most_ = most;
    roots_ = reserve(most, 16);
    newcomers_ = reserve(most, 8);
}

std::size_t SessionShares::count(const Is& is) const {
    return static_cast<std::size_t>(
        std::count_if(sessions_.begin(), sessions_.end(),
                      [&](const auto& one) { return is(one.second.holder); }));
}

bool SessionShares::is_new(uid_t uid) const {
    return count([uid](const Holder& one) { return one.uid == uid; }) == 0;
}

std::optional<std::string> SessionShares::find_full_share(const Holder& holder) {
    struct Share {
        std::size_t limit;
        std::string what;
        Is is;
    };
    std::vector<Share> shares;
    if (!holder.bound_key.empty()) {
        shares.push_back({part(most_, 1, 4), "this key", [holder](const Holder& one) {
                              return one.uid == holder.uid && one.bound_key == holder.bound_key;
                          }});
        shares.push_back({part(most_, 3, 8), "a key of this user", [holder](const Holder& one) {
                              return one.uid == holder.uid && !one.bound_key.empty();
                          }});
    }
    if (holder.uid != own_ || !holder.bound_key.empty()) {
        shares.push_back({part(most_, 1, 2), "this user",
                          [holder](const Holder& one) { return one.uid == holder.uid; }});
    }
    // All users of a site may share a source, so a full one still lets each of them in once.
    if (!is_new(holder.uid) && (holder.uid != own_ || !holder.bound_key.empty())) {
        shares.push_back({part(most_, 1, 2), holder.source,
                          [holder](const Holder& one) { return one.source == holder.source; }});
    }
    for (const Share& share : shares) {
        if (count(share.is) < share.limit) continue;
        asked_.push_back(share.is);
        return full(share.what, share.limit);
    }
    return std::nullopt;
}

std::optional<std::string> SessionShares::add(pid_t pid, const Holder& holder) {
    if (auto why = find_full_share(holder)) return why;
    const bool is_own = holder.uid == own_ && holder.bound_key.empty();
    const std::size_t kept_free = is_own ? 0 : is_new(holder.uid) ? roots_ : roots_ + newcomers_;
    const bool has_room = sessions_.size() + kept_free < most_;
    if (has_room) sessions_[pid] = {holder};
    // Few places are left, so idle sessions of the busiest user have to leave.
    if (sessions_.size() + roots_ + newcomers_ >= most_) {
        if (const auto uid = busiest()) {
            asked_.push_back([uid](const Holder& one) { return one.uid == *uid; });
        }
    }
    if (has_room) return std::nullopt;
    return full("this server", sessions_.size());
}

std::optional<uid_t> SessionShares::busiest() const {
    std::map<uid_t, std::size_t> counts;
    for (const auto& [pid, entry] : sessions_)
        ++counts[entry.holder.uid];
    const auto most = std::max_element(
        counts.begin(), counts.end(),
        [](const auto& one, const auto& other) { return one.second < other.second; });
    return most == counts.end() ? std::nullopt : std::optional(most->first);
}

std::vector<pid_t> SessionShares::take_asked(Time now) {
    std::vector<pid_t> pids;
    if (asked_.empty()) return pids;
    for (auto& [pid, entry] : sessions_) {
        const Holder& holder = entry.holder;
        const bool is_asked = std::any_of(asked_.begin(), asked_.end(),
                                          [&holder](const Is& is) { return is(holder); });
        if (!is_asked || (entry.asked_at != Time{} && now < entry.asked_at + kAskInterval)) {
            continue;
        }
        entry.asked_at = now;
        pids.push_back(pid);
    }
    asked_.clear();
    return pids;
}

}  // namespace frsh
