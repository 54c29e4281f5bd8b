// A reload: the listener keeps its sockets and its sessions. What it forks from then on, it forks
// anew, so that each new session has the new configuration.
#include "common/base/log.hpp"
#include "common/net/socket.hpp"
#include "server/listener/listener.hpp"
#include "server/login/host_key.hpp"

#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace frsh {

std::vector<Door> Listener::doors() const {
    std::vector<Door> all;
    for (const auto& socket : sockets_)
        all.push_back(socket->door);
    return all;
}

void Listener::reload() {
    asked_ = Asked::Nothing;
    try {
        sessions_.reload(reload_());
        pool_.restart();
        for (const auto& socket : sockets_) {
            if (socket->door != Door::Tls || socket->path.empty() || !host_key_) continue;
            leave_pin(local_address(socket->fd.get()).port(), host_key_->key);
        }
        log::notice("reloaded the configuration");
    } catch (const std::runtime_error& error) {
        log::error(std::string("reload: ") + error.what() + "; the old configuration stays");
    }
}

}  // namespace frsh
