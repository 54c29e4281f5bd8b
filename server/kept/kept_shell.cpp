#include "server/kept/kept_shell.hpp"

#include <cstdint>
#include <memory>
#include <utility>

namespace frsh {
namespace {

msg::ShellOpen asked(const msg::Open& first) {
    msg::ShellOpen open;
    open.cwd = first.cwd;
    open.env = first.env;
    open.on_disconnect.kind = OnDisconnect::Kind::Keep;
    return open;
}

}  // namespace

KeptShell::KeptShell(EventLoop& loop, const msg::Open& open, const LaunchContext& context,
                     std::unique_ptr<RunFolder> folder, std::uint64_t generation)
    : KeptJob(open.shell_name, std::move(folder)),
      shell_(loop, asked(open), context, [](const Shell&) {}),
      generation_(generation) {}

void KeptShell::on(const msg::Cancel&) {
    is_canceled_ = true;
    // An interactive bash ignores TERM. It ends when its terminal hangs up.
    shell_.end(Termination::First::AskedHangUp, EventLoop::Clock::now());
}

void KeptShell::write_down() {
    if (end() || !shell_.is_over()) return;
    msg::End record;
    const RealEnd real = real_end(*shell_.status());
    record.outcome = is_canceled_ ? Outcome(Canceled{real}) : as_outcome(real);
    record.generation = generation_;
    record.out.eof = record.err.eof = true;  // A shell has no output apart from its runs.
    write_end(std::move(record));
}

}  // namespace frsh
