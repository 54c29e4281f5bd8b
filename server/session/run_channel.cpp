#include "server/session/run_channel.hpp"

#include <utility>

namespace frsh {

RunChannel::RunChannel(std::unique_ptr<Run> run, std::shared_ptr<Audit> audit)
    : run_(std::move(run)), audit_(std::move(audit)) {}

RunChannel::~RunChannel() {
    if (audit_ && run_->record()) audit_->run_ended(*run_->record());
}

}  // namespace frsh
