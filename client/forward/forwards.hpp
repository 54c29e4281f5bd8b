// Forwards holds the forwardings of a client. For -L and -D it listens, accepts, and owns the
// accepted connections: those sockets are bound before the client connects to the server. For -R,
// see remote_forwards.hpp.
#pragma once

#include "client/cli/client_options.hpp"
#include "client/cli/forward_spec.hpp"
#include "client/connection/server_connection.hpp"
#include "client/forward/agent_forward.hpp"
#include "client/forward/forwarded_connection.hpp"
#include "client/forward/remote_forwards.hpp"
#include "common/proto/message.hpp"
#include "common/sys/event_loop.hpp"
#include "common/sys/fd.hpp"

#include <list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace frsh {

class Forwards {
  public:
    // Binds all of `options`. If one cannot be bound, throws UserError, or logs it if
    // exit_on_forward_failure is not set.
    Forwards(EventLoop& loop, const ClientOptions& options);
    ~Forwards();
    Forwards(const Forwards&) = delete;
    Forwards& operator=(const Forwards&) = delete;

    // Accepts connections from now on, while `server` is up. This object must outlive `server`.
    // Call it before the first run is requested: the server's ports are then bound when it starts.
    void start(ServerConnection& server);
    // Binds one more of this side, and accepts its connections too. Returns the port; 0 for a unix
    // socket. Throws UserError or SysError.
    unsigned add(const ForwardSpec& spec);
    // Requests one more of the server's side. Throws UserError.
    void add_remote(const ForwardSpec& spec, RemoteForwards::OnAnswer on_answer) {
        remote_.add(spec, std::move(on_answer));
    }
    // Listens no more for this one; its connections go on. Returns false if there is none.
    bool remove(const ForwardSpec& spec);
    // Takes the messages of the server that belong to no run.
    void on_message(const Message& message) {
        if (!agent_.on_message(message)) remote_.on_message(message);
    }
    // Closes what the server has bound. Call it at the client's orderly end.
    void stop() {
        remote_.stop();
        agent_.stop();
    }
    // Returns true while the user is asked about a signature: nothing else may read the terminal.
    [[nodiscard]] bool is_asking() const { return agent_.is_asking(); }
    // Waits until every port that must be open is open. Throws as progress() does, and Interrupted
    // if `signals` becomes readable before.
    void await_required(int signals);
    // Passes ends on and removes connections that are over. Call it after each turn of the loop.
    // Throws StageError if the server makes no connections for its clients, and UserError if it
    // cannot listen.
    void progress();

    // Returns true if there is no forwarding.
    [[nodiscard]] bool is_empty() const { return listeners_.empty() && remote_.is_empty(); }
    // Returns true if no forwarded connection is open.
    [[nodiscard]] bool is_idle() const {
        return connections_.empty() && remote_.connections() == 0;
    }
    // Returns true once the server has answered for every port of its side.
    [[nodiscard]] bool is_ready() const { return remote_.is_ready(); }

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
    RemoteForwards remote_;
    AgentForward agent_;
    ServerConnection* server_ = nullptr;
    bool is_out_of_descriptors_ = false;  // Until a connection ends.
    std::vector<std::unique_ptr<ForwardedConnection>> connections_;
};

}  // namespace frsh
