#include "client/connection/stopped_watch.hpp"

#include "common/sys/fd.hpp"

#include <chrono>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace frsh {
namespace {

constexpr std::chrono::milliseconds kStoppedInterval(200);

// Reads the state from /proc/PID/stat (proc(5)): "PID (name) STATE ...".
bool is_stopped(pid_t pid) {
    const std::string path = "/proc/" + std::to_string(pid) + "/stat";
    const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    char buffer[256];
    const auto size = file.is_open() ? ::read(file.get(), buffer, sizeof buffer) : 0;
    if (size <= 0) return false;
    const std::string_view text(buffer, static_cast<std::size_t>(size));
    const auto name_end = text.rfind(") ");
    if (name_end == std::string_view::npos || name_end + 2 >= text.size()) return false;
    return text[name_end + 2] == 'T' || text[name_end + 2] == 't';
}

}  // namespace

StoppedWatch::StoppedWatch(EventLoop& loop, pid_t pid, OnStopped on_stopped)
    : pid_(pid),
      on_stopped_(std::move(on_stopped)),
      timer_(loop, "stopped watch: next look", [this] { on_timer(); }) {
    timer_.expire_every(kStoppedInterval);
}

void StoppedWatch::on_timer() {
    const bool is_now = is_stopped(pid_);
    if (!is_now || !std::exchange(was_stopped_, true)) {
        was_stopped_ = is_now;
        return;
    }
    const OnStopped call = on_stopped_;  // A copy: the call may destroy this object.
    call("the link holder (pid " + std::to_string(pid_) + ") is stopped");
}

}  // namespace frsh
