#include "common/sys/process_table.hpp"

#include "common/base/error.hpp"
#include "common/base/text.hpp"
#include "common/sys/fd.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <optional>
#include <set>

#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace frsh {
namespace {

// The most bytes that are read of a file. The marks come first in an environment, and another user
// decides how large it is: 16 MiB each of some thousand processes took a minute to read.
constexpr std::size_t kMaxRead = 128 * 1024;
constexpr std::uint64_t kExiting = 0x4;              // PF_EXITING.
constexpr std::uint64_t kKernelThread = 0x00200000;  // PF_KTHREAD.

class Folder {
  public:
    explicit Folder(const std::string& path) : dir_(::opendir(path.c_str())) {}
    ~Folder() {
        if (dir_ != nullptr) ::closedir(dir_);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    // Returns the next entry that is a number; nothing at the end.
    std::optional<std::uint64_t> next_number() {
        while (dir_ != nullptr) {
            const dirent* const entry = ::readdir(dir_);
            if (entry == nullptr) break;
            if (const auto number = parse_number(entry->d_name, 0, INT32_MAX)) return number;
        }
        return std::nullopt;
    }

  private:
    DIR* dir_;
};

std::string proc_path(pid_t pid, const char* file) {
    return "/proc/" + std::to_string(pid) + "/" + file;
}

// Returns the first bytes of the file, at most kMaxRead; nothing if it cannot be read.
std::string read_proc(pid_t pid, const char* file) {
    const Fd opened(::open(proc_path(pid, file).c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
    std::string content;
    char buffer[16384];
    while (opened.is_open() && content.size() < kMaxRead) {
        const ssize_t got = ::read(opened.get(), buffer, sizeof buffer);
        if (got <= 0) break;
        content.append(buffer, static_cast<std::size_t>(got));
    }
    return content;
}

// Parses /proc/PID/stat (proc(5)): pid (name) state ppid pgrp session tty tpgid flags ... The name
// may contain blanks and parentheses, so the last ')' ends it.
//
// Fields counted from 1: utime 14, stime 15, starttime 22, startcode 26, env_start 50, env_end 51.
// execve(2) sets startcode last: if it is 0, env_start and env_end are not valid yet. If this
// process may not inspect the other one, the three fields are 1, 0 and 0.
std::optional<ProcessInfo> look_at(pid_t pid) {
    const std::string stat = read_proc(pid, "stat");
    const std::size_t open = stat.find('(');
    const std::size_t close = stat.rfind(')');
    if (open == std::string::npos || close == std::string::npos || close + 2 >= stat.size()) {
        return std::nullopt;
    }
    const auto fields = split(std::string_view(stat).substr(close + 2), ' ');
    if (fields.size() < 49) return std::nullopt;
    const auto number = [&](std::size_t index) {
        return parse_number(fields[index], 0, UINT64_MAX).value_or(0);
    };
    ProcessInfo info;
    info.pid = pid;
    info.name = stat.substr(open + 1, close - open - 1);
    info.state = fields[0].empty() ? '?' : fields[0][0];
    info.parent = static_cast<pid_t>(number(1));
    info.group = static_cast<pid_t>(number(2));
    info.session = static_cast<pid_t>(number(3));
    info.is_exiting = (number(6) & kExiting) != 0;
    info.is_kernels = (number(6) & kKernelThread) != 0;
    info.processor = number(11) + number(12);
    info.start = number(19);
    using Environment = ProcessInfo::Environment;
    info.environment = number(23) == 0            ? Environment::NotYet
                       : number(47) == number(48) ? Environment::None
                                                  : Environment::Some;
    return info;
}

bool is_dead(const ProcessInfo& info) {
    return info.state == 'Z' || info.state == 'X';
}

// Returns true if the environment has all marks. Returns nothing if the process is in the middle of
// execve(2), where it has no environment.
std::optional<bool> has_marks(const ProcessInfo& info, const std::vector<std::string>& marks) {
    if (marks.empty() || info.is_kernels || is_dead(info)) return false;
    std::string environ = read_proc(info.pid, "environ");
    if (environ.empty()) {
        const auto now = look_at(info.pid);
        if (!now || now->start != info.start || now->is_exiting) return false;
        using Environment = ProcessInfo::Environment;
        if (now->environment == Environment::None) return false;
        if (now->environment == Environment::Some) environ = read_proc(info.pid, "environ");
        if (environ.empty()) return std::nullopt;  // In execve(2), perhaps once more.
    }
    const auto entries = split(environ, '\0');
    return std::all_of(marks.begin(), marks.end(), [&](const std::string& mark) {
        return std::find(entries.begin(), entries.end(), mark) != entries.end();
    });
}

// Returns the rest of the line of /proc/PID/status that begins with `name`, or "".
std::string status_line(pid_t pid, std::string_view name) {
    const std::string status = read_proc(pid, "status");
    const std::size_t at = status.find(name);
    if (at == std::string::npos) return "";
    const std::size_t begin = at + name.size();
    return status.substr(begin, status.find('\n', begin) - begin);
}

std::string read_link(const std::string& path) {
    char name[4096];
    const ssize_t size = ::readlink(path.c_str(), name, sizeof name);
    return {name, size > 0 ? static_cast<std::size_t>(size) : 0};
}

}  // namespace

std::vector<ProcessInfo> list_processes() {
    std::vector<ProcessInfo> processes;
    Folder proc("/proc");
    while (const auto pid = proc.next_number()) {
        if (auto info = look_at(static_cast<pid_t>(*pid))) processes.push_back(std::move(*info));
    }
    return processes;
}

Sight process_sight() {
    if (!look_at(::getpid())) return Sight::None;
    return look_at(1) ? Sight::All : Sight::Own;
}

std::uint64_t now_in_ticks() {
    timespec now{};
    check(::clock_gettime(CLOCK_BOOTTIME, &now), "clock_gettime");
    const auto a_second = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
    return static_cast<std::uint64_t>(now.tv_sec) * a_second +
           static_cast<std::uint64_t>(now.tv_nsec) * a_second / 1'000'000'000;
}

Started started_by(const ProcessOrigin& origin) {
    const std::vector<ProcessInfo> all = list_processes();
    const bool is_session_ours =
        origin.program > 0 && std::any_of(all.begin(), all.end(), [&](const ProcessInfo& one) {
            return one.session == origin.program && (!origin.reaped || one.start < *origin.reaped);
        });
    Started started;
    std::set<pid_t> ours;
    for (const ProcessInfo& one : all) {
        const bool is_program = one.pid == origin.program && !origin.reaped;
        const bool is_in_session = is_session_ours && one.session == origin.program;
        if (!is_program && !is_in_session) {
            const auto is_marked = has_marks(one, origin.marks);
            if (!is_marked) started.is_sure = false;
            if (!is_marked.value_or(false)) continue;
        }
        ours.insert(one.pid);
    }
    // Add children of the found processes, until a pass adds none.
    for (std::size_t before = 0; before != ours.size();) {
        before = ours.size();
        for (const ProcessInfo& one : all) {
            if (ours.contains(one.parent)) ours.insert(one.pid);
        }
    }
    for (const ProcessInfo& one : all) {
        if (ours.contains(one.pid) && !is_dead(one) && one.pid != ::getpid()) {
            started.processes.push_back(one);
        }
    }
    return started;
}

std::string arguments_of(pid_t pid) {
    return read_proc(pid, "cmdline");
}

bool ignores_signal(pid_t pid, int number) {
    const std::string mask = status_line(pid, "\nSigIgn:\t");
    return (std::strtoull(mask.c_str(), nullptr, 16) >> (number - 1) & 1) != 0;
}

std::string descriptor_name(int fd) {
    return read_link("/proc/self/fd/" + std::to_string(fd));
}

std::vector<ProcessInfo> holders_of(const std::string& descriptor) {
    std::vector<ProcessInfo> holders;
    if (descriptor.empty()) return holders;
    for (const ProcessInfo& process : list_processes()) {
        if (process.pid == ::getpid() || is_dead(process)) continue;
        const std::string folder = proc_path(process.pid, "fd");
        Folder descriptors(folder);
        while (const auto number = descriptors.next_number()) {
            char name[4096];
            const std::string path = folder + "/" + std::to_string(*number);
            const ssize_t size = ::readlink(path.c_str(), name, sizeof name);
            if (size > 0 && std::string_view(name, static_cast<std::size_t>(size)) == descriptor) {
                holders.push_back(process);
                break;
            }
        }
    }
    return holders;
}

bool is_there(const ProcessInfo& process) {
    const auto now = look_at(process.pid);
    return now && now->start == process.start && !now->is_exiting;
}

Delivery send_signal(const ProcessInfo& process, int number) {
    const Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, process.pid, 0)));
    if (!pidfd.is_open()) return Delivery::Gone;
    // Compare the start times: the pid may belong to another process by now.
    const auto now = look_at(process.pid);
    if (!now || now->start != process.start || is_dead(*now)) return Delivery::Gone;
    if (::syscall(SYS_pidfd_send_signal, pidfd.get(), number, nullptr, 0) == 0) {
        return Delivery::Sent;
    }
    return errno == ESRCH ? Delivery::Gone : Delivery::Refused;
}

}  // namespace frsh
