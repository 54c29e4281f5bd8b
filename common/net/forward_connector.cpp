#include "common/net/forward_connector.hpp"

#include "common/base/error.hpp"
#include "common/net/address.hpp"
#include "common/net/listen_places.hpp"
#include "common/net/socket.hpp"
#include "common/sys/fd_passing.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <exception>
#include <optional>
#include <string_view>
#include <utility>

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace frsh {
namespace {

// The longest answer of the child, in bytes: "ERRNO MESSAGE".
constexpr std::size_t kMaxAnswer = 512;

Fd connect_to_any(const std::string& host, unsigned port) {
    std::optional<SysError> last;
    for (const Address& address : resolve({host, port}, false)) {
        try {
            // The alarm of the child is the limit.
            return connect_tcp(address, EventLoop::kNever);
        } catch (const SysError& error) {
            last = error;
        }
    }
    if (!last) throw UserError(host + ": has no address");
    throw SysError(*last);
}

Fd connect_as_requested(const std::vector<std::string>& to) {
    if (to.size() == 1) return connect_unix(to[0], EventLoop::kNever);
    return connect_to_any(to[0], static_cast<unsigned>(std::stoul(to[1])));
}

// Runs in the child, and never returns: this process must not continue as a second session.
[[noreturn]] void connect_and_pass(int answer, const std::vector<std::string>& to) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    // The peer of a connection must see its end when the parent closes it.
    close_all_but({answer});
    std::signal(SIGALRM, SIG_DFL);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::alarm(static_cast<unsigned>(kForwardConnectTimeout.count()));
    std::string failure;
    try {
        const Fd socket = connect_as_requested(to);
        at_close(socket.get(), AtClose::Reset);  // Also if this process is killed now.
        if (pass_descriptors(answer, "0", {socket.get()})) ::_exit(0);
        ::_exit(1);
    } catch (const SysError& error) {
        failure = std::to_string(error.code().value()) + " " + error.code().message();
    } catch (const std::exception& error) {
        failure = std::string("0 ") + error.what();
    }
    failure.resize(std::min(failure.size(), kMaxAnswer));
    (void)!::write(answer, failure.data(), failure.size());
    ::_exit(1);
}

ConnectFailure failure_of(std::string_view answer) {
    if (answer.empty()) return {ETIMEDOUT, std::strerror(ETIMEDOUT)};
    const std::size_t blank = std::min(answer.find(' '), answer.size());
    ConnectFailure failure;
    for (const char digit : answer.substr(0, blank))
        failure.error = failure.error * 10 + (digit - '0');
    if (blank < answer.size()) failure.message = answer.substr(blank + 1);
    return failure;
}

}  // namespace

ForwardConnector::ForwardConnector(EventLoop& loop, const std::vector<std::string>& to,
                                   std::function<void(Result)> on_result)
    : on_result_(std::move(on_result)) {
    int pair[2];
    check(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), "socketpair");
    answer_ = Fd(pair[0]);
    const Fd theirs(pair[1]);
    pid_ = check(::fork(), "fork");
    if (pid_ == 0) connect_and_pass(theirs.get(), to);
    set_nonblocking(answer_.get());
    watch_ = loop.watch(
        "forward: the connection", answer_.get(), [] { return short{POLLIN}; },
        [this](short) { on_readable(); });
}

ForwardConnector::~ForwardConnector() {
    if (answer_.is_open() && pid_ > 0) ::kill(pid_, SIGKILL);
}

void ForwardConnector::reap() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) == -1 && errno == EINTR) {
    }
    pid_ = -1;
}

void ForwardConnector::on_readable() {
    char buffer[kMaxAnswer];
    Passed passed = receive_descriptors(answer_.get(), buffer, sizeof buffer);
    if (passed.result.status == IoResult::Status::WouldBlock) return;
    watch_.reset();
    answer_.close();
    if (passed.descriptors[0].is_open()) return on_result_(std::move(passed.descriptors[0]));
    on_result_(failure_of({buffer, passed.result.bytes}));
}

}  // namespace frsh
