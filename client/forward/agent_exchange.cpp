#include "client/forward/agent_exchange.hpp"

#include "client/forward/agent_filter.hpp"
#include "common/base/error.hpp"
#include "common/keys/ssh_wire.hpp"

#include <cstdint>
#include <cstring>
#include <utility>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

namespace frsh {
namespace {

// Returns a closed descriptor if no agent listens there.
Fd connect_to_agent(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) return {};
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket.is_open()) return {};
    // connect(2) on a unix socket never returns EINPROGRESS.
    const auto* const generic = reinterpret_cast<const sockaddr*>(&address);
    if (::connect(socket.get(), generic, sizeof address) == -1) return {};
    return socket;
}

// Always ready: lets the loop report that there is no agent.
Fd open_end() {
    Pipe pipe = make_pipe();
    return std::move(pipe.read_end);
}

}  // namespace

AgentExchange::AgentExchange(EventLoop& loop, const std::string& path, std::string request,
                             OnAnswer on_answer)
    : unsent_(std::move(request)),
      on_answer_(std::move(on_answer)),
      socket_(connect_to_agent(path)) {
    const bool is_there = socket_.is_open();
    if (!is_there) {
        unsent_.clear();
        socket_ = open_end();
    }
    watch_ = loop.watch(
        "agent: an answer", socket_.get(),
        [this] { return unsent_.empty() ? short{POLLIN} : short{POLLOUT}; },
        [this](short) { on_ready(); });
}

bool AgentExchange::is_whole() const {
    if (answer_.size() < 4) return false;
    const std::uint32_t length = WireReader(std::string_view(answer_), "ssh-agent").u32();
    if (length == 0 || length > kMaxAgentMessage) throw ProtocolError("ssh-agent: a bad length");
    if (answer_.size() > 4 + std::size_t{length}) throw ProtocolError("ssh-agent: too much");
    return answer_.size() == 4 + std::size_t{length};
}

void AgentExchange::on_ready() {
    try {
        if (!unsent_.empty()) {
            const IoResult result = write_some(socket_.get(), unsent_);
            if (result.status == IoResult::Status::EndOfFile) return finish("");
            unsent_.erase(0, result.bytes);
            return;
        }
        char buffer[16 * 1024];
        const IoResult result = read_some(socket_.get(), buffer, sizeof buffer);
        if (result.status == IoResult::Status::WouldBlock) return;
        if (result.status == IoResult::Status::EndOfFile) return finish("");
        answer_.append(buffer, result.bytes);
        if (is_whole()) finish(std::move(answer_));
    } catch (const SysError&) {
        finish("");
    } catch (const ProtocolError&) {
        finish("");
    }
}

void AgentExchange::finish(std::string answer) {
    watch_.reset();
    socket_.close();
    std::exchange(on_answer_, nullptr)(std::move(answer));
}

}  // namespace frsh
