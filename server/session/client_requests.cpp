// The requests of a client for runs and shells; the connection's life is in client_connection.cpp.
#include "common/base/error.hpp"
#include "server/forward/forward_permission.hpp"
#include "server/kept/kept_shell.hpp"
#include "server/kept/store_records.hpp"
#include "server/run/account_shell.hpp"
#include "server/session/client_connection.hpp"
#include "server/session/run_channel.hpp"

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace frsh {
namespace {

using namespace std::chrono_literals;

// While this many bytes wait to be read by the client, it gets no further list.
constexpr std::size_t kMaxListBacklog = 256 * 1024;

const Registry::Refusal kBusy{"busy",
                              "more than " + std::to_string(kMaxChannels) + " runs at once"};
const Registry::Refusal kTooManyForwards{
    "busy", "more than " + std::to_string(kMaxForwards) + " forwarded connections at once"};
constexpr const char* kForcedCommand = "this key may only run its own command";

// Calls `act`. If the files of the kept runs cannot be used, returns the refusal for the client;
// otherwise nothing.
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

// Returns a channel for an answer that is neither Refusal nor Elsewhere.
std::unique_ptr<JournalChannel> journal_channel_of(const msg::Attach& attach,
                                                   Registry::Answer answer) {
    if (auto* const kept = std::get_if<std::shared_ptr<KeptJob>>(&answer)) {
        return std::make_unique<JournalChannel>(attach, std::move(*kept));
    }
    return std::make_unique<JournalChannel>(attach, std::get<Store::Found>(std::move(answer)));
}

// Returns how long the machine has been up. Includes the time during which it slept.
std::chrono::seconds uptime() {
    timespec now{};
    check(::clock_gettime(CLOCK_BOOTTIME, &now), "clock_gettime");
    return std::chrono::seconds(now.tv_sec);
}

}  // namespace

bool ClientConnection::may_begin_anew(const msg::Resume& resume) {
    // A claim of a time before the machine's last start may not be on the disk.
    if (was_handed_off_here_ || !name_.empty() || !resume.age || *resume.age >= kLongestAge ||
        *resume.age + 1s >= uptime()) {
        return false;
    }
    return claim_.take_over(resume.session) == SessionClaim::Result::Taken;
}

bool ClientConnection::claim_name(const OnDisconnect& wish) {
    if (wish.kind == OnDisconnect::Kind::Kill || name_.empty()) return true;
    // A session that hands its client off gives the name back first.
    const auto result =
        was_handed_off_here_ && !claim_.is_held() ? claim_.take_over(name_) : claim_.take(name_);
    if (result != SessionClaim::Result::Refused) return true;
    refuse_connection("gone", "this client has returned over another connection");
    return false;
}

void ClientConnection::require_free(Channel channel) const {
    if (channels_.contains(channel)) throw ProtocolError("a channel that is already open");
}

void ClientConnection::refuse(Channel channel, const Registry::Refusal& refusal) {
    channels_.add_refused(channel);
    link_.send(msg::Refused{channel, refusal.reason, refusal.message});
}

void ClientConnection::handle(const msg::Open& open) {
    require_free(open.channel);
    if (channels_.has_seen(open.run)) {
        return refuse(open.channel, {"in_use", "there is or was a run of that id"});
    }
    if (open.mode == msg::Open::Mode::Connect) return connect(open);
    if (open.mode == msg::Open::Mode::Accept) return accept(open);
    if (channels_.is_full()) return refuse(open.channel, kBusy);
    // A client that was handed off here may use only what lives here: its own login decides what
    // else it may do.
    const std::string& id = open.kept ? open.run : open.shell_name;
    bool is_here = !was_handed_off_here_;
    const auto failure =
        attempt([&] { is_here = is_here || (open.kept ? kept_.knows(id) : kept_.lives(id)); });
    if (failure || !is_here) return refuse(open.channel, failure.value_or(kElsewhere));
    if (!claim_name(open.on_disconnect)) return;
    // force_command() leaves out what a bound key may not set; these are refused by name.
    const auto fault = settings_.launch.forced_command ? find_dangerous_variable(open.env)
                                                       : std::optional<std::string>();
    if (!fault && (open.kept || !open.shell_name.empty())) return open_kept(open);
    if (settings_.audit) settings_.audit->run_begins(open);
    if (fault) {
        return begin(open, std::make_unique<Run>(loop_, open, NotStarted{"env", EPERM, *fault}));
    }
    if (open.shell) {
        Shell* const shell = shells_.find(*open.shell);
        if (shell != nullptr) return begin(open, std::make_unique<Run>(loop_, open, *shell));
        // The shell has ended or was refused, and the report is on its way.
        const NotStarted why{"shell", 0, shells_.why_missing(*open.shell)};
        return begin(open, std::make_unique<Run>(loop_, open, why));
    }
    const auto with_agent = launch_with_agent();
    const LaunchContext& launch = with_agent ? *with_agent : settings_.launch;
    begin(open, launch.forced_command
                    ? std::make_unique<Run>(loop_, force_command(open, launch), launch)
                    : std::make_unique<Run>(loop_, open, launch));
}

void ClientConnection::connect(const msg::Open& open) {
    if (channels_.room_for_forwards() == 0) return refuse(open.channel, kTooManyForwards);
    if (was_handed_off_here_) return refuse(open.channel, kElsewhere);
    open_handoff_point(open.on_disconnect);
    channels_.add(std::make_unique<ConnectChannel>(
        loop_, open, forward_refusal(open, settings_.launch.forward_rules), forward_budgets_,
        begin_report({open.run, place_text(open.args), "", false})));
}

void ClientConnection::accept(const msg::Open& open) {
    auto accepted = listeners_.take(open.args[0]);
    if (channels_.room_for_forwards() == 0) return refuse(open.channel, kTooManyForwards);
    if (!accepted) return refuse(open.channel, {"gone", "no such connection waits"});
    open_handoff_point(open.on_disconnect);
    channels_.add(std::make_unique<ConnectChannel>(
        loop_, open, std::move(accepted->socket), forward_budgets_,
        begin_report({open.run, accepted->place, accepted->from, true})));
}

ConnectChannel::OnEnd ClientConnection::begin_report(ForwardFacts forward) const {
    if (!settings_.audit) return nullptr;
    settings_.audit->forward_begins(forward);
    return [audit = settings_.audit, forward = std::move(forward),
            since = EventLoop::Clock::now()](const ConnectChannel::Traffic& traffic) {
        audit->forward_ended(forward, {traffic.outcome, traffic.to_peer, traffic.to_client}, since);
    };
}

void ClientConnection::handle(const msg::Listen& listen) {
    if (was_handed_off_here_) return listeners_.refuse(listen, kElsewhere.message);
    if (!claim_name(listen.on_disconnect)) return;
    open_handoff_point(listen.on_disconnect);
    listeners_.open(listen);
}

void ClientConnection::handle(const msg::Unlisten& unlisten) {
    listeners_.close(unlisten);
}

std::optional<LaunchContext> ClientConnection::launch_with_agent() const {
    const std::string path = listeners_.agent_path();
    if (path.empty()) return std::nullopt;
    LaunchContext launch = settings_.launch;
    std::erase_if(launch.env,
                  [](const std::string& entry) { return entry.starts_with("SSH_AUTH_SOCK="); });
    launch.env.push_back("SSH_AUTH_SOCK=" + path);
    return launch;
}

void ClientConnection::begin(const msg::Open& open, std::unique_ptr<Run> run) {
    open_handoff_point(open.on_disconnect);
    link_.send(msg::Started{open.channel, open.run, run->pid()});
    channels_.add(std::make_unique<RunChannel>(std::move(run), settings_.audit));
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
    if (settings_.audit) settings_.audit->run_begins(open);
    begin(open, std::make_unique<Run>(loop_, open, why));
    return std::nullopt;
}

void ClientConnection::open_kept(const msg::Open& open) {
    // Writing to disk may take a while, and the client may have lost its connection and be back by
    // then. So the hand-off point opens first.
    open_handoff_point(open.on_disconnect);
    const auto answer = ask_for_kept(open);
    if (!answer) return;
    if (const auto* const refusal = std::get_if<Registry::Refusal>(&*answer)) {
        return refuse(open.channel, *refusal);
    }
    if (const auto* const elsewhere = std::get_if<Registry::Elsewhere>(&*answer)) {
        return bring_to(elsewhere->session, open.channel, open);
    }
    const auto* const job = std::get_if<std::shared_ptr<KeptJob>>(&*answer);
    if (KeptShell* const shell = job != nullptr ? (*job)->as_shell() : nullptr) {
        if (settings_.audit) settings_.audit->run_begins(open);
        auto run = std::make_unique<Run>(loop_, open, shell->shell());
        run->set_generation(shell->generation());
        return begin(open, std::move(run));
    }
    if (const auto* const dead = std::get_if<Registry::DeadShell>(&*answer)) {
        return begin_in_dead_shell(open, *dead);
    }
    msg::Attach attach;
    attach.channel = open.channel;
    attach.follow = true;
    auto journal_channel = journal_channel_of(attach, *answer);
    if (KeptRun* const run = job != nullptr ? (*job)->as_run() : nullptr) {
        journal_channel->hold(*run, open.on_disconnect);
    }
    link_.send(msg::Started{open.channel, open.run, journal_channel->pid()});
    follow(std::move(journal_channel));
}

void ClientConnection::begin_in_dead_shell(const msg::Open& open,
                                           const Registry::DeadShell& shell) {
    auto run = std::make_unique<Run>(
        loop_, open,
        NotStarted{"shell", 0,
                   "shell " + open.shell_name + " has ended (" + shell.how +
                       "), and its state is lost; the next command begins a new one"});
    run->set_generation(shell.generation);
    begin(open, std::move(run));
}

void ClientConnection::follow(std::unique_ptr<JournalChannel> journal_channel) {
    open_handoff_point(journal_channel->on_disconnect());
    channels_.add(std::move(journal_channel));
}

void ClientConnection::handle(const msg::Attach& attach) {
    require_free(attach.channel);
    if (channels_.is_full()) return refuse(attach.channel, kBusy);
    const auto failure = attempt([&] {
        Registry::Answer answer = kept_.find(attach.run);
        if (const auto* const refusal = std::get_if<Registry::Refusal>(&answer)) {
            return refuse(attach.channel, *refusal);
        }
        if (const auto* const elsewhere = std::get_if<Registry::Elsewhere>(&answer)) {
            return bring_to(elsewhere->session, attach.channel, attach);
        }
        auto journal_channel = journal_channel_of(attach, std::move(answer));
        link_.send(journal_channel->attached());
        follow(std::move(journal_channel));
    });
    if (failure) refuse(attach.channel, *failure);
}

void ClientConnection::handle(const msg::List& list) {
    require_free(list.channel);
    // A client that requests lists and does not read them must not fill the memory.
    if (link_.backlog() > kMaxListBacklog) {
        return link_.send(msg::Refused{list.channel, "busy", "read the last list first"});
    }
    const auto failure = attempt([&] {
        for (msg::Kept& kept : kept_.list()) {
            kept.channel = list.channel;
            link_.send(kept);
        }
        link_.send(msg::Listed{list.channel, now_in_seconds()});
    });
    if (failure) link_.send(msg::Refused{list.channel, failure->reason, failure->message});
}

void ClientConnection::handle(const msg::Forget& forget) {
    require_free(forget.channel);
    std::variant<std::string, Registry::Refusal> answer;
    if (const auto failure = attempt([&] { answer = kept_.forget(forget.run); })) answer = *failure;
    if (const auto* const refusal = std::get_if<Registry::Refusal>(&answer)) {
        link_.send(msg::Refused{forget.channel, refusal->reason, refusal->message});
    } else {
        link_.send(msg::Forgotten{forget.channel, std::get<std::string>(answer)});
    }
}

void ClientConnection::handle(const msg::ShellOpen& open) {
    if (was_handed_off_here_) return shells_.refuse(open, kElsewhere.message);
    if (settings_.launch.forced_command) return shells_.refuse(open, kForcedCommand);
    if (!claim_name(open.on_disconnect)) return;
    msg::ShellOpen asked = open;
    if (const std::string agent = listeners_.agent_path(); !agent.empty()) {
        asked.env.push_back("SSH_AUTH_SOCK=" + agent);
    }
    if (shells_.open(asked)) open_handoff_point(open.on_disconnect);
}

void ClientConnection::handle(const msg::ShellClose& close) {
    shells_.close(close);
}

}  // namespace frsh
