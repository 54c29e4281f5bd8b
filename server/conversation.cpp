#include "server/conversation.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/sys/signals.hpp"

#include <algorithm>
#include <csignal>
#include <ctime>
#include <thread>

#include <unistd.h>

namespace frsh {
namespace {

using namespace std::chrono_literals;

// For the last words to a peer that we leave.
constexpr auto kLastWords = 2s;
// For a session that has only just begun to be found.
constexpr int kTries = 20;
constexpr std::size_t kMaxBacklog = 256 * 1024;
constexpr auto kBetweenTries = 50ms;

// What of the disk stands in the way of an answer.
template <typename Act>
std::optional<KeptRuns::Refusal> attempt(Act&& act) {
    try {
        act();
        return std::nullopt;
    } catch (const JournalDamaged& damage) {
        return KeptRuns::Refusal{"damaged", damage.what()};
    } catch (const SysError& error) {
        return KeptRuns::Refusal{"failed", error.what()};
    } catch (const UserError& error) {
        return KeptRuns::Refusal{"failed", error.what()};
    }
}

const KeptRuns::Refusal kElsewhere{"elsewhere",
                                   "that is for a session that cannot be reached from here"};
const KeptRuns::Refusal kBusy{"busy",
                              "more than " + std::to_string(kMaxChannels) + " runs at once"};

std::string host_name() {
    char name[256] = {};
    (void)::gethostname(name, sizeof name - 1);
    return name;
}

bool waits(const OnDisconnect& wish) {
    return wish.kind != OnDisconnect::Kind::Kill;
}

std::unique_ptr<Transport> transport_of(HandOver& arrived) {
    return std::make_unique<FdTransport>(std::move(arrived.input), std::move(arrived.output));
}

// Of an answer that is neither a refusal nor elsewhere.
std::unique_ptr<Follower> follower_of(const msg::Attach& attach, KeptRuns::Answer answer) {
    if (auto* const kept = std::get_if<std::shared_ptr<Kept>>(&answer)) {
        return std::make_unique<Follower>(attach, std::move(*kept));
    }
    return std::make_unique<Follower>(attach, std::get<RunStore::Found>(std::move(answer)));
}

}  // namespace

Conversation::Conversation(EventLoop& loop, std::unique_ptr<Transport> transport,
                           const SessionSettings& settings, KeptRuns& kept)
    : loop_(loop),
      settings_(settings),
      kept_(kept),
      link_(loop, std::move(transport), *this, kStrangerLimits),
      hello_deadline_(EventLoop::Clock::now() + settings_.hello_time) {
    // Said at once, not as an answer: a round trip less.
    link_.send(msg::Hello{kProtocolVersion,
                          "frshd/" FRSH_VERSION,
                          {kFeatures.begin(), kFeatures.end()},
                          escape_controls(settings_.launch.user.name),
                          escape_controls(host_name())});
}

Conversation::Conversation(EventLoop& loop, HandOver arrived, Fd visit,
                           const SessionSettings& settings, KeptRuns& kept)
    : loop_(loop),
      settings_(settings),
      kept_(kept),
      link_(loop, transport_of(arrived), *this),
      visit_(std::move(visit)),
      was_let_in_(true),
      hello_deadline_(EventLoop::Clock::now() + settings_.hello_time) {
    link_.receive(arrived.bytes);
}

bool Conversation::prepare() {
    while (wanted_)
        give_away();
    if (is_given_away_ || is_over_) return false;
    link_.flush();
    const bool is_heard = !link_.is_down() || (!link_.is_flushed() && give_up_);
    return is_heard || !is_idle();
}

void Conversation::tick(Time now) {
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
    // The last words are not lost because we were slow ourselves: the peer may have room for them.
    if (link_.is_down()) link_.flush();
    if (lonely_since_ && (link_.is_flushed() || (give_up_ && now >= *give_up_))) {
        link_.drop();
        visit_.close();
    }
    is_over_ = give_up_ && now >= *give_up_ && is_idle();
}

bool Conversation::is_idle() const {
    return runs_.empty() && shells_.empty() && endings_.empty() && followers_.empty();
}

EventLoop::Time Conversation::next_deadline() const {
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

void Conversation::forget_what_is_over() {
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
void Conversation::note_left(const Origin& origin) {
    left_.push_back(origin);
    std::erase_if(left_, [](const Origin& one) {
        const Started started = started_by(one);
        return started.processes.empty() && started.is_sure;
    });
}

void Conversation::note_end(const Run& run) const {
    if (settings_.audit && run.record()) settings_.audit->run_ended(*run.record());
}

void Conversation::child_exited(const ExitStatus& status) {
    for (const auto& [channel, run] : runs_) {
        if (run->awaits(status.pid)) return run->exited(status);
    }
    for (const auto& [id, shell] : shells_) {
        if (shell->awaits(status.pid)) return shell->exited(status);
    }
    // An orphan of a run that came to us as its subreaper; nobody asked for its status.
}

void Conversation::refuse_connection(const std::string& reason, const std::string& message) {
    if (!is_admitted_ && settings_.audit) {
        settings_.audit->turned_away(message);
    } else {
        log::info("refused: " + message);
    }
    link_.send(msg::Error{reason, message, std::nullopt});
    part();
}

void Conversation::part(Ending::First first) {
    is_parting_ = true;
    link_.close();
    give_up_ = EventLoop::Clock::now() + kLastWords;
    end_all_runs(first);
}

void Conversation::terminate() {
    if (!link_.is_down()) {
        return refuse_connection("shutdown", "the server's session was told to end");
    }
    is_parting_ = true;
    end_all_runs(Ending::First::HangUp);
}

// Who has nothing going on any more leaves as one does; what he left in the background may stay.
void Conversation::end_what_is_left(Ending::First first, Time now) {
    if (!shells_.empty() || !runs_.empty()) {
        for (Origin& origin : left_)
            endings_.emplace_back(std::move(origin), first, 2s, now);
    }
    left_.clear();
}

void Conversation::end_all_runs(Ending::First first) {
    const Time now = EventLoop::Clock::now();
    end_what_is_left(first, now);
    for (const auto& [channel, run] : runs_)
        run->disconnect(first, now);
    for (const auto& [id, shell] : shells_)
        shell->end(first, now);
    while (!followers_.empty())
        drop_follower(followers_.begin()->first, first);
}

void Conversation::on_link_down(const std::string& problem) {
    if (!problem.empty()) log::info("connection: " + problem);
    const Time now = EventLoop::Clock::now();
    give_up_ = now + kLastWords;
    lonely_since_ = now;
    end_the_forsaken(now);
}

// Of what is not being ended yet, the first whose time it will be.
EventLoop::Time Conversation::next_forsaken() const {
    Time next = EventLoop::kNever;
    if (!lonely_since_) return next;
    for (const auto& [channel, run] : runs_) {
        if (!run->is_disconnected()) next = std::min(next, forsaken_at(run->on_disconnect()));
    }
    for (const auto& [id, shell] : shells_) {
        if (!shell->is_ending()) next = std::min(next, forsaken_at(shell->on_disconnect()));
    }
    for (const auto& [channel, follower] : followers_)
        next = std::min(next, forsaken_at(follower->wish()));
    return next;
}

EventLoop::Time Conversation::forsaken_at(const OnDisconnect& wish) const {
    // A grace of years is for ever to a clock that counts nanoseconds.
    constexpr auto kLongest = std::chrono::hours(24 * 365);
    return waits(wish) && rendezvous_
               ? *lonely_since_ + std::min<std::chrono::milliseconds>(wish.grace, kLongest)
               : *lonely_since_;
}

void Conversation::end_the_forsaken(Time now) {
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
    for (auto next = followers_.begin(); next != followers_.end();) {
        const auto& [channel, follower] = *next++;
        if (now >= forsaken_at(follower->wish())) drop_follower(channel, Ending::First::HangUp);
    }
    if (next_forsaken() == EventLoop::kNever) end_what_is_left(Ending::First::HangUp, now);
}

void Conversation::open_rendezvous(const OnDisconnect& wish) {
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

void Conversation::take_over(HandOver arrived, Fd visit) {
    log::info("the client is back");
    lonely_since_.reset();
    give_up_.reset();
    refused_.clear();
    visit_ = std::move(visit);
    const std::string bytes = std::move(arrived.bytes);
    link_.replace(transport_of(arrived), kFrameLimits, bytes);
}

void Conversation::handle(const msg::Resume& resume) {
    const bool is_ours = resume.session == name_;
    if (is_ours || !is_idle()) return go_on(resume);
    if (tries_ >= kTries) return refuse_connection("gone", "there is no such session any more");
    // Not from in here: it may take a while.
    wanted_ = Wanted{resume.session, resume};
    link_.hold();
}

void Conversation::bring_to(const std::string& session, Channel channel, const Message& message) {
    // A session that can be found may have others to look after.
    if (!is_idle() || kept_.can_be_found() || tries_ >= kTries) return refuse(channel, kElsewhere);
    rendezvous_.reset();  // There it is found under the same name.
    wanted_ = Wanted{session, message};
    link_.hold();
}

std::optional<Fd> Conversation::find_way(const Wanted& wanted, const std::string& rest) {
    std::string bytes;
    // A session that has not met this client is to know his name for it.
    if (!std::holds_alternative<msg::Resume>(wanted.message)) {
        encode(bytes, msg::Hello{kProtocolVersion, "", {}, "", "", "", name_});
    }
    encode(bytes, wanted.message);
    return hand_over(wanted.session, link_.transport()->read_fd(), link_.transport()->write_fd(),
                     bytes + rest, settings_.launch.forced_command);
}

void Conversation::give_away() {
    const Time deadline = EventLoop::Clock::now() + kLastWords;
    // Our hello is the first that the client hears.
    for (link_.flush(); !link_.is_flushed() && EventLoop::Clock::now() < deadline; link_.flush())
        loop_.run_once(deadline);
    const Wanted wanted = *std::exchange(wanted_, std::nullopt);
    if (!link_.is_flushed()) link_.drop();
    if (link_.is_down()) return;
    const std::string rest = link_.take_rest();
    const auto way = find_way(wanted, rest);
    if (!way) {
        // A session may be about to be found, or to end, and its runs with it: ask again.
        if (++tries_ > 1) std::this_thread::sleep_for(kBetweenTries);
        return link_.go_on(wanted.message, rest);
    }
    const int input = link_.transport()->read_fd();
    const int output = link_.transport()->write_fd();
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

void Conversation::go_on(const msg::Resume& resume) {
    if (resume.session != name_) throw ProtocolError("a resume that is not the first request");
    msg::Resumed answer;
    std::set<Channel> wanted;
    for (const msg::Resume::Point& point : resume.points) {
        Follower* const follower = find_follower(point.channel);
        if (follower != nullptr && follower->id() == point.run) {
            const auto in = follower->resume(point);
            if (!in) continue;
            answer.points.push_back({point.channel, *in});
            wanted.insert(point.channel);
            continue;
        }
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
    for (auto next = followers_.begin(); next != followers_.end();) {
        const Channel channel = next++->first;
        if (!wanted.contains(channel)) drop_follower(channel, Ending::First::HangUp);
    }
    for (const auto& [id, shell] : shells_) {
        if (!shell->is_ending()) answer.shells.push_back(id);
    }
    link_.send(answer);
    for (const auto& [id, shell] : shells_) {
        if (shell->is_ready() && !shell->is_ending()) say_ready(*shell);
    }
}

Run* Conversation::find(Channel channel) {
    const auto found = runs_.find(channel);
    if (found != runs_.end()) return found->second.get();
    if (!refused_.contains(channel)) {
        throw ProtocolError("unknown channel " + std::to_string(channel));
    }
    return nullptr;
}

void Conversation::on_message(const Message& message) {
    if (!is_admitted_ && !std::holds_alternative<msg::Hello>(message)) {
        throw ProtocolError("the first message must be a hello");
    }
    std::visit([this](const auto& one) { handle(one); }, message);
}

void Conversation::handle(const msg::Hello& hello) {
    if (is_admitted_) throw ProtocolError("a second hello");
    if (hello.proto != kProtocolVersion) {
        return refuse_connection("version", "this server speaks protocol " +
                                                std::to_string(kProtocolVersion) + ", not " +
                                                std::to_string(hello.proto));
    }
    if (settings_.refusal && !was_let_in_) {
        if (const auto why = settings_.refusal()) return refuse_connection("denied", *why);
    }
    is_admitted_ = true;
    name_ = hello.session;
    if (was_let_in_) return;
    link_.trust();
    if (settings_.audit) settings_.audit->connected();
    if (settings_.admitted) settings_.admitted();
}

bool Conversation::is_free(Channel channel) const {
    return !runs_.contains(channel) && !refused_.contains(channel) && !followers_.contains(channel);
}

bool Conversation::is_full() const {
    return runs_.size() + followers_.size() >= kMaxChannels;
}

void Conversation::refuse(Channel channel, const KeptRuns::Refusal& refusal) {
    if (refused_.size() >= kMaxChannels) throw ProtocolError("a flood of opens");
    refused_.insert(channel);
    link_.send(msg::Refused{channel, refusal.reason, refusal.message});
}

void Conversation::handle(const msg::Open& open) {
    if (!is_free(open.channel)) throw ProtocolError("a channel that is already open");
    const bool is_known = std::any_of(runs_.begin(), runs_.end(), [&](const auto& entry) {
        return entry.second->id() == open.run;
    });
    if (is_known) return refuse(open.channel, {"in_use", "there is a run of that id already"});
    if (is_full()) return refuse(open.channel, kBusy);
    // Whoever was brought here has a login of his own, with what that allows.
    const std::string& id = open.kept ? open.run : open.shell_name;
    bool is_there = !was_let_in_;
    const auto failure =
        attempt([&] { is_there = is_there || (open.kept ? kept_.knows(id) : kept_.lives(id)); });
    if (failure || !is_there) return refuse(open.channel, failure.value_or(kElsewhere));
    if (open.kept || !open.shell_name.empty()) return open_kept(open);
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
    begin(open, std::move(run));
}

void Conversation::begin(const msg::Open& open, std::unique_ptr<Run> run) {
    open_rendezvous(open.on_disconnect);
    if (settings_.audit) settings_.audit->run_asked(open);
    link_.send(msg::Started{open.channel, open.run, run->pid()});
    link_.add(*run);
    runs_.emplace(open.channel, std::move(run));
}

std::optional<KeptRuns::Answer> Conversation::ask_for_kept(const msg::Open& open) {
    NotStarted why{"journal", 0, ""};
    try {
        return open.kept ? kept_.open(open) : kept_.shell(open);
    } catch (const SysError& error) {
        why = {"journal", error.code().value(), error.what()};
    } catch (const UserError& error) {
        why.message = error.what();
    }
    begin(open, std::make_unique<Run>(loop_, open, why));
    return std::nullopt;
}

void Conversation::open_kept(const msg::Open& open) {
    // Before anything is written to disk, which may take its time: the client may be back by then.
    open_rendezvous(open.on_disconnect);
    const auto answer = ask_for_kept(open);
    if (!answer) return;
    if (const auto* const refusal = std::get_if<KeptRuns::Refusal>(&*answer)) {
        return refuse(open.channel, *refusal);
    }
    if (const auto* const elsewhere = std::get_if<KeptRuns::Elsewhere>(&*answer)) {
        return bring_to(elsewhere->session, open.channel, open);
    }
    const auto* const kept = std::get_if<std::shared_ptr<Kept>>(&*answer);
    if (!open.shell_name.empty()) {
        Shell& shell = dynamic_cast<KeptShell&>(**kept).shell();
        return begin(open, std::make_unique<Run>(loop_, open, shell));
    }
    msg::Attach attach;
    attach.channel = open.channel;
    attach.follow = true;
    auto follower = follower_of(attach, *answer);
    if (kept != nullptr) {
        follower->hold(std::dynamic_pointer_cast<KeptRun>(*kept), open.on_disconnect);
    }
    link_.send(msg::Started{open.channel, open.run, follower->pid()});
    follow(std::move(follower));
}

void Conversation::handle(const msg::Attach& attach) {
    if (!is_free(attach.channel)) throw ProtocolError("a channel that is already open");
    if (is_full()) return refuse(attach.channel, kBusy);
    const auto failure = attempt([&] {
        KeptRuns::Answer answer = kept_.find(attach.run);
        if (const auto* const refusal = std::get_if<KeptRuns::Refusal>(&answer)) {
            return refuse(attach.channel, *refusal);
        }
        if (const auto* const elsewhere = std::get_if<KeptRuns::Elsewhere>(&answer)) {
            return bring_to(elsewhere->session, attach.channel, attach);
        }
        auto follower = follower_of(attach, std::move(answer));
        link_.send(follower->attached());
        follow(std::move(follower));
    });
    if (failure) refuse(attach.channel, *failure);
}

void Conversation::follow(std::unique_ptr<Follower> follower) {
    open_rendezvous(follower->wish());
    link_.add(*follower);
    const Channel channel = follower->channel();
    followers_.emplace(channel, std::move(follower));
}

void Conversation::handle(const msg::List& list) {
    if (!is_free(list.channel)) throw ProtocolError("a channel that is already open");
    // Somebody who asks and does not read.
    if (link_.backlog() > kMaxBacklog) {
        return link_.send(msg::Refused{list.channel, "busy", "read the last list first"});
    }
    const auto failure = attempt([&] {
        for (msg::Kept& kept : kept_.list()) {
            kept.channel = list.channel;
            link_.send(kept);
        }
        link_.send(msg::Listed{list.channel, static_cast<std::uint64_t>(std::time(nullptr))});
    });
    if (failure) link_.send(msg::Refused{list.channel, failure->reason, failure->message});
}

void Conversation::handle(const msg::Forget& forget) {
    if (!is_free(forget.channel)) throw ProtocolError("a channel that is already open");
    std::variant<std::string, KeptRuns::Refusal> answer;
    if (const auto failure = attempt([&] { answer = kept_.forget(forget.run); })) answer = *failure;
    if (const auto* const refusal = std::get_if<KeptRuns::Refusal>(&answer)) {
        link_.send(msg::Refused{forget.channel, refusal->reason, refusal->message});
    } else {
        link_.send(msg::Forgotten{forget.channel, std::get<std::string>(answer)});
    }
}

Follower* Conversation::find_follower(Channel channel) {
    const auto found = followers_.find(channel);
    return found == followers_.end() ? nullptr : found->second.get();
}

void Conversation::drop_follower(Channel channel, Ending::First first) {
    const auto found = followers_.find(channel);
    found->second->abandon(first, EventLoop::Clock::now());
    link_.remove(*found->second);
    followers_.erase(found);
}

void Conversation::handle(const msg::ShellOpen& open) {
    if (shells_.contains(open.shell)) throw ProtocolError("a shell that is already open");
    NotStarted why{"shell", 0, "more than " + std::to_string(kMaxShells) + " shells at once"};
    if (was_let_in_) {
        why.message = kElsewhere.message;
    } else if (settings_.launch.forced_command) {
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

void Conversation::say_ready(const Shell& shell) {
    link_.send(msg::ShellReady{shell.id(), shell.pid(), shell.kind(), shell.cwd(),
                               settings_.launch.user.home});
}

void Conversation::handle(const msg::ShellClose& close) {
    const auto found = shells_.find(close.shell);
    // It may have ended by itself, and the news be on its way.
    if (found != shells_.end()) found->second->close();
}

void Conversation::handle(const msg::Bye& bye) {
    const auto told = bye.signal ? signal_number(*bye.signal) : std::nullopt;
    part(told == SIGTERM  ? Ending::First::Terminate
         : told == SIGHUP ? Ending::First::AskedHangUp
                          : Ending::First::HangUp);
}

void Conversation::handle(const msg::EndAck& ack) {
    if (const Follower* const follower = find_follower(ack.channel)) {
        if (!follower->is_told()) throw ProtocolError("an end_ack before the end");
        if (follower->id() != ack.run) throw ProtocolError("an end_ack for another run");
        return drop_follower(ack.channel, Ending::First::HangUp);
    }
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

void Conversation::handle(const msg::Error& error) {
    log::info("the client says: " + escape_controls(error.message));
    part();  // It is the last message of whoever sends it.
}

template <typename OneOfARun>
void Conversation::handle(const OneOfARun& message) {
    if constexpr (requires(Run run) { run.on(message); }) {
        if (Follower* const follower = find_follower(message.channel)) {
            follower->on(message);
        } else if (Run* const run = find(message.channel)) {
            run->on(message);
        }
    } else {
        throw ProtocolError("a message that only servers send");
    }
}

}  // namespace frsh
