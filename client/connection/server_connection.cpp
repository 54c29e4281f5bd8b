#include "client/connection/server_connection.hpp"

#include "client/connection/child_tree.hpp"
#include "client/connection/foreign_server.hpp"
#include "client/connection/stage_error.hpp"
#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/base/version.hpp"
#include "common/proto/message_channel.hpp"
#include "common/sys/process.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include <poll.h>
#include <sys/socket.h>

namespace frsh {
namespace {

// What the end of a run counts in carried(), in bytes.
constexpr std::uint64_t kWorthOfEnd = 1024 * 1024;

bool has_feature(const msg::Hello& hello, std::string_view feature) {
    return std::find(hello.features.begin(), hello.features.end(), feature) != hello.features.end();
}

std::string in_seconds(std::chrono::milliseconds time) {
    return std::to_string(std::chrono::ceil<std::chrono::seconds>(time).count()) + " s";
}

}  // namespace

ServerConnection::ServerConnection(EventLoop& loop, Connection connection, OnOther on_other)
    : loop_(loop),
      on_other_(std::move(on_other)),
      connection_(std::move(connection)),
      link_(loop, std::move(connection_.transport), *this) {
    greet();
}

// Sends login and hello; the first requests follow in the same flight. The server reads what
// follows a login only after it has checked the login.
void ServerConnection::greet() {
    if (connection_.login) link_.send(connection_.login->auth);
    if (connection_.keep_alive || connection_.hello_deadline != EventLoop::kNever) {
        peer_watch_ = std::make_unique<PeerWatch>(
            loop_, link_, connection_.keep_alive, connection_.hello_deadline,
            [this](const std::string& problem) { on_peer_silent(problem); });
    }
    if (connection_.holder != 0) {
        stopped_watch_ = std::make_unique<StoppedWatch>(
            loop_, connection_.holder,
            [this](const std::string& problem) { on_peer_silent(problem); });
    }
    msg::Hello hello{kProtocolVersion,
                     std::string("frsh/") + kVersion,
                     {kFeatures.begin(), kFeatures.end()},
                     "",
                     ""};
    // After a reconnect, the resume names the session; the server's new session process only hands
    // the connection over to it.
    if (state_ == State::Greeting) hello.session = session_;
    link_.send(hello);
}

ServerConnection::~ServerConnection() {
    if (connection_.child && !server_) end_tree(*connection_.child);
}

template <typename Request>
RemoteRun& ServerConnection::add(Request request, OutputSink& out, OutputSink& err) {
    const Channel channel = take_channel();
    request.channel = channel;
    const auto ask = is_attached() ? RemoteRun::Ask::Now : RemoteRun::Ask::Later;
    std::unique_ptr<RemoteRun> run;
    if constexpr (std::is_same_v<Request, msg::Open>) {
        run = std::make_unique<RemoteRun>(link_, std::move(request), out, err, ask,
                                          &forward_budgets_);
    } else {
        run = std::make_unique<RemoteRun>(link_, std::move(request), out, err, ask);
    }
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
    return server_ && !has_feature(*server_, feature);
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
    // A child that only carries bytes ends at the end of its stdin. TLS's close_notify is no such
    // end.
    if (connection_.child && link_.transport() != nullptr) {
        (void)::shutdown(link_.transport()->write_fd(), SHUT_WR);
    }
    // A broken connection cannot be flushed; a child process may still write to it for ever.
    if (is_broken) link_.drop();
    // init(8) reaps those that have not ended yet.
    for (const MarkedChild& child : old_children_)
        (void)reap(child.pid);
    if (!connection_.child) return;
    if (!server_) {
        // No server has answered, so the child may be one that ignores the end of its stdin.
        end_tree(*connection_.child);
        return connection_.child.reset();
    }
    // The child ends when the connection does. Without this wait it would stay a zombie where no
    // process reaps orphans, as in many containers.
    bool has_ended = false;
    const auto watch = loop_.watch(
        "the child process of the connection has ended", connection_.child->pidfd.get(),
        [] { return short{POLLIN}; }, [&has_ended](short) { has_ended = true; });
    if (has_lasting_child()) deadline = {};
    while (!has_ended && EventLoop::Clock::now() < deadline)
        loop_.run_once(deadline);
    (void)reap(connection_.child->pid);
    connection_.child.reset();
}

void ServerConnection::on_peer_silent(const std::string& problem) {
    const std::string name = name_of_server(connection_, link_.transport());
    link_.drop();
    // After TLS and its proof, a frshd is there.
    const bool is_known = connection_.login.has_value();
    // Without a first hello there is no session to come back to.
    if (state_ != State::Greeting) return on_link_down(problem);
    go_down(is_known ? name + ": " + problem : describe_silence(name, problem));
}

void ServerConnection::run_local_command(const msg::Hello& hello) {
    if (peer_watch_) peer_watch_->greeted();
    const std::string command = *std::exchange(connection_.local_command, std::nullopt);
    link_.hold();
    local_command_ = std::make_unique<LocalCommand>(
        loop_, command, [this, hello] { link_.go_on(hello, link_.take_rest()); });
}

void ServerConnection::on_hello(const msg::Hello& hello) {
    if (is_greeted()) throw ProtocolError("a second hello");
    if (hello.proto != kProtocolVersion) {
        refusal_ = msg::Error{kAnotherServer,
                              name_of_server(connection_, link_.transport()) +
                                  ": the server speaks protocol " + std::to_string(hello.proto) +
                                  ", this client " + std::to_string(kProtocolVersion),
                              std::nullopt};
        throw ProtocolError(refusal_->message);
    }
    if (state_ == State::Greeting) state_ = State::Up;
    if (state_ == State::GreetingAgain) state_ = State::Resuming;
    if (!server_) server_ = hello;
    if (peer_watch_) peer_watch_->greeted();
    if (connection_.login && connection_.login->on_accepted) connection_.login->on_accepted();
    begin_pings(hello);
    log::info("connected to " + escape_controls(hello.software) + " on " +
              escape_controls(hello.host) + " as " + escape_controls(hello.user));
}

void ServerConnection::begin_pings(const msg::Hello& hello) {
    if (!connection_.ping || !has_feature(hello, "ping")) return;
    ping_watch_ = std::make_unique<PingWatch>(
        loop_, link_, *connection_.ping,
        [this](const std::string& problem) { on_peer_silent(problem); });
}

void ServerConnection::on_message(const Message& message) {
    if (ping_watch_) ping_watch_->answered();
    if (const auto* const hello = std::get_if<msg::Hello>(&message)) {
        return connection_.local_command ? run_local_command(*hello) : on_hello(*hello);
    }
    if (const auto* const error = std::get_if<msg::Error>(&message)) {
        refusal_ = *error;
        return;
    }
    if (!is_greeted()) throw ProtocolError("the first message was not hello");
    if (const auto* const resumed = std::get_if<msg::Resumed>(&message)) {
        if (state_ != State::Resuming) throw ProtocolError("a resumed without a resume");
        return on_resumed(*resumed);
    }
    const auto channel = channel_of(message);
    if (!channel && on_other_) on_other_(message);
    if (!channel) return;
    const auto found = runs_.find(*channel);
    if (found == runs_.end()) {
        // The run was forgotten before its end: acknowledge the end, ignore the rest.
        if (const auto* const end = std::get_if<msg::End>(&message)) {
            link_.send(msg::EndAck{end->channel, end->run});
        } else if (on_other_) {
            on_other_(message);
        }
        return;
    }
    pass_on(*found->second, message);
}

void ServerConnection::pass_on(RemoteRun& run, const Message& message) {
    const Offset before = run.progress();
    run.on_message(message);
    const bool is_data = std::holds_alternative<msg::Data>(message);
    if (is_data || std::holds_alternative<msg::Credit>(message)) {
        carried_ += run.progress() - before;
    }
    if (std::holds_alternative<msg::End>(message)) carried_ += kWorthOfEnd;
}

std::string ServerConnection::refusal_text() {
    const bool is_login = !is_greeted() && refusal_->reason == "denied" && connection_.login;
    return describe_refusal(*refusal_, is_login ? &*connection_.login : nullptr);
}

void ServerConnection::on_link_down(const std::string& problem) {
    std::string why = problem;
    if (state_ == State::Greeting && !refusal_) {
        const auto other_end = judge_other_end(name_of_server(connection_, link_.transport()),
                                               link_.take_rest(), problem);
        why = other_end.text;
        if (other_end.is_foreign) refusal_ = msg::Error{kAnotherServer, why, std::nullopt};
    }
    if (refusal_) why = refusal_text();
    peer_watch_.reset();
    ping_watch_.reset();
    if (is_attached()) {
        // "gone" now: this request's first copy, from before a loss, came later and has the name.
        const bool is_overtaken = state_ == State::Up && refusal_ && refusal_->reason == "gone";
        const bool is_cut = (!refusal_ || is_overtaken) && !link_.is_closing();
        if (!is_cut || grace_period().count() == 0) return go_down(why);
        refusal_.reset();
        return go_away(why);
    }
    if (state_ != State::GreetingAgain && state_ != State::Resuming) return;
    // Other refusals are temporary, a full server for example.
    const bool is_final = refusal_ && (refusal_->reason == "gone" || refusal_->reason == "denied" ||
                                       refusal_->reason == kAnotherServer);
    if (is_final) return go_down(problem_ + "; " + why);
    state_ = State::Away;
    refusal_.reset();
    reconnect_->again(why);
}

std::chrono::milliseconds ServerConnection::grace_period() const {
    if (!connection_.connector || is_known_to_lack("resume")) return {};
    std::chrono::milliseconds longest = own_grace_period_;
    for (const auto& [channel, run] : runs_) {
        if (!run->is_finished()) longest = std::max(longest, run->on_disconnect().grace);
    }
    return longest;
}

void ServerConnection::go_away(const std::string& problem) {
    state_ = State::Away;
    problem_ = "the connection was lost" + (problem.empty() ? "" : " (" + problem + ")");
    for (const auto& [channel, run] : runs_) {
        run->suspend();
        if (run->on_disconnect().grace.count() == 0) run->link_down(problem);
    }
    begin_to_reconnect(grace_period(), problem);
}

// A connection that is lost again right after each `resumed` is reported once.
void ServerConnection::begin_to_reconnect(std::chrono::milliseconds trying_for,
                                          const std::string& problem) {
    if (!reconnect_) {
        reconnect_ = std::make_unique<Reconnect>(
            loop_, connection_.connector,
            Reconnect::Calls{[this](Connection connection) { come_back(std::move(connection)); },
                             [this] { on_peer_silent("the server did not answer in time"); },
                             [this](const std::string& why) { give_up(why); },
                             [](unsigned losses) {
                                 if (losses == 0) return;
                                 log::error("the connection holds; meanwhile it was lost " +
                                            std::to_string(losses) + " times more");
                             }});
    }
    const bool is_new = reconnect_->lost(trying_for, problem, std::exchange(carried_, 0));
    if (!is_new) return log::info(problem_ + " again");
    trying_for_ = trying_for;
    log::error(problem_ + "; trying to get it back for " + in_seconds(trying_for));
}

void ServerConnection::give_up(const std::string& last_problem) {
    const unsigned losses = reconnect_->losses();
    std::string text = problem_ + " and not restored within " + in_seconds(trying_for_);
    if (losses > 0) {
        text +=
            "; times that it was lost again right after it was restored: " + std::to_string(losses);
    }
    if (!last_problem.empty()) text += "; the last attempt: " + last_problem;
    go_down(text);
}

void ServerConnection::come_back(Connection connection) {
    state_ = State::GreetingAgain;
    if (connection_.child) old_children_.push_back(std::move(*connection_.child));
    connection.connector = std::move(connection_.connector);
    link_.replace(std::move(connection.transport));
    connection_ = std::move(connection);
    greet();
    msg::Resume resume{session_, {}, std::chrono::milliseconds(0)};
    for (const auto& [channel, run] : runs_) {
        if (run->is_finished()) continue;
        if (auto point = run->point()) resume.points.push_back(std::move(*point));
        resume.age = std::max(*resume.age, run->age());
    }
    link_.send(resume);
}

void ServerConnection::on_resumed(const msg::Resumed& resumed) {
    state_ = State::Up;
    reconnect_->works();
    carried_ = 0;
    problem_.clear();
    log::info("connected again");
    if (on_other_) on_other_(resumed);
    std::map<Channel, msg::Resumed::Point> known;
    for (const msg::Resumed::Point& point : resumed.points)
        known.emplace(point.channel, point);
    std::map<Channel, std::string> lost;
    for (const msg::Resumed::LostRun& run : resumed.lost)
        lost.emplace(run.channel, escape_controls(run.message));
    for (const auto& [channel, run] : runs_) {
        if (run->is_finished()) continue;
        if (const auto why = lost.find(channel); why != lost.end()) {
            run->lose(why->second);
        } else if (const auto found = known.find(channel); found != known.end()) {
            run->resume(found->second);
        } else {
            run->ask();
        }
    }
}

void ServerConnection::go_down(const std::string& problem) {
    const bool was_attached = is_attached();
    state_ = State::Down;
    reconnect_.reset();
    link_.close();
    problem_ = problem;
    for (const auto& [channel, run] : runs_) {
        if (refusal_ && was_attached) {
            run->refused(problem_, stage_of_refusal(*refusal_, server_.has_value()),
                         refusal_->retry_after);
        } else {
            run->link_down(problem_);
        }
    }
}

}  // namespace frsh
