#include "server/input.hpp"

#include <fcntl.h>

namespace frsh {

Input::Input(EventLoop& loop, Fd pipe) : pipe_(std::move(pipe)) {
    if (!pipe_.is_open()) {
        closed_ = true;
        return;
    }
    set_nonblocking(pipe_.get());
    watch_ = loop.watch(
        "stdin: room for bytes to the command", pipe_.get(),
        [this]() -> short { return pending_.is_empty() ? short{0} : POLLOUT; },
        [this](short) { write_pending(); });
}

void Input::data(const msg::Data& data) {
    stream_.accept(data.offset, data.bytes.size());
    if (closed_) {
        stream_.consume(data.bytes.size());
        return;
    }
    std::string_view bytes = data.bytes;
    if (pending_.is_empty()) {
        // Straight through where the pipe has room: the common case copies nothing.
        const IoResult result = write_some(pipe_.get(), bytes);
        if (result.status == IoResult::Status::EndOfFile) {
            close();
            stream_.consume(bytes.size());
            return;
        }
        stream_.consume(result.bytes);
        bytes.remove_prefix(result.bytes);
    }
    pending_.append(bytes);
}

void Input::eof(Offset offset) {
    stream_.finish(offset);
    finish_if_done();
}

void Input::write_pending() {
    while (!pending_.is_empty()) {
        const std::string_view piece = pending_.piece();
        const IoResult result = write_some(pipe_.get(), piece);
        if (result.status == IoResult::Status::WouldBlock) return;
        if (result.status == IoResult::Status::EndOfFile) return close();
        stream_.consume(result.bytes);
        pending_.drop(result.bytes);
    }
    finish_if_done();
}

// Half-close: the command sees the end of its input after the last byte, and goes on writing.
void Input::finish_if_done() {
    if (!stream_.is_finished() || !pending_.is_empty() || closed_) return;
    closed_ = true;
    watch_.reset();
    pipe_.close();
}

void Input::close() {
    if (closed_) return;
    closed_ = true;
    stop_due_ = is_unwanted_ = !stream_.is_finished();
    stream_.consume(pending_.size());
    pending_.clear();
    watch_.reset();
    pipe_.close();
}

Offset Input::resume() {
    stream_.resume();
    stop_due_ = is_unwanted_;
    return stream_.received();
}

void Input::put_control(std::string& out, Channel channel) {
    if (stop_due_) {
        encode(out, msg::Stop{channel, StreamId::Stdin});
        stop_due_ = false;
    }
    if (const auto credit = stream_.due_credit(); credit) {
        encode(out, msg::Credit{channel, StreamId::Stdin, credit->consumed, credit->limit});
        stream_.credit_sent(*credit);
    }
}

}  // namespace frsh
