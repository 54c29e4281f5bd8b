#include "client/forward/agent_connection.hpp"

#include "client/run/remote_run.hpp"
#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/proto/message.hpp"

#include <utility>

namespace frsh {
namespace {

msg::Open accept_for_agent(std::uint64_t number, const OnDisconnect& on_disconnect) {
    msg::Open open;
    open.run = new_run_id();
    open.mode = msg::Open::Mode::Accept;
    open.args = {std::to_string(number)};
    open.on_disconnect = on_disconnect;
    return open;
}

}  // namespace

AgentConnection::AgentConnection(EventLoop& loop, AgentForward& owner, ServerConnection& server,
                                 std::uint64_t number, const OnDisconnect& on_disconnect)
    : loop_(loop),
      owner_(owner),
      server_(server),
      number_(number),
      run_(&server.open(accept_for_agent(number, on_disconnect), out_, err_)) {}

void AgentConnection::progress() {
    if (is_exchange_over_) exchange_.reset();
    is_exchange_over_ = false;
    if (state_ == State::Over) return;
    if (run_->is_finished()) return close();
    while (state_ == State::Reading && read_request()) {
    }
}

// Takes no bytes while a request is being answered: the stream's window holds them.
bool AgentConnection::read_request() {
    requests_.feed(out_.take());
    try {
        auto next = requests_.next();
        if (!next) {
            if (!run_->has_ended(StreamId::Stdout)) return false;
            run_->finish_stdin();
            state_ = State::Leaving;
            return false;
        }
        request_ = *std::move(next);
    } catch (const ProtocolError& error) {
        log::info(std::string("-A: ") + error.what());
        close();
        return false;
    }
    switch (request_.kind) {
        case AgentRequest::Kind::Other:
            answer(agent_refusal());
            break;
        case AgentRequest::Kind::List:
            pass_on();
            break;
        case AgentRequest::Kind::Sign:
            state_ = State::Asking;
            owner_.ask(*this);
            break;
    }
    return true;
}

void AgentConnection::decide(bool is_permitted) {
    if (state_ != State::Asking) return;
    if (is_permitted) return pass_on();
    state_ = State::Reading;
    answer(agent_refusal());
}

void AgentConnection::pass_on() {
    state_ = State::Waiting;
    is_exchange_over_ = false;
    exchange_ =
        std::make_unique<AgentExchange>(loop_, owner_.path_, request_.message,
                                        [this](std::string bytes) { on_answer(std::move(bytes)); });
}

void AgentConnection::on_answer(std::string bytes) {
    is_exchange_over_ = true;
    if (state_ != State::Waiting) return;
    state_ = State::Reading;
    if (bytes.empty()) bytes = agent_refusal();
    if (request_.kind == AgentRequest::Kind::List) owner_.note_keys(bytes);
    answer(bytes);
}

// An answer is at most kMaxAgentMessage, and the next request is read only after it.
void AgentConnection::answer(const std::string& bytes) {
    run_->append_stdin(bytes);
}

void AgentConnection::close() {
    if (run_ == nullptr) return;
    state_ = State::Over;
    owner_.withdraw(*this);
    exchange_.reset();
    if (!run_->is_finished() && !run_->has_ended(StreamId::Stdout)) run_->cancel();
    server_.forget(*std::exchange(run_, nullptr));
}

}  // namespace frsh
