#include "client/io/deferred_sink.hpp"

#include <string>

namespace frsh {
namespace {

constexpr std::size_t kPiece = 256 * 1024;

}  // namespace

void DeferredSink::write(std::string_view bytes) {
    if (sink_ != nullptr) {
        sink_->write(bytes);
    } else {
        held_.write(bytes);
    }
}

Offset DeferredSink::take_used() {
    return held_.take_used() + (sink_ != nullptr ? sink_->take_used() : 0);
}

int DeferredSink::failure() const {
    return held_.failure() != 0 || sink_ == nullptr ? held_.failure() : sink_->failure();
}

bool DeferredSink::let_through(OutputSink& sink) {
    if (sink_ != nullptr) return true;
    std::string buffer(kPiece, '\0');
    while (passed_on_ < held_.size() && sink.is_drained()) {
        const std::string_view piece = held_.piece(passed_on_, buffer).substr(0, kPiece);
        if (piece.empty()) break;  // Storing failed; failure() has the reason.
        sink.write(piece);
        passed_on_ += piece.size();
    }
    if (!sink.is_drained()) return false;
    (void)sink.take_used();  // These bytes were counted when they were stored.
    sink_ = &sink;
    return true;
}

}  // namespace frsh
