#include "server/listener/login_limits.hpp"

#include <algorithm>

namespace frsh {

void LoginLimits::add(pid_t pid, const PeerSource& source, Rules rules, Time now) {
    logins_[pid] = {source, rules, Stage::Greeting, now};
}

void LoginLimits::advance(pid_t pid, LoginStep step, Time now) {
    const auto found = logins_.find(pid);
    if (found == logins_.end()) return;
    Login& login = found->second;
    if (login.stage == Stage::AwaitingUser) return;  // Its age counts from the first AwaitingUser.
    login.stage = step == LoginStep::Pending ? Stage::AwaitingUser : Stage::Answering;
    login.since = now;
}

bool LoginLimits::is_full() const {
    const auto taken = std::count_if(logins_.begin(), logins_.end(), [](const auto& entry) {
        return entry.second.stage != Stage::AwaitingUser;
    });
    return taken >= static_cast<std::ptrdiff_t>(kMost);
}

bool LoginLimits::may_have_one_more(const PeerSource& source) const {
    const auto count = std::count_if(logins_.begin(), logins_.end(), [&](const auto& entry) {
        const Login& login = entry.second;
        return login.rules == Rules::OfALogin && login.stage != Stage::AwaitingUser &&
               login.source.name == source.name;
    });
    return count < static_cast<std::ptrdiff_t>(kMostOfASource);
}

LoginLimits::Counts LoginLimits::count_awaiting_user() const {
    Counts counts;
    for (const auto& [pid, login] : logins_) {
        if (login.stage == Stage::AwaitingUser && !login.is_evicted) ++counts[login.source.name];
    }
    return counts;
}

LoginLimits::Login* LoginLimits::find_oldest_awaiting_user(const std::string& source, pid_t& pid) {
    Login* oldest = nullptr;
    for (auto& [number, login] : logins_) {
        const bool is_one =
            login.stage == Stage::AwaitingUser && !login.is_evicted && login.source.name == source;
        if (!is_one || (oldest != nullptr && oldest->since <= login.since)) continue;
        oldest = &login;
        pid = number;
    }
    return oldest;
}

std::vector<LoginLimits::Eviction> LoginLimits::take_evictions(Time now, Waiting waiting) {
    std::vector<Eviction> evictions;
    // Any client can claim to wait for a person. So the busiest source loses its oldest login.
    Counts counts = count_awaiting_user();
    std::size_t all = 0;
    for (const auto& [source, count] : counts)
        all += count;
    while (!counts.empty()) {
        const auto busiest = std::max_element(
            counts.begin(), counts.end(),
            [](const auto& one, const auto& other) { return one.second < other.second; });
        if (all <= kMostAwaitingUser && busiest->second <= kMostAwaitingUserOfASource) break;
        pid_t pid = 0;
        find_oldest_awaiting_user(busiest->first, pid)->is_evicted = true;
        evictions.push_back({pid, "too many logins were waiting for a person"});
        --busiest->second;
        --all;
    }
    if (waiting == Waiting::No) return evictions;
    for (auto& [pid, login] : logins_) {
        const bool is_exempt =
            login.rules == Rules::Own || login.stage == Stage::AwaitingUser || login.is_evicted;
        const auto time = login.stage == Stage::Greeting ? hello_time_ : answer_time_;
        if (is_exempt || now < login.since + time) continue;
        login.is_evicted = true;
        evictions.push_back({pid, "sent nothing while others waited"});
    }
    return evictions;
}

}  // namespace frsh
