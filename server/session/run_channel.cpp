#include "server/session/run_channel.hpp"

#include <utility>

namespace frsh {

RunChannel::RunChannel(std::unique_ptr<Run> run, const msg::Open& open,
                       std::shared_ptr<Audit> audit)
    : run_(std::move(run)), audit_(std::move(audit)) {
    if (audit_) audit_->run_asked(open);
}

RunChannel::~RunChannel() {
    if (audit_ && run_->record()) audit_->run_ended(*run_->record());
}

std::optional<Offset> RunChannel::resume(const msg::Resume::Point& point) {
    // Its grace period has expired, so it is being ended.
    if (run_->is_disconnected()) return std::nullopt;
    return run_->resume(point);
}

}  // namespace frsh
