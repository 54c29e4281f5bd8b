// The end of listening, and what outlives sessions; listener.cpp has the listener's life before.
#include "server/listener/listener.hpp"

#include <cstddef>
#include <utility>

#include <sys/prctl.h>
#include <unistd.h>

namespace frsh {

void Listener::refuse_waiting() {
    // Each call of accept_some() accepts a limited number.
    for (std::size_t before = kMaxWaiting; before != queue_.size();) {
        before = queue_.size();
        for (const auto& socket : sockets_)
            accept_some(*socket);
    }
    for (AcceptQueue::Pending& pending : queue_.take_all())
        refuse(std::move(pending.socket), "shutdown", "this server is being ended; try again");
}

void Listener::stop_listening() {
    for (const auto& socket : sockets_) {
        if (!socket->path.empty()) ::unlink(socket->path.c_str());
    }
    sockets_.clear();
    pool_.stop();
}

void Listener::adopt_orphans() {
    (void)::prctl(PR_SET_CHILD_SUBREAPER, 1);
}

}  // namespace frsh
