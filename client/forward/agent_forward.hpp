// AgentForward lends the ssh-agent of this side to the commands of the server (-A): the session
// listens at a private socket, and each program that connects there is an AgentConnection.
//
// Lists pass at once. A signature passes after the user has confirmed it, or at once with -A=yes.
// Whatever else a program requests (add a key, remove one, lock) is refused here.
#pragma once

#include "client/cli/client_options.hpp"
#include "client/connection/server_connection.hpp"
#include "client/forward/agent_filter.hpp"
#include "client/forward/agent_question.hpp"
#include "common/proto/message.hpp"
#include "common/sys/event_loop.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace frsh {

class AgentConnection;

class AgentForward {
  public:
    // Both are lent.
    AgentForward(EventLoop& loop, const ClientOptions& options);
    ~AgentForward();
    AgentForward(const AgentForward&) = delete;
    AgentForward& operator=(const AgentForward&) = delete;

    // Requests the socket, if the options lend an agent and there is one. This object must outlive
    // `server`.
    void start(ServerConnection& server);
    // Closes the socket. Without it, the session would keep it for the grace period.
    void stop();
    // Returns false if the message is not about the agent.
    bool on_message(const Message& message);
    // Answers requests and removes connections that are over. Call it after each turn of the loop.
    void progress();
    // Returns true while the user is being asked: nothing else may read the terminal then.
    [[nodiscard]] bool is_asking() const { return question_.has_value(); }

  private:
    friend class AgentConnection;

    void request();
    // Asks the user about the signature; connections wait for their turn.
    void ask(AgentConnection& connection);
    void begin_question(AgentConnection& connection);
    void withdraw(const AgentConnection& connection);
    void on_answer(AgentQuestion::Answer answer);
    void complain(const std::string& why);
    // Notes the comments of the keys that the agent lists, for the questions.
    void note_keys(const std::string& answer);
    [[nodiscard]] std::string name_of_key(const std::string& blob) const;

    EventLoop& loop_;
    const ClientOptions& options_;
    ServerConnection* server_ = nullptr;           // Null if no agent is lent.
    std::string path_;                             // The agent's socket.
    std::map<std::string, std::string> comments_;  // By the key's blob.
    std::vector<std::unique_ptr<AgentConnection>> connections_;
    AgentConnection* asked_for_ = nullptr;
    std::optional<AgentQuestion> question_;
    bool has_answer_ = false;      // The question is over; progress() destroys it.
    bool has_complained_ = false;  // The server lends no socket, which was logged.
};

}  // namespace frsh
