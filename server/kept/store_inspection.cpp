// How the store finds out what a name in its folder is: a run that is running, has ended or is
// lost, a damaged one, or something else. An entry of an unexpected form is an answer and no
// failure.
#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "server/kept/store.hpp"
#include "server/kept/store_files.hpp"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace frsh {
namespace {

// The bytes of arguments of each run in a list.
constexpr std::size_t kListedArgs = 4096;

void shorten_args(std::vector<std::string>& args) {
    std::size_t room = kListedArgs;
    for (std::string& arg : args) {
        if (arg.size() > room) arg = arg.substr(0, room);
        room -= arg.size();
    }
}

std::string reason_of(int error) {
    return error == ELOOP ? "it is a symbolic link" : std::strerror(error);
}

}  // namespace

Store::Inspection Store::damaged(const std::string& run, Form form, std::uint64_t made_at,
                                 const std::string& why) const {
    Inspection inspection{{{}, folder_ + "/" + run, form, false, {}, {}, why, false}, made_at};
    inspection.found.info.run = run;
    inspection.found.info.started_at = made_at;
    return inspection;
}

// Returns nothing only if the name is free.
std::optional<Store::Inspection> Store::inspect(int runs, const std::string& run) const {
    struct stat info {};
    if (::fstatat(runs, run.c_str(), &info, AT_SYMLINK_NOFOLLOW) == -1) return std::nullopt;
    const auto made_at = static_cast<std::uint64_t>(info.st_mtime);
    if (!S_ISDIR(info.st_mode)) return damaged(run, Form::Foreign, made_at, "it is not a folder");
    if (info.st_uid != ::geteuid()) {
        return damaged(run, Form::Foreign, made_at, "it belongs to another user");
    }
    const Fd asked = open_in(runs, run + "/asked", O_RDONLY);
    if (!asked.is_open()) {
        const int error = errno;
        if (is_out_of_resources(error)) throw SysError("open " + run, error);
        if (error == ENOENT) return inspect_unfinished_claim(runs, run, made_at);
        return damaged(run, Form::Damaged, made_at, "asked: " + reason_of(error));
    }
    try {
        return inspect_started(runs, run, asked);
    } catch (const SysError& error) {
        if (is_out_of_resources(error.code().value())) throw;
        return damaged(run, Form::Damaged, made_at, std::string("asked: ") + error.what());
    }
}

// Inspects a folder without a start record. An earlier version of this program made the folder
// first and wrote "asked.new" after that, so such a claim may be unfinished.
std::optional<Store::Inspection> Store::inspect_unfinished_claim(int runs, const std::string& run,
                                                                 std::uint64_t made_at) const {
    Inspection inspection = damaged(run, Form::Damaged, made_at, "");
    Found& found = inspection.found;
    const Fd unfinished = open_in(runs, run + "/asked.new", O_RDONLY);
    found.is_running = unfinished.is_open() && is_locked(unfinished);
    if (!found.is_running) {
        found.why_lost = "its session died before it had begun it";
    } else if (const auto start =
                   parse_start_record(read_whole(unfinished, kMaxStartRecord), run)) {
        found.info = start->info;
        found.form = Form::Kept;
    }
    return inspection;
}

// Takes the end record into the inspection. Returns false if there is none.
bool Store::take_end(int runs, Inspection& inspection) const {
    Found& found = inspection.found;
    const std::string& run = found.info.run;
    const Fd end = open_in(runs, run + "/end", O_RDONLY);
    if (!end.is_open() && errno == ENOENT) return false;
    if (!end.is_open() && is_out_of_resources(errno)) throw SysError("open " + run);
    found.why_lost = "the record of its end is damaged";
    found.has_damaged_end = true;
    if (!end.is_open()) {
        found.why_lost += ": " + reason_of(errno);
        return true;
    }
    try {
        if (auto ended = parse_end_record(read_whole(end, kMaxEndRecord), run)) {
            found.end = std::move(ended->end);
            found.ended_at = inspection.over_at = ended->at;
            found.why_lost.clear();
            found.has_damaged_end = false;
        }
    } catch (const SysError& error) {
        if (is_out_of_resources(error.code().value())) throw;
        found.why_lost += std::string(": ") + error.what();
    }
    return true;
}

std::optional<Store::Inspection> Store::inspect_started(int runs, const std::string& run,
                                                        const Fd& asked) const {
    struct stat info {};
    check(::fstat(asked.get(), &info), "stat of " + run);
    const auto asked_at = static_cast<std::uint64_t>(info.st_mtime);
    if (!S_ISREG(info.st_mode) || info.st_uid != ::geteuid()) {
        return damaged(run, Form::Damaged, asked_at, "asked: it is not a file of this user");
    }
    Inspection inspection = damaged(run, Form::Damaged, asked_at, "");
    Found& found = inspection.found;
    const auto start = parse_start_record(read_whole(asked, kMaxStartRecord), run);
    if (start) {
        found.info = start->info;
        found.form = Form::Kept;
    }
    // The end record is looked for again after the lock was found free: the run may have ended in
    // between.
    if (take_end(runs, inspection)) return inspection;
    found.is_running = is_locked(asked);
    if (found.is_running || take_end(runs, inspection)) return inspection;
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

}  // namespace frsh
