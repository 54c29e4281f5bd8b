#include "server/kept/store.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/sys/user.hpp"
#include "server/kept/store_files.hpp"

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

namespace frsh {
namespace {

// Folders that are not runs, since no run id begins with a dot.
constexpr std::string_view kForgottenPrefix = ".forgotten-";
constexpr std::string_view kClaimPrefix = ".claim-";
// The age in seconds at which a claim without a lock is taken to be a dead process's.
constexpr std::uint64_t kClaimExpiry = 60;
// Disk space that is reserved for the end record, in bytes. Few end records are longer.
constexpr off_t kReservedForEnd = off_t{8} * 1024;
// The bytes of arguments of each run in a list.
constexpr std::size_t kListedArgs = 4096;
// The most ids that are named when a beginning is ambiguous.
constexpr std::size_t kMaxAmbiguous = 8;

std::string read_boot_id() {
    try {
        std::string id = read_file("/proc/sys/kernel/random/boot_id", 64);
        id.erase(std::min(id.find('\n'), id.size()));
        return id;
    } catch (const SysError&) {
        return {};
    }
}

MachineBoot this_machine() {
    utsname names{};
    check(::uname(&names), "uname");
    return {names.nodename, read_boot_id()};
}

// Returns a name that no other claim has, also on another machine that shares the folder.
std::string new_claim_name() {
    std::uint64_t number = 0;
    check(::getrandom(&number, sizeof number, 0), "getrandom");
    return std::string(kClaimPrefix) + std::to_string(number);
}

// Syncs the journals. Ignores errors: a reader finds missing bytes by the counts and checksums of
// the end record.
void sync_journals(const Fd& folder) {
    for_each_name(folder.get(), [&](const std::string& name, unsigned char) {
        if (!name.starts_with("stdout-") && !name.starts_with("stderr-")) return;
        const Fd file = open_in(folder.get(), name, O_RDONLY);
        if (file.is_open()) (void)::fdatasync(file.get());
    });
}

// Writes the start record and reserves space for the end record. Returns the locked start record.
Fd fill_claim(const std::string& path, const KeptRunInfo& info, const MachineBoot& machine) {
    Fd asked = open_path(path + "/asked", O_RDWR | O_CREAT | O_EXCL);
    lock_whole(asked, path + "/asked");
    write_all(asked.get(), encode_start_record(info, machine));
    sync(asked, path + "/asked");
    const Fd end = open_path(path + "/end.new", O_WRONLY | O_CREAT | O_EXCL);
    const bool failed = ::fallocate(end.get(), 0, 0, kReservedForEnd) == -1;
    if (failed && (errno == ENOSPC || errno == EDQUOT)) {
        throw SysError("write " + path + "/end.new");
    }
    sync_folder(path);
    return asked;
}

void shorten_args(std::vector<std::string>& args) {
    std::size_t room = kListedArgs;
    for (std::string& arg : args) {
        if (arg.size() > room) arg = arg.substr(0, room);
        room -= arg.size();
    }
}

}  // namespace

void RunFolder::end(const msg::End& end) {
    msg::End kept = end;
    kept.channel = 0;
    kept.run = path_.substr(path_.rfind('/') + 1);
    const std::string record = encode_end_record(kept);

    const Fd folder = open_path(path_, O_RDONLY | O_DIRECTORY);
    sync_journals(folder);
    // Overwrites the space that the claim reserved.
    const std::string beside = path_ + "/end.new";
    const Fd file = open_path(beside, O_WRONLY | O_CREAT);
    write_all(file.get(), record);
    check(::ftruncate(file.get(), static_cast<off_t>(record.size())), "truncate " + beside);
    sync(file, beside);
    check(::rename(beside.c_str(), (path_ + "/end").c_str()), "rename " + beside);
    sync(folder, path_);
}

Store::Store(std::string folder) : folder_(std::move(folder)), machine_(this_machine()) {}

void Store::make_folder() const {
    for (std::size_t at = folder_.find('/', 1);; at = folder_.find('/', at + 1)) {
        const std::string folder = folder_.substr(0, at);
        if (::mkdir(folder.c_str(), 0700) == 0) {
            sync_folder(parent_of(folder));
        } else if (errno != EEXIST) {
            throw SysError("mkdir " + folder);
        }
        if (at == std::string::npos) return;
    }
}

// Returns a closed Fd if there is no folder.
Fd Store::open_folder() const {
    check_parent(parent_of(folder_));
    if (!check_private_folder(folder_)) return {};
    return open_path(folder_, O_RDONLY | O_DIRECTORY);
}

std::unique_ptr<RunFolder> Store::claim(const KeptRunInfo& info) {
    must(is_run_id(info.run), "a claim is for a run id");
    make_folder();
    const Fd runs = open_folder();
    struct stat existing {};
    if (::fstatat(runs.get(), info.run.c_str(), &existing, AT_SYMLINK_NOFOLLOW) == 0) {
        return nullptr;
    }
    // Removes the folder again unless the claim succeeds.
    struct Claim {
        int runs;
        std::string name = new_claim_name();
        bool is_done = false;
        ~Claim() {
            if (!is_done) remove_folder(runs, name);
        }
    } claim{runs.get()};
    check(::mkdirat(runs.get(), claim.name.c_str(), 0700), "mkdir " + folder_ + "/" + claim.name);
    Fd asked = fill_claim(folder_ + "/" + claim.name, info, machine_);
    claim.is_done = rename_to_free_name(runs.get(), claim.name, info.run);
    if (!claim.is_done) return nullptr;
    sync(runs, folder_);
    return std::unique_ptr<RunFolder>(new RunFolder(folder_ + "/" + info.run, std::move(asked)));
}

std::optional<Store::Inspection> Store::inspect(int runs, const std::string& run) const {
    struct stat info {};
    if (::fstatat(runs, run.c_str(), &info, AT_SYMLINK_NOFOLLOW) == -1) return std::nullopt;
    if (!S_ISDIR(info.st_mode) || info.st_uid != ::geteuid()) return std::nullopt;
    const Fd asked = open_in(runs, run + "/asked", O_RDONLY);
    if (asked.is_open()) return inspect_started(runs, run, asked);
    if (is_out_of_resources(errno)) throw SysError("open " + run);
    if (errno != ENOENT) return std::nullopt;
    return inspect_unfinished_claim(runs, run, static_cast<std::uint64_t>(info.st_mtime));
}

// A folder without a start record: an earlier version of this program claimed an id by mkdir(2) and
// wrote "asked.new" afterwards.
std::optional<Store::Inspection> Store::inspect_unfinished_claim(int runs, const std::string& run,
                                                                 std::uint64_t made_at) const {
    Inspection inspection{{{}, folder_ + "/" + run, false, {}, {}, {}}, made_at};
    Found& found = inspection.found;
    found.info.run = run;
    found.info.started_at = made_at;
    const Fd unfinished = open_in(runs, run + "/asked.new", O_RDONLY);
    found.is_running = unfinished.is_open() && is_locked(unfinished);
    if (!found.is_running) {
        found.why_lost = "its session died before it had begun it";
    } else if (const auto start =
                   parse_start_record(read_whole(unfinished, kMaxStartRecord), run)) {
        found.info = start->info;
    }
    return inspection;
}

std::optional<Store::Inspection> Store::inspect_started(int runs, const std::string& run,
                                                        const Fd& asked) const {
    struct stat info {};
    check(::fstat(asked.get(), &info), "stat of " + run);
    if (!S_ISREG(info.st_mode) || info.st_uid != ::geteuid()) return std::nullopt;
    const auto asked_at = static_cast<std::uint64_t>(info.st_mtime);
    Inspection inspection{{{}, folder_ + "/" + run, false, {}, {}, {}}, asked_at};
    Found& found = inspection.found;
    const auto start = parse_start_record(read_whole(asked, kMaxStartRecord), run);
    if (start) {
        found.info = start->info;
    } else {
        found.info.run = run;
        found.info.started_at = asked_at;
    }

    // The end record is looked for again after the lock was found free: the run may have ended in
    // between.
    bool is_free = false;
    for (;;) {
        if (const Fd end = open_in(runs, run + "/end", O_RDONLY); end.is_open()) {
            if (auto ended = parse_end_record(read_whole(end, kMaxEndRecord), run)) {
                found.end = std::move(ended->end);
                found.ended_at = inspection.over_at = ended->at;
            } else {
                found.why_lost = "the record of its end is damaged";
            }
            return inspection;
        }
        if (is_out_of_resources(errno)) throw SysError("open " + run);
        if (is_free) break;
        if (is_locked(asked)) {
            found.is_running = true;
            return inspection;
        }
        is_free = true;
    }
    // Another process may have removed the run meanwhile, with its end record.
    if (!has_inode(runs, run + "/asked", info.st_ino)) return std::nullopt;
    found.why_lost = explain_loss(start);
    return inspection;
}

std::string Store::explain_loss(const std::optional<StartRecord>& start) const {
    if (!start) return "what was kept of it is damaged, and it has no end";
    if (start->machine.boot_id == machine_.boot_id) return "its session died before it ended";
    if (start->machine.host == machine_.host) return "the machine was restarted while it ran";
    return "it ran on " + escape_controls(start->machine.host) + ", which is not this machine";
}

std::vector<Store::Inspection> Store::inspect_all(int runs) const {
    std::vector<Inspection> all;
    for (const std::string& name : names_of_runs(runs)) {
        auto one = inspect(runs, name);
        if (!one) continue;
        shorten_args(one->found.info.args);
        all.push_back(std::move(*one));
    }
    return all;
}

std::optional<Store::Found> Store::find(const std::string& run) const {
    const Fd runs = open_folder();
    if (!runs.is_open() || !is_run_id(run)) return std::nullopt;
    auto inspection = inspect(runs.get(), run);
    if (!inspection) return std::nullopt;
    return std::move(inspection->found);
}

std::variant<std::monostate, std::string, Store::Ambiguous> Store::resolve(
    const std::string& beginning) const {
    const Fd runs = open_folder();
    if (!runs.is_open() || !is_run_id(beginning)) return std::monostate();
    Ambiguous found;
    for (const std::string& name : names_of_runs(runs.get())) {
        if (!name.starts_with(beginning)) continue;
        struct stat info {};
        if (::fstatat(runs.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == -1) continue;
        if (!S_ISDIR(info.st_mode)) continue;
        if (name == beginning) return name;
        found.runs.push_back(name);
        if (found.runs.size() == kMaxAmbiguous) break;
    }
    if (found.runs.empty()) return std::monostate();
    if (found.runs.size() == 1) return found.runs.front();
    return found;
}

std::vector<Store::Found> Store::list() const {
    const Fd runs = open_folder();
    if (!runs.is_open()) return {};
    std::vector<Found> all;
    for (Inspection& inspection : inspect_all(runs.get()))
        all.push_back(std::move(inspection.found));
    // Stable: runs of the same second stay in order of name.
    std::stable_sort(all.begin(), all.end(), [](const Found& a, const Found& b) {
        return a.info.started_at < b.info.started_at;
    });
    return all;
}

Offset Store::produced(const std::string& path, StreamId stream) {
    return journal_reach(path, stream);
}

// The lock on the run's folder keeps other removals out. So the folder that was inspected is the
// one that is renamed, and never another process's new claim of the same id.
Store::Removal Store::remove(int runs, const std::string& run) const {
    const Fd folder = open_in(runs, run, O_RDONLY | O_DIRECTORY);
    if (!folder.is_open()) return Removal::NoSuchRun;
    if (!try_lock_folder(folder)) return Removal::Busy;
    struct stat info {};
    check(::fstat(folder.get(), &info), "stat of " + run);
    if (!has_inode(runs, run, info.st_ino)) return Removal::NoSuchRun;
    const auto inspection = inspect(runs, run);
    if (!inspection) return Removal::NoSuchRun;
    if (inspection->found.is_running) return Removal::Busy;

    std::string forgotten(kForgottenPrefix);
    forgotten.append(run).append("-").append(std::to_string(::getpid()));
    remove_folder(runs, forgotten);
    if (::renameat(runs, run.c_str(), runs, forgotten.c_str()) == -1) {
        if (errno == ENOENT) return Removal::NoSuchRun;
        throw SysError("forget " + run);
    }
    remove_folder(runs, forgotten);
    return Removal::Done;
}

void Store::forget(const std::string& run) {
    const Fd runs = open_folder();
    if (!runs.is_open() || !is_run_id(run)) throw SysError("forget a run", ENOENT);
    const Removal removal = remove(runs.get(), run);
    if (removal == Removal::Busy) throw SysError("forget " + run, EBUSY);
    if (removal == Removal::NoSuchRun) throw SysError("forget " + run, ENOENT);
}

// Returns when a sweep first found the run lost: the time of its file `lost`, which is made if it
// is missing. The time at which the session died is unknown.
std::uint64_t Store::lost_since(int runs, const std::string& run) {
    const std::string mark = run + "/lost";
    struct stat info {};
    if (::fstatat(runs, mark.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0) {
        return static_cast<std::uint64_t>(info.st_mtime);
    }
    (void)open_in(runs, mark, O_WRONLY | O_CREAT | O_EXCL);
    return now_in_seconds();
}

// Removes what processes left behind that died during a claim or a removal.
void Store::remove_remains(int runs) {
    for_each_name(runs, [&](const std::string& name, unsigned char) {
        if (name.starts_with(kForgottenPrefix)) remove_folder(runs, name);
        if (!name.starts_with(kClaimPrefix)) return;
        struct stat info {};
        if (::fstatat(runs, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == -1) return;
        const auto made_at = static_cast<std::uint64_t>(info.st_mtime);
        const Fd asked = open_in(runs, name + "/asked", O_RDONLY);
        const bool is_alive = asked.is_open() && is_locked(asked);
        if (!is_alive && now_in_seconds() > made_at + kClaimExpiry) remove_folder(runs, name);
    });
}

void Store::sweep(std::chrono::seconds age, std::uint64_t size) {
    const Fd runs = open_folder();
    if (!runs.is_open() || !try_lock_folder(runs)) return;
    remove_remains(runs.get());

    const std::uint64_t now = now_in_seconds();
    const auto longest = static_cast<std::uint64_t>(std::max<std::int64_t>(age.count(), 0));
    std::vector<Inspection> all = inspect_all(runs.get());
    for (Inspection& one : all) {
        if (one.found.is_running || one.found.end) continue;
        one.over_at = lost_since(runs.get(), one.found.info.run);
    }
    std::stable_sort(all.begin(), all.end(), [](const Inspection& a, const Inspection& b) {
        return a.over_at < b.over_at;
    });
    std::uint64_t total = 0;
    std::vector<std::pair<std::string, std::uint64_t>> removable;
    for (const Inspection& one : all) {
        const std::string& run = one.found.info.run;
        if (!one.found.is_running && one.over_at < now && now - one.over_at > longest) {
            (void)remove(runs.get(), run);
            continue;
        }
        const std::uint64_t bytes = disk_usage(runs.get(), run);
        total += bytes;
        if (!one.found.is_running) removable.emplace_back(run, bytes);
    }
    for (const auto& [run, bytes] : removable) {
        if (total <= size) return;
        (void)remove(runs.get(), run);
        total -= bytes;
    }
}

}  // namespace frsh
