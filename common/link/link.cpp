#include "common/link/link.hpp"

#include "common/base/error.hpp"
#include "common/net/tls.hpp"

#include <algorithm>

namespace frsh {
namespace {

// Refilled below this many bytes: enough for a write to be worth its system call, short enough for
// control not to wait long behind it.
constexpr std::size_t kOutbox = 64 * 1024;
// While two or more channels have data, each gets smaller turns.
constexpr std::size_t kSharedChunk = 16 * 1024;
// A peer that has this much control waiting is not listening, and is not listened to meanwhile.
constexpr std::size_t kMaxControl = 256 * 1024;
constexpr std::size_t kReadSize = 128 * 1024;
// Reads in one turn of the loop, so that one busy peer does not starve the rest of the loop.
constexpr int kReadsATurn = 4;

}  // namespace

Link::Link(EventLoop& loop, std::unique_ptr<Transport> transport, Handler& handler,
           FrameLimits limits)
    : loop_(loop), transport_(std::move(transport)), handler_(handler), decoder_(limits) {
    watch();
}

void Link::watch() {
    read_watch_ = loop_.watch(
        "link: bytes from the peer", transport_->read_fd(),
        [this]() -> short {
            const bool is_deaf = down_ || held_ || control_.size() > kMaxControl;
            return is_deaf ? short{0} : transport_->read_events();
        },
        [this](short) { on_readable(); });
    write_watch_ = loop_.watch(
        "link: room for bytes to the peer", transport_->write_fd(),
        [this]() -> short { return is_flushed() ? short{0} : transport_->write_events(); },
        [this](short) { flush(); });
}

Link::~Link() = default;

void Link::send(const Message& message) {
    if (!closing_ && !mute_) encode(control_, message);
}

void Link::add(Source& source) {
    sources_.push_back(&source);
}

void Link::remove(Source& source) {
    std::erase(sources_, &source);
    next_source_ = 0;
}

void Link::replace(std::unique_ptr<Transport> transport, FrameLimits limits,
                   std::string_view received) {
    drop();
    transport_ = std::move(transport);
    decoder_ = MessageDecoder(limits);
    down_ = held_ = closing_ = is_finished_ = mute_ = false;
    watch();
    receive(received);
}

void Link::receive(std::string_view bytes) {
    decoder_.frames().feed(bytes);
    guard([this] { act_on_messages(); });
}

void Link::go_on(const Message& message, std::string_view rest) {
    held_ = false;
    decoder_.frames().feed(rest);
    guard([&] {
        handler_.on_message(message);
        act_on_messages();
    });
}

void Link::drop() {
    read_watch_.reset();
    write_watch_.reset();
    transport_.reset();
    control_.clear();
    outbox_.clear();
    written_ = 0;
    down_ = mute_ = true;
}

bool Link::is_flushed() const {
    if (mute_) return true;
    if (written_ < outbox_.size() || !control_.empty() || transport_->has_unsent()) return false;
    if (closing_) return is_finished_;
    return std::none_of(sources_.begin(), sources_.end(),
                        [](const Source* source) { return source->has_output(); });
}

// Control first, then credit, then data from each source in turn.
void Link::refill() {
    outbox_.clear();
    written_ = 0;
    outbox_.swap(control_);
    if (closing_) return;
    for (Source* const source : sources_)
        source->put_control(outbox_);
    const auto active = std::count_if(sources_.begin(), sources_.end(),
                                      [](const Source* source) { return source->has_output(); });
    const std::size_t most = active > 1 ? kSharedChunk : kMaxData;
    // A full turn without a byte: nobody has anything.
    for (std::size_t silent = 0; silent < sources_.size() && outbox_.size() < kOutbox;) {
        next_source_ %= sources_.size();
        const std::size_t before = outbox_.size();
        sources_[next_source_++]->put_chunk(outbox_, most);
        silent = outbox_.size() == before ? silent + 1 : 0;
    }
}

template <typename Act>
void Link::guard(Act&& act) {
    try {
        act();
    } catch (const ProtocolError& error) {
        send(msg::Error{"protocol", error.what(), std::nullopt});
        closing_ = true;
        go_down(std::string("protocol error: ") + error.what());
    } catch (const std::system_error& error) {
        mute_ = true;
        go_down(error.what());
    } catch (const TlsError& error) {
        mute_ = true;
        go_down(error.what());
    }
}

void Link::flush() {
    while (!mute_) {
        if (written_ == outbox_.size()) {
            if (!is_finished_) refill();
            // With nothing of ours left, what the transport still holds is what can be written.
            if (outbox_.empty() && !transport_->has_unsent()) break;
        }
        IoResult result;
        guard([&] { result = transport_->write(std::string_view(outbox_).substr(written_)); });
        if (mute_) return;
        if (result.status == IoResult::Status::WouldBlock) return;
        if (result.status == IoResult::Status::EndOfFile) {
            // The peer takes no more; what it said before that may still be on its way to us.
            mute_ = true;
            break;
        }
        written_ += result.bytes;
        if (outbox_.empty() && transport_->has_unsent()) return;  // The kernel has no room.
    }
    if (closing_ && !mute_) {
        if (!is_finished_) transport_->finish_writing();
        is_finished_ = true;
        mute_ = !transport_->has_unsent();  // The goodbye itself may have to wait.
    }
}

void Link::on_readable() {
    guard([this] { read_messages(); });
}

void Link::act_on_messages() {
    while (!down_ && !held_) {
        const auto message = decoder_.next();
        if (!message) break;
        handler_.on_message(*message);
    }
}

void Link::read_messages() {
    for (int reads = 0; reads < kReadsATurn && !down_ && !held_; ++reads) {
        std::size_t size = 0;
        char* const room = decoder_.frames().room(kReadSize, size);
        const IoResult result = transport_->read(room, size);
        if (result.status == IoResult::Status::WouldBlock) return;
        if (result.status == IoResult::Status::EndOfFile) {
            const std::size_t cut = decoder_.frames().buffered();
            return go_down(cut == 0 ? "" : "connection closed in the middle of a frame");
        }
        decoder_.frames().commit(result.bytes);
        act_on_messages();
        // A short read has emptied the kernel's buffer: asking again would only say so.
        if (result.bytes < size && !transport_->has_buffered()) return;
    }
}

void Link::close() {
    closing_ = true;
    down_ = true;
}

void Link::go_down(const std::string& problem) {
    if (down_) return;
    down_ = true;
    handler_.on_link_down(problem);
}

}  // namespace frsh
