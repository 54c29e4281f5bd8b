// AgentConnection is one program on the server that uses the agent of this side. A run of mode
// `accept` carries its bytes.
//
//     Reading ── a list or a permitted signature is requested ──▶ Waiting
//             ── a signature is requested, and the user decides ──▶ Asking
//     Asking  ── the user has confirmed it ──▶ Waiting; else ──▶ Reading
//     Waiting ── the agent has answered ──▶ Reading
//     Reading ── the program has left ──▶ Leaving ── its run has ended ──▶ Over
//     Any state: the run has ended, or the program sent what no agent understands ──▶ Over
#pragma once

#include "client/connection/server_connection.hpp"
#include "client/forward/agent_exchange.hpp"
#include "client/forward/agent_filter.hpp"
#include "client/forward/agent_forward.hpp"
#include "client/forward/late_output.hpp"
#include "client/io/output_sink.hpp"
#include "common/sys/event_loop.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace frsh {

class AgentConnection {
  public:
    // `owner` and `server` are lent. The run must be at its end, or closed by close(), before the
    // server's connection is destroyed.
    AgentConnection(EventLoop& loop, AgentForward& owner, ServerConnection& server,
                    std::uint64_t number, const OnDisconnect& on_disconnect);
    AgentConnection(const AgentConnection&) = delete;
    AgentConnection& operator=(const AgentConnection&) = delete;

    [[nodiscard]] std::uint64_t number() const { return number_; }
    [[nodiscard]] bool is_over() const { return state_ == State::Over; }
    [[nodiscard]] bool wants_question() const { return state_ == State::Asking; }
    [[nodiscard]] const AgentRequest& request() const { return request_; }
    // Answers requests, one after the other. Call it after each turn of the loop.
    void progress();
    // Passes the signature's request on, or refuses it.
    void decide(bool is_permitted);
    void close();

  private:
    enum class State { Reading, Asking, Waiting, Leaving, Over };

    // Returns false if no whole request has arrived.
    bool read_request();
    void pass_on();
    void on_answer(std::string answer);
    void answer(const std::string& bytes);

    EventLoop& loop_;
    AgentForward& owner_;
    ServerConnection& server_;
    std::uint64_t number_;
    State state_ = State::Reading;
    NullSink err_{0};
    LateOutput out_;
    RemoteRun* run_;  // Owned by server_.
    AgentRequests requests_;
    AgentRequest request_;
    std::unique_ptr<AgentExchange> exchange_;
    bool is_exchange_over_ = false;  // progress() destroys it.
};

}  // namespace frsh
