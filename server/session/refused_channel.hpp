// RefusedChannel stands for a request that was refused. Until the client acknowledges the refusal,
// it may have sent more on the channel; all of that is ignored.
#pragma once

#include "server/run/server_channel.hpp"

#include <optional>
#include <string>

namespace frsh {

class RefusedChannel : public ServerChannel {
  public:
    explicit RefusedChannel(Channel channel) : channel_(channel) {}

    [[nodiscard]] Channel channel() const override { return channel_; }
    [[nodiscard]] const std::string& id() const override { return id_; }
    [[nodiscard]] bool is_active() const override { return false; }
    void on(const msg::Data&) override {}
    void on(const msg::Eof&) override {}
    void on(const msg::Credit&) override {}
    void on(const msg::Stop&) override {}
    void on(const msg::Signal&) override {}
    void on(const msg::Cancel&) override {}
    void on(const msg::Resize&) override {}
    [[nodiscard]] bool is_told() const override { return true; }
    // Accepts an acknowledgement of any run.
    void acknowledge(const msg::EndAck&, Time) override {}
    std::optional<Offset> resume(const msg::Resume::Point&) override { return std::nullopt; }
    [[nodiscard]] OnDisconnect on_disconnect() const override { return {}; }
    void abandon(Termination::First, Time) override { is_abandoned_ = true; }
    [[nodiscard]] bool is_over() const override { return is_abandoned_; }

    [[nodiscard]] bool has_output() const override { return false; }
    void put_control(std::string&) override {}
    void put_chunk(std::string&, std::size_t) override {}

  private:
    Channel channel_;
    std::string id_;
    bool is_abandoned_ = false;
};

}  // namespace frsh
