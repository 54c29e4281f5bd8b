#include "server/kept/kept_job.hpp"

#include "common/base/error.hpp"
#include "common/base/log.hpp"

namespace frsh {

void KeptJob::write_end(msg::End end) {
    end.channel = 0;
    end.run = id_;
    try {
        folder_->end(end);
    } catch (const SysError& error) {
        // Clients that follow now get the real end. Clients that ask later get `lost`.
        log::error("run " + id_ + ": its end is not on disk: " + error.what());
        end.journal = (end.journal ? *end.journal + "; " : "") + error.what();
    }
    folder_->unlock();
    end_ = std::move(end);
    ++version_;
}

}  // namespace frsh
