// RunChannel carries a run that belongs to its connection: the run's streams go to the client
// directly, and the run ends when the channel is abandoned.
#pragma once

#include "server/audit.hpp"
#include "server/run/run.hpp"
#include "server/run/server_channel.hpp"

#include <memory>
#include <optional>
#include <string>

namespace frsh {

class RunChannel : public ServerChannel {
  public:
    // Takes a run whose beginning is in the audit. `audit` may be null.
    RunChannel(std::unique_ptr<Run> run, std::shared_ptr<Audit> audit);
    // Writes the audit record, if the run has ended.
    ~RunChannel() override;

    [[nodiscard]] Channel channel() const override { return run_->channel(); }
    [[nodiscard]] const std::string& id() const override { return run_->id(); }
    [[nodiscard]] bool owns_run() const override { return true; }
    [[nodiscard]] pid_t pid() const override { return run_->pid(); }
    void on(const msg::Data& data) override { run_->on(data); }
    void on(const msg::Eof& eof) override { run_->on(eof); }
    void on(const msg::Credit& credit) override { run_->on(credit); }
    void on(const msg::Stop& stop) override { run_->on(stop); }
    void on(const msg::Signal& signal) override { run_->on(signal); }
    void on(const msg::Cancel& cancel) override { run_->on(cancel); }
    void on(const msg::Resize& resize) override { run_->on(resize); }
    [[nodiscard]] bool is_told() const override { return run_->is_told(); }
    std::optional<Offset> resume(const msg::Resume::Point& point) override {
        return run_->resume(point);
    }
    [[nodiscard]] OnDisconnect on_disconnect() const override { return run_->on_disconnect(); }
    void abandon(Termination::First first, Time now) override { run_->disconnect(first, now); }
    [[nodiscard]] bool is_over() const override { return run_->is_over(); }
    [[nodiscard]] bool awaits(pid_t pid) const override { return run_->awaits(pid); }
    void exited(const ExitStatus& status) override { run_->exited(status); }
    void tick(Time now) override { run_->tick(now); }
    [[nodiscard]] Time next_deadline() const override { return run_->next_deadline(); }

    [[nodiscard]] bool has_output() const override { return run_->has_output(); }
    void put_control(std::string& out) override { run_->put_control(out); }
    void put_chunk(std::string& out, std::size_t most) override { run_->put_chunk(out, most); }

  private:
    std::unique_ptr<Run> run_;
    std::shared_ptr<Audit> audit_;
};

}  // namespace frsh
