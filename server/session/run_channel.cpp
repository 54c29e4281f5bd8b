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

}  // namespace frsh
