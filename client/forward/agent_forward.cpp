#include "client/forward/agent_forward.hpp"

#include "client/connection/ssh_agent.hpp"
#include "client/forward/agent_connection.hpp"
#include "client/forward/incoming_connection.hpp"
#include "client/forward/remote_forwards.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"
#include "common/keys/ssh_certificate.hpp"

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <utility>
#include <variant>

namespace frsh {
namespace {

// RemoteForwards counts its own from 1.
constexpr ListenerId kAgentListener = 0;
constexpr std::size_t kMaxAgentConnections = 32;

// Returns the path of the agent's socket; empty if there is none.
std::string find_agent(const ConnectionSettings& settings) {
    const std::string named = settings.identity_agent.value_or("SSH_AUTH_SOCK");
    if (named == "none") return "";
    if (named != "SSH_AUTH_SOCK") return named;
    const char* const path = std::getenv("SSH_AUTH_SOCK");
    return path != nullptr ? path : "";
}

}  // namespace

AgentForward::AgentForward(EventLoop& loop, const ClientOptions& options)
    : loop_(loop), options_(options) {}

AgentForward::~AgentForward() = default;

void AgentForward::start(ServerConnection& server) {
    const auto wish = options_.settings.agent.value_or(AgentForwarding::No);
    if (wish == AgentForwarding::No) return;
    path_ = find_agent(options_.settings);
    if (path_.empty()) {
        complain("there is no agent to lend (SSH_AUTH_SOCK is not set)");
        return;
    }
    server_ = &server;
    request();
}

void AgentForward::request() {
    msg::Listen listen;
    listen.listener = kAgentListener;
    listen.on_disconnect = forward_grace(options_);
    listen.agent = true;
    server_->link().send(listen);
}

void AgentForward::stop() {
    if (server_ != nullptr) server_->link().send(msg::Unlisten{kAgentListener});
}

bool AgentForward::on_message(const Message& message) {
    if (server_ == nullptr) return false;
    if (const auto* const listening = std::get_if<msg::Listening>(&message)) {
        if (listening->listener != kAgentListener) return false;
        if (listening->problem) {
            complain("the server takes no agent: " + escape_controls(*listening->problem));
        }
        return true;
    }
    if (const auto* const incoming = std::get_if<msg::Incoming>(&message)) {
        if (incoming->listener != kAgentListener) return false;
        const auto number = incoming->connection;
        // After a resume, the session announces again what this client has not opened there.
        const bool is_known = std::any_of(connections_.begin(), connections_.end(),
                                          [&](const auto& one) { return one->number() == number; });
        if (is_known) return true;
        if (connections_.size() >= kMaxAgentConnections) {
            IncomingConnection::refuse(*server_, number);
            return true;
        }
        connections_.push_back(std::make_unique<AgentConnection>(loop_, *this, *server_, number,
                                                                 forward_grace(options_)));
        return true;
    }
    if (std::holds_alternative<msg::Resumed>(message) && !has_complained_) request();
    return false;
}

void AgentForward::complain(const std::string& why) {
    if (std::exchange(has_complained_, true)) return;
    // A configuration file may lend the agent to every host.
    options_.asks_for_agent ? log::notice("-A: " + why) : log::info("ForwardAgent: " + why);
}

void AgentForward::progress() {
    if (server_ == nullptr) return;
    if (server_->is_known_to_lack("agent")) complain("this server takes no agents");
    if (std::exchange(has_answer_, false)) question_.reset();
    for (const auto& connection : connections_) {
        connection->progress();
        if (server_->is_down()) connection->close();
    }
    std::erase_if(connections_, [](const auto& connection) { return connection->is_over(); });
    if (question_) return;
    const auto next =
        std::find_if(connections_.begin(), connections_.end(),
                     [](const auto& connection) { return connection->wants_question(); });
    if (next != connections_.end()) begin_question(**next);
}

void AgentForward::ask(AgentConnection& connection) {
    if (*options_.settings.agent == AgentForwarding::Yes) return connection.decide(true);
    if (!question_) begin_question(connection);
}

void AgentForward::begin_question(AgentConnection& connection) {
    asked_for_ = &connection;
    const AgentRequest& request = connection.request();
    const std::string lines = "frsh: a program on " + escape_controls(options_.target) +
                              " asks the agent of this side for a signature\nfrsh: with " +
                              escape_controls(name_of_key(request.key_blob)) + "\nfrsh: for " +
                              escape_controls(purpose_of(request.data)) + "\n";
    question_.emplace(loop_, lines, "May it have it?",
                      [this](AgentQuestion::Answer answer) { on_answer(answer); });
}

void AgentForward::withdraw(const AgentConnection& connection) {
    if (asked_for_ != &connection) return;
    asked_for_ = nullptr;
    has_answer_ = true;
}

void AgentForward::on_answer(AgentQuestion::Answer answer) {
    has_answer_ = true;
    AgentConnection* const connection = std::exchange(asked_for_, nullptr);
    if (answer == AgentQuestion::Answer::Unasked) {
        log::notice(
            "-A: a signature was refused: there is neither a terminal nor SSH_ASKPASS to ask on "
            "(-A=yes asks for none)");
    }
    if (connection != nullptr) connection->decide(answer == AgentQuestion::Answer::Yes);
}

void AgentForward::note_keys(const std::string& answer) {
    constexpr std::size_t kLength = 4;
    try {
        for (const auto& identity :
             parse_agent_identities(std::string_view(answer).substr(kLength))) {
            const Credential credential =
                identity.certificate ? Credential(*identity.certificate) : Credential(identity.key);
            comments_[credential.blob()] = identity.comment;
        }
    } catch (const std::exception&) {
        // The questions name the keys without their comments.
    }
}

std::string AgentForward::name_of_key(const std::string& blob) const {
    std::string name = "a key of a type that is not known here";
    try {
        const Credential credential = Credential::from_blob(blob);
        name = credential.key.type_label() + " " + credential.fingerprint();
    } catch (const std::exception&) {
        // Named as unknown.
    }
    const auto found = comments_.find(blob);
    return found == comments_.end() ? name : name + " (" + found->second + ")";
}

}  // namespace frsh
