// Forwards holds the forwardings of a client (-L, -D): it listens, accepts, and owns the accepted
// connections. The sockets are bound before the client connects to the server.
#pragma once

#include "client/cli/client_options.hpp"
#include "client/cli/forward_spec.hpp"
#include "client/connection/server_connection.hpp"
#include "client/forward/forwarded_connection.hpp"
#include "common/sys/event_loop.hpp"
#include "common/sys/fd.hpp"

#include <list>
#include <memory>
#include <string>
#include <vector>

namespace frsh {

// Logs the port that the kernel chose for a forwarding with port 0.
void announce_port(const ForwardSpec& spec, unsigned port);

class Forwards {
  public:
    // Binds all of `options`. If one cannot be bound, throws UserError, or logs it if
    // exit_on_forward_failure is not set.
    Forwards(EventLoop& loop, const ClientOptions& options);
    ~Forwards();
    Forwards(const Forwards&) = delete;
    Forwards& operator=(const Forwards&) = delete;

    // Accepts connections from now on, while `server` is up. This object must outlive `server`.
    void start(ServerConnection& server);
    // Binds one more, and accepts its connections too. Returns the port; 0 for a unix socket.
    // Throws UserError or SysError.
    unsigned add(const ForwardSpec& spec);
    // Listens no more for this one; its connections go on. Returns false if there is none.
    bool remove(const ForwardSpec& spec);
    // Passes ends on and removes connections that are over. Call it after each turn of the loop.
    // Throws StageError if the server makes no connections for its clients.
    void progress();

    // Returns true if there is no forwarding.
    [[nodiscard]] bool is_empty() const { return listeners_.empty(); }
    // Returns true if no forwarded connection is open.
    [[nodiscard]] bool is_idle() const { return connections_.empty(); }

  private:
    struct Listener {
        ForwardSpec spec;
        Fd socket;
        EventLoop::Watch watch = {};
    };

    void bind(const ForwardSpec& spec);
    // Returns the port; 0 for a unix socket.
    unsigned listen(const ForwardSpec& spec);
    void watch(Listener& listener);
    [[nodiscard]] bool may_accept() const;
    void accept(const Listener& listener);

    EventLoop& loop_;
    const ClientOptions& options_;
    std::list<Listener> listeners_;
    ServerConnection* server_ = nullptr;
    bool is_out_of_descriptors_ = false;  // Until a connection ends.
    std::vector<std::unique_ptr<ForwardedConnection>> connections_;
};

}  // namespace frsh
