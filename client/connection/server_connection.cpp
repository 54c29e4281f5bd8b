#include "client/connection/server_connection.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/base/version.hpp"
#include "common/net/socket.hpp"

#include <algorithm>

#include <sys/timerfd.h>

namespace frsh {
namespace {

// The login's deadline is about a server that hangs, not about a race: looking now and then does.
constexpr std::chrono::seconds kLookForLogin{1};

bool knows(const msg::Hello& hello, std::string_view feature) {
    return std::find(hello.features.begin(), hello.features.end(), feature) != hello.features.end();
}

}  // namespace

ServerConnection::ServerConnection(EventLoop& loop, Connection connection, OnOther on_other)
    : loop_(loop),
      on_other_(std::move(on_other)),
      redial_(std::move(connection.connector)),
      link_(loop, std::move(connection.transport), *this) {
    take_terms(connection);
    greet(connection.auth);
}

void ServerConnection::take_terms(Connection& connection) {
    tls_context_ = std::move(connection.tls_context);
    child_ = std::move(connection.child);
    login_name_ = std::move(connection.login_name);
    login_tried_ = std::move(connection.login_tried);
    login_deadline_ = connection.login_deadline;
    on_login_ = std::move(connection.on_login);
    on_login_refused_ = std::move(connection.on_login_refused);
    keep_alive_ = connection.keep_alive;
    watched_socket_ = tls_context_ ? link_.transport()->read_fd() : -1;
}

// Login, hello and the first requests leave in one flight; the server begins to read what is behind
// a login once it has judged it.
void ServerConnection::greet(const std::optional<msg::Auth>& auth) {
    is_greeted_ = false;
    if (auth) link_.send(*auth);
    if (watched_socket_ >= 0) watch_peer();
    msg::Hello hello{kProtocolVersion,
                     std::string("frsh/") + kVersion,
                     {kFeatures.begin(), kFeatures.end()},
                     "",
                     ""};
    // A resume says whose session is meant; this one is only a messenger.
    if (state_ == State::Up) hello.session = session_;
    link_.send(hello);
}

ServerConnection::~ServerConnection() = default;

template <typename Request>
RemoteRun& ServerConnection::add(Request request, OutputSink& out, OutputSink& err) {
    const Channel channel = take_channel();
    request.channel = channel;
    const auto ask = state_ == State::Up ? RemoteRun::Ask::Now : RemoteRun::Ask::Later;
    auto run = std::make_unique<RemoteRun>(link_, std::move(request), out, err, ask);
    if (is_down()) run->link_down(problem_);
    return *runs_.emplace(channel, std::move(run)).first->second;
}

RemoteRun& ServerConnection::open(msg::Open open, OutputSink& out, OutputSink& err) {
    return add(std::move(open), out, err);
}

RemoteRun& ServerConnection::attach(msg::Attach attach, OutputSink& out, OutputSink& err) {
    return add(std::move(attach), out, err);
}

void ServerConnection::forget(RemoteRun& run) {
    runs_.erase(run.channel());
}

bool ServerConnection::is_known_to_lack(std::string_view feature) const {
    return server_ && !knows(*server_, feature);
}

void ServerConnection::turn(EventLoop::Time deadline) {
    link_.flush();
    loop_.run_once(deadline);
}

void ServerConnection::leave(std::optional<std::string> signal) {
    state_ = State::Down;
    reconnect_.reset();
    link_.send(msg::Bye{std::move(signal)});
    link_.close();
    link_.flush();
}

bool ServerConnection::has_lasting_child() const {
    return std::any_of(runs_.begin(), runs_.end(), [](const auto& entry) {
        const RemoteRun& run = *entry.second;
        return run.is_in_lasting_shell() || (!run.is_finished() && run.outlasts_client());
    });
}

void ServerConnection::finish(EventLoop::Time deadline) {
    const bool is_broken = link_.is_down() || link_.is_mute();
    link_.close();
    for (link_.flush(); !link_.is_flushed() && EventLoop::Clock::now() < deadline; link_.flush()) {
        loop_.run_once(deadline);
    }
    // What we cannot speak to any more may still wait for us to read, or write to us for ever.
    if (is_broken) link_.drop();
    for (const Spawned& child : old_children_)
        (void)reap(child.pid);  // One that has not ended yet has somebody else to wait for it.
    if (!child_) return;
    // It ends when the connection does. Not waiting would leave a zombie wherever nobody else
    // waits for orphans, as in many containers.
    bool has_ended = false;
    const auto watch = loop_.watch(
        "the server we started: its end", child_->pidfd.get(), [] { return short{POLLIN}; },
        [&has_ended](short) { has_ended = true; });
    if (has_lasting_child()) deadline = {};
    while (!has_ended && EventLoop::Clock::now() < deadline)
        loop_.run_once(deadline);
    (void)reap(child_->pid);
    child_.reset();
}

void ServerConnection::watch_peer() {
    timer_ = Fd(check(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), "timerfd"));
    arm_timer();
    timer_watch_ = loop_.watch(
        "the peer: still there?", timer_.get(),
        [this] { return link_.is_down() ? short{0} : short{POLLIN}; },
        [this](short) { on_timer(); });
}

void ServerConnection::arm_timer() {
    const itimerspec next{{0, 0},
                          {(is_greeted_ ? keep_alive_.interval : kLookForLogin).count(), 0}};
    check(::timerfd_settime(timer_.get(), 0, &next, nullptr), "timerfd");
}

void ServerConnection::on_timer() {
    char expirations[8];
    (void)read_some(timer_.get(), expirations, sizeof expirations);
    arm_timer();
    if (!is_greeted_ && EventLoop::Clock::now() >= login_deadline_) {
        give_up("no answer to the login in time (--connect-timeout)");
    } else if (is_peer_silent(watched_socket_, keep_alive_)) {
        const auto silent = keep_alive_.interval * keep_alive_.count;
        give_up("the server's machine has not answered for " + std::to_string(silent.count()) +
                " seconds");
    }
}

void ServerConnection::give_up(const std::string& problem) {
    link_.drop();
    on_link_down(problem);
}

void ServerConnection::on_message(const Message& message) {
    if (const auto* const hello = std::get_if<msg::Hello>(&message)) {
        if (is_greeted_) throw ProtocolError("a second hello");
        if (hello->proto != kProtocolVersion) {
            throw ProtocolError("the server speaks protocol " + std::to_string(hello->proto) +
                                ", this client " + std::to_string(kProtocolVersion));
        }
        is_greeted_ = true;
        if (!server_) server_ = *hello;
        if (on_login_) on_login_();
        log::info("connected to " + escape_controls(hello->software) + " on " +
                  escape_controls(hello->host) + " as " + escape_controls(hello->user));
        return;
    }
    if (const auto* const error = std::get_if<msg::Error>(&message)) {
        refusal_ = *error;
        return;
    }
    if (!is_greeted_) throw ProtocolError("the first message was no hello");
    if (const auto* const resumed = std::get_if<msg::Resumed>(&message)) {
        if (state_ != State::Resuming) throw ProtocolError("a resumed that nobody asked for");
        return on_resumed(*resumed);
    }
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
    if (found == runs_.end()) {
        // A run that was forgotten early: what it still says is for nobody.
        if (const auto* const end = std::get_if<msg::End>(&message)) {
            link_.send(msg::EndAck{end->channel, end->run});
        } else if (on_other_) {
            on_other_(message);
        }
        return;
    }
    found->second->on_message(message);
}

std::string ServerConnection::refusal_text() {
    const bool is_login = !is_greeted_ && refusal_->reason == "denied" && !login_name_.empty();
    const std::string words = escape_controls(refusal_->message);
    std::string text =
        is_login ? login_name_ + ": Permission denied (publickey): " + words + "; " + login_tried_
                 : "the server says: " + words;
    if (is_login && on_login_refused_) on_login_refused_();
    if (refusal_->retry_after) {
        text += " (try again in " + std::to_string(*refusal_->retry_after) + " s)";
    }
    return text;
}

void ServerConnection::on_link_down(const std::string& problem) {
    const std::string why = refusal_ ? refusal_text() : problem;
    if (state_ == State::Up) {
        const bool is_cut = !refusal_ && !link_.is_closing();
        return is_cut && grace() > grace().zero() ? go_away(why) : go_down(why);
    }
    if (state_ != State::Resuming) return;
    // Other reasons to be refused pass.
    const bool is_final = refusal_ && (refusal_->reason == "gone" || refusal_->reason == "denied");
    if (is_final) return go_down(outage_ + "; " + why);
    state_ = State::Away;
    refusal_.reset();
    reconnect_->again(why);
}

std::chrono::milliseconds ServerConnection::grace() const {
    if (!redial_ || is_known_to_lack("resume")) return {};
    std::chrono::milliseconds longest = lasting_;
    for (const auto& [channel, run] : runs_) {
        if (!run->is_finished()) longest = std::max(longest, run->on_disconnect().grace);
    }
    return longest;
}

void ServerConnection::go_away(const std::string& problem) {
    state_ = State::Away;
    const std::chrono::milliseconds trying_for = grace();
    outage_ = "the connection was lost" + (problem.empty() ? "" : " (" + problem + ")");
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(trying_for).count();
    log::error(outage_ + "; trying to get it back for " + std::to_string(seconds) + " s");
    for (const auto& [channel, run] : runs_) {
        run->suspend();
        if (run->on_disconnect().grace == trying_for.zero()) run->link_down(problem);
    }
    reconnect_ = std::make_unique<Reconnect>(
        loop_, redial_, EventLoop::Clock::now() + trying_for,
        [this](Connection connection) { come_back(std::move(connection)); },
        [this, seconds](const std::string& why) {
            const std::string last = why.empty() ? "" : "; the last attempt: " + why;
            go_down(outage_ + " and not restored within " + std::to_string(seconds) + " s" + last);
        });
}

void ServerConnection::come_back(Connection connection) {
    state_ = State::Resuming;
    if (child_) old_children_.push_back(std::move(*child_));
    timer_watch_.reset();
    link_.replace(std::move(connection.transport));
    take_terms(connection);
    greet(connection.auth);
    msg::Resume resume{session_, {}};
    for (const auto& [channel, run] : runs_) {
        if (!run->is_finished()) resume.points.push_back(run->point());
    }
    link_.send(resume);
}

void ServerConnection::on_resumed(const msg::Resumed& resumed) {
    state_ = State::Up;
    reconnect_.reset();
    log::info("connected again");
    if (on_other_) on_other_(resumed);
    std::map<Channel, Offset> known;
    for (const msg::Resumed::Point& point : resumed.points)
        known.emplace(point.channel, point.in);
    for (const auto& [channel, run] : runs_) {
        if (run->is_finished()) continue;
        const auto found = known.find(channel);
        if (found == known.end()) {
            run->ask();
        } else {
            run->resume(found->second);
        }
    }
}

void ServerConnection::go_down(const std::string& problem) {
    const bool was_up = state_ == State::Up;
    state_ = State::Down;
    reconnect_.reset();
    link_.close();
    problem_ = problem;
    for (const auto& [channel, run] : runs_) {
        if (refusal_ && was_up) {
            run->refused(problem_);
        } else {
            run->link_down(problem_);
        }
    }
}

}  // namespace frsh
