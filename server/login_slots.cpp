#include "server/login_slots.hpp"

#include <algorithm>

namespace frsh {
namespace {

using namespace std::chrono_literals;

// For a whole ClientHello, which is one packet; and then for each word of ours an answer, which an
// honest client has ready, or says that it asks its human.
constexpr auto kGreetingTime = 1s;
constexpr auto kAnswerTime = 3s;

}  // namespace

void LoginSlots::add(pid_t pid, const Source& source, Rules rules, Time now) {
    logins_[pid] = {source, rules, Stage::Greeting, now};
}

void LoginSlots::advance(pid_t pid, LoginStep step, Time now) {
    const auto found = logins_.find(pid);
    if (found == logins_.end()) return;
    Login& login = found->second;
    if (login.stage == Stage::Asking) return;  // As old as its first question.
    login.stage = step == LoginStep::Pending ? Stage::Asking : Stage::Answering;
    login.since = now;
}

bool LoginSlots::is_full() const {
    const auto taken = std::count_if(logins_.begin(), logins_.end(), [](const auto& entry) {
        return entry.second.stage != Stage::Asking;
    });
    return taken >= static_cast<std::ptrdiff_t>(kMost);
}

bool LoginSlots::may_have_one_more(const Source& source) const {
    const auto count = std::count_if(logins_.begin(), logins_.end(), [&](const auto& entry) {
        const Login& login = entry.second;
        return login.rules == Rules::OfALogin && login.stage != Stage::Asking &&
               login.source.name == source.name;
    });
    return count < static_cast<std::ptrdiff_t>(kMostOfASource);
}

LoginSlots::Counts LoginSlots::count_asking() const {
    Counts counts;
    for (const auto& [pid, login] : logins_) {
        if (login.stage == Stage::Asking && !login.is_surplus) ++counts[login.source.name];
    }
    return counts;
}

LoginSlots::Login* LoginSlots::find_oldest_asking(const std::string& source, pid_t& pid) {
    Login* oldest = nullptr;
    for (auto& [number, login] : logins_) {
        const bool is_one =
            login.stage == Stage::Asking && !login.is_surplus && login.source.name == source;
        if (!is_one || (oldest != nullptr && oldest->since <= login.since)) continue;
        oldest = &login;
        pid = number;
    }
    return oldest;
}

std::vector<LoginSlots::Surplus> LoginSlots::take_surplus(Time now, Waiting waiting) {
    std::vector<Surplus> surplus;
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
            login.rules == Rules::Own || login.stage == Stage::Asking || login.is_surplus;
        const auto time = login.stage == Stage::Greeting ? kGreetingTime : kAnswerTime;
        if (is_exempt || now < login.since + time) continue;
        login.is_surplus = true;
        surplus.push_back({pid, "said nothing while others waited"});
    }
    return surplus;
}

}  // namespace frsh
