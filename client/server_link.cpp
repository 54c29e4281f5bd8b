#include "client/server_link.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/net/socket.hpp"

#include <algorithm>

#include <sys/timerfd.h>

namespace frsh {
namespace {

// The login's deadline is about a server that hangs, not about a race: looking now and then does.
constexpr std::chrono::seconds kLookForLogin{1};

}  // namespace

ServerLink::ServerLink(EventLoop& loop, Connection connection, OnOther on_other)
    : loop_(loop),
      on_other_(std::move(on_other)),
      tls_context_(std::move(connection.tls_context)),
      child_(std::move(connection.child)),
      login_name_(std::move(connection.login_name)),
      login_tried_(std::move(connection.login_tried)),
      login_deadline_(connection.login_deadline),
      on_login_(std::move(connection.on_login)),
      on_login_refused_(std::move(connection.on_login_refused)),
      keep_alive_(connection.keep_alive),
      watched_socket_(tls_context_ ? connection.transport->read_fd() : -1),
      link_(loop, std::move(connection.transport), *this) {
    // Login, hello and the first requests leave in one flight; the server begins to read what is
    // behind a login once it has judged it.
    if (connection.auth) link_.send(*connection.auth);
    if (watched_socket_ >= 0) watch_peer();
    link_.send(
        msg::Hello{kProtocolVersion, "frsh/" FRSH_VERSION, {"runs", "shells", "ptys"}, "", ""});
}

ServerLink::~ServerLink() = default;

RemoteRun& ServerLink::open(msg::Open open, Sink& out, Sink& err) {
    const Channel channel = next_channel_++;
    open.channel = channel;
    auto run = std::make_unique<RemoteRun>(link_, std::move(open), out, err);
    if (is_down()) run->link_down(problem_);
    return *runs_.emplace(channel, std::move(run)).first->second;
}

void ServerLink::forget(RemoteRun& run) {
    runs_.erase(run.channel());
}

bool ServerLink::is_known_to_lack(std::string_view feature) const {
    return server_ && std::find(server_->features.begin(), server_->features.end(), feature) ==
                          server_->features.end();
}

void ServerLink::turn(EventLoop::Time deadline) {
    link_.flush();
    loop_.run_once(deadline);
}

void ServerLink::finish(EventLoop::Time deadline) {
    const bool is_broken = link_.is_down() || link_.is_mute();
    link_.close();
    for (link_.flush(); !link_.is_flushed() && EventLoop::Clock::now() < deadline; link_.flush()) {
        loop_.run_once(deadline);
    }
    // What we cannot speak to any more may still wait for us to read, or write to us for ever.
    if (is_broken) link_.hang_up();
    if (!child_) return;
    // It ends when the connection does. Not waiting would leave a zombie wherever nobody else
    // waits for orphans, as in many containers.
    bool has_ended = false;
    const auto watch = loop_.watch(
        "the server we started: its end", child_->pidfd.get(), [] { return short{POLLIN}; },
        [&has_ended](short) { has_ended = true; });
    while (!has_ended && EventLoop::Clock::now() < deadline)
        loop_.run_once(deadline);
    (void)reap(child_->pid);
    child_.reset();
}

void ServerLink::watch_peer() {
    timer_ = Fd(check(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), "timerfd"));
    arm_timer();
    timer_watch_ = loop_.watch(
        "the peer: still there?", timer_.get(),
        [this] { return is_down() ? short{0} : short{POLLIN}; }, [this](short) { on_timer(); });
}

void ServerLink::arm_timer() {
    const itimerspec next{{0, 0}, {(server_ ? keep_alive_.interval : kLookForLogin).count(), 0}};
    check(::timerfd_settime(timer_.get(), 0, &next, nullptr), "timerfd");
}

void ServerLink::on_timer() {
    char expirations[8];
    (void)read_some(timer_.get(), expirations, sizeof expirations);
    arm_timer();
    if (!server_ && EventLoop::Clock::now() >= login_deadline_) {
        give_up("no answer to the login in time (--connect-timeout)");
    } else if (is_peer_silent(watched_socket_, keep_alive_)) {
        const auto silent = keep_alive_.interval * keep_alive_.count;
        give_up("the server's machine has not answered for " + std::to_string(silent.count()) +
                " seconds");
    }
}

void ServerLink::give_up(const std::string& problem) {
    link_.close();
    on_link_down(problem);
}

void ServerLink::on_message(const Message& message) {
    if (const auto* const hello = std::get_if<msg::Hello>(&message)) {
        if (server_) throw ProtocolError("a second hello");
        if (hello->proto != kProtocolVersion) {
            throw ProtocolError("the server speaks protocol " + std::to_string(hello->proto) +
                                ", this client " + std::to_string(kProtocolVersion));
        }
        server_ = *hello;
        if (on_login_) on_login_();
        log::info("connected to " + escape_controls(hello->software) + " on " +
                  escape_controls(hello->host) + " as " + escape_controls(hello->user));
        return;
    }
    if (const auto* const error = std::get_if<msg::Error>(&message)) {
        refusal_ = *error;
        return;
    }
    if (!server_) throw ProtocolError("the first message was no hello");
    const auto channel = std::visit(
        [](const auto& one) -> std::optional<Channel> {
            if constexpr (requires { one.channel; }) return one.channel;
            return std::nullopt;
        },
        message);
    if (!channel) {
        if (on_other_) on_other_(message);
        return;
    }
    const auto found = runs_.find(*channel);
    // A run that was forgotten early: what it still says is for nobody.
    if (found == runs_.end()) {
        if (const auto* const end = std::get_if<msg::End>(&message)) {
            link_.send(msg::EndAck{end->channel, end->run});
        }
        return;
    }
    found->second->on_message(message);
}

void ServerLink::on_link_down(const std::string& problem) {
    problem_ = problem;
    if (refusal_) {
        const bool is_login = !server_ && refusal_->reason == "denied" && !login_name_.empty();
        const std::string words = escape_controls(refusal_->message);
        problem_ = is_login ? login_name_ + ": Permission denied (publickey): " + words + "; " +
                                  login_tried_
                            : "the server says: " + words;
        if (is_login && on_login_refused_) on_login_refused_();
        if (refusal_->retry_after) {
            problem_ += " (try again in " + std::to_string(*refusal_->retry_after) + " s)";
        }
    }
    for (const auto& [channel, run] : runs_) {
        if (refusal_) {
            run->refused(problem_);
        } else {
            run->link_down(problem);
        }
    }
}

}  // namespace frsh
