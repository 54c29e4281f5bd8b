// RemoteForwards holds the forwardings from the server to this client (-R): the session listens,
// and this client connects each connection that arrives there.
//
// After the link was lost and resumed, each `listen` is sent again. A session that still listens
// only answers.
#pragma once

#include "client/cli/client_options.hpp"
#include "client/cli/forward_spec.hpp"
#include "client/connection/server_connection.hpp"
#include "client/forward/incoming_connection.hpp"
#include "common/proto/message.hpp"
#include "common/sys/event_loop.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace frsh {

// Returns what happens to forwardings when the link is lost.
[[nodiscard]] OnDisconnect forward_grace(const ClientOptions& options);

// Logs the port that was chosen for a forwarding with port 0.
void announce_port(const ForwardSpec& spec, std::uint64_t port);

class RemoteForwards {
  public:
    // Takes the server's answer to one listener.
    using OnAnswer = std::function<void(const msg::Listening& answer)>;

    // Both are lent.
    RemoteForwards(EventLoop& loop, const ClientOptions& options)
        : loop_(loop), options_(options) {}

    // Requests the listener, after start() at once. With `on_answer` nothing is logged, and a
    // listener that failed is forgotten. Throws UserError.
    void add(const ForwardSpec& spec, OnAnswer on_answer = {});
    // Closes the listener; its connections go on. Returns false if there is none.
    bool remove(const ForwardSpec& spec);
    // Requests the listeners. This object must outlive `server`.
    void start(ServerConnection& server);
    // Closes the listeners. Without it, the session would keep them for the grace period.
    void stop();
    void on_message(const Message& message);
    // Passes ends on and removes connections that are over. Call it after each turn of the loop.
    // Throws UserError if the server cannot listen and exit_on_forward_failure is set.
    void progress();

    [[nodiscard]] bool is_empty() const { return listeners_.empty(); }
    // Returns true once the server has answered for every listener.
    [[nodiscard]] bool is_ready() const;
    // Returns how many connections are open.
    [[nodiscard]] std::size_t connections() const { return connections_.size(); }

  private:
    struct Listener {
        enum class State { Requested, Listening, Failed };
        ForwardSpec spec;
        State state = State::Requested;
        std::uint64_t port = 0;
        OnAnswer on_answer = {};
    };

    void request(ListenerId id, const Listener& listener);
    void on_listening(const msg::Listening& listening);
    void on_incoming(const msg::Incoming& incoming);

    EventLoop& loop_;
    const ClientOptions& options_;
    ServerConnection* server_ = nullptr;
    std::map<ListenerId, Listener> listeners_;
    ListenerId last_ = 0;  // The greatest id that was given to a listener.
    std::vector<std::unique_ptr<IncomingConnection>> connections_;
    std::optional<std::string> failure_;  // To be thrown by progress().
};

}  // namespace frsh
