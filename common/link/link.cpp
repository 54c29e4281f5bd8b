#include "common/link/link.hpp"

#include "common/base/error.hpp"
#include "common/net/tls.hpp"

#include <algorithm>
#include <optional>
#include <system_error>
#include <utility>

namespace frsh {
namespace {

// The outbox is refilled up to this many bytes: enough for a write to be worth its system call,
// short enough that control messages do not wait long behind it.
constexpr std::size_t kOutbox = 64 * 1024;
// The largest chunk, in bytes, while two or more channels have data.
constexpr std::size_t kSharedChunk = 16 * 1024;
// While this many bytes of control wait, the peer is not reading its answers, so its requests are
// not read either.
constexpr std::size_t kMaxControl = 256 * 1024;
// The least room for one read, in bytes.
constexpr std::size_t kReadSize = 128 * 1024;
// The most reads in one turn of the loop, so that one busy peer does not starve other watches.
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
            const bool wants_bytes = is_reading() && control_.size() <= kMaxControl;
            return wants_bytes ? transport_->read_events() : short{0};
        },
        [this](short) { on_readable(); });
    write_watch_ = loop_.watch(
        "link: room for bytes to the peer", transport_->write_fd(),
        [this]() -> short { return is_flushed() ? short{0} : transport_->write_events(); },
        [this](short) { flush(); });
}

Link::~Link() = default;

void Link::change(Event event) {
    using enum State;
    switch (event) {
        case Event::Hold:
            if (state_ == Open) state_ = Held;
            if (state_ == WriteClosed) state_ = WriteClosedHeld;
            break;
        case Event::GoOn:
            if (state_ == Held) state_ = Open;
            if (state_ == WriteClosedHeld) state_ = WriteClosed;
            break;
        case Event::ReadEnd:
            state_ = is_mute() ? Lost : ReadClosed;
            break;
        case Event::WriteEnd:
            state_ = state_ == Open   ? WriteClosed
                     : state_ == Held ? WriteClosedHeld
                     : is_closing()   ? Closed
                                      : Lost;
            break;
        case Event::Close:
            if (!is_closing()) state_ = is_mute() ? Closed : Draining;
            break;
        case Event::Finish:
            state_ = transport_->has_unsent() ? Finishing : Closed;
            break;
        case Event::Lose:
            state_ = is_closing() ? Closed : Lost;
            break;
        case Event::Replace:
            state_ = Open;
            break;
    }
}

bool Link::is_reading() const {
    return state_ == State::Open || state_ == State::WriteClosed;
}

bool Link::is_down() const {
    return !is_reading() && state_ != State::Held && state_ != State::WriteClosedHeld;
}

bool Link::is_closing() const {
    return state_ == State::Draining || state_ == State::Finishing || state_ == State::Closed;
}

bool Link::is_mute() const {
    return state_ == State::WriteClosed || state_ == State::WriteClosedHeld ||
           state_ == State::Closed || state_ == State::Lost;
}

void Link::send(const Message& message) {
    if (!is_closing() && !is_mute()) encode(control_, message);
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
    change(Event::Replace);
    watch();
    receive(received);
}

void Link::receive(std::string_view bytes) {
    decoder_.frames().feed(bytes);
    guard([this] { act_on_messages(); });
}

void Link::hold() {
    change(Event::Hold);
}

void Link::go_on(const Message& message, std::string_view rest) {
    change(Event::GoOn);
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
    change(Event::Lose);
}

bool Link::is_flushed() const {
    if (is_mute()) return true;
    if (written_ < outbox_.size() || !control_.empty() || transport_->has_unsent()) return false;
    if (is_closing()) return state_ == State::Finishing;
    return std::none_of(sources_.begin(), sources_.end(),
                        [](const Source* source) { return source->has_output(); });
}

// Fills the outbox: queued messages first, then credit, then data from each source in turn.
void Link::refill() {
    outbox_.clear();
    written_ = 0;
    outbox_.swap(control_);
    if (is_closing()) return;
    for (Source* const source : sources_)
        source->put_control(outbox_);
    const auto active = std::count_if(sources_.begin(), sources_.end(),
                                      [](const Source* source) { return source->has_output(); });
    const std::size_t most = active > 1 ? kSharedChunk : kMaxData;
    // A full round in which no source appended a byte ends the loop.
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
        go_down(Event::Close, std::string("protocol error: ") + error.what());
    } catch (const std::system_error& error) {
        go_down(Event::Lose, error.what());
    } catch (const TlsError& error) {
        go_down(Event::Lose, error.what());
    }
}

void Link::flush() {
    while (!is_mute()) {
        if (written_ == outbox_.size()) {
            if (state_ != State::Finishing) refill();
            // If the outbox is empty, write() sends what the transport itself still holds.
            if (outbox_.empty() && !transport_->has_unsent()) break;
        }
        IoResult result;
        guard([&] { result = transport_->write(std::string_view(outbox_).substr(written_)); });
        if (is_mute()) return;
        if (result.status == IoResult::Status::WouldBlock) return;
        if (result.status == IoResult::Status::EndOfFile) {
            // What the peer sent before it stopped reading may still arrive, unless what waits for
            // it keeps the link from reading (kMaxControl).
            control_.clear();
            return change(Event::WriteEnd);
        }
        written_ += result.bytes;
        if (outbox_.empty() && transport_->has_unsent()) return;  // The kernel has no room.
    }
    if (state_ == State::Draining) {
        transport_->finish_writing();
        change(Event::Finish);
    } else if (state_ == State::Finishing) {
        change(Event::Finish);
    }
}

void Link::on_readable() {
    guard([this] { read_messages(); });
}

void Link::act_on_messages() {
    while (is_reading()) {
        const auto message = decoder_.next();
        if (!message) break;
        handler_.on_message(*message);
    }
}

void Link::read_messages() {
    for (int reads = 0; reads < kReadsATurn && is_reading(); ++reads) {
        std::size_t size = 0;
        char* const room = decoder_.frames().room(kReadSize, size);
        const IoResult result = transport_->read(room, size);
        if (result.status == IoResult::Status::WouldBlock) return;
        if (result.status == IoResult::Status::EndOfFile) {
            const std::size_t cut = decoder_.frames().buffered();
            return go_down(Event::ReadEnd,
                           cut == 0 ? "" : "connection closed in the middle of a frame");
        }
        decoder_.frames().commit(result.bytes);
        act_on_messages();
        // A short read has emptied the kernel's buffer, so another read would block.
        if (result.bytes < size && !transport_->has_buffered()) return;
    }
}

void Link::close() {
    change(Event::Close);
}

void Link::go_down(Event event, const std::string& problem) {
    const bool was_down = is_down();
    change(event);
    if (!was_down) handler_.on_link_down(problem);
}

}  // namespace frsh
