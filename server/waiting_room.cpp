#include "server/waiting_room.hpp"

#include <algorithm>

#include <sys/ioctl.h>
#include <sys/socket.h>

namespace frsh {
namespace {

using namespace std::chrono_literals;

constexpr int kGreeting = 64;           // Bytes; less than any ClientHello.
constexpr char kTlsHandshake = '\x16';  // The first of them.
constexpr auto kSilence = 10s;

void set_low_mark(int socket, int bytes) {
    // Best effort: without it we would only look more often.
    (void)::setsockopt(socket, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof bytes);
}

}  // namespace

std::optional<WaitingRoom::Guest> WaitingRoom::add(Fd socket, Door door, Source source, Time now) {
    std::optional<Guest> rejected;
    if (size_ >= most_) {
        rejected = give_up_one();
        if (!rejected) return Guest{std::move(socket), door, std::move(source), now, false};
    }
    auto seat = std::make_unique<Seat>();
    Seat& lent = *seat;
    lent.guest = Guest{std::move(socket), door, std::move(source), now, door != Door::Tls};
    if (!lent.guest.is_ready) {
        lent.watch = loop_.watch(
            "waiting: a greeting", lent.guest.socket.get(),
            [&lent] { return lent.guest.is_ready || lent.is_hopeless ? short{0} : short{POLLIN}; },
            [this, &lent](short) { look(lent); });
    }
    rows_[lent.guest.source.name].push_back(std::move(seat));
    ++size_;
    return rejected;
}

// poll(2) reports enough bytes, or an end before there were as many.
void WaitingRoom::look(Seat& seat) {
    const int socket = seat.guest.socket.get();
    char first = 0;
    int bytes = 0;
    const bool has_spoken = ::recv(socket, &first, 1, MSG_PEEK | MSG_DONTWAIT) == 1 &&
                            ::ioctl(socket, FIONREAD, &bytes) == 0;
    if (has_spoken && first != kTlsHandshake) seat.guest.foreign_byte = first;
    if (has_spoken && first == kTlsHandshake && bytes >= kGreeting) {
        seat.guest.is_ready = true;
    } else if (has_spoken && first == kTlsHandshake && !seat.has_begun) {
        seat.has_begun = true;
        set_low_mark(socket, kGreeting);
    } else {
        seat.is_hopeless = true;  // Removed at the next turn: we stand in its callback.
    }
}

std::optional<WaitingRoom::Guest> WaitingRoom::take_next(const May& may) {
    auto row = rows_.upper_bound(last_row_);
    for (std::size_t looked = 0; looked < rows_.size(); ++looked, ++row) {
        if (row == rows_.end()) row = rows_.begin();
        Row& seats = row->second;
        const auto next = std::find_if(seats.begin(), seats.end(), [](const auto& seat) {
            return seat->guest.is_ready && !seat->is_hopeless;
        });
        if (next == seats.end() || !may((*next)->guest.source)) continue;
        last_row_ = row->first;
        (*next)->watch.reset();
        Guest guest = std::move((*next)->guest);
        seats.erase(next);
        if (seats.empty()) rows_.erase(row);
        --size_;
        if (guest.door == Door::Tls) set_low_mark(guest.socket.get(), 1);
        return guest;
    }
    return std::nullopt;
}

bool WaitingRoom::has_ready() const {
    return std::any_of(rows_.begin(), rows_.end(), [](const auto& row) {
        return std::any_of(row.second.begin(), row.second.end(), [](const auto& seat) {
            return seat->guest.is_ready && !seat->is_hopeless;
        });
    });
}

std::optional<WaitingRoom::Guest> WaitingRoom::give_up_one() {
    Row* crowd = nullptr;
    for (auto& [source, seats] : rows_) {
        const bool has_silent = std::any_of(seats.begin(), seats.end(),
                                            [](const auto& seat) { return !seat->guest.is_ready; });
        if (has_silent && (crowd == nullptr || seats.size() > crowd->size())) crowd = &seats;
    }
    if (crowd == nullptr) return std::nullopt;
    const auto silent = std::find_if(crowd->begin(), crowd->end(),
                                     [](const auto& seat) { return !seat->guest.is_ready; });
    Guest guest = std::move((*silent)->guest);
    const std::string source = guest.source.name;
    crowd->erase(silent);
    if (crowd->empty()) rows_.erase(source);
    --size_;
    return guest;
}

std::vector<WaitingRoom::Guest> WaitingRoom::drop_hopeless(Time now) {
    std::vector<Guest> dropped;
    for (auto& [source, seats] : rows_) {
        std::erase_if(seats, [&](const auto& seat) {
            const bool is_silent = !seat->guest.is_ready && now >= seat->guest.since + kSilence;
            if (!seat->is_hopeless && !is_silent) return false;
            seat->watch.reset();
            dropped.push_back(std::move(seat->guest));
            return true;
        });
    }
    std::erase_if(rows_, [](const auto& row) { return row.second.empty(); });
    size_ -= dropped.size();
    return dropped;
}

WaitingRoom::Time WaitingRoom::next_deadline() const {
    Time next = EventLoop::kNever;
    for (const auto& [source, seats] : rows_) {
        for (const auto& seat : seats) {
            if (!seat->guest.is_ready) next = std::min(next, seat->guest.since + kSilence);
        }
    }
    return next;
}

void WaitingRoom::clear() {
    rows_.clear();
    size_ = 0;
}

}  // namespace frsh
