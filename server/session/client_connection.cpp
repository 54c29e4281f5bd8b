#include "server/session/client_connection.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/base/version.hpp"
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
std::optional<Registry::Refusal> attempt(Act&& act) {
    try {
        act();
        return std::nullopt;
    } catch (const JournalDamaged& damage) {
        return Registry::Refusal{"damaged", damage.what()};
    } catch (const SysError& error) {
        return Registry::Refusal{"failed", error.what()};
    } catch (const UserError& error) {
        return Registry::Refusal{"failed", error.what()};
    }
}

const Registry::Refusal kElsewhere{"elsewhere",
                                   "that is for a session that cannot be reached from here"};
const Registry::Refusal kBusy{"busy",
                              "more than " + std::to_string(kMaxChannels) + " runs at once"};

std::string host_name() {
    char name[256] = {};
    (void)::gethostname(name, sizeof name - 1);
    return name;
}

bool waits(const OnDisconnect& wish) {
    return wish.kind != OnDisconnect::Kind::Kill;
}

std::unique_ptr<Transport> transport_of(Handoff& arrived) {
    return std::make_unique<FdTransport>(std::move(arrived.input), std::move(arrived.output));
}

// Of an answer that is neither a refusal nor elsewhere.
std::unique_ptr<JournalChannel> follower_of(const msg::Attach& attach, Registry::Answer answer) {
    if (auto* const kept = std::get_if<std::shared_ptr<KeptJob>>(&answer)) {
        return std::make_unique<JournalChannel>(attach, std::move(*kept));
    }
    return std::make_unique<JournalChannel>(attach, std::get<Store::Found>(std::move(answer)));
}

}  // namespace

ClientConnection::ClientConnection(EventLoop& loop, std::unique_ptr<Transport> transport,
                                   const SessionSettings& settings, Registry& kept)
    : loop_(loop),
      settings_(settings),
      kept_(kept),
      link_(loop, std::move(transport), *this, kStrangerLimits),
      hello_deadline_(EventLoop::Clock::now() + settings_.hello_time) {
    // Said at once, not as an answer: a round trip less.
    link_.send(msg::Hello{kProtocolVersion,
                          std::string("frshd/") + kVersion,
                          {kFeatures.begin(), kFeatures.end()},
                          escape_controls(settings_.launch.user.name),
                          escape_controls(host_name())});
}

ClientConnection::ClientConnection(EventLoop& loop, Handoff arrived, Fd visit,
                                   const SessionSettings& settings, Registry& kept)
    : loop_(loop),
      settings_(settings),
      kept_(kept),
      link_(loop, transport_of(arrived), *this),
      visit_(std::move(visit)),
      was_let_in_(true),
      hello_deadline_(EventLoop::Clock::now() + settings_.hello_time) {
    link_.receive(arrived.bytes);
}

bool ClientConnection::prepare() {
    while (wanted_)
        hand_off();
    if (is_handed_off_ || is_over_) return false;
    link_.flush();
    const bool is_heard = !link_.is_down() || (!link_.is_flushed() && give_up_);
    return is_heard || !is_idle();
}

void ClientConnection::tick(Time now) {
    for (const auto& [id, shell] : shells_)
        shell->tick(now);
    for (Termination& ending : terminations_)
        ending.tick(now);
    for (const auto& [channel, run] : runs_)
        run->tick(now);
    end_expired_runs(now);
    forget_what_is_over();
    if (!is_admitted_ && now >= hello_deadline_ && !link_.is_down()) {
        refuse_connection("timeout", "no hello within the time given");
    }
    // The last words are not lost because we were slow ourselves: the peer may have room for them.
    if (link_.is_down()) link_.flush();
    if (disconnected_since_ && (link_.is_flushed() || (give_up_ && now >= *give_up_))) {
        link_.drop();
        visit_.close();
    }
    is_over_ = give_up_ && now >= *give_up_ && is_idle();
}

bool ClientConnection::is_idle() const {
    return runs_.empty() && shells_.empty() && terminations_.empty() && journal_channels_.empty();
}

EventLoop::Time ClientConnection::next_deadline() const {
    Time next = give_up_ && is_idle() ? *give_up_ : EventLoop::kNever;
    for (const Termination& ending : terminations_)
        next = std::min(next, ending.next_deadline());
    for (const auto& [id, shell] : shells_)
        next = std::min(next, shell->next_deadline());
    if (!is_admitted_ && !link_.is_down()) next = std::min(next, hello_deadline_);
    for (const auto& [channel, run] : runs_)
        next = std::min(next, run->next_deadline());
    return std::min(next, next_expiry());
}

void ClientConnection::forget_what_is_over() {
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

    std::erase_if(terminations_, [](const Termination& ending) { return ending.is_done(); });
}

// Of those before, who is still there: shells may come and go for long.
void ClientConnection::note_left(const ProcessOrigin& origin) {
    left_.push_back(origin);
    std::erase_if(left_, [](const ProcessOrigin& one) {
        const Started started = started_by(one);
        return started.processes.empty() && started.is_sure;
    });
}

void ClientConnection::note_end(const Run& run) const {
    if (settings_.audit && run.record()) settings_.audit->run_ended(*run.record());
}

void ClientConnection::child_exited(const ExitStatus& status) {
    for (const auto& [channel, run] : runs_) {
        if (run->awaits(status.pid)) return run->exited(status);
    }
    for (const auto& [id, shell] : shells_) {
        if (shell->awaits(status.pid)) return shell->exited(status);
    }
    // An orphan of a run that came to us as its subreaper; nobody asked for its status.
}

void ClientConnection::refuse_connection(const std::string& reason, const std::string& message) {
    if (!is_admitted_ && settings_.audit) {
        settings_.audit->turned_away(message);
    } else {
        log::info("refused: " + message);
    }
    link_.send(msg::Error{reason, message, std::nullopt});
    part();
}

void ClientConnection::part(Termination::First first) {
    is_parting_ = true;
    link_.close();
    give_up_ = EventLoop::Clock::now() + kLastWords;
    end_all_runs(first);
}

void ClientConnection::terminate() {
    if (!link_.is_down()) {
        return refuse_connection("shutdown", "the server's session was told to end");
    }
    is_parting_ = true;
    end_all_runs(Termination::First::HangUp);
}

// Who has nothing going on any more leaves as one does; what he left in the background may stay.
void ClientConnection::end_what_is_left(Termination::First first, Time now) {
    if (!shells_.empty() || !runs_.empty()) {
        for (ProcessOrigin& origin : left_)
            terminations_.emplace_back(std::move(origin), first, 2s, now);
    }
    left_.clear();
}

void ClientConnection::end_all_runs(Termination::First first) {
    const Time now = EventLoop::Clock::now();
    end_what_is_left(first, now);
    for (const auto& [channel, run] : runs_)
        run->disconnect(first, now);
    for (const auto& [id, shell] : shells_)
        shell->end(first, now);
    while (!journal_channels_.empty())
        drop_journal_channel(journal_channels_.begin()->first, first);
}

void ClientConnection::on_link_down(const std::string& problem) {
    if (!problem.empty()) log::info("connection: " + problem);
    const Time now = EventLoop::Clock::now();
    give_up_ = now + kLastWords;
    disconnected_since_ = now;
    end_expired_runs(now);
}

// Of what is not being ended yet, the first whose time it will be.
EventLoop::Time ClientConnection::next_expiry() const {
    Time next = EventLoop::kNever;
    if (!disconnected_since_) return next;
    for (const auto& [channel, run] : runs_) {
        if (!run->is_disconnected()) next = std::min(next, expires_at(run->on_disconnect()));
    }
    for (const auto& [id, shell] : shells_) {
        if (!shell->is_ending()) next = std::min(next, expires_at(shell->on_disconnect()));
    }
    for (const auto& [channel, journal_channel] : journal_channels_)
        next = std::min(next, expires_at(journal_channel->wish()));
    return next;
}

EventLoop::Time ClientConnection::expires_at(const OnDisconnect& wish) const {
    // A grace of years is for ever to a clock that counts nanoseconds.
    constexpr auto kLongest = std::chrono::hours(24 * 365);
    return waits(wish) && handoff_point_
               ? *disconnected_since_ + std::min<std::chrono::milliseconds>(wish.grace, kLongest)
               : *disconnected_since_;
}

void ClientConnection::end_expired_runs(Time now) {
    if (!disconnected_since_) return;
    for (const auto& [channel, run] : runs_) {
        if (!run->is_disconnected() && now >= expires_at(run->on_disconnect())) {
            run->disconnect(Termination::First::HangUp, now);
        }
    }
    for (const auto& [id, shell] : shells_) {
        if (!shell->is_ending() && now >= expires_at(shell->on_disconnect())) {
            shell->end(Termination::First::HangUp, now);
        }
    }
    for (auto next = journal_channels_.begin(); next != journal_channels_.end();) {
        const auto& [channel, journal_channel] = *next++;
        if (now >= expires_at(journal_channel->wish()))
            drop_journal_channel(channel, Termination::First::HangUp);
    }
    if (next_expiry() == EventLoop::kNever) end_what_is_left(Termination::First::HangUp, now);
}

void ClientConnection::open_handoff_point(const OnDisconnect& wish) {
    if (!waits(wish) || handoff_point_ || name_.empty()) return;
    try {
        handoff_point_ = std::make_unique<HandoffPoint>(
            loop_, name_,
            [this](const Handoff& arrived) {
                const auto& ours = settings_.launch.forced_command;
                return arrived.forced_command == ours && !is_parting_;
            },
            [this](Handoff arrived, Fd visit) { take_over(std::move(arrived), std::move(visit)); });
    } catch (const SysError& error) {
        // Out of descriptors: the run goes on, and is ended if its connection goes.
        log::error(std::string("cannot be found again: ") + error.what());
    }
}

void ClientConnection::take_over(Handoff arrived, Fd visit) {
    log::info("the client is back");
    disconnected_since_.reset();
    give_up_.reset();
    refused_.clear();
    visit_ = std::move(visit);
    const std::string bytes = std::move(arrived.bytes);
    link_.replace(transport_of(arrived), kFrameLimits, bytes);
}

void ClientConnection::handle(const msg::Resume& resume) {
    const bool is_ours = resume.session == name_;
    if (is_ours || !is_idle()) return go_on(resume);
    if (tries_ >= kTries) return refuse_connection("gone", "there is no such session any more");
    // Not from in here: it may take a while.
    wanted_ = Wanted{resume.session, resume};
    link_.hold();
}

void ClientConnection::bring_to(const std::string& session, Channel channel,
                                const Message& message) {
    // A session that can be found may have others to look after.
    if (!is_idle() || kept_.can_be_found() || tries_ >= kTries) return refuse(channel, kElsewhere);
    handoff_point_.reset();  // There it is found under the same name.
    wanted_ = Wanted{session, message};
    link_.hold();
}

std::optional<Fd> ClientConnection::find_way(const Wanted& wanted, const std::string& rest) {
    std::string bytes;
    // A session that has not met this client is to know his name for it.
    if (!std::holds_alternative<msg::Resume>(wanted.message)) {
        encode(bytes, msg::Hello{kProtocolVersion, "", {}, "", "", "", name_});
    }
    encode(bytes, wanted.message);
    return hand_over(wanted.session, link_.transport()->read_fd(), link_.transport()->write_fd(),
                     bytes + rest, settings_.launch.forced_command);
}

void ClientConnection::hand_off() {
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
    is_handed_off_ = true;
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

void ClientConnection::go_on(const msg::Resume& resume) {
    if (resume.session != name_) throw ProtocolError("a resume that is not the first request");
    msg::Resumed answer;
    std::set<Channel> wanted;
    for (const msg::Resume::Point& point : resume.points) {
        JournalChannel* const journal_channel = find_journal_channel(point.channel);
        if (journal_channel != nullptr && journal_channel->id() == point.run) {
            const auto in = journal_channel->resume(point);
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
        run->disconnect(Termination::First::HangUp, EventLoop::Clock::now());
    }
    for (auto next = journal_channels_.begin(); next != journal_channels_.end();) {
        const Channel channel = next++->first;
        if (!wanted.contains(channel)) drop_journal_channel(channel, Termination::First::HangUp);
    }
    for (const auto& [id, shell] : shells_) {
        if (!shell->is_ending()) answer.shells.push_back(id);
    }
    link_.send(answer);
    for (const auto& [id, shell] : shells_) {
        if (shell->is_ready() && !shell->is_ending()) say_ready(*shell);
    }
}

Run* ClientConnection::find(Channel channel) {
    const auto found = runs_.find(channel);
    if (found != runs_.end()) return found->second.get();
    if (!refused_.contains(channel)) {
        throw ProtocolError("unknown channel " + std::to_string(channel));
    }
    return nullptr;
}

void ClientConnection::on_message(const Message& message) {
    if (!is_admitted_ && !std::holds_alternative<msg::Hello>(message)) {
        throw ProtocolError("the first message must be a hello");
    }
    std::visit([this](const auto& one) { handle(one); }, message);
}

void ClientConnection::handle(const msg::Hello& hello) {
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

bool ClientConnection::is_free(Channel channel) const {
    return !runs_.contains(channel) && !refused_.contains(channel) &&
           !journal_channels_.contains(channel);
}

bool ClientConnection::is_full() const {
    return runs_.size() + journal_channels_.size() >= kMaxChannels;
}

void ClientConnection::refuse(Channel channel, const Registry::Refusal& refusal) {
    if (refused_.size() >= kMaxChannels) throw ProtocolError("a flood of opens");
    refused_.insert(channel);
    link_.send(msg::Refused{channel, refusal.reason, refusal.message});
}

void ClientConnection::handle(const msg::Open& open) {
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

void ClientConnection::begin(const msg::Open& open, std::unique_ptr<Run> run) {
    open_handoff_point(open.on_disconnect);
    if (settings_.audit) settings_.audit->run_asked(open);
    link_.send(msg::Started{open.channel, open.run, run->pid()});
    link_.add(*run);
    runs_.emplace(open.channel, std::move(run));
}

std::optional<Registry::Answer> ClientConnection::ask_for_kept(const msg::Open& open) {
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

void ClientConnection::open_kept(const msg::Open& open) {
    // Before anything is written to disk, which may take its time: the client may be back by then.
    open_handoff_point(open.on_disconnect);
    const auto answer = ask_for_kept(open);
    if (!answer) return;
    if (const auto* const refusal = std::get_if<Registry::Refusal>(&*answer)) {
        return refuse(open.channel, *refusal);
    }
    if (const auto* const elsewhere = std::get_if<Registry::Elsewhere>(&*answer)) {
        return bring_to(elsewhere->session, open.channel, open);
    }
    const auto* const kept = std::get_if<std::shared_ptr<KeptJob>>(&*answer);
    if (!open.shell_name.empty()) {
        Shell& shell = dynamic_cast<KeptShell&>(**kept).shell();
        return begin(open, std::make_unique<Run>(loop_, open, shell));
    }
    msg::Attach attach;
    attach.channel = open.channel;
    attach.follow = true;
    auto journal_channel = follower_of(attach, *answer);
    if (kept != nullptr) {
        journal_channel->hold(std::dynamic_pointer_cast<KeptRun>(*kept), open.on_disconnect);
    }
    link_.send(msg::Started{open.channel, open.run, journal_channel->pid()});
    follow(std::move(journal_channel));
}

void ClientConnection::handle(const msg::Attach& attach) {
    if (!is_free(attach.channel)) throw ProtocolError("a channel that is already open");
    if (is_full()) return refuse(attach.channel, kBusy);
    const auto failure = attempt([&] {
        Registry::Answer answer = kept_.find(attach.run);
        if (const auto* const refusal = std::get_if<Registry::Refusal>(&answer)) {
            return refuse(attach.channel, *refusal);
        }
        if (const auto* const elsewhere = std::get_if<Registry::Elsewhere>(&answer)) {
            return bring_to(elsewhere->session, attach.channel, attach);
        }
        auto journal_channel = follower_of(attach, std::move(answer));
        link_.send(journal_channel->attached());
        follow(std::move(journal_channel));
    });
    if (failure) refuse(attach.channel, *failure);
}

void ClientConnection::follow(std::unique_ptr<JournalChannel> journal_channel) {
    open_handoff_point(journal_channel->wish());
    link_.add(*journal_channel);
    const Channel channel = journal_channel->channel();
    journal_channels_.emplace(channel, std::move(journal_channel));
}

void ClientConnection::handle(const msg::List& list) {
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

void ClientConnection::handle(const msg::Forget& forget) {
    if (!is_free(forget.channel)) throw ProtocolError("a channel that is already open");
    std::variant<std::string, Registry::Refusal> answer;
    if (const auto failure = attempt([&] { answer = kept_.forget(forget.run); })) answer = *failure;
    if (const auto* const refusal = std::get_if<Registry::Refusal>(&answer)) {
        link_.send(msg::Refused{forget.channel, refusal->reason, refusal->message});
    } else {
        link_.send(msg::Forgotten{forget.channel, std::get<std::string>(answer)});
    }
}

JournalChannel* ClientConnection::find_journal_channel(Channel channel) {
    const auto found = journal_channels_.find(channel);
    return found == journal_channels_.end() ? nullptr : found->second.get();
}

void ClientConnection::drop_journal_channel(Channel channel, Termination::First first) {
    const auto found = journal_channels_.find(channel);
    found->second->abandon(first, EventLoop::Clock::now());
    link_.remove(*found->second);
    journal_channels_.erase(found);
}

void ClientConnection::handle(const msg::ShellOpen& open) {
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
            open_handoff_point(open.on_disconnect);
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

void ClientConnection::say_ready(const Shell& shell) {
    link_.send(msg::ShellReady{shell.id(), shell.pid(), shell.kind(), shell.cwd(),
                               settings_.launch.user.home});
}

void ClientConnection::handle(const msg::ShellClose& close) {
    const auto found = shells_.find(close.shell);
    // It may have ended by itself, and the news be on its way.
    if (found != shells_.end()) found->second->close();
}

void ClientConnection::handle(const msg::Bye& bye) {
    const auto told = bye.signal ? signal_number(*bye.signal) : std::nullopt;
    part(told == SIGTERM  ? Termination::First::Terminate
         : told == SIGHUP ? Termination::First::AskedHangUp
                          : Termination::First::HangUp);
}

void ClientConnection::handle(const msg::EndAck& ack) {
    if (const JournalChannel* const journal_channel = find_journal_channel(ack.channel)) {
        if (!journal_channel->is_told()) throw ProtocolError("an end_ack before the end");
        if (journal_channel->id() != ack.run) throw ProtocolError("an end_ack for another run");
        return drop_journal_channel(ack.channel, Termination::First::HangUp);
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

void ClientConnection::handle(const msg::Error& error) {
    log::info("the client says: " + escape_controls(error.message));
    part();  // It is the last message of whoever sends it.
}

template <typename OneOfARun>
void ClientConnection::handle(const OneOfARun& message) {
    if constexpr (requires(Run run) { run.on(message); }) {
        if (JournalChannel* const journal_channel = find_journal_channel(message.channel)) {
            journal_channel->on(message);
        } else if (Run* const run = find(message.channel)) {
            run->on(message);
        }
    } else {
        throw ProtocolError("a message that only servers send");
    }
}

}  // namespace frsh
