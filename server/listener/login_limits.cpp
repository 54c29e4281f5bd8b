#include "server/listener/login_limits.hpp"

#include <algorithm>

namespace frsh {
namespace {

using namespace std::chrono_literals;

// For a whole ClientHello, which is one packet; and then for each word of ours an answer, which an
// honest client has ready, or says that it asks its human.
constexpr auto kGreetingTime = 1s;
constexpr auto kAnswerTime = 3s;

}  // namespace

void LoginLimits::add(pid_t pid, const PeerSource& source, Rules rules, Time now) {
    logins_[pid] = {source, rules, Stage::Greeting, now};
}

void LoginLimits::advance(pid_t pid, LoginStep step, Time now) {
    const auto found = logins_.find(pid);
    if (found == logins_.end()) return;
    Login& login = found->second;
    if (login.stage == Stage::AwaitingUser) return;  // As old as its first question.
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

LoginLimits::Counts LoginLimits::count_asking() const {
    Counts counts;
    for (const auto& [pid, login] : logins_) {
        if (login.stage == Stage::AwaitingUser && !login.is_surplus) ++counts[login.source.name];
    }
    return counts;
}

LoginLimits::Login* LoginLimits::find_oldest_asking(const std::string& source, pid_t& pid) {
    Login* oldest = nullptr;
    for (auto& [number, login] : logins_) {
        const bool is_one =
            login.stage == Stage::AwaitingUser && !login.is_surplus && login.source.name == source;
        if (!is_one || (oldest != nullptr && oldest->since <= login.since)) continue;
        oldest = &login;
        pid = number;
    }
    return oldest;
}

std::vector<LoginLimits::Eviction> LoginLimits::take_surplus(Time now, Waiting waiting) {
    std::vector<Eviction> surplus;
    // Anybody can claim to be asking somebody. So the crowd pays, not the one who is alone.
    Counts counts = count_asking();
    std::size_t all = 0;
    for (const auto& [source, count] : counts)
        all += count;
    while (!counts.empty()) {
        const auto crowd = std::max_element(
            counts.begin(), counts.end(),
            [](const auto& one, const auto& other) { return one.second < other.second; });
        if (all <= kMostAsking && crowd->second <= kMostAskingOfASource) break;
        pid_t pid = 0;
        find_oldest_asking(crowd->first, pid)->is_surplus = true;
        surplus.push_back({pid, "too many were asking somebody"});
        --crowd->second;
        --all;
    }
    if (waiting == Waiting::Nobody) return surplus;
    for (auto& [pid, login] : logins_) {
        const bool is_exempt =
            login.rules == Rules::Own || login.stage == Stage::AwaitingUser || login.is_surplus;
        const auto time = login.stage == Stage::Greeting ? kGreetingTime : kAnswerTime;
        if (is_exempt || now < login.since + time) continue;
        login.is_surplus = true;
        surplus.push_back({pid, "said nothing while others waited"});
    }
    return surplus;
}

}  // namespace frsh
