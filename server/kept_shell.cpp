#include "server/kept_shell.hpp"

namespace frsh {
namespace {

msg::ShellOpen asked(const std::vector<std::string>& env) {
    msg::ShellOpen open;
    open.env = env;
    open.on_disconnect.kind = OnDisconnect::Kind::Keep;
    return open;
}

}  // namespace

KeptShell::KeptShell(EventLoop& loop, const std::string& name, const std::vector<std::string>& env,
                     const LaunchContext& context, std::unique_ptr<RunFolder> folder)
    : Kept(name, std::move(folder)), shell_(loop, asked(env), context, [](const Shell&) {}) {}

void KeptShell::on(const msg::Cancel&) {
    is_canceled_ = true;
    shell_.end(Ending::First::Terminate, EventLoop::Clock::now());
}

void KeptShell::write_down() {
    if (end() || !shell_.is_over()) return;
    msg::End record;
    const RealEnd real = real_end(*shell_.status());
    record.outcome = is_canceled_ ? Outcome(Canceled{real}) : as_outcome(real);
    record.out.eof = record.err.eof = true;  // It writes nothing of its own.
    write_end(std::move(record));
}

}  // namespace frsh
