#include "client/server_link.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"
#include "common/base/text.hpp"

namespace frsh {

ServerLink::ServerLink(EventLoop& loop, Connection connection, OnOther on_other)
    : loop_(loop),
      on_other_(std::move(on_other)),
      child_(std::move(connection.child)),
      link_(loop, std::move(connection.transport), *this) {
    link_.send(msg::Hello{kProtocolVersion, "frsh/" FRSH_VERSION, {"runs", "shells"}, "", ""});
}

ServerLink::~ServerLink() = default;

RemoteRun& ServerLink::open(msg::Open open, Sink& out, Sink& err) {
    const Channel channel = next_channel_++;
    open.channel = channel;
    auto run = std::make_unique<RemoteRun>(link_, std::move(open), out, err);
    if (is_down()) run->link_down(problem_);
    return *runs_.emplace(channel, std::move(run)).first->second;
}

void ServerLink::forget(RemoteRun& run) {
    runs_.erase(run.channel());
}

void ServerLink::finish(EventLoop::Time deadline) {
    link_.close();
    for (link_.flush(); !link_.is_flushed() && EventLoop::Clock::now() < deadline; link_.flush()) {
        loop_.run_once(deadline);
    }
    if (!child_) return;
    // It ends when the connection does. Not waiting would leave a zombie wherever nobody else
    // waits for orphans, as in many containers.
    bool has_ended = false;
    const auto watch = loop_.watch(
        "the server we started: its end", child_->pidfd.get(), [] { return short{POLLIN}; },
        [&has_ended](short) { has_ended = true; });
    while (!has_ended && EventLoop::Clock::now() < deadline)
        loop_.run_once(deadline);
    (void)reap(child_->pid);
    child_.reset();
}

void ServerLink::on_message(const Message& message) {
    if (const auto* const hello = std::get_if<msg::Hello>(&message)) {
        if (server_) throw ProtocolError("a second hello");
        if (hello->proto != kProtocolVersion) {
            throw ProtocolError("the server speaks protocol " + std::to_string(hello->proto) +
                                ", this client " + std::to_string(kProtocolVersion));
        }
        server_ = *hello;
        log::info("connected to " + escape_controls(hello->software) + " on " +
                  escape_controls(hello->host) + " as " + escape_controls(hello->user));
        return;
    }
    if (const auto* const error = std::get_if<msg::Error>(&message)) {
        refusal_ = *error;
        return;
    }
    if (!server_) throw ProtocolError("the first message was no hello");
    const auto channel = std::visit(
        [](const auto& one) -> std::optional<Channel> {
            if constexpr (requires { one.channel; }) return one.channel;
            return std::nullopt;
        },
        message);
    if (!channel) {
        if (on_other_) on_other_(message);
        return;
    }
    const auto found = runs_.find(*channel);
    // A run that was forgotten early: what it still says is for nobody.
    if (found == runs_.end()) {
        if (const auto* const end = std::get_if<msg::End>(&message)) {
            link_.send(msg::EndAck{end->channel, end->run});
        }
        return;
    }
    found->second->on_message(message);
}

void ServerLink::on_link_down(const std::string& problem) {
    problem_ = problem;
    if (refusal_) {
        problem_ = "the server says: " + escape_controls(refusal_->message);
        if (refusal_->retry_after) {
            problem_ += " (try again in " + std::to_string(*refusal_->retry_after) + " s)";
        }
    }
    for (const auto& [channel, run] : runs_) {
        if (refusal_) {
            run->refused(problem_);
        } else {
            run->link_down(problem);
        }
    }
}

}  // namespace frsh
