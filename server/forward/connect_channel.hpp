// ConnectChannel carries a connection that the session has made for the client, or has accepted
// for it: stdin goes to the peer, and what the peer sends is stdout. It has no process.
//
//     state       leaves it when                                                  for
//     Connecting  the peer has accepted                                           Open
//                 the connection cannot be made                                   Ended
//     Open        both directions have ended, a side reset it, or it is canceled  Ended
//     Ended       all bytes and the record have been sent                         Told
//     Told        the client resumes, and may have missed the record              Ended
//     Any state: the client gives the channel up                                  Abandoned
//
// A direction ends as TCP ends it: the client's `eof` becomes a FIN, and a FIN becomes `eof`. A
// reset is a `lost` or a `cancel`, and a cancel is a reset. Until both directions have ended, the
// kernel resets the connection when it is closed, also if this process is killed.
#pragma once

#include "common/net/forward_connector.hpp"
#include "server/run/output_reader.hpp"
#include "server/run/server_channel.hpp"
#include "server/run/stdin_writer.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace frsh {

class ConnectChannel : public ServerChannel {
  public:
    // What the connection has carried, once it is over.
    struct Traffic {
        Outcome outcome;
        Offset to_peer = 0;
        Offset to_client = 0;
    };
    using OnEnd = std::function<void(const Traffic&)>;

    // Starts to connect. If `refusal` is set, makes no connection: that is the channel's outcome.
    // `budgets` are lent. `on_end` is called once.
    ConnectChannel(EventLoop& loop, const msg::Open& open, std::optional<NotStarted> refusal,
                   WindowBudgets& budgets, OnEnd on_end);
    // Carries an accepted connection.
    ConnectChannel(EventLoop& loop, const msg::Open& open, Fd accepted, WindowBudgets& budgets,
                   OnEnd on_end);
    ~ConnectChannel() override;

    [[nodiscard]] Channel channel() const override { return channel_; }
    [[nodiscard]] const std::string& id() const override { return id_; }
    [[nodiscard]] bool is_forward() const override { return true; }
    void on(const msg::Data& data) override;
    void on(const msg::Eof& eof) override;
    void on(const msg::Credit& credit) override;
    void on(const msg::Stop& stop) override;
    void on(const msg::Signal&) override {}
    void on(const msg::Cancel& cancel) override;
    void on(const msg::Resize&) override {}
    [[nodiscard]] bool is_told() const override { return state_ == State::Told; }
    std::optional<Offset> resume(const msg::Resume::Point& point) override;
    [[nodiscard]] OnDisconnect on_disconnect() const override { return on_disconnect_; }
    // Resets the connection.
    void abandon(Termination::First first, Time now) override;
    [[nodiscard]] bool is_over() const override { return state_ == State::Abandoned; }
    [[nodiscard]] bool awaits(pid_t pid) const override {
        return connector_ && connector_->pid() == pid;
    }
    void exited(const ExitStatus&) override { connector_->reaped(); }
    void tick(Time now) override;

    [[nodiscard]] bool has_output() const override;
    void put_control(std::string& out) override;
    void put_chunk(std::string& out, std::size_t most) override;

    // The record, once the channel has ended.
    [[nodiscard]] const std::optional<msg::End>& record() const { return record_; }

  private:
    enum class State { Connecting, Open, Ended, Told, Abandoned };

    void on_result(ForwardConnector::Result result);
    void begin(Fd socket);
    void check_progress();
    void end(Outcome outcome);
    void report(const Outcome& outcome);
    [[nodiscard]] bool is_record_due() const;

    EventLoop& loop_;
    WindowBudgets& budgets_;
    Channel channel_;
    std::string id_;
    OnDisconnect on_disconnect_;
    State state_ = State::Connecting;
    bool was_connected_ = false;   // A `started` was sent, or is to be sent.
    bool is_started_due_ = false;  // A `started` is to be sent.
    // What the client sent before the peer accepted.
    struct Early {
        std::string bytes;
        std::optional<Offset> eof;
        std::optional<msg::Credit> credit;
    };
    Early early_;
    OnEnd on_end_;                   // Empty once it was called.
    std::optional<Offset> arrived_;  // Bytes of stdin, once a `cancel` has dropped in_.
    bool is_output_unwanted_ = false;
    int socket_ = -1;  // Lent by in_.
    std::unique_ptr<StdinWriter> in_;
    std::unique_ptr<OutputReader> out_;
    std::optional<msg::End> record_;
    std::unique_ptr<ForwardConnector> connector_;
};

}  // namespace frsh
