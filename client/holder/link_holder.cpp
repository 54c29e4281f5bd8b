#include "client/holder/link_holder.hpp"

#include "client/cli/forward_spec.hpp"
#include "common/base/error.hpp"
#include "common/base/version.hpp"
#include "common/net/socket.hpp"
#include "common/net/transport.hpp"
#include "common/proto/message_channel.hpp"

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <ctime>
#include <exception>
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
// A holder that no client has used yet stays this long.
constexpr auto kFirstUse = 10s;

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

LinkHolder::LinkHolder(EventLoop& loop, ServerConnection& server, Forwards& forwards,
                       LinkPlace place, Sockets sockets, std::chrono::milliseconds idle_time)
    : loop_(loop),
      server_(server),
      forwards_(forwards),
      place_(std::move(place)),
      file_(std::move(sockets.file)),
      listening_(std::move(sockets.listening)),
      idle_time_(idle_time),
      idle_since_(EventLoop::Clock::now()),
      signals_({SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGTSTP}),
      door_(loop, std::move(sockets.door),
            [this](std::string_view request) { return answer(request); }) {
    forwards_.start(server_);
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
    while (state_ != State::Over) {
        for (const auto& borrower : borrowers_)
            borrower->link().flush();
        server_.turn(next_deadline());
        const auto now = EventLoop::Clock::now();
        remove_finished(now);
        watch_for_an_end(now);
        write_changes();
    }
    borrowers_.clear();
    server_.finish(EventLoop::Clock::now() + kLastWords);
}

void LinkHolder::watch_for_an_end(EventLoop::Time now) {
    if (state_ == State::Leaving) {
        server_.leave("HUP");
        state_ = State::Over;
        return;
    }
    if (server_.is_down() && lost_at_ == EventLoop::kNever) {
        close();
        lost_at_ = now;
    }
    if (is_used()) idle_since_ = now;
    if (!is_used() && now - idle_since_ >= idle_limit()) close();
    if (state_ == State::Closing && borrowers_.empty() && forwards_.is_idle()) {
        door_.dismiss();
        state_ = State::Over;
    }
    if (lost_at_ != EventLoop::kNever && now - lost_at_ >= kLastWords) state_ = State::Over;
}

bool LinkHolder::is_used() const {
    return !borrowers_.empty() || !forwards_.is_idle() || door_.has_staying_guest();
}

// The client that started this holder uses it soon.
std::chrono::milliseconds LinkHolder::idle_limit() const {
    return has_been_used_ ? idle_time_ : std::max<std::chrono::milliseconds>(idle_time_, kFirstUse);
}

std::string LinkHolder::answer(std::string_view request) {
    if (state_ != State::Open) return "no the link is being closed";
    if (request == "check" || request == "stay") return "ok";
    if (request == "stop" || request == "exit") {
        close();
        if (request == "exit") state_ = State::Leaving;
        return "ok";
    }
    try {
        return change_forwards(request);
    } catch (const std::exception& error) {
        return std::string("no ") + error.what();
    }
}

// "forward L 8080:db:80", "cancel L 8080:db:80".
std::string LinkHolder::change_forwards(std::string_view request) {
    const std::size_t blank = std::min(request.find(' '), request.size());
    const std::string_view verb = request.substr(0, blank);
    request.remove_prefix(std::min(blank + 1, request.size()));
    const auto parsed = parse_forward(request);
    if (const auto* const why = std::get_if<std::string>(&parsed)) return "no " + *why;
    const auto& spec = std::get<ForwardSpec>(parsed);
    if (verb == "cancel") return forwards_.remove(spec) ? "ok" : "no there is no such forwarding";
    if (verb != "forward") return "no unknown request";
    if (server_.is_known_to_lack("connect")) {
        return "no this server makes no connections for its clients";
    }
    return "ok " + std::to_string(forwards_.add(spec));
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
        has_been_used_ = true;
        borrowers_.push_back(std::make_unique<Borrower>(loop_, server_, std::move(*socket)));
    }
}

void LinkHolder::close() {
    if (state_ != State::Open) return;
    state_ = State::Closing;
    listen_watch_.reset();
    remove_control(place_);
    remove_stale(place_.path);
    door_.close();
    listening_.close();
    file_.close();
}

void LinkHolder::remove_finished(EventLoop::Time now) {
    for (const auto& borrower : borrowers_) {
        borrower->tick(now);
        borrowed_ += borrower->take_begun();
    }
    std::erase_if(borrowers_, [](const auto& borrower) { return borrower->is_over(); });
    forwards_.progress();
    if (door_.has_staying_guest()) has_been_used_ = true;
    door_.remove_finished();
}

std::size_t LinkHolder::runs() const {
    std::size_t count = 0;
    for (const auto& borrower : borrowers_)
        count += borrower->runs();
    return count;
}

EventLoop::Time LinkHolder::next_deadline() const {
    EventLoop::Time next = EventLoop::kNever;
    if (!is_used()) next = idle_since_ + idle_limit();
    if (state_ == State::Leaving) next = idle_since_;
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
