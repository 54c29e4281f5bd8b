#include "server/kept/store.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/proto/fields.hpp"
#include "common/sys/user.hpp"

#include <algorithm>
#include <array>
#include <thread>

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

namespace frsh {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view kForgotten = ".forgotten-";
// The longest of each file, in bytes: more than any command that a link lets through.
constexpr std::size_t kMaxAsked = std::size_t{64} * 1024 * 1024;
constexpr std::size_t kMaxEnd = std::size_t{2} * 1024 * 1024;
constexpr std::size_t kMaxArgs = std::size_t{4} * 1024 * 1024;
// What is taken beforehand for the record of the end, in bytes; few are longer.
constexpr off_t kRoomForEnd = off_t{8} * 1024;
constexpr std::size_t kListedArgs = 4096;
constexpr std::size_t kFewRuns = 8;
// How long somebody who has made a folder may take until he has locked what he writes there.
constexpr milliseconds kPatience{1000};
constexpr milliseconds kPollPause{5};

std::uint64_t now_in_seconds() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::seconds>(now).count());
}

std::string read_boot_id() {
    try {
        std::string id = read_file("/proc/sys/kernel/random/boot_id", 64);
        id.erase(std::min(id.find('\n'), id.size()));
        return id;
    } catch (const SysError&) {
        return {};  // No /proc: one boot is as good as another.
    }
}

// --- files ---------------------------------------------------------------------------------------

// Nothing of what lies there is waited for, or followed to where it leads.
Fd open_in(int folder, const std::string& path, int flags) {
    return Fd(::openat(folder, path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY,
                       0600));
}

Fd open_path(const std::string& path, int flags) {
    Fd file = open_in(AT_FDCWD, path, flags);
    check(file.get(), "open " + path);
    return file;
}

// Of a file that could not be opened: that says nothing about the file.
bool is_our_fault(int error) {
    return error == EMFILE || error == ENFILE || error == ENOMEM;
}

void sync(const Fd& file, const std::string& path) {
    // Not every file system has this for folders (fsync(2)).
    if (::fsync(file.get()) == -1 && errno != EINVAL && errno != EROFS) {
        throw SysError("sync " + path);
    }
}

void sync_folder(const std::string& path) {
    sync(open_path(path, O_RDONLY | O_DIRECTORY), path);
}

std::string parent_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

template <typename Use>
void for_each_name(int folder, const Use& use) {
    const int again = ::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const std::unique_ptr<DIR, int (*)(DIR*)> entries(::fdopendir(check(again, "open of a folder")),
                                                      &::closedir);
    while (const dirent* const entry = ::readdir(entries.get()))
        use(std::string(entry->d_name), entry->d_type);
}

std::vector<std::string> names_of_runs(int runs) {
    std::vector<std::string> names;
    for_each_name(runs, [&](const std::string& name, unsigned char type) {
        const bool may_be_folder = type == DT_DIR || type == DT_UNKNOWN;
        if (may_be_folder && is_run_id(name)) names.push_back(name);
    });
    std::sort(names.begin(), names.end());
    return names;
}

// Nothing where it is longer than that.
std::optional<std::string> read_whole(const Fd& file, std::size_t limit) {
    std::string content;
    char buffer[4096];
    for (;;) {
        const IoResult got = read_some(file.get(), buffer, sizeof buffer);
        if (got.status != IoResult::Status::Done) return content;
        content.append(buffer, got.bytes);
        if (content.size() > limit) return std::nullopt;
    }
}

// An open file description lock (fcntl(2)) goes with the process that has it, however that ends,
// and can be asked for without being taken: whoever looks is in nobody's way.
struct flock whole_file_lock() {
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    return lock;
}

void lock_whole(const Fd& file, const std::string& path) {
    struct flock lock = whole_file_lock();
    check(::fcntl(file.get(), F_OFD_SETLK, &lock), "lock " + path);
}

bool is_locked(const Fd& file) {
    struct flock lock = whole_file_lock();
    check(::fcntl(file.get(), F_OFD_GETLK, &lock), "look for a lock");
    return lock.l_type != F_UNLCK;
}

std::uint64_t disk_usage(int runs, const std::string& run) {
    const Fd folder = open_in(runs, run, O_RDONLY | O_DIRECTORY);
    if (!folder.is_open()) return 0;
    std::uint64_t bytes = 0;
    for_each_name(folder.get(), [&](const std::string& name, unsigned char) {
        struct stat info {};
        if (::fstatat(folder.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0) {
            bytes += static_cast<std::uint64_t>(info.st_blocks) * 512;
        }
    });
    return bytes;
}

// One at a time: what was looked at is then what is removed, and not another's claim of the same id
// since.
bool lock_for_removal(const Fd& runs) {
    if (::flock(runs.get(), LOCK_EX | LOCK_NB) == 0) return true;
    if (errno == EWOULDBLOCK) return false;
    throw SysError("flock");
}

void remove_folder(int runs, const std::string& name) {
    {
        const Fd folder = open_in(runs, name, O_RDONLY | O_DIRECTORY);
        if (!folder.is_open()) return;
        for_each_name(folder.get(), [&](const std::string& file, unsigned char) {
            ::unlinkat(folder.get(), file.c_str(), 0);
        });
    }
    ::unlinkat(runs, name.c_str(), AT_REMOVEDIR);
}

// The folder that ours is in; what is above it is the user's own business.
void check_parent(const std::string& path) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) == -1) {
        if (errno == ENOENT || errno == ENOTDIR) return;
        throw SysError(path);
    }
    if (!S_ISDIR(info.st_mode)) throw UserError(path + ": not a folder");
    if (info.st_uid != ::geteuid()) throw UserError(path + ": owned by another user");
    if ((info.st_mode & 022) != 0) {
        throw UserError(path + ": writable by other users (chmod 700 it)");
    }
}

// --- what was asked for --------------------------------------------------------------------------

void add_args(Json::Object& members, const std::vector<std::string>& args) {
    const bool is_text =
        std::all_of(args.begin(), args.end(), [](const std::string& arg) { return is_utf8(arg); });
    Json::Array items;
    for (const std::string& arg : args)
        items.emplace_back(is_text ? arg : base64_encode(arg));
    members.emplace_back(is_text ? "args" : "args_b64", std::move(items));
}

std::string bytes_of(const Fields& fields, const std::string& text) {
    auto bytes = base64_decode(text);
    if (!bytes) fields.refuse("base64", "is none");
    return std::move(*bytes);
}

std::vector<std::string> args_of(const Fields& fields) {
    const bool is_text = fields.has("args");
    const std::string_view key = is_text ? "args" : "args_b64";
    std::vector<std::string> args;
    for (const Json& item : fields.array(key, kMaxArgs)) {
        if (item.string() == nullptr) fields.refuse(key, "has an item that is no string");
        args.push_back(is_text ? *item.string() : bytes_of(fields, *item.string()));
    }
    return args;
}

std::optional<std::string> forced_command_of(const Fields& fields) {
    if (fields.has("forced_command")) return fields.text("forced_command", kMaxAsked);
    if (!fields.has("forced_command_b64")) return std::nullopt;
    return bytes_of(fields, fields.text("forced_command_b64", kMaxAsked));
}

struct Asked {
    KeptRunInfo info;
    std::string host;
    std::string boot_id;
};

// Nothing for what nobody of us has written.
std::optional<Asked> parse_asked(const std::optional<std::string>& text, const std::string& run) {
    if (!text || !text->ends_with('\n')) return std::nullopt;
    try {
        const Json json = Json::parse(std::string_view(*text).substr(0, text->size() - 1));
        const Fields fields(json, "asked");
        Asked asked;
        asked.info.run = fields.text("run", 64);
        const auto mode = mode_named(fields.text("mode", 16));
        if (asked.info.run != run || !mode) return std::nullopt;
        asked.info.mode = *mode;
        asked.info.args = args_of(fields);
        asked.info.is_shell = fields.flag("shell");
        asked.info.started_at = fields.whole("started_at", UINT64_MAX);
        asked.info.session = fields.text("session", 64);
        asked.info.forced_command = forced_command_of(fields);
        asked.host = fields.text("host", 256);
        asked.boot_id = fields.text("boot_id", 64);
        return asked;
    } catch (const ProtocolError&) {
        return std::nullopt;
    }
}

// --- how it ended --------------------------------------------------------------------------------

std::string end_record(const msg::End& end) {
    std::string bytes;
    encode(bytes, end);
    FrameDecoder decoder;
    decoder.feed(bytes);
    Frame frame = *decoder.next();
    frame.header.object()->emplace_back("ended_at", now_in_seconds());
    std::string extended;
    append_frame(extended, frame.header.dump(), frame.payload);
    std::string record;
    append_record(record, extended);
    return record;
}

struct Ended {
    msg::End end;
    std::uint64_t at = 0;
};

std::optional<Ended> parse_end(const std::optional<std::string>& record, const std::string& run) {
    if (!record || record->size() < kRecordPrefix) return std::nullopt;
    const std::string_view bytes = std::string_view(*record).substr(kRecordPrefix);
    if (!is_intact(record_prefix(*record), bytes)) return std::nullopt;
    try {
        FrameDecoder frames;
        frames.feed(bytes);
        const auto frame = frames.next();
        if (!frame) return std::nullopt;
        Ended ended;
        ended.at = Fields(frame->header, "end").whole("ended_at", UINT64_MAX);
        MessageDecoder messages;
        messages.frames().feed(bytes);
        auto message = messages.next();
        auto* const end = message ? std::get_if<msg::End>(&*message) : nullptr;
        if (end == nullptr || end->run != run || messages.frames().buffered() > 0) {
            return std::nullopt;
        }
        ended.end = std::move(*end);
        return ended;
    } catch (const ProtocolError&) {
        return std::nullopt;
    }
}

// Best effort: where a disk fails here, a reader finds out by the counts and checksums of the end.
void sync_journals(const Fd& folder) {
    for_each_name(folder.get(), [&](const std::string& name, unsigned char) {
        if (!name.starts_with("stdout-") && !name.starts_with("stderr-")) return;
        const Fd file = open_in(folder.get(), name, O_RDONLY);
        if (file.is_open()) (void)::fdatasync(file.get());
    });
}

}  // namespace

void RunFolder::end(const msg::End& end) {
    msg::End kept = end;
    kept.channel = 0;
    kept.run = path_.substr(path_.rfind('/') + 1);
    const std::string record = end_record(kept);

    const Fd folder = open_path(path_, O_RDONLY | O_DIRECTORY);
    sync_journals(folder);
    // Over what was taken with the claim, so that it needs no room now.
    const std::string beside = path_ + "/end.new";
    const Fd file = open_path(beside, O_WRONLY | O_CREAT);
    write_all(file.get(), record);
    check(::ftruncate(file.get(), static_cast<off_t>(record.size())), "truncate " + beside);
    sync(file, beside);
    check(::rename(beside.c_str(), (path_ + "/end").c_str()), "rename " + beside);
    sync(folder, path_);
}

// --- the store -----------------------------------------------------------------------------------

Store::Store(std::string folder) : folder_(std::move(folder)), boot_id_(read_boot_id()) {
    utsname names{};
    check(::uname(&names), "uname");
    host_ = names.nodename;
}

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

// Not open where there is none.
Fd Store::open_folder() const {
    check_parent(parent_of(folder_));
    if (!check_private_folder(folder_)) return {};
    return open_path(folder_, O_RDONLY | O_DIRECTORY);
}

std::string Store::asked_text(const KeptRunInfo& info) const {
    Json::Object members{{"run", info.run},
                         {"mode", name_of(info.mode)},
                         {"started_at", info.started_at},
                         {"session", info.session},
                         {"pid", std::int64_t{::getpid()}},
                         {"host", host_},
                         {"boot_id", boot_id_}};
    if (info.is_shell) members.emplace_back("shell", true);
    if (info.forced_command) add_bytes(members, "forced_command", *info.forced_command);
    add_args(members, info.args);
    return Json(std::move(members)).dump() + "\n";
}

std::unique_ptr<RunFolder> Store::claim(const KeptRunInfo& info) {
    must(is_run_id(info.run), "a claim is for a run id");
    make_folder();
    const Fd runs = open_folder();
    if (::mkdirat(runs.get(), info.run.c_str(), 0700) == -1) {
        if (errno == EEXIST) return nullptr;
        throw SysError("mkdir " + folder_ + "/" + info.run);
    }
    // What could not be claimed to the end may be asked for again.
    struct Claim {
        int runs;
        const std::string& run;
        bool is_made = false;
        ~Claim() {
            if (!is_made) remove_folder(runs, run);
        }
    } claim{runs.get(), info.run};

    const std::string path = folder_ + "/" + info.run;
    const std::string beside = path + "/asked.new";
    Fd asked = open_path(beside, O_RDWR | O_CREAT | O_EXCL);
    lock_whole(asked, beside);
    write_all(asked.get(), asked_text(info));
    sync(asked, beside);
    const Fd end = open_path(path + "/end.new", O_WRONLY | O_CREAT | O_EXCL);
    if (::fallocate(end.get(), 0, 0, kRoomForEnd) == -1 && (errno == ENOSPC || errno == EDQUOT)) {
        throw SysError("write " + path + "/end.new");
    }
    check(::rename(beside.c_str(), (path + "/asked").c_str()), "rename " + beside);
    sync_folder(path);
    sync(runs, folder_);
    claim.is_made = true;
    return std::unique_ptr<RunFolder>(new RunFolder(path, std::move(asked)));
}

// What is found of a run, and when it was over at the latest; by the seconds since 1970.
struct Store::Look {
    Found found;
    std::uint64_t over_at = 0;
};

std::optional<Store::Look> Store::look(int runs, const std::string& run, Patience patience) const {
    for (bool is_last_look = false;;) {
        struct stat info {};
        if (::fstatat(runs, run.c_str(), &info, AT_SYMLINK_NOFOLLOW) == -1) return std::nullopt;
        if (!S_ISDIR(info.st_mode) || info.st_uid != ::geteuid()) return std::nullopt;
        const Fd asked = open_in(runs, run + "/asked", O_RDONLY);
        if (asked.is_open()) return look_closely(runs, run, asked);
        if (is_our_fault(errno)) throw SysError("open " + run);
        if (errno != ENOENT) return std::nullopt;

        // Being claimed. As soon as that is written and locked there is enough to tell.
        const Fd being_asked = open_in(runs, run + "/asked.new", O_RDONLY);
        const bool is_locked_now = being_asked.is_open() && is_locked(being_asked);
        if (is_locked_now) {
            if (const auto it = parse_asked(read_whole(being_asked, kMaxAsked), run)) {
                return Look{{it->info, folder_ + "/" + run, true, {}, {}, {}}, 0};
            }
        }
        const auto made_at = static_cast<std::uint64_t>(info.st_mtime);
        const bool is_old = !is_locked_now && now_in_seconds() > made_at + 2;
        if (is_last_look) {
            Look look{{{}, folder_ + "/" + run, is_locked_now, {}, {}, {}}, made_at};
            look.found.info.run = run;
            look.found.info.started_at = made_at;
            if (!is_locked_now) {
                look.found.why_lost = "its session died before it had begun it";
            }
            return look;
        }
        // What was renamed behind the first question is there when it is asked again.
        is_last_look = is_old || std::chrono::steady_clock::now() >= patience;
        if (!is_last_look) std::this_thread::sleep_for(kPollPause);
    }
}

std::optional<Store::Look> Store::look_closely(int runs, const std::string& run,
                                               const Fd& asked) const {
    struct stat info {};
    check(::fstat(asked.get(), &info), "stat of " + run);
    if (!S_ISREG(info.st_mode) || info.st_uid != ::geteuid()) return std::nullopt;
    const auto asked_at = static_cast<std::uint64_t>(info.st_mtime);
    Look look{{{}, folder_ + "/" + run, false, {}, {}, {}}, asked_at};
    Found& found = look.found;
    const auto parsed = parse_asked(read_whole(asked, kMaxAsked), run);
    if (parsed) {
        found.info = parsed->info;
    } else {
        found.info.run = run;
        found.info.started_at = asked_at;
    }

    // Once more behind the lock: it may have ended in between.
    bool is_free = false;
    for (;;) {
        if (const Fd end = open_in(runs, run + "/end", O_RDONLY); end.is_open()) {
            if (auto ended = parse_end(read_whole(end, kMaxEnd), run)) {
                found.end = std::move(ended->end);
                found.ended_at = look.over_at = ended->at;
            } else {
                found.why_lost = "the record of its end is damaged";
            }
            return look;
        }
        if (is_our_fault(errno)) throw SysError("open " + run);
        if (is_free) break;
        if (is_locked(asked)) {
            found.is_running = true;
            return look;
        }
        is_free = true;
    }
    // Not where somebody has it forgotten meanwhile, and its end with it.
    struct stat still {};
    if (::fstatat(runs, (run + "/asked").c_str(), &still, AT_SYMLINK_NOFOLLOW) == -1 ||
        still.st_ino != info.st_ino) {
        return std::nullopt;
    }
    if (!parsed) {
        found.why_lost = "what was kept of it is damaged, and it has no end";
    } else if (parsed->boot_id == boot_id_) {
        found.why_lost = "its session died before it ended";
    } else if (parsed->host == host_) {
        found.why_lost = "the machine was restarted while it ran";
    } else {
        found.why_lost =
            "it ran on " + escape_controls(parsed->host) + ", which is not this machine";
    }
    return look;
}

std::vector<Store::Look> Store::look_at_all(int runs) const {
    const Patience patience = std::chrono::steady_clock::now() + kPatience;
    std::vector<Look> looks;
    for (const std::string& name : names_of_runs(runs)) {
        auto one = look(runs, name, patience);
        if (!one) continue;
        // A listing is no place for long commands.
        std::size_t room = kListedArgs;
        for (std::string& arg : one->found.info.args) {
            if (arg.size() > room) arg = arg.substr(0, room);
            room -= arg.size();
        }
        looks.push_back(std::move(*one));
    }
    return looks;
}

std::optional<Store::Found> Store::find(const std::string& run) const {
    const Fd runs = open_folder();
    if (!runs.is_open() || !is_run_id(run)) return std::nullopt;
    auto found = look(runs.get(), run, std::chrono::steady_clock::now() + kPatience);
    if (!found) return std::nullopt;
    return std::move(found->found);
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
        if (found.runs.size() == kFewRuns) break;
    }
    if (found.runs.empty()) return std::monostate();
    if (found.runs.size() == 1) return found.runs.front();
    return found;
}

std::vector<Store::Found> Store::list() const {
    const Fd runs = open_folder();
    if (!runs.is_open()) return {};
    std::vector<Found> all;
    for (Look& look : look_at_all(runs.get()))
        all.push_back(std::move(look.found));
    // By name already.
    std::stable_sort(all.begin(), all.end(), [](const Found& a, const Found& b) {
        return a.info.started_at < b.info.started_at;
    });
    return all;
}

Offset Store::produced(const std::string& path, StreamId stream) {
    return journal_reach(path, stream);
}

// False where it is gone already.
bool Store::remove(int runs, const std::string& run) {
    std::string forgotten(kForgotten);
    forgotten.append(run).append("-").append(std::to_string(::getpid()));
    remove_folder(runs, forgotten);
    if (::renameat(runs, run.c_str(), runs, forgotten.c_str()) == -1) {
        if (errno == ENOENT) return false;
        throw SysError("forget " + run);
    }
    remove_folder(runs, forgotten);
    return true;
}

void Store::forget(const std::string& run) {
    const Fd runs = open_folder();
    const Patience patience = std::chrono::steady_clock::now() + kPatience;
    if (!runs.is_open() || !is_run_id(run)) throw SysError("forget a run", ENOENT);
    while (!lock_for_removal(runs)) {
        if (std::chrono::steady_clock::now() >= patience) throw SysError("forget " + run, EBUSY);
        std::this_thread::sleep_for(kPollPause);
    }
    const auto found = look(runs.get(), run, patience);
    if (found && found->found.is_running) throw SysError("forget " + run, EBUSY);
    if (!found || !remove(runs.get(), run)) throw SysError("forget " + run, ENOENT);
}

// Nobody knows when it died: since this was seen first, of which a file is left there.
std::uint64_t Store::lost_since(int runs, const Look& look) {
    const std::string mark = look.found.info.run + "/lost";
    struct stat info {};
    if (::fstatat(runs, mark.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0) {
        return static_cast<std::uint64_t>(info.st_mtime);
    }
    (void)open_in(runs, mark, O_WRONLY | O_CREAT | O_EXCL);
    return now_in_seconds();
}

void Store::sweep(std::chrono::seconds age, std::uint64_t size) {
    const Fd runs = open_folder();
    // Somebody else is at it.
    if (!runs.is_open() || !lock_for_removal(runs)) return;
    // Of somebody who died while he forgot.
    for_each_name(runs.get(), [&](const std::string& name, unsigned char) {
        if (name.starts_with(kForgotten)) remove_folder(runs.get(), name);
    });

    const std::uint64_t now = now_in_seconds();
    const auto longest = static_cast<std::uint64_t>(std::max<std::int64_t>(age.count(), 0));
    std::vector<Look> looks = look_at_all(runs.get());
    for (Look& look : looks) {
        if (!look.found.is_running && !look.found.end) look.over_at = lost_since(runs.get(), look);
    }
    std::stable_sort(looks.begin(), looks.end(),
                     [](const Look& a, const Look& b) { return a.over_at < b.over_at; });
    std::uint64_t total = 0;
    std::vector<std::pair<std::string, std::uint64_t>> over;
    for (const Look& look : looks) {
        const std::string& run = look.found.info.run;
        if (!look.found.is_running && look.over_at < now && now - look.over_at > longest) {
            remove(runs.get(), run);
            continue;
        }
        const std::uint64_t bytes = disk_usage(runs.get(), run);
        total += bytes;
        if (!look.found.is_running) over.emplace_back(run, bytes);
    }
    for (const auto& [run, bytes] : over) {
        if (total <= size) return;
        remove(runs.get(), run);
        total -= bytes;
    }
}

}  // namespace frsh
