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
// While commands run, the count of bytes in the file is at most this old.
constexpr auto kCountInterval = 1s;

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
    // Adds what its runs did since the last call.
    void count(LinkState& state) {
        state.borrowed += std::exchange(begun_, 0);
        for (const auto& [channel, run] : runs_)
            state.bytes += run->take_passed();
    }
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
                       LinkPlace place, Sockets sockets, Life life)
    : loop_(loop),
      server_(server),
      forwards_(forwards),
      place_(std::move(place)),
      file_(std::move(sockets.file)),
      listening_(std::move(sockets.listening)),
      life_(life),
      logins_(loop, place_.socket()),
      idle_since_(EventLoop::Clock::now()),
      signals_({SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGTSTP}),
      door_(loop, std::move(sockets.door),
            [this](std::string_view request, const ControlDoor::Reply& reply) {
                answer(request, reply);
            }) {
    forwards_.start(server_);
    state_now_.name = place_.name;
    state_now_.key = place_.key;
    state_now_.since = static_cast<std::int64_t>(::time(nullptr));
    write_state(file_.get(), state_now_);
    written_ = state_now_;
    written_at_ = EventLoop::Clock::now();
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
        write_changes(now);
    }
    borrowers_.clear();
    forwards_.stop();
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
    if (logins_.have_ended()) close();
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
    return has_been_used_ ? life_.idle_time
                          : std::max<std::chrono::milliseconds>(life_.idle_time, kFirstUse);
}

void LinkHolder::answer(std::string_view request, const ControlDoor::Reply& reply) {
    if (state_ != State::Open) return reply("no the link is being closed");
    if (request == "check" || request == "stay") return reply("ok");
    if (request == "stop" || request == "exit") {
        close();
        if (request == "exit") state_ = State::Leaving;
        return reply("ok");
    }
    try {
        change_forwards(request, reply);
    } catch (const std::exception& error) {
        reply(std::string("no ") + error.what());
    }
}

// "forward L 8080:db:80", "cancel R 8080:db:80".
void LinkHolder::change_forwards(std::string_view request, const ControlDoor::Reply& reply) {
    const std::size_t blank = std::min(request.find(' '), request.size());
    const std::string_view verb = request.substr(0, blank);
    request.remove_prefix(std::min(blank + 1, request.size()));
    const auto parsed = parse_forward(request);
    if (const auto* const why = std::get_if<std::string>(&parsed)) throw UserError(*why);
    const auto& spec = std::get<ForwardSpec>(parsed);
    if (verb == "forward") return add_forward(spec, reply);
    if (verb != "cancel") throw UserError("unknown request");
    if (!forwards_.remove(spec)) throw UserError("there is no such forwarding");
    reply("ok");
}

void LinkHolder::add_forward(const ForwardSpec& spec, const ControlDoor::Reply& reply) {
    const bool is_remote = spec.kind == ForwardSpec::Kind::Remote;
    if (server_.is_known_to_lack(is_remote ? "listen" : "connect")) {
        throw UserError(is_remote ? "this server does not listen for its clients"
                                  : "this server makes no connections for its clients");
    }
    if (!is_remote) return reply("ok " + std::to_string(forwards_.add(spec)));
    forwards_.add_remote(spec, [reply](const msg::Listening& listening) {
        reply(listening.problem ? "no remote port forwarding failed: " + *listening.problem
                                : "ok " + std::to_string(listening.port));
    });
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
        if (life_.ends_with_logins) logins_.add(socket->get());
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
        borrower->count(state_now_);
        borrower->tick(now);
    }
    state_now_.channels = runs();
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

void LinkHolder::write_changes(EventLoop::Time now) {
    if (!file_.is_open()) return;
    const bool is_change =
        state_now_.channels != written_.channels || state_now_.borrowed != written_.borrowed;
    const bool is_due = state_now_.bytes != written_.bytes && now - written_at_ >= kCountInterval;
    if (!is_change && !is_due) return;
    write_state(file_.get(), state_now_);
    written_ = state_now_;
    written_at_ = now;
}

}  // namespace frsh
