#include "server/kept/registry.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "server/kept/store_files.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <exception>
#include <tuple>

#include <fcntl.h>

namespace frsh {
namespace {

// The most bytes of a command that a list shows.
constexpr std::size_t kMaxShown = 4096;
// The characters of a bound key's name; see name_of_bound_key().
constexpr std::size_t kBoundKeyName = 32;
// How often an id is looked up and claimed when other processes claim and remove it meanwhile.
constexpr int kMaxAttempts = 100;

Registry::Refusal unknown(const std::string& run) {
    return {"unknown", "there is no run " + run};
}

Registry::Refusal contended(const std::string& run) {
    return {"failed", "other processes claim and remove " + run + "; try again"};
}

Registry::Refusal unusable(const Store::Found& found) {
    return {"damaged", "what is kept as " + found.info.run + " cannot be used: " + found.why_lost +
                           "; remove it with --forget " + found.info.run};
}

// Returns the run as a lost one. The command of a damaged run is unknown, so its end must not be
// returned to a request for another command.
Store::Found as_lost(Store::Found found) {
    found.end.reset();
    if (found.why_lost.empty()) found.why_lost = "what was kept of its beginning is damaged";
    return found;
}

// Returns true if a client ended the shell with a cancel, and so gave up its state.
bool was_ended_on_purpose(const Store::Found& shell) {
    return shell.end && std::holds_alternative<Canceled>(shell.end->outcome);
}

std::string how_it_ended(const Store::Found& shell) {
    return shell.end ? describe(shell.end->outcome) : "lost: " + shell.why_lost;
}

// Returns a random name: the value of a new "FRSH_SESSION=...".
std::string new_name() {
    const std::string mark = new_session_mark();
    return mark.substr(mark.find('=') + 1);
}

std::vector<std::string> shown(std::vector<std::string> args) {
    std::size_t room = kMaxShown;
    for (std::size_t i = 0; i < args.size(); ++i) {
        if (args[i].size() < room) {
            room -= args[i].size() + 1;
            continue;
        }
        args[i].resize(room);
        args.resize(i + 1);
    }
    return args;
}

msg::Kept entry_of(const Store::Found& found) {
    msg::Kept kept;
    kept.run = found.info.run;
    kept.started_at = found.info.started_at;
    kept.ended_at = found.ended_at;
    kept.mode = found.info.mode;
    kept.args = shown(found.info.args);
    kept.is_shell = found.info.is_shell;
    if (found.end) {
        kept.outcome = found.end->outcome;
        kept.out = found.end->out.bytes;
        kept.err = found.end->err.bytes;
        return kept;
    }
    kept.outcome = found.is_running ? Outcome(Running{}) : Outcome(Lost{found.why_lost});
    try {
        kept.out = Store::produced(found.path, StreamId::Stdout);
        kept.err = Store::produced(found.path, StreamId::Stderr);
    } catch (const SysError& error) {
        // A run that cannot be read is listed, too. Its output counts as empty.
        if (!found.is_running) {
            kept.outcome = Lost{found.why_lost + "; its output cannot be read: " + error.what()};
        }
    }
    return kept;
}

std::string folder_of_bound_keys(const std::string& own) {
    return parent_of(own) + "/keys";
}

}  // namespace

std::string kept_folder_of(const std::string& own, const std::optional<std::string>& bound_key) {
    return bound_key ? folder_of_bound_keys(own) + "/" + *bound_key + "/runs" : own;
}

Registry::Registry(EventLoop& loop, const LaunchContext& launch, std::shared_ptr<Audit> audit,
                   std::string folder, Retention retention, HandoffPoint::OnArrival on_arrival)
    : loop_(loop),
      launch_(launch),
      audit_(std::move(audit)),
      retention_(retention),
      on_arrival_(std::move(on_arrival)),
      folder_(std::move(folder)) {}

Store& Registry::store() {
    if (!store_) store_.emplace(folder_);
    return *store_;
}

// Returns true if the run was requested by a client like this one. The user may look at the runs of
// a bound key and end them, but a request for a run never means one of them.
bool Registry::is_ours(const KeptRunInfo& info) const {
    return info.forced_command == launch_.forced_command;
}

std::shared_ptr<KeptJob> Registry::living(const std::string& id) const {
    const auto found = living_.find(id);
    return found == living_.end() ? nullptr : found->second;
}

Registry::Answer Registry::answer(Store::Found found) const {
    if (found.is_running && found.info.session == name_) return unknown(found.info.run);
    if (found.is_running) return Elsewhere{found.info.session};
    return found;
}

Registry::~Registry() {
    if (sweep_ == Sweep::PutOff) sweep();
}

Registry::Answer Registry::open(const msg::Open& open) {
    for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
        const auto found = store().find(open.run);
        if (!found) {
            sweep_once();
            if (auto begun = begin(open)) return begun;
            continue;
        }
        if (found->form == Store::Form::Foreign) return unusable(*found);
        const KeptRunInfo& info = found->info;
        if (found->form == Store::Form::Damaged) {
            if (found->is_running) return unusable(*found);
            return as_lost(*found);
        }
        const bool is_same = !info.is_shell && info.mode == open.mode && info.args == open.args;
        if (!is_ours(info) || !is_same) {
            return Refusal{"in_use", "run " + open.run + " is another command"};
        }
        if (auto run = living(open.run)) return run;
        return answer(*found);
    }
    return contended(open.run);
}

Registry::Answer Registry::shell(const msg::Open& open) {
    if (launch_.forced_command) return Refusal{"denied", "this key may only run its own command"};
    std::uint64_t generation = 1;
    for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
        const auto found = store().find(open.shell_name);
        if (!found) {
            sweep_once();
            if (auto begun = begin_shell(open, generation)) return begun;
            continue;
        }
        if (found->form != Store::Form::Kept) return unusable(*found);
        if (!is_ours(found->info) || !found->info.is_shell) {
            return Refusal{"in_use", open.shell_name + " is a run, no shell"};
        }
        if (auto shell = living(open.shell_name)) return shell;
        if (found->is_running) return Elsewhere{found->info.session};
        if (!was_ended_on_purpose(*found) && store().note_report(found->info)) {
            return DeadShell{found->info.generation, how_it_ended(*found)};
        }
        generation = found->info.generation + 1;
        try {
            store().forget_shell(found->info);  // Remove a shell of that name that has ended.
        } catch (const SysError& error) {
            // Another process is removing it, or has removed it.
            if (error.code().value() != EBUSY && error.code().value() != ENOENT) throw;
        }
    }
    return contended(open.shell_name);
}

KeptRunInfo Registry::info_of(const std::string& id) {
    be_found();
    KeptRunInfo info;
    info.run = id;
    info.started_at = now_in_seconds();
    info.session = name_;
    info.forced_command = launch_.forced_command;
    return info;
}

std::unique_ptr<RunFolder> Registry::claim(const KeptRunInfo& info) {
    auto folder = store().claim(info);
    if (!folder && living_.empty()) handoff_point_.reset();  // No job lives here to be found.
    return folder;
}

std::shared_ptr<KeptJob> Registry::begin(const msg::Open& open) {
    KeptRunInfo info = info_of(open.run);
    info.mode = open.mode;
    info.args = open.args;
    auto folder = claim(info);
    if (!folder) return nullptr;
    if (audit_) audit_->run_begins(open);
    const msg::Open what = launch_.forced_command ? force_command(open, launch_) : open;
    auto run =
        std::make_shared<KeptRun>(loop_, what, launch_, std::move(folder), retention_.stream);
    living_.emplace(open.run, run);
    return run;
}

std::shared_ptr<KeptJob> Registry::begin_shell(const msg::Open& open, std::uint64_t generation) {
    KeptRunInfo info = info_of(open.shell_name);
    info.is_shell = true;
    info.generation = generation;
    auto folder = claim(info);
    if (!folder) return nullptr;
    try {
        auto shell =
            std::make_shared<KeptShell>(loop_, open, launch_, std::move(folder), generation);
        living_.emplace(open.shell_name, shell);
        return shell;
    } catch (...) {
        store().forget(open.shell_name);
        throw;
    }
}

void Registry::be_found() {
    if (handoff_point_) return;
    name_ = new_name();
    handoff_point_ = std::make_unique<HandoffPoint>(
        loop_, name_,
        [this](const Handoff& arrived) {
            const bool may_come = !arrived.bound_key || arrived.bound_key == launch_.bound_key;
            return may_come && !is_ending_;
        },
        on_arrival_);
}

std::vector<Store> Registry::stores_of_bound_keys() const {
    std::vector<Store> stores;
    if (launch_.bound_key) return stores;
    const std::string keys = folder_of_bound_keys(folder_);
    const Fd folder = open_in(AT_FDCWD, keys, O_RDONLY | O_DIRECTORY);
    if (!folder.is_open()) return stores;
    for_each_name(folder.get(), [&](const std::string& name, unsigned char) {
        if (name.size() == kBoundKeyName) stores.emplace_back(kept_folder_of(folder_, name));
    });
    return stores;
}

std::vector<Store::Found> Registry::matches(const std::string& beginning) {
    std::vector<Store::Found> found;
    const auto collect = [&](const Store& from) {
        const auto resolved = from.resolve(beginning);
        std::vector<std::string> names;
        if (const auto* const one = std::get_if<std::string>(&resolved)) names = {*one};
        if (const auto* const all = std::get_if<Store::Ambiguous>(&resolved)) names = all->runs;
        for (const std::string& name : names) {
            if (auto run = from.find(name)) found.push_back(std::move(*run));
        }
    };
    const auto is_exact = [&](const Store::Found& run) { return run.info.run == beginning; };
    collect(store());
    if (std::any_of(found.begin(), found.end(), is_exact)) return found;
    for (const Store& bound : stores_of_bound_keys())
        collect(bound);
    if (std::none_of(found.begin(), found.end(), is_exact)) return found;
    const auto is_later = [&](const Store::Found& one, const Store::Found& other) {
        const auto rank = [&](const Store::Found& run) {
            return std::tuple(is_exact(run), run.is_running, run.info.started_at);
        };
        return rank(one) < rank(other);
    };
    return {*std::max_element(found.begin(), found.end(), is_later)};
}

Registry::Answer Registry::find(const std::string& beginning) {
    if (const auto run = living(beginning)) return run;
    std::vector<Store::Found> found = matches(beginning);
    if (found.empty()) return unknown(beginning);
    if (found.size() == 1) {
        const auto here = found[0].info.session == name_ ? living(found[0].info.run) : nullptr;
        return here ? Answer(here) : answer(std::move(found[0]));
    }
    std::string names;
    for (const Store::Found& run : found)
        names += (names.empty() ? "" : ", ") + run.info.run;
    return Refusal{"ambiguous", "several runs begin with " + beginning + ": " + names};
}

std::vector<msg::Kept> Registry::list() {
    std::vector<msg::Kept> entries;
    const auto add = [&](const Store& from) {
        for (const Store::Found& found : from.list())
            entries.push_back(entry_of(found));
    };
    add(store());
    for (const Store& bound : stores_of_bound_keys())
        add(bound);
    // Stable: runs of the same second stay in the order of their store.
    std::stable_sort(entries.begin(), entries.end(), [](const msg::Kept& a, const msg::Kept& b) {
        return a.started_at < b.started_at;
    });
    return entries;
}

std::variant<std::string, Registry::Refusal> Registry::forget(const std::string& beginning) {
    const Answer answer = find(beginning);
    if (const auto* const refusal = std::get_if<Refusal>(&answer)) return *refusal;
    const auto* const found = std::get_if<Store::Found>(&answer);
    if (found == nullptr) return Refusal{"in_use", "run " + beginning + " has not ended"};
    try {
        Store(parent_of(found->path)).forget(found->info.run);
    } catch (const SysError& error) {
        return Refusal{"failed", error.what()};
    }
    return found->info.run;
}

void Registry::sweep_once() {
    if (sweep_ != Sweep::Due) return;
    sweep_ = store().is_large() ? Sweep::PutOff : Sweep::Done;
    if (sweep_ == Sweep::Done) sweep();
}

void Registry::sweep() {
    try {
        store().sweep(retention_.age, retention_.total);
        for (Store& bound : stores_of_bound_keys())
            bound.sweep(retention_.age, retention_.total);
    } catch (const std::exception& error) {
        log::error(std::string("what is kept could not be tidied: ") + error.what());
    }
}

bool Registry::child_exited(const ExitStatus& status) {
    for (const auto& [id, run] : living_) {
        if (!run->awaits(status.pid)) continue;
        run->exited(status);
        return true;
    }
    return false;
}

void Registry::end_all() {
    is_ending_ = true;
    for (const auto& [id, run] : living_)
        run->end_all(Termination::First::HangUp, EventLoop::Clock::now());
}

void Registry::write_down() {
    std::erase_if(living_, [this](const auto& entry) {
        KeptJob& kept = *entry.second;
        kept.write_down();
        if (!kept.end()) return false;
        if (audit_) audit_->run_ended(*kept.end());
        return true;
    });
}

void Registry::tick(Time now) {
    for (const auto& [id, run] : living_)
        run->tick(now);
    if (handoff_point_) handoff_point_->tick(now);
}

EventLoop::Time Registry::next_deadline() const {
    Time next = handoff_point_ ? handoff_point_->next_deadline() : EventLoop::kNever;
    for (const auto& [id, run] : living_)
        next = std::min(next, run->next_deadline());
    return next;
}

}  // namespace frsh
