// AgentExchange passes one request to the agent of this side and takes its answer. The agent may
// wait for its user or a token, so it never blocks.
#pragma once

#include "common/sys/event_loop.hpp"
#include "common/sys/fd.hpp"

#include <functional>
#include <string>
#include <string_view>

namespace frsh {

class AgentExchange {
  public:
    // An empty answer: there was none. `on_answer` is called once, from the loop, and may destroy
    // this object.
    using OnAnswer = std::function<void(std::string answer)>;

    // `path` is the agent's socket. `request` and the answer have their lengths.
    AgentExchange(EventLoop& loop, const std::string& path, std::string request,
                  OnAnswer on_answer);
    AgentExchange(const AgentExchange&) = delete;
    AgentExchange& operator=(const AgentExchange&) = delete;

  private:
    void on_ready();
    // Returns true once the answer is whole. Throws ProtocolError.
    [[nodiscard]] bool is_whole() const;
    void finish(std::string answer);

    std::string unsent_;
    std::string answer_;
    OnAnswer on_answer_;
    Fd socket_;
    EventLoop::Watch watch_;
};

}  // namespace frsh
