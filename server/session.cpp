#include "server/session.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/sys/signals.hpp"

#include <algorithm>
#include <csignal>
#include <thread>

#include <sys/prctl.h>
#include <unistd.h>

namespace frsh {
namespace {

using namespace std::chrono_literals;

// For the last words to a peer that we leave.
constexpr auto kLastWords = 2s;
// For a session that has only just begun to be found.
constexpr int kTries = 20;
constexpr auto kBetweenTries = 50ms;

std::string host_name() {
    char name[256] = {};
    (void)::gethostname(name, sizeof name - 1);
    return name;
}

bool waits(const OnDisconnect& wish) {
    return wish.kind == OnDisconnect::Kind::Grace;
}

}  // namespace

Session::Session(EventLoop& loop, std::unique_ptr<Transport> transport, SessionSettings settings)
    : loop_(loop),
      settings_(std::move(settings)),
      link_(loop, std::move(transport), *this, kStrangerLimits),
      hello_deadline_(EventLoop::Clock::now() + settings_.hello_time) {
    // Said at once, not as an answer: a round trip less.
    link_.send(msg::Hello{kProtocolVersion,
                          "frshd/" FRSH_VERSION,
                          {"runs", "shells", "ptys", "resume", "kept"},
                          escape_controls(settings_.launch.user.name),
                          escape_controls(host_name())});
}

bool Session::run_once() {
    if (wanted_) give_away();
    if (is_given_away_) return false;
    link_.flush();
    const Time next = next_deadline();
    const bool is_heard = !link_.is_down() || (!link_.is_flushed() && give_up_);
    if (!is_heard && is_idle()) return false;
    loop_.run_once(next);
    const Time now = EventLoop::Clock::now();
    for (const auto& [id, shell] : shells_)
        shell->tick(now);
    for (Ending& ending : endings_)
        ending.tick(now);
    for (const auto& [channel, run] : runs_)
        run->tick(now);
    end_the_forsaken(now);
    forget_what_is_over();
    if (!is_admitted_ && now >= hello_deadline_ && !link_.is_down()) {
        refuse_connection("timeout", "no hello within the time given");
    }
    if (lonely_since_ && (link_.is_flushed() || (give_up_ && now >= *give_up_))) {
        link_.drop();
        visit_.close();
    }
    return !(give_up_ && now >= *give_up_ && is_idle());
}

bool Session::is_idle() const {
    return runs_.empty() && shells_.empty() && endings_.empty();
}

EventLoop::Time Session::next_deadline() const {
    Time next = give_up_ && is_idle() ? *give_up_ : EventLoop::kNever;
    for (const Ending& ending : endings_)
        next = std::min(next, ending.next_deadline());
    for (const auto& [id, shell] : shells_)
        next = std::min(next, shell->next_deadline());
    if (!is_admitted_ && !link_.is_down()) next = std::min(next, hello_deadline_);
    for (const auto& [channel, run] : runs_)
        next = std::min(next, run->next_deadline());
    return std::min(next, next_forsaken());
}

void Session::forget_what_is_over() {
    std::erase_if(shells_, [this](const auto& entry) {
        const Shell& shell = *entry.second;
        if (!shell.is_over()) return false;
        if (!shell.is_closed()) note_left(shell.origin());
        link_.send(msg::ShellEnded{shell.id(), as_outcome(real_end(*shell.status()))});
        return true;
    });

    std::erase_if(runs_, [this](const auto& entry) {
        if (!entry.second->is_over()) return false;
        note_end(*entry.second);
        link_.remove(*entry.second);
        return true;
    });

    std::erase_if(endings_, [](const Ending& ending) { return ending.is_done(); });
}

// Of those before, who is still there: shells may come and go for long.
void Session::note_left(const Origin& origin) {
    left_.push_back(origin);
    std::erase_if(left_, [](const Origin& one) { return started_by(one).empty(); });
}

void Session::note_end(const Run& run) const {
    if (settings_.audit && run.record()) settings_.audit->run_ended(*run.record());
}

void Session::child_exited(const ExitStatus& status) {
    for (const auto& [channel, run] : runs_) {
        if (run->awaits(status.pid)) return run->exited(status);
    }
    for (const auto& [id, shell] : shells_) {
        if (shell->awaits(status.pid)) return shell->exited(status);
    }
    // An orphan of a run that came to us as its subreaper; nobody asked for its status.
}

void Session::refuse_connection(const std::string& reason, const std::string& message) {
    if (!is_admitted_ && settings_.audit) {
        settings_.audit->turned_away(message);
    } else {
        log::info("refused: " + message);
    }
    link_.send(msg::Error{reason, message, std::nullopt});
    part();
}

void Session::part(Ending::First first) {
    is_parting_ = true;
    link_.close();
    give_up_ = EventLoop::Clock::now() + kLastWords;
    end_all_runs(first);
}

void Session::terminate() {
    if (!link_.is_down()) {
        return refuse_connection("shutdown", "the server's session was told to end");
    }
    is_parting_ = true;
    end_all_runs(Ending::First::HangUp);
}

// Who has nothing going on any more leaves as one does; what he left in the background may stay.
void Session::end_what_is_left(Ending::First first, Time now) {
    if (!shells_.empty() || !runs_.empty()) {
        for (Origin& origin : left_)
            endings_.emplace_back(std::move(origin), first, 2s, now);
    }
    left_.clear();
}

void Session::end_all_runs(Ending::First first) {
    const Time now = EventLoop::Clock::now();
    end_what_is_left(first, now);
    for (const auto& [channel, run] : runs_)
        run->disconnect(first, now);
    for (const auto& [id, shell] : shells_)
        shell->end(first, now);
}

void Session::on_link_down(const std::string& problem) {
    if (!problem.empty()) log::info("connection: " + problem);
    const Time now = EventLoop::Clock::now();
    give_up_ = now + kLastWords;
    lonely_since_ = now;
    end_the_forsaken(now);
}

// Of what is not being ended yet, the first whose time it will be.
EventLoop::Time Session::next_forsaken() const {
    Time next = EventLoop::kNever;
    if (!lonely_since_) return next;
    for (const auto& [channel, run] : runs_) {
        if (!run->is_disconnected()) next = std::min(next, forsaken_at(run->on_disconnect()));
    }
    for (const auto& [id, shell] : shells_) {
        if (!shell->is_ending()) next = std::min(next, forsaken_at(shell->on_disconnect()));
    }
    return next;
}

EventLoop::Time Session::forsaken_at(const OnDisconnect& wish) const {
    // A grace of years is for ever to a clock that counts nanoseconds.
    constexpr auto kLongest = std::chrono::hours(24 * 365);
    return waits(wish) && rendezvous_
               ? *lonely_since_ + std::min<std::chrono::milliseconds>(wish.grace, kLongest)
               : *lonely_since_;
}

void Session::end_the_forsaken(Time now) {
    if (!lonely_since_) return;
    for (const auto& [channel, run] : runs_) {
        if (!run->is_disconnected() && now >= forsaken_at(run->on_disconnect())) {
            run->disconnect(Ending::First::HangUp, now);
        }
    }
    for (const auto& [id, shell] : shells_) {
        if (!shell->is_ending() && now >= forsaken_at(shell->on_disconnect())) {
            shell->end(Ending::First::HangUp, now);
        }
    }
    if (next_forsaken() == EventLoop::kNever) end_what_is_left(Ending::First::HangUp, now);
}

void Session::open_rendezvous(const OnDisconnect& wish) {
    if (!waits(wish) || rendezvous_ || name_.empty()) return;
    try {
        rendezvous_ = std::make_unique<Rendezvous>(
            loop_, name_,
            [this](const HandOver& arrived) {
                const auto& ours = settings_.launch.forced_command;
                return arrived.forced_command == ours && !is_parting_;
            },
            [this](HandOver arrived, Fd visit) {
                take_over(std::move(arrived), std::move(visit));
            });
    } catch (const SysError& error) {
        // Out of descriptors: the run goes on, and is ended if its connection goes.
        log::error(std::string("cannot be found again: ") + error.what());
    }
}

void Session::take_over(HandOver arrived, Fd visit) {
    log::info("the client is back");
    lonely_since_.reset();
    give_up_.reset();
    refused_.clear();
    visit_ = std::move(visit);
    link_.replace(
        std::make_unique<FdTransport>(std::move(arrived.input), std::move(arrived.output)),
        kFrameLimits, arrived.bytes);
}

void Session::handle(const msg::Resume& resume) {
    const bool is_ours = resume.session == name_;
    if (is_ours || !runs_.empty() || !shells_.empty()) return go_on(resume);
    // Not from in here: it may take a while.
    wanted_ = resume;
    link_.hold();
}

void Session::give_away() {
    const Time deadline = EventLoop::Clock::now() + kLastWords;
    // Our hello is the first that the client hears.
    for (link_.flush(); !link_.is_flushed() && EventLoop::Clock::now() < deadline; link_.flush())
        loop_.run_once(deadline);
    const msg::Resume wanted = *std::exchange(wanted_, std::nullopt);
    if (link_.is_down()) return;
    std::string bytes;
    encode(bytes, wanted);
    bytes += link_.take_rest();
    const int input = link_.transport()->read_fd();
    const int output = link_.transport()->write_fd();
    // The client may be here before the session has come to read who that is.
    std::optional<Fd> way;
    for (int tries = 0; !way && tries < kTries; ++tries) {
        if (tries > 0) std::this_thread::sleep_for(kBetweenTries);
        way = hand_over(wanted.session, input, output, bytes, settings_.launch.forced_command);
    }
    if (!way) return refuse_connection("gone", "there is no such session any more");
    is_given_away_ = true;
    if (input == output) return;
    // Pipes of whoever started us: for him the connection ends with this process.
    link_.drop();
    bool is_over = false;
    const auto watch = loop_.watch(
        "session: the connection that went to another", way->get(), [] { return short{POLLIN}; },
        [&is_over](short) { is_over = true; });
    while (!is_over && !is_parting_)
        loop_.run_once();
}

void Session::go_on(const msg::Resume& resume) {
    if (resume.session != name_) throw ProtocolError("a resume that is not the first request");
    msg::Resumed answer;
    std::set<Channel> wanted;
    for (const msg::Resume::Point& point : resume.points) {
        const auto found = runs_.find(point.channel);
        if (found == runs_.end() || found->second->id() != point.run) continue;
        if (found->second->is_disconnected()) continue;  // Its time was over.
        answer.points.push_back({point.channel, found->second->resume(point)});
        wanted.insert(point.channel);
    }
    for (const auto& [channel, run] : runs_) {
        // Of no interest any more: its end was acknowledged on the way, or nobody waits for it.
        if (wanted.contains(channel)) continue;
        run->disconnect(Ending::First::HangUp, EventLoop::Clock::now());
    }
    for (const auto& [id, shell] : shells_) {
        if (!shell->is_ending()) answer.shells.push_back(id);
    }
    link_.send(answer);
    for (const auto& [id, shell] : shells_) {
        if (shell->is_ready() && !shell->is_ending()) say_ready(*shell);
    }
}

Run* Session::find(Channel channel) {
    const auto found = runs_.find(channel);
    if (found != runs_.end()) return found->second.get();
    if (!refused_.contains(channel)) {
        throw ProtocolError("unknown channel " + std::to_string(channel));
    }
    return nullptr;
}

void Session::on_message(const Message& message) {
    if (!is_admitted_ && !std::holds_alternative<msg::Hello>(message)) {
        throw ProtocolError("the first message must be a hello");
    }
    std::visit([this](const auto& one) { handle(one); }, message);
}

void Session::handle(const msg::Hello& hello) {
    if (is_admitted_) throw ProtocolError("a second hello");
    if (hello.proto != kProtocolVersion) {
        return refuse_connection("version", "this server speaks protocol " +
                                                std::to_string(kProtocolVersion) + ", not " +
                                                std::to_string(hello.proto));
    }
    if (settings_.refusal) {
        if (const auto why = settings_.refusal()) return refuse_connection("denied", *why);
    }
    is_admitted_ = true;
    name_ = hello.session;
    link_.trust();
    if (settings_.audit) settings_.audit->connected();
    if (settings_.admitted) settings_.admitted();
}

void Session::handle(const msg::Open& open) {
    if (runs_.contains(open.channel) || refused_.contains(open.channel))
        throw ProtocolError("a channel that is already open");
    const bool is_known = std::any_of(runs_.begin(), runs_.end(), [&](const auto& entry) {
        return entry.second->id() == open.run;
    });
    if (is_known || runs_.size() >= kMaxChannels) {
        if (refused_.size() >= kMaxChannels) throw ProtocolError("a flood of opens");
        refused_.insert(open.channel);
        const std::string why = is_known
                                    ? "there is a run of that id already"
                                    : "more than " + std::to_string(kMaxChannels) + " runs at once";
        link_.send(msg::Refused{open.channel, is_known ? "in_use" : "busy", why});
        return;
    }
    std::unique_ptr<Run> run;
    if (open.shell) {
        const auto shell = shells_.find(*open.shell);
        // It may have ended by itself, and the news be on its way.
        run =
            shell == shells_.end()
                ? std::make_unique<Run>(loop_, open, NotStarted{"shell", 0, "the shell has ended"})
                : std::make_unique<Run>(loop_, open, *shell->second);
    } else if (settings_.launch.forced_command) {
        run = std::make_unique<Run>(loop_, force_command(open, settings_.launch), settings_.launch);
    } else {
        run = std::make_unique<Run>(loop_, open, settings_.launch);
    }
    open_rendezvous(open.on_disconnect);
    if (settings_.audit) settings_.audit->run_asked(open);
    link_.send(msg::Started{open.channel, open.run, run->pid()});
    link_.add(*run);
    runs_.emplace(open.channel, std::move(run));
}

void Session::handle(const msg::ShellOpen& open) {
    if (shells_.contains(open.shell)) throw ProtocolError("a shell that is already open");
    NotStarted why{"shell", 0, "more than " + std::to_string(kMaxShells) + " shells at once"};
    if (settings_.launch.forced_command) {
        why.message = "this key may only run its own command";
    } else if (shells_.size() < kMaxShells) {
        try {
            shells_[open.shell] = std::make_unique<Shell>(
                loop_, open, settings_.launch, [this](const Shell& shell) { say_ready(shell); });
            open_rendezvous(open.on_disconnect);
            return;
        } catch (const SysError& error) {
            why.error = error.code().value();
            why.message = error.what();
        } catch (const UserError& error) {
            why.message = error.what();
        }
        shells_.erase(open.shell);
    }
    link_.send(msg::ShellEnded{open.shell, why});
}

void Session::say_ready(const Shell& shell) {
    link_.send(msg::ShellReady{shell.id(), shell.pid(), shell.kind(), shell.cwd(),
                               settings_.launch.user.home});
}

void Session::handle(const msg::ShellClose& close) {
    const auto found = shells_.find(close.shell);
    // It may have ended by itself, and the news be on its way.
    if (found != shells_.end()) found->second->close();
}

void Session::handle(const msg::Bye& bye) {
    const auto told = bye.signal ? signal_number(*bye.signal) : std::nullopt;
    part(told == SIGTERM  ? Ending::First::Terminate
         : told == SIGHUP ? Ending::First::AskedHangUp
                          : Ending::First::HangUp);
}

void Session::handle(const msg::EndAck& ack) {
    Run* const run = find(ack.channel);
    if (run == nullptr) {
        refused_.erase(ack.channel);
        return;
    }
    if (!run->is_told()) throw ProtocolError("an end_ack before the end");
    if (run->id() != ack.run) throw ProtocolError("an end_ack for another run");
    note_end(*run);
    link_.remove(*run);
    runs_.erase(ack.channel);
}

void Session::handle(const msg::Error& error) {
    log::info("the client says: " + escape_controls(error.message));
    part();  // It is the last message of whoever sends it.
}

template <typename OneOfARun>
void Session::handle(const OneOfARun& message) {
    if constexpr (requires(Run run) { run.on(message); }) {
        if (Run* const run = find(message.channel)) run->on(message);
    } else {
        throw ProtocolError("a message that only servers send");
    }
}

int run_session(std::unique_ptr<Transport> transport, SessionSettings settings) {
    settings.launch.oom_kills = std::make_shared<OomKills>();
    // Orphans of our runs come to us instead of to init, so that they are reaped and counted.
    check(::prctl(PR_SET_CHILD_SUBREAPER, 1), "prctl");
    Signals signals({SIGCHLD, SIGTERM, SIGHUP, SIGINT});
    EventLoop loop;
    const std::shared_ptr<Audit> audit = settings.audit;
    Session session(loop, std::move(transport), std::move(settings));
    const auto watch = loop.watch(
        "signals: a child has ended, or we are to", signals.fd(), [] { return short{POLLIN}; },
        [&](short) {
            for (const int number : signals.take()) {
                if (number != SIGCHLD) session.terminate();
            }
            while (const auto status = reap())
                session.child_exited(*status);
        });
    while (session.run_once()) {
    }
    // Whoever died last; where nobody waits for orphans, he would stay a zombie.
    while (reap()) {
    }
    if (audit && session.is_admitted()) audit->disconnected();
    return 0;
}

}  // namespace frsh
