// Registry knows the kept jobs of a user: those that live in this session, and, on disk, those of
// other sessions and those that have ended.
#pragma once

#include "server/audit.hpp"
#include "server/handoff.hpp"
#include "server/kept/kept_run.hpp"
#include "server/kept/kept_shell.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace frsh {

// The limits of kept runs on disk.
struct Retention {
    std::chrono::seconds age = std::chrono::hours(7 * 24);        // From the end to the removal.
    std::uint64_t total = std::uint64_t{4} * 1024 * 1024 * 1024;  // Bytes of all ended runs.
    std::uint64_t stream = std::uint64_t{256} * 1024 * 1024;      // Bytes of each stream of a run.
};

// Returns the folder of the kept runs of a login. `own` is that of the user. A key that is bound to
// a command has a folder of its own beside it: neither the user's runs nor those of another bound
// key are in its reach. The user reaches all of them.
[[nodiscard]] std::string kept_folder_of(const std::string& own,
                                         const std::optional<std::string>& bound_key);

class Registry {
  public:
    using Time = EventLoop::Time;

    struct Elsewhere {
        std::string session;  // The name of the session where the job lives; see handoff.hpp.
    };
    struct Refusal {
        std::string reason;
        std::string message;
    };
    // The shell of that name has died, and no client has got a report of it before.
    struct DeadShell {
        std::uint64_t generation;
        std::string how;  // How it ended, for a message.
    };
    using Answer =
        std::variant<std::shared_ptr<KeptJob>, Store::Found, Elsewhere, Refusal, DeadShell>;

    // `launch` is lent. `audit` may be null. `folder` holds the kept runs; see kept_folder_of().
    // `on_arrival` is called when another session hands over a client that asks for a job of this
    // process.
    Registry(EventLoop& loop, const LaunchContext& launch, std::shared_ptr<Audit> audit,
             std::string folder, Retention retention, HandoffPoint::OnArrival on_arrival);
    // Sweeps the store if the sweep was put off.
    ~Registry();
    Registry(const Registry&) = delete;
    Registry& operator=(const Registry&) = delete;

    // Returns the run of that id, and starts it if there is none. A job in the answer is a KeptRun.
    // Throws SysError or UserError if the store cannot be used.
    Answer open(const msg::Open& open);
    // Returns the shell of that name, and starts it if none lives. A job in the answer is a
    // KeptShell. If the last shell of that name died by itself, the first request after that gets
    // DeadShell, because the state that the client may rely on is lost. Throws as open().
    Answer shell(const msg::Open& open);
    // Returns the job with this id, or the only one whose id begins so. If several bound keys have
    // a run of this id, returns the user's own, else one that runs, else the latest. Throws as
    // open().
    Answer find(const std::string& beginning);
    [[nodiscard]] std::vector<msg::Kept> list();
    // Removes an ended run from the store. Returns its whole id, or why it was not removed.
    std::variant<std::string, Refusal> forget(const std::string& beginning);

    // Returns true if the child belongs to a job that lives here.
    bool child_exited(const ExitStatus& status);
    // Ends all jobs that live here.
    void end_all();
    // Writes the output of all jobs that has arrived to their journals.
    void write_down();
    void tick(Time now);
    [[nodiscard]] Time next_deadline() const;
    [[nodiscard]] bool lives(const std::string& id) const { return living_.contains(id); }
    // Returns true if the job lives here or is in the store. Throws as find().
    [[nodiscard]] bool knows(const std::string& id) { return lives(id) || store().find(id); }
    // Returns true if other sessions can hand clients over to this one.
    [[nodiscard]] bool can_be_found() const { return handoff_point_ != nullptr; }
    // Returns true if no job lives here.
    [[nodiscard]] bool is_idle() const { return living_.empty(); }

  private:
    enum class Sweep { Due, PutOff, Done };

    Store& store();
    void be_found();
    // Returns null if another session claimed the id first.
    std::shared_ptr<KeptJob> begin(const msg::Open& open);
    std::shared_ptr<KeptJob> begin_shell(const msg::Open& open, std::uint64_t generation);
    std::unique_ptr<RunFolder> claim(const KeptRunInfo& info);
    // Returns the stores of the user's bound keys; none for a bound key itself.
    [[nodiscard]] std::vector<Store> stores_of_bound_keys() const;
    // Returns the runs in the reach of this client whose ids begin so; with this very id, one.
    [[nodiscard]] std::vector<Store::Found> matches(const std::string& beginning);
    [[nodiscard]] KeptRunInfo info_of(const std::string& id);
    [[nodiscard]] bool is_ours(const KeptRunInfo& info) const;
    [[nodiscard]] Answer answer(Store::Found found) const;
    [[nodiscard]] std::shared_ptr<KeptJob> living(const std::string& run) const;
    // Sweeps before the first claim. A sweep of a large store is put off until the session ends, so
    // that no client waits for it.
    void sweep_once();
    void sweep();

    EventLoop& loop_;
    const LaunchContext& launch_;
    std::shared_ptr<Audit> audit_;
    Retention retention_;
    HandoffPoint::OnArrival on_arrival_;
    std::string folder_;
    std::optional<Store> store_;  // Opened at the first request for it.
    std::map<std::string, std::shared_ptr<KeptJob>> living_;
    std::string name_;  // The name of this session's HandoffPoint, once a job lives here.
    std::unique_ptr<HandoffPoint> handoff_point_;
    Sweep sweep_ = Sweep::Due;
    bool is_ending_ = false;
};

}  // namespace frsh
