#include "server/run/terminal_wait.hpp"

#include <array>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include <sys/syscall.h>
#include <unistd.h>

namespace frsh {
namespace {

std::string contents_of(pid_t pid, const char* file) {
    std::ifstream in("/proc/" + std::to_string(pid) + "/" + file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

// /proc/PID/syscall has the number of the system call in which the process waits, and its
// arguments in hexadecimal (proc(5)).
bool reads_from(pid_t pid, const std::string& terminal) {
    const std::string call = contents_of(pid, "syscall");
    const std::string read = std::to_string(SYS_read) + " ";
    if (!call.starts_with(read)) return false;
    const unsigned long fd = std::strtoul(call.c_str() + read.size(), nullptr, 16);
    std::array<char, 64> target{};
    const std::string link = "/proc/" + std::to_string(pid) + "/fd/" + std::to_string(fd);
    const ssize_t size = ::readlink(link.c_str(), target.data(), target.size());
    if (size <= 0) return false;
    const std::string file(target.data(), static_cast<std::size_t>(size));
    return file == terminal || file == "/dev/tty";
}

}  // namespace

bool waits_for_keys(const ShellTerminal& terminal, pid_t shell, const std::string& word) {
    if (contents_of(shell, "cmdline").find(word) == std::string::npos) return false;
    const pid_t foreground = ::tcgetpgrp(terminal.master());
    return reads_from(shell, terminal.name()) ||
           (foreground > 0 && reads_from(foreground, terminal.name()));
}

}  // namespace frsh
