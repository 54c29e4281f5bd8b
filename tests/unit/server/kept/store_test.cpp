#include "server/kept/store.hpp"

#include "common/base/error.hpp"
#include "common/sys/user.hpp"
#include "tests/support/ssh_tools.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

using frsh::Fd;
using frsh::KeptRunInfo;
using frsh::RunFolder;
using frsh::Store;
using frsh::StreamId;
using frsh::test::TempFolder;
using std::chrono::seconds;

namespace {

constexpr std::uint64_t kAnySize = UINT64_MAX;
constexpr seconds kAnyAge = seconds::max();

KeptRunInfo info_of(const std::string& run, std::uint64_t started_at = 1000) {
    KeptRunInfo info;
    info.run = run;
    info.args = {"make all"};
    info.started_at = started_at;
    info.session = "k3v9q0w2x7m1c5tz";
    return info;
}

frsh::msg::End end_of(const std::string& run, int code = 0) {
    frsh::msg::End end;
    end.channel = 7;
    end.run = run;
    end.outcome = frsh::Exited{code};
    end.out = {1234, 99, true, std::nullopt, std::nullopt};
    end.usage = frsh::Usage{1.5, 0.5, 0.25, 4096};
    end.journal = "No space left on device";
    end.cwd = "/tmp";
    return end;
}

struct Folder : TempFolder {
    [[nodiscard]] std::string runs() const { return *this / "frsh/runs"; }
    [[nodiscard]] Store store() const { return Store(runs()); }
    [[nodiscard]] std::string in_runs(const std::string& name) const { return runs() + "/" + name; }
};

// A process that acts and then waits to be killed, so that it keeps its locks.
class Child {
  public:
    enum class Wait { Yes, No };
    template <typename Act>
    explicit Child(const Act& act, Wait wait = Wait::Yes) {
        frsh::Pipe ready = frsh::make_pipe();
        pid_ = ::fork();
        REQUIRE(pid_ >= 0);
        if (pid_ == 0) {
            const auto held = act();
            if (wait == Wait::Yes) frsh::write_all(ready.write_end.get(), "+");
            for (;;)
                ::pause();
        }
        ready.write_end.close();
        if (wait == Wait::No) return;
        char byte = 0;
        REQUIRE(::read(ready.read_end.get(), &byte, 1) == 1);
    }
    ~Child() { die(); }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    void die() {
        if (pid_ <= 0) return;
        ::kill(pid_, SIGKILL);
        int status = 0;
        (void)::waitpid(std::exchange(pid_, 0), &status, 0);
    }

  private:
    pid_t pid_ = 0;
};

void end_run(Store& store, const std::string& run, std::uint64_t started_at = 1000) {
    const auto folder = store.claim(info_of(run, started_at));
    REQUIRE(folder);
    folder->end(end_of(run));
}

std::vector<std::string> runs_of(const Store& store) {
    std::vector<std::string> runs;
    for (const Store::Found& found : store.list())
        runs.push_back(found.info.run);
    return runs;
}

void change_asked(const std::string& path, const std::string& from, const std::string& to) {
    std::string text = frsh::read_file(path, 100'000);
    const std::size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    text.replace(at, from.size(), to);
    std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

// 1: it got the run. 0: it did not, and found it whole. Anything else is wrong.
int race_for(const Folder& folder, const std::string& run, frsh::Pipe& start) {
    start.write_end.close();
    char byte = 0;
    (void)!::read(start.read_end.get(), &byte, 1);  // Blocks until the other end is closed.
    try {
        Store store = folder.store();
        const auto claimed = store.claim(info_of(run));
        const auto found = store.find(run);
        // The run is whole while the winner lives, and lost once it is gone.
        if (!found || found->info.args != info_of(run).args) return 2;
        if (claimed && !found->is_running) return 3;
        return claimed ? 1 : 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s: %s\n", run.c_str(), error.what());
        return 4;
    }
}

// As the store itself writes it.
std::string ended_frame(const frsh::msg::End& end) {
    std::string frame;
    frsh::encode(frame, end);
    frsh::FrameDecoder decoder;
    decoder.feed(frame);
    auto decoded = *decoder.next();
    decoded.header.add_whole("ended_at", 2000);
    std::string extended;
    frsh::append_frame(extended, decoded.header.dump(), decoded.payload);
    return extended;
}

std::string host_name() {
    utsname names{};
    REQUIRE(::uname(&names) == 0);
    return names.nodename;
}

}  // namespace

TEST_CASE("run store: the folder is below the state folder of the environment, or of the home") {
    const char* const given = std::getenv("XDG_STATE_HOME");
    const std::string before = given != nullptr ? given : "";
    ::unsetenv("XDG_STATE_HOME");
    CHECK(frsh::state_folder("/home/a") == "/home/a/.local/state/frsh");
    ::setenv("XDG_STATE_HOME", "/s", 1);
    CHECK(frsh::state_folder("/home/a") == "/s/frsh");
    for (const char* const useless : {"", "s"}) {
        ::setenv("XDG_STATE_HOME", useless, 1);
        CHECK(frsh::state_folder("/home/a") == "/home/a/.local/state/frsh");
    }
    if (given == nullptr) {
        ::unsetenv("XDG_STATE_HOME");
    } else {
        ::setenv("XDG_STATE_HOME", before.c_str(), 1);
    }
}

TEST_CASE("run store: a look-up of a missing run creates nothing") {
    const Folder folder;
    Store store = folder.store();
    CHECK_FALSE(store.find("a"));
    CHECK(store.list().empty());
    CHECK(std::holds_alternative<std::monostate>(store.resolve("a")));
    store.sweep(seconds(0), 0);
    CHECK_THROWS_AS(store.forget("a"), frsh::SysError);
    CHECK_FALSE(std::filesystem::exists(folder / "frsh"));
}

TEST_CASE("run store: a request is read back with any bytes in it") {
    const Folder folder;
    Store store = folder.store();
    const std::vector<std::vector<std::string>> lists = {{},
                                                         {""},
                                                         {"plain", "with \"quotes\"\n", "\xc3\xa4"},
                                                         {"\xff\xfe", std::string("a\0b", 3), ""}};
    int number = 0;
    for (const auto& args : lists) {
        KeptRunInfo info = info_of("run-" + std::to_string(number++));
        info.mode = frsh::msg::Open::Mode::Argv;
        info.args = args;
        info.forced_command = args.empty() ? std::nullopt : std::optional(args.front());
        info.is_shell = args.size() == 1;
        const auto claimed = store.claim(info);
        REQUIRE(claimed);
        CHECK(claimed->path() == folder.in_runs(info.run));
        const auto found = store.find(info.run);
        REQUIRE(found);
        CHECK(found->is_running);
        CHECK(found->path == claimed->path());
        CHECK(found->info.run == info.run);
        CHECK(found->info.mode == info.mode);
        CHECK(found->info.args == info.args);
        CHECK(found->info.is_shell == info.is_shell);
        CHECK(found->info.started_at == info.started_at);
        CHECK(found->info.session == info.session);
        CHECK(found->info.forced_command == info.forced_command);
    }
}

TEST_CASE("run store: the longest command is stored whole and listed in part") {
    const Folder folder;
    Store store = folder.store();
    KeptRunInfo info = info_of("long");
    info.args = {std::string(frsh::kMaxCommand / 2, 'x'),
                 std::string(frsh::kMaxCommand / 2, '\xff')};
    const auto claimed = store.claim(info);
    CHECK(store.find("long")->info.args == info.args);
    const auto listed = store.list();
    REQUIRE(listed.size() == 1);
    CHECK(listed[0].info.args == std::vector<std::string>{std::string(4096, 'x'), ""});
}

TEST_CASE("run store: an end and its time are read back") {
    const Folder folder;
    Store store = folder.store();
    const auto before = frsh::now_in_seconds();
    {
        const auto claimed = store.claim(info_of("run"));
        REQUIRE(claimed);
        claimed->end(end_of("run", 3));
        // Its session still has it.
        CHECK_FALSE(store.find("run")->is_running);
    }
    const auto found = store.find("run");
    REQUIRE(found);
    CHECK_FALSE(found->is_running);
    CHECK(found->why_lost.empty());
    REQUIRE(found->end);
    CHECK(found->end->channel == 0);
    CHECK(found->end->run == "run");
    CHECK(found->end->outcome == frsh::Outcome(frsh::Exited{3}));
    CHECK(found->end->out == end_of("run").out);
    CHECK(found->end->usage == end_of("run").usage);
    CHECK(found->end->journal == end_of("run").journal);
    CHECK(found->end->cwd == end_of("run").cwd);
    REQUIRE(found->ended_at);
    CHECK(*found->ended_at >= before);
    CHECK(*found->ended_at <= frsh::now_in_seconds());
    CHECK_FALSE(std::filesystem::exists(folder.in_runs("run/end.new")));
}

TEST_CASE("run store: the id of an ended or lost run cannot be claimed") {
    const Folder folder;
    Store store = folder.store();
    CHECK(store.claim(info_of("lost")));
    CHECK_FALSE(store.claim(info_of("lost")));
    end_run(store, "ended");
    CHECK_FALSE(store.claim(info_of("ended")));
    REQUIRE(::mkdir(folder.in_runs("never-begun").c_str(), 0700) == 0);
    CHECK_FALSE(store.claim(info_of("never-begun")));
}

TEST_CASE("run store: of several claims of one id exactly one succeeds") {
    const Folder folder;
    CHECK(folder.store().claim(info_of("makes-the-folder")));
    int wrong = 0;
    for (int turn = 0; turn < 200; ++turn) {
        const std::string run = "race-" + std::to_string(turn);
        frsh::Pipe start = frsh::make_pipe();
        std::array<pid_t, 2> children{};
        for (pid_t& child : children) {
            child = ::fork();
            REQUIRE(child >= 0);
            if (child == 0) ::_exit(race_for(folder, run, start));
        }
        start.write_end.close();
        int claims = 0;
        for (const pid_t child : children) {
            int status = 0;
            REQUIRE(::waitpid(child, &status, 0) == child);
            REQUIRE(WIFEXITED(status));
            REQUIRE(WEXITSTATUS(status) < 2);
            claims += WEXITSTATUS(status);
        }
        if (claims != 1) ++wrong;
    }
    CHECK(wrong == 0);
}

TEST_CASE("run store: a run without an end is lost once its session ends") {
    const Folder folder;
    Store store = folder.store();
    Child session([&] { return folder.store().claim(info_of("run")); });
    auto found = store.find("run");
    REQUIRE(found);
    CHECK(found->is_running);
    CHECK(found->why_lost.empty());
    CHECK_THROWS_AS(store.forget("run"), frsh::SysError);
    store.sweep(seconds(0), 0);
    CHECK(store.find("run")->is_running);
    session.die();
    found = store.find("run");
    REQUIRE(found);
    CHECK_FALSE(found->is_running);
    CHECK_FALSE(found->end);
    CHECK(found->why_lost == "its session died before it ended");
    CHECK(found->info.args == info_of("run").args);
    CHECK_FALSE(store.claim(info_of("run")));
}

TEST_CASE("run store: a restart and another machine are different reasons") {
    const Folder folder;
    Store store = folder.store();
    CHECK(store.claim(info_of("run")));
    std::string boot = frsh::read_file("/proc/sys/kernel/random/boot_id", 100);
    boot.pop_back();
    const std::string asked = folder.in_runs("run/asked");
    change_asked(asked, boot, "another");
    CHECK(store.find("run")->why_lost == "the machine was restarted while it ran");
    change_asked(asked, "\"host\":\"" + host_name() + "\"", "\"host\":\"far\\u001baway\"");
    CHECK(store.find("run")->why_lost == "it ran on far\\x1baway, which is not this machine");
}

TEST_CASE("run store: an unfinished claim is reported as lost") {
    const Folder folder;
    Store store = folder.store();
    CHECK(store.claim(info_of("other")));
    REQUIRE(::mkdir(folder.in_runs("run").c_str(), 0700) == 0);
    const auto start = std::chrono::steady_clock::now();
    const auto found = store.find("run");
    const auto took = std::chrono::steady_clock::now() - start;
    REQUIRE(found);
    CHECK_FALSE(found->is_running);
    CHECK(found->info.run == "run");
    CHECK(found->why_lost == "its session died before it had begun it");
    CHECK(took < seconds(5));
    store.forget("run");
    CHECK_FALSE(store.find("run"));
}

TEST_CASE("run store: a claim of an older version counts as running once its file is locked") {
    const Folder folder;
    Store store = folder.store();
    CHECK(store.claim(info_of("other")));
    REQUIRE(::mkdir(folder.in_runs("run").c_str(), 0700) == 0);
    const frsh::Pipe written = frsh::make_pipe();
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        std::string asked = frsh::read_file(folder.in_runs("other/asked"), 10'000);
        asked.replace(asked.find("other"), 5, "run");
        const Fd file(::open(folder.in_runs("run/asked.new").c_str(), O_RDWR | O_CREAT, 0600));
        struct flock lock {};
        lock.l_type = F_WRLCK;
        lock.l_whence = SEEK_SET;
        if (::fcntl(file.get(), F_OFD_SETLK, &lock) != 0) ::_exit(1);
        frsh::write_all(file.get(), asked);
        frsh::write_all(written.write_end.get(), "w");
        for (;;)
            ::pause();
    }
    char byte = 0;
    REQUIRE(::read(written.read_end.get(), &byte, 1) == 1);
    const auto found = store.find("run");
    REQUIRE(found);
    CHECK(found->is_running);
    CHECK(found->info.args == info_of("run").args);
    ::kill(child, SIGKILL);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(store.find("run")->why_lost == "its session died before it had begun it");
}

TEST_CASE("run store: a run is never found half claimed") {
    const Folder folder;
    Store store = folder.store();
    CHECK(store.claim(info_of("makes-the-folder")));
    int wrong = 0;
    for (int turn = 0; turn < 100; ++turn) {
        const std::string run = "race-" + std::to_string(turn);
        Child session([&] { return folder.store().claim(info_of(run)); }, Child::Wait::No);
        std::optional<Store::Found> found;
        while (!found)
            found = store.find(run);
        if (!found->is_running || found->info.args != info_of(run).args) ++wrong;
    }
    CHECK(wrong == 0);
}

TEST_CASE("run store: a damaged end record is reported and not used") {
    const Folder folder;
    Store store = folder.store();
    end_run(store, "run");
    const std::string path = folder.in_runs("run/end");
    const std::string record = frsh::read_file(path, 100'000);
    const Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    for (std::size_t i = 0; i < record.size(); ++i) {
        CAPTURE(i);
        const auto changed = static_cast<char>(record[i] ^ 1 << i % 8);
        REQUIRE(::pwrite(file.get(), &changed, 1, static_cast<off_t>(i)) == 1);
        const auto found = store.find("run");
        REQUIRE(::pwrite(file.get(), &record[i], 1, static_cast<off_t>(i)) == 1);
        REQUIRE(found);
        REQUIRE_FALSE(found->end);
        REQUIRE(found->why_lost == "the record of its end is damaged");
    }
    CHECK(store.find("run")->end);
    for (std::size_t size = record.size(); size-- > 0;) {
        REQUIRE(::ftruncate(file.get(), static_cast<off_t>(size)) == 0);
        REQUIRE(store.find("run")->why_lost == "the record of its end is damaged");
    }
    frsh::write_all(file.get(), record + "x");
    CHECK(store.find("run")->why_lost == "the record of its end is damaged");
}

TEST_CASE("run store: the end record of another run is refused") {
    const Folder folder;
    Store store = folder.store();
    end_run(store, "one");
    CHECK(store.claim(info_of("two")));
    std::filesystem::copy(folder.in_runs("one/end"), folder.in_runs("two/end"));
    CHECK(store.find("two")->why_lost == "the record of its end is damaged");
}

TEST_CASE("run store: with a damaged start record, the end still counts") {
    const Folder folder;
    Store store = folder.store();
    end_run(store, "ended");
    CHECK(store.claim(info_of("lost")));
    for (const char* run : {"ended", "lost"})
        std::ofstream(folder.in_runs(run) + "/asked", std::ios::trunc) << "{\"run\":";
    CHECK(store.find("ended")->end);
    CHECK(store.find("ended")->info.run == "ended");
    CHECK(store.find("lost")->why_lost == "what was kept of it is damaged, and it has no end");
    CHECK(runs_of(store).size() == 2);
}

TEST_CASE("run store: a unique beginning of an id finds the run") {
    const Folder folder;
    Store store = folder.store();
    for (const char* run : {"abc", "abcd", "abxx", "b"})
        CHECK(store.claim(info_of(run)));
    const auto whole = [&](const char* beginning) {
        const auto found = store.resolve(beginning);
        const auto* const run = std::get_if<std::string>(&found);
        return run != nullptr ? *run : "";
    };
    CHECK(whole("abc") == "abc");
    CHECK(whole("abcd") == "abcd");
    CHECK(whole("abx") == "abxx");
    CHECK(whole("b") == "b");
    const auto several = store.resolve("ab");
    REQUIRE(std::holds_alternative<Store::Ambiguous>(several));
    CHECK(std::get<Store::Ambiguous>(several).runs ==
          std::vector<std::string>{"abc", "abcd", "abxx"});
    for (const char* nothing : {"c", "abcde", "", ".", "..", "a/b", "-"})
        CHECK(std::holds_alternative<std::monostate>(store.resolve(nothing)));
}

TEST_CASE("run store: the id of a forgotten run can be claimed again") {
    const Folder folder;
    Store store = folder.store();
    end_run(store, "run");
    std::ofstream(folder.in_runs("run/stdout-0000000000000000")) << "x";
    store.forget("run");
    CHECK_FALSE(store.find("run"));
    CHECK(std::filesystem::is_empty(folder.runs()));
    CHECK_THROWS_AS(store.forget("run"), frsh::SysError);
    CHECK(store.claim(info_of("run")));
}

TEST_CASE("run store: open output stays readable after the run is forgotten") {
    const Folder folder;
    Store store = folder.store();
    const auto claimed = store.claim(info_of("run"));
    frsh::JournalWriter writer(claimed->path(), StreamId::Stdout, 1 << 20);
    writer.data(0, 0, "abcdef");
    writer.eof(6);
    claimed->end(end_of("run"));
    frsh::JournalReader reader(claimed->path(), StreamId::Stdout);
    REQUIRE(reader.next(2));
    store.forget("run");
    REQUIRE(reader.next(4));
    CHECK(reader.at() == 6);
    REQUIRE(reader.next(1));
    CHECK(reader.is_at_eof());
}

TEST_CASE("run store: a sweep removes old runs and no running ones") {
    const Folder folder;
    Store store = folder.store();
    const auto running = store.claim(info_of("running"));
    end_run(store, "ended");
    CHECK(store.claim(info_of("lost")));
    CHECK(store.claim(info_of("lost-long-ago")));
    // A run's age counts from the moment at which its loss was noticed.
    const timespec long_ago[2] = {{1'000'000, 0}, {1'000'000, 0}};
    REQUIRE(::utimensat(AT_FDCWD, folder.in_runs("lost/asked").c_str(), long_ago, 0) == 0);
    // Leftovers of an interrupted `forget`.
    std::filesystem::create_directory(folder.in_runs(".forgotten-x-1"));
    std::ofstream(folder.in_runs(".forgotten-x-1/end")) << "x";
    store.sweep(kAnyAge, kAnySize);
    CHECK(runs_of(store).size() == 4);
    CHECK_FALSE(std::filesystem::exists(folder.in_runs(".forgotten-x-1")));
    REQUIRE(::utimensat(AT_FDCWD, folder.in_runs("lost-long-ago/lost").c_str(), long_ago, 0) == 0);
    store.sweep(seconds(3600), kAnySize);
    CHECK(runs_of(store) == std::vector<std::string>{"ended", "lost", "running"});
    // Within the same second the age of 0 removes nothing; the size of 0 then does.
    store.sweep(seconds(0), kAnySize);
    store.sweep(kAnyAge, 0);
    CHECK(runs_of(store) == std::vector<std::string>{"running"});
}

TEST_CASE("run store: a sweep by size removes the runs that ended first") {
    const Folder folder;
    Store store = folder.store();
    timespec when[2] = {{1'000'000, 0}, {1'000'000, 0}};
    for (const char* run : {"c", "a", "d", "b"}) {
        CHECK(store.claim(info_of(run)));
        std::ofstream(folder.in_runs(run) + "/stdout-0000000000000000")
            << std::string(100'000, 'x');
        std::ofstream(folder.in_runs(run) + "/lost") << "";
        REQUIRE(::utimensat(AT_FDCWD, (folder.in_runs(run) + "/lost").c_str(), when, 0) == 0);
        ++when[1].tv_sec;
    }
    store.sweep(kAnyAge, 600'000);
    CHECK(runs_of(store).size() == 4);
    store.sweep(kAnyAge, 300'000);
    CHECK(runs_of(store) == std::vector<std::string>{"b", "d"});
}

TEST_CASE("run store: each unexpected form is found, listed, not claimed and removed") {
    const Folder folder;
    Store store = folder.store();
    end_run(store, "run");
    std::ofstream(folder.in_runs("a-file")) << "x";
    std::filesystem::create_directory(folder.in_runs("no run"));
    std::filesystem::create_directory_symlink(folder.in_runs("run"), folder.in_runs("a-link"));
    std::filesystem::create_symlink("/nowhere", folder.in_runs("a-dangling-link"));
    for (const char* const name : {"asked-fifo", "asked-folder", "asked-link", "asked-0000"})
        std::filesystem::create_directory(folder.in_runs(name));
    REQUIRE(::mkfifo(folder.in_runs("asked-fifo/asked").c_str(), 0600) == 0);
    std::filesystem::create_directories(folder.in_runs("asked-folder/asked/deep/er"));
    std::filesystem::create_symlink(folder.in_runs("run/asked"),
                                    folder.in_runs("asked-link/asked"));
    std::ofstream(folder.in_runs("asked-0000/asked")) << "x";
    REQUIRE(::chmod(folder.in_runs("asked-0000/asked").c_str(), 0) == 0);
    CHECK(store.claim(info_of("folder-0000")));
    REQUIRE(::chmod(folder.in_runs("folder-0000").c_str(), 0) == 0);
    const std::vector<std::string> foreign = {"a-dangling-link", "a-file", "a-link"};
    std::vector<std::string> damaged = {"asked-0000", "asked-fifo", "asked-folder", "asked-link"};
    // Root may read everything.
    if (::geteuid() != 0) damaged.emplace_back("folder-0000");
    for (const auto& [names, form] :
         {std::pair(foreign, Store::Form::Foreign), {damaged, Store::Form::Damaged}}) {
        for (const std::string& name : names) {
            CAPTURE(name);
            const auto found = store.find(name);
            REQUIRE(found);
            CHECK(found->form == form);
            CHECK(found->info.run == name);
            CHECK_FALSE(found->why_lost.empty());
            CHECK_FALSE(found->end);
            CHECK_FALSE(store.claim(info_of(name)));
        }
    }
    for (const char* name : {"no run", ".."})
        CHECK_FALSE(store.find(name));
    CHECK(runs_of(store).size() == 9);
    store.sweep(kAnyAge, kAnySize);
    CHECK(runs_of(store).size() == 9);
    for (const auto& names : {foreign, damaged, {"folder-0000"}}) {
        for (const std::string& name : names) {
            CAPTURE(name);
            if (!store.find(name)) continue;
            store.forget(name);
            CHECK_FALSE(store.find(name));
            CHECK(store.claim(info_of(name)));
        }
    }
    CHECK(store.find("run")->end);
}

TEST_CASE("run store: an end of an unexpected form is damage, and hides no other run") {
    const Folder folder;
    Store store = folder.store();
    for (const char* const run : {"end-folder", "end-0000", "end-link", "end-fifo", "whole"})
        end_run(store, run);
    for (const char* const run : {"end-folder", "end-link", "end-fifo"})
        std::filesystem::remove(folder.in_runs(run) + "/end");
    std::filesystem::create_directory(folder.in_runs("end-folder/end"));
    std::filesystem::create_symlink(folder.in_runs("whole/end"), folder.in_runs("end-link/end"));
    REQUIRE(::mkfifo(folder.in_runs("end-fifo/end").c_str(), 0600) == 0);
    REQUIRE(::chmod(folder.in_runs("end-0000/end").c_str(), 0) == 0);
    CHECK(runs_of(store).size() == 5);
    for (const char* const run : {"end-folder", "end-0000", "end-link", "end-fifo"}) {
        CAPTURE(run);
        if (::geteuid() == 0 && run == std::string("end-0000")) continue;
        CHECK_FALSE(store.find(run)->end);
        CHECK(store.find(run)->why_lost.starts_with("the record of its end is damaged"));
        store.forget(run);
        CHECK_FALSE(store.find(run));
    }
    CHECK(store.find("whole")->end);
}

TEST_CASE("run store: after a long sweep the next one waits") {
    const Folder folder;
    Store store = folder.store();
    end_run(store, "run");
    CHECK_FALSE(store.is_large());
    const std::string next = folder.in_runs(".next-sweep");
    std::ofstream(next) << "";
    const auto set_time = [&](std::time_t when) {
        const timespec times[2] = {{when, 0}, {when, 0}};
        REQUIRE(::utimensat(AT_FDCWD, next.c_str(), times, 0) == 0);
    };
    set_time(std::time(nullptr) + 60);
    store.sweep(kAnyAge, 0);
    CHECK(store.find("run"));
    set_time(std::time(nullptr) + 1'000'000);  // From a clock that was wrong.
    store.sweep(kAnyAge, 0);
    CHECK_FALSE(store.find("run"));
    for (int i = 0; i < 201; ++i)
        std::filesystem::create_directory(folder.in_runs("x" + std::to_string(i)));
    CHECK(store.is_large());
}

TEST_CASE("run store: a folder that others could have written is refused, as root too") {
    const auto refusal = [](const std::string& folder) {
        Store store(folder);
        std::string why;
        try {
            (void)store.claim(info_of("run"));
        } catch (const frsh::UserError& error) {
            why = error.what();
        }
        CHECK_THROWS_AS((void)store.list(), frsh::UserError);
        CHECK_THROWS_AS((void)store.find("run"), frsh::UserError);
        return why;
    };
    const Folder folder;
    std::filesystem::create_directories(folder.runs());
    REQUIRE(::chmod((folder / "frsh").c_str(), 0700) == 0);
    REQUIRE(::chmod(folder.runs().c_str(), 0770) == 0);
    CHECK(refusal(folder.runs()) == folder.runs() + ": open to other users (chmod 700 it)");
    REQUIRE(::chmod(folder.runs().c_str(), 0700) == 0);
    REQUIRE(::chmod((folder / "frsh").c_str(), 0770) == 0);
    CHECK(refusal(folder.runs()) == (folder / "frsh: writable by other users (chmod 700 it)"));
    REQUIRE(::chmod((folder / "frsh").c_str(), 0700) == 0);
    CHECK(folder.store().claim(info_of("run")));

    std::filesystem::create_directory(folder / "other");
    std::filesystem::create_directory_symlink(folder.runs(), folder / "other/runs");
    REQUIRE(::chmod((folder / "other").c_str(), 0700) == 0);
    CHECK(refusal(folder / "other/runs") == (folder / "other/runs: not a folder"));
    std::filesystem::create_directory_symlink(folder / "frsh", folder / "link");
    CHECK(refusal(folder / "link/runs") == (folder / "link: not a folder"));
    if (::geteuid() != 0) {
        MESSAGE("skipped: only root has folders of two users");
        return;
    }
    REQUIRE(::chown(folder.runs().c_str(), 1234, 1234) == 0);
    CHECK(refusal(folder.runs()) == folder.runs() + ": owned by another user");
}

TEST_CASE("run store: its folders and files are for their owner only") {
    const Folder folder;
    Store store = folder.store();
    end_run(store, "run");
    for (const char* path :
         {"frsh", "frsh/runs", "frsh/runs/run", "frsh/runs/run/asked", "frsh/runs/run/end"}) {
        CAPTURE(path);
        struct stat info {};
        REQUIRE(::stat((folder / path).c_str(), &info) == 0);
        CHECK((info.st_mode & 077) == 0);
    }
}

TEST_CASE("run store: a claim fails on a full disk") {
    if (::geteuid() == 0) {
        MESSAGE("skipped: root may write everywhere");
        return;
    }
    const Folder folder;
    Store store = folder.store();
    end_run(store, "run");
    REQUIRE(::chmod(folder.runs().c_str(), 0500) == 0);
    CHECK_THROWS_AS((void)store.claim(info_of("other")), frsh::SysError);
    REQUIRE(::chmod(folder.runs().c_str(), 0700) == 0);
    CHECK_FALSE(store.find("other"));
    CHECK(store.claim(info_of("other")));
}

TEST_CASE("run store: a thousand runs are listed quickly") {
    const Folder folder;
    Store store = folder.store();
    end_run(store, "ended");
    const std::string asked = folder.read("frsh/runs/ended/asked");
    for (int i = 0; i < 1000; ++i) {
        // Written by hand, since every claim waits for the disk.
        const std::string run = "run-" + std::to_string(i);
        REQUIRE(::mkdir(folder.in_runs(run).c_str(), 0700) == 0);
        std::string text = asked;
        text.replace(text.find("ended"), 5, run);
        folder.write("frsh/runs/" + run + "/asked", text);
        frsh::JournalWriter writer(folder.in_runs(run), StreamId::Stdout, 1 << 20);
        writer.data(0, 0, "some output");
        if (i % 2 == 1) continue;
        frsh::msg::End its_end = end_of(run);
        its_end.outcome = frsh::Exited{i % 256};
        std::string record;
        frsh::append_record(record, ended_frame(its_end));
        folder.write("frsh/runs/" + run + "/end", record);
    }
    // The processor's time: on a busy machine the clock on the wall measures the others.
    const std::clock_t start = std::clock();
    const auto all = store.list();
    frsh::Offset bytes = 0;
    for (const Store::Found& found : all)
        bytes += Store::produced(found.path, StreamId::Stdout);
    const double took = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    CHECK(all.size() == 1001);
    CHECK(std::count_if(all.begin(), all.end(), [](const auto& run) { return run.end; }) == 501);
    CHECK(bytes == 11'000);
    CHECK(took < 1);
    MESSAGE("1,000 runs listed in ", took * 1000, " ms, with what each has produced");
}
