#include "server/kept/store.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/sys/user.hpp"
#include "server/kept/store_files.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <memory>
#include <string_view>
#include <utility>

#include <dirent.h>
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
// A file whose modification time is the time at which the next sweep may begin.
constexpr const char* kNextSweep = ".next-sweep";
constexpr std::uint64_t kLongestSweepPause = 3600;  // Seconds.
// More entries than this make a store large.
constexpr std::size_t kLarge = 200;
// The age in seconds at which a claim without a lock is taken to be a dead process's.
constexpr std::uint64_t kClaimExpiry = 60;
// Disk space that is reserved for the end record, in bytes. Few end records are longer.
constexpr off_t kReservedForEnd = off_t{8} * 1024;
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

// Returns true if both are the same claim of a name. Another process may have removed a shell and
// begun the next one of that name since the first was inspected.
bool is_same_claim(const KeptRunInfo& one, const KeptRunInfo& other) {
    return one.session == other.session && one.generation == other.generation &&
           one.started_at == other.started_at;
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
Store::Removal Store::remove(int runs, const std::string& run, const KeptRunInfo* only) const {
    if (remove_unless_folder(runs, run)) return Removal::Done;
    make_readable(runs, run);
    const Fd folder = open_in(runs, run, O_RDONLY | O_DIRECTORY);
    if (!folder.is_open()) {
        if (errno == ENOENT) return Removal::NoSuchRun;
        throw SysError("open " + run);
    }
    if (!try_lock_folder(folder)) return Removal::Busy;
    struct stat info {};
    check(::fstat(folder.get(), &info), "stat of " + run);
    if (!has_inode(runs, run, info.st_ino)) return Removal::NoSuchRun;
    const auto inspection = inspect(runs, run);
    if (!inspection) return Removal::NoSuchRun;
    if (only != nullptr && !is_same_claim(*only, inspection->found.info)) {
        return Removal::NoSuchRun;
    }
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

// The start record and the mark are found through one descriptor of the folder. So the mark never
// gets into the folder of a later shell, whose own report would be lost by it.
bool Store::note_report(const KeptRunInfo& shell) {
    const Fd runs = open_folder();
    if (!runs.is_open()) return false;
    const Fd folder = open_in(runs.get(), shell.run, O_RDONLY | O_DIRECTORY);
    if (!folder.is_open()) return false;
    const Fd asked = open_in(folder.get(), "asked", O_RDONLY);
    if (!asked.is_open()) return false;
    const auto start = parse_start_record(read_whole(asked, kMaxStartRecord), shell.run);
    if (!start || !is_same_claim(start->info, shell)) return false;
    return open_in(folder.get(), "reported", O_WRONLY | O_CREAT | O_EXCL).is_open();
}

void Store::forget(const std::string& run) {
    forget(run, nullptr);
}

void Store::forget_shell(const KeptRunInfo& shell) {
    forget(shell.run, &shell);
}

void Store::forget(const std::string& run, const KeptRunInfo* only) {
    const Fd runs = open_folder();
    if (!runs.is_open() || !is_run_id(run)) throw SysError("forget a run", ENOENT);
    const Removal removal = remove(runs.get(), run, only);
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

bool Store::is_large() const {
    const Fd runs = open_folder();
    if (!runs.is_open()) return false;
    std::size_t count = 0;
    const std::unique_ptr<DIR, int (*)(DIR*)> entries(
        ::fdopendir(check(::openat(runs.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), folder_)),
        &::closedir);
    while (count <= kLarge && ::readdir(entries.get()) != nullptr)
        ++count;
    return count > kLarge;
}

// Returns false if a sweep may not begin yet. The file's time is when the next sweep may begin.
bool Store::is_sweep_due(int runs) {
    struct stat info {};
    if (::fstatat(runs, kNextSweep, &info, AT_SYMLINK_NOFOLLOW) == -1) return true;
    const std::uint64_t now = now_in_seconds();
    const auto next = static_cast<std::uint64_t>(info.st_mtime);
    // If the time is far in the future, the clock was wrong when the file was written.
    return next <= now || next > now + kLongestSweepPause;
}

// Sweeps of a large store take at most a twentieth of the time.
void Store::plan_next_sweep(int runs, std::chrono::steady_clock::duration took) {
    const auto pause = std::chrono::duration_cast<std::chrono::seconds>(20 * took);
    if (pause.count() == 0) return;
    const Fd file = open_in(runs, kNextSweep, O_WRONLY | O_CREAT);
    const auto seconds =
        std::min<std::uint64_t>(static_cast<std::uint64_t>(pause.count()), kLongestSweepPause);
    const timespec next{static_cast<std::time_t>(now_in_seconds() + seconds), 0};
    const std::array<timespec, 2> times = {next, next};
    if (file.is_open()) (void)::futimens(file.get(), times.data());
}

void Store::try_remove(int runs, const std::string& run) const {
    try {
        (void)remove(runs, run);
    } catch (const SysError& error) {
        log::error("run " + run + " cannot be removed: " + error.what());
    }
}

void Store::sweep(std::chrono::seconds age, std::uint64_t size) {
    const Fd runs = open_folder();
    if (!runs.is_open() || !is_sweep_due(runs.get()) || !try_lock_folder(runs)) return;
    const auto begin = std::chrono::steady_clock::now();
    remove_remains(runs.get());

    const std::uint64_t now = now_in_seconds();
    const auto longest = static_cast<std::uint64_t>(std::max<std::int64_t>(age.count(), 0));
    std::vector<Inspection> all = inspect_all(runs.get());
    std::erase_if(all, [](const Inspection& one) { return one.found.form == Form::Foreign; });
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
            try_remove(runs.get(), run);
            continue;
        }
        const std::uint64_t bytes = disk_usage(runs.get(), run);
        total += bytes;
        if (!one.found.is_running) removable.emplace_back(run, bytes);
    }
    for (const auto& [run, bytes] : removable) {
        if (total <= size) break;
        try_remove(runs.get(), run);
        total -= bytes;
    }
    plan_next_sweep(runs.get(), std::chrono::steady_clock::now() - begin);
}

}  // namespace frsh
