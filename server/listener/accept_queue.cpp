#include "server/listener/accept_queue.hpp"

#include <algorithm>

#include <sys/ioctl.h>
#include <sys/socket.h>

namespace frsh {
namespace {

constexpr int kGreeting = 64;           // Bytes: fewer than any ClientHello has.
constexpr char kTlsHandshake = '\x16';  // The first byte: RFC 8446 section 5.1.

void set_low_mark(int socket, int bytes) {
    // Ignore errors: without SO_RCVLOWAT there are only more wake-ups.
    (void)::setsockopt(socket, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof bytes);
}

}  // namespace

std::optional<AcceptQueue::Pending> AcceptQueue::add(Fd socket, Door door, PeerSource source,
                                                     Time now) {
    std::optional<Pending> rejected;
    if (size_ >= most_) {
        rejected = drop_silent();
        if (!rejected) return Pending{std::move(socket), door, std::move(source), now, false};
    }
    auto entry = std::make_unique<Entry>();
    Entry& lent = *entry;
    lent.pending = Pending{std::move(socket), door, std::move(source), now, door != Door::Tls};
    if (!lent.pending.is_ready) {
        lent.watch = loop_.watch(
            "accept queue: a greeting", lent.pending.socket.get(),
            [&lent] {
                return lent.pending.is_ready || lent.is_hopeless ? short{0} : short{POLLIN};
            },
            [this, &lent](short) { check_greeting(lent); });
    }
    sources_[lent.pending.source.name].push_back(std::move(entry));
    ++size_;
    return rejected;
}

// Called when poll(2) reports enough bytes, or the end of the stream before that.
void AcceptQueue::check_greeting(Entry& entry) {
    const int socket = entry.pending.socket.get();
    char first = 0;
    int bytes = 0;
    const bool has_spoken = ::recv(socket, &first, 1, MSG_PEEK | MSG_DONTWAIT) == 1 &&
                            ::ioctl(socket, FIONREAD, &bytes) == 0;
    if (has_spoken && first != kTlsHandshake) entry.pending.foreign_byte = first;
    if (has_spoken && first == kTlsHandshake && bytes >= kGreeting) {
        entry.pending.is_ready = true;
    } else if (has_spoken && first == kTlsHandshake && !entry.has_begun) {
        entry.has_begun = true;
        set_low_mark(socket, kGreeting);
    } else {
        entry.is_hopeless = true;  // Removed at the next turn: this is a callback of its watch.
    }
}

std::optional<AcceptQueue::Pending> AcceptQueue::take_next(const May& may) {
    auto per_source = sources_.upper_bound(last_source_);
    for (std::size_t looked = 0; looked < sources_.size(); ++looked, ++per_source) {
        if (per_source == sources_.end()) per_source = sources_.begin();
        PerSource& entries = per_source->second;
        const auto next = std::find_if(entries.begin(), entries.end(), [](const auto& entry) {
            return entry->pending.is_ready && !entry->is_hopeless;
        });
        if (next == entries.end() || !may((*next)->pending.source)) continue;
        last_source_ = per_source->first;
        (*next)->watch.reset();
        Pending pending = std::move((*next)->pending);
        entries.erase(next);
        if (entries.empty()) sources_.erase(per_source);
        --size_;
        if (pending.door == Door::Tls) set_low_mark(pending.socket.get(), 1);
        return pending;
    }
    return std::nullopt;
}

bool AcceptQueue::has_ready() const {
    return std::any_of(sources_.begin(), sources_.end(), [](const auto& per_source) {
        return std::any_of(
            per_source.second.begin(), per_source.second.end(),
            [](const auto& entry) { return entry->pending.is_ready && !entry->is_hopeless; });
    });
}

std::optional<AcceptQueue::Pending> AcceptQueue::drop_silent() {
    PerSource* busiest = nullptr;
    for (auto& [source, entries] : sources_) {
        const bool has_silent = std::any_of(entries.begin(), entries.end(), [](const auto& entry) {
            return !entry->pending.is_ready;
        });
        if (has_silent && (busiest == nullptr || entries.size() > busiest->size()))
            busiest = &entries;
    }
    if (busiest == nullptr) return std::nullopt;
    const auto silent = std::find_if(busiest->begin(), busiest->end(),
                                     [](const auto& entry) { return !entry->pending.is_ready; });
    Pending pending = std::move((*silent)->pending);
    const std::string source = pending.source.name;
    busiest->erase(silent);
    if (busiest->empty()) sources_.erase(source);
    --size_;
    return pending;
}

std::vector<AcceptQueue::Pending> AcceptQueue::drop_hopeless(Time now) {
    std::vector<Pending> dropped;
    for (auto& [source, entries] : sources_) {
        std::erase_if(entries, [&](const auto& entry) {
            const bool is_silent =
                !entry->pending.is_ready && now >= entry->pending.since + greeting_timeout_;
            if (!entry->is_hopeless && !is_silent) return false;
            entry->watch.reset();
            dropped.push_back(std::move(entry->pending));
            return true;
        });
    }
    std::erase_if(sources_, [](const auto& per_source) { return per_source.second.empty(); });
    size_ -= dropped.size();
    return dropped;
}

AcceptQueue::Time AcceptQueue::next_deadline() const {
    Time next = EventLoop::kNever;
    for (const auto& [source, entries] : sources_) {
        for (const auto& entry : entries) {
            if (!entry->pending.is_ready)
                next = std::min(next, entry->pending.since + greeting_timeout_);
        }
    }
    return next;
}

std::vector<AcceptQueue::Pending> AcceptQueue::take_all() {
    std::vector<Pending> all;
    for (auto& [source, entries] : sources_) {
        for (auto& entry : entries) {
            entry->watch.reset();
            all.push_back(std::move(entry->pending));
        }
    }
    sources_.clear();
    size_ = 0;
    return all;
}

}  // namespace frsh
