#include "client/holder/link_holder.hpp"

#include "common/base/error.hpp"
#include "common/base/version.hpp"
#include "common/net/socket.hpp"
#include "common/net/transport.hpp"
#include "common/proto/message_channel.hpp"

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <ctime>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>

#include <poll.h>
#include <unistd.h>

namespace frsh {
namespace {

using namespace std::chrono_literals;

// After the connection is lost for good, borrowers may read the reason for this long.
constexpr auto kLastWords = 2s;

}  // namespace

// One client of the holder.
class LinkHolder::Borrower : private Link::Handler {
  public:
    Borrower(EventLoop& loop, ServerConnection& server, Fd socket)
        : server_(server), link_(loop, std::make_unique<FdTransport>(std::move(socket)), *this) {
        msg::Hello hello = *server.server();
        hello.proto = kProtocolVersion;
        hello.nonce.clear();
        // The rest needs a session of the borrower's own.
        std::erase_if(hello.features, [](const std::string& feature) {
            return feature != "runs" && feature != "ptys";
        });
        link_.send(hello);
    }

    Link& link() { return link_; }
    [[nodiscard]] std::size_t runs() const { return runs_.size(); }
    // Returns how many runs it has begun since the last call.
    [[nodiscard]] std::uint64_t take_begun() { return std::exchange(begun_, 0); }
    [[nodiscard]] bool is_over() const {
        return runs_.empty() && has_gone_ && (link_.is_flushed() || link_.is_mute());
    }

    void tick(EventLoop::Time now) {
        for (auto& [channel, run] : runs_)
            run->tick(now);
        std::erase_if(runs_, [](const auto& entry) { return entry.second->is_over(); });
    }
    [[nodiscard]] EventLoop::Time next_deadline() const {
        EventLoop::Time next = EventLoop::kNever;
        for (const auto& [channel, run] : runs_)
            next = std::min(next, run->next_deadline());
        return next;
    }

  private:
    void on_message(const Message& message) override {
        if (const auto* const hello = std::get_if<msg::Hello>(&message)) {
            if (hello->proto != kProtocolVersion) throw ProtocolError("another protocol version");
            is_greeted_ = true;
            return;
        }
        if (!is_greeted_) throw ProtocolError("a message before the hello");
        if (const auto* const open = std::get_if<msg::Open>(&message)) return begin(*open);
        if (const auto* const bye = std::get_if<msg::Bye>(&message)) {
            leave(bye->signal.value_or("HUP"));
            return link_.close();
        }
        if (std::holds_alternative<msg::Error>(message)) return;
        const auto channel = channel_of(message);
        const auto found = channel ? runs_.find(*channel) : runs_.end();
        if (found != runs_.end()) return found->second->on_message(message);
        // Messages of the client may cross the end of the run.
        if (!channel || std::holds_alternative<msg::Attach>(message) ||
            std::holds_alternative<msg::List>(message) ||
            std::holds_alternative<msg::Forget>(message)) {
            throw ProtocolError("not through a shared connection");
        }
    }

    // A borrower that has hung up has given this holder up: the holder was stopped meanwhile.
    [[nodiscard]] bool has_hung_up() const {
        pollfd socket{link_.transport()->read_fd(), POLLRDHUP, 0};
        return ::poll(&socket, 1, 0) == 1;
    }

    void begin(const msg::Open& open) {
        if (has_hung_up()) return;
        if (open.kept || open.shell || !open.shell_name.empty()) {
            throw ProtocolError("not through a shared connection");
        }
        if (runs_.contains(open.channel)) throw ProtocolError("a channel that is already open");
        ++begun_;
        runs_.emplace(open.channel, std::make_unique<LentRun>(link_, server_, open));
    }

    void on_link_down(const std::string&) override { leave("HUP"); }

    void leave(const std::string& signal) {
        if (std::exchange(has_gone_, true)) return;
        for (auto& [channel, run] : runs_)
            run->abandon(signal, EventLoop::Clock::now());
    }

    ServerConnection& server_;
    Link link_;
    std::map<Channel, std::unique_ptr<LentRun>> runs_;  // After the link, which they use.
    std::uint64_t begun_ = 0;
    bool is_greeted_ = false;
    bool has_gone_ = false;
};

LinkHolder::LinkHolder(EventLoop& loop, ServerConnection& server, LinkPlace place, Fd file,
                       Fd listening, std::chrono::milliseconds idle_time)
    : loop_(loop),
      server_(server),
      place_(std::move(place)),
      file_(std::move(file)),
      listening_(std::move(listening)),
      idle_time_(idle_time),
      idle_since_(EventLoop::Clock::now()),
      signals_({SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGTSTP}) {
    written_.name = place_.name;
    written_.key = place_.key;
    written_.since = static_cast<std::int64_t>(::time(nullptr));
    write_state(file_.get(), written_);
    listen_watch_ = loop_.watch(
        "borrowers", listening_.get(), [] { return short{POLLIN}; },
        [this](short) { accept_borrowers(); });
    signal_watch_ = loop_.watch(
        "signals: to close", signals_.fd(), [] { return short{POLLIN}; },
        [this](short) {
            for (const int number : signals_.take()) {
                if (number == SIGTERM) close();
            }
        });
}

LinkHolder::~LinkHolder() = default;

void LinkHolder::run() {
    std::optional<EventLoop::Time> lost_at;
    while (state_ != State::Over) {
        for (const auto& borrower : borrowers_)
            borrower->link().flush();
        server_.turn(next_deadline());
        const auto now = EventLoop::Clock::now();
        remove_finished(now);
        if (server_.is_down() && !lost_at) {
            close();
            lost_at = now;
        }
        const bool is_idle = borrowers_.empty();
        if (!is_idle) idle_since_ = now;
        if (is_idle && now - idle_since_ >= idle_time_) close();
        if (state_ == State::Closing && is_idle) state_ = State::Over;
        if (lost_at && now - *lost_at >= kLastWords) state_ = State::Over;
        write_changes();
    }
    borrowers_.clear();
    server_.finish(EventLoop::Clock::now() + kLastWords);
}

void LinkHolder::accept_borrowers() {
    while (listening_.is_open()) {
        std::optional<Fd> socket;
        try {
            socket = accept_connection(listening_.get());
        } catch (const SysError&) {
            return;  // No descriptor is free: the client connects by itself.
        }
        if (!socket) return;
        // A full link, and one that is lost at the moment, lends nothing: the client sees the end
        // of the connection before a hello, and connects by itself.
        if (runs() >= kMaxChannels || !server_.is_up()) continue;
        if (peer_uid(socket->get()) != ::geteuid()) continue;
        borrowers_.push_back(std::make_unique<Borrower>(loop_, server_, std::move(*socket)));
    }
}

void LinkHolder::close() {
    if (state_ != State::Open) return;
    state_ = State::Closing;
    listen_watch_.reset();
    ::unlink(place_.socket().c_str());
    ::unlink(place_.file().c_str());
    listening_.close();
    file_.close();
}

void LinkHolder::remove_finished(EventLoop::Time now) {
    for (const auto& borrower : borrowers_) {
        borrower->tick(now);
        borrowed_ += borrower->take_begun();
    }
    std::erase_if(borrowers_, [](const auto& borrower) { return borrower->is_over(); });
}

std::size_t LinkHolder::runs() const {
    std::size_t count = 0;
    for (const auto& borrower : borrowers_)
        count += borrower->runs();
    return count;
}

EventLoop::Time LinkHolder::next_deadline() const {
    EventLoop::Time next = EventLoop::kNever;
    if (borrowers_.empty()) next = idle_since_ + idle_time_;
    if (server_.is_down()) next = std::min(next, EventLoop::Clock::now() + 100ms);
    for (const auto& borrower : borrowers_)
        next = std::min(next, borrower->next_deadline());
    return next;
}

void LinkHolder::write_changes() {
    if (!file_.is_open()) return;
    if (runs() == written_.channels && borrowed_ == written_.borrowed) return;
    written_.channels = runs();
    written_.borrowed = borrowed_;
    write_state(file_.get(), written_);
}

}  // namespace frsh
