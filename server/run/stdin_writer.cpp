#include "server/run/stdin_writer.hpp"

#include "common/base/error.hpp"
#include "common/sys/pty.hpp"

#include <string>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/socket.h>

namespace frsh {

StdinWriter::StdinWriter(EventLoop& loop, Fd pipe, Kind kind)
    : StdinWriter(loop, std::move(pipe), kind, ReceiveStream()) {}

StdinWriter::StdinWriter(EventLoop& loop, Fd socket, WindowBudget& budget)
    : StdinWriter(loop, std::move(socket), Kind::Socket, ReceiveStream(budget)) {}

StdinWriter::StdinWriter(EventLoop& loop, Fd pipe, Kind kind, ReceiveStream stream)
    : pipe_(std::move(pipe)),
      kind_(kind),
      stream_(std::move(stream)),
      has_reader_(pipe_.is_open()) {
    if (!has_reader_) {
        closed_ = true;
        return;
    }
    set_nonblocking(pipe_.get());
    watch_ = loop.watch(
        "stdin: room for bytes to the command", pipe_.get(),
        [this]() -> short { return pending_.is_empty() && !is_eof_due() ? short{0} : POLLOUT; },
        [this](short) { write_pending(); });
}

IoResult StdinWriter::attempt(std::string_view bytes) {
    try {
        const TypingModes modes =
            kind_ == Kind::Terminal ? typing_modes(pipe_.get()) : TypingModes{};
        typing_.before(bytes, modes);
        const IoResult result = write_some(pipe_.get(), bytes);
        if (result.bytes > 0) {
            taken_ += result.bytes;
            typing_.after(bytes.substr(0, result.bytes), modes);
            const char last = bytes[result.bytes - 1];
            is_line_open_ = last != '\n' && last != '\r';
        }
        return result;
    } catch (const SysError& error) {
        // A terminal that no process has open any more reports EIO.
        // A socket reports a peer that is out of reach.
        const bool has_ended = kind_ == Kind::Terminal && error.code().value() == EIO;
        if (!has_ended && kind_ != Kind::Socket) throw;
        return {IoResult::Status::EndOfFile};
    }
}

void StdinWriter::data(const msg::Data& data) {
    stream_.accept(data.offset, data.bytes.size(), EventLoop::Clock::now());
    if (closed_) {
        stream_.consume(data.bytes.size());
        return;
    }
    std::string_view bytes = data.bytes;
    if (pending_.is_empty()) {
        // If the pipe has room, as in the common case, nothing is copied.
        const IoResult result = attempt(bytes);
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

void StdinWriter::eof(Offset offset) {
    stream_.finish(offset);
    finish_if_done();
}

void StdinWriter::write_pending() {
    while (!pending_.is_empty()) {
        const std::string_view piece = pending_.piece();
        const IoResult result = attempt(piece);
        if (result.status == IoResult::Status::WouldBlock) return;
        if (result.status == IoResult::Status::EndOfFile) return close();
        stream_.consume(result.bytes);
        pending_.drop(result.bytes);
    }
    finish_if_done();
}

bool StdinWriter::is_eof_due() const {
    return stream_.is_finished() && pending_.is_empty() && !closed_;
}

// Types the terminal's EOF character: a program that reads lines then sees end of file (termios(3),
// VEOF). In the middle of a line the character only ends that read, so a second one is typed.
// Returns false if the terminal has no room now.
bool StdinWriter::type_eof() {
    const auto character = eof_character(pipe_.get());
    if (!character) return true;
    for (; is_line_open_; is_line_open_ = false) {
        if (attempt({&*character, 1}).status == IoResult::Status::WouldBlock) return false;
    }
    return attempt({&*character, 1}).status != IoResult::Status::WouldBlock;
}

// Closes the pipe after the last byte: the command sees end of file, and may still write output.
void StdinWriter::finish_if_done() {
    if (!is_eof_due() || (kind_ == Kind::Terminal && !type_eof())) return;
    closed_ = true;
    close_pipe();
}

void StdinWriter::close_pipe() {
    watch_.reset();
    if (kind_ == Kind::Socket) {
        (void)::shutdown(pipe_.get(), SHUT_WR);
    } else {
        pipe_.close();
    }
}

// Takes no more bytes. Returns false if that was so before.
bool StdinWriter::drop_rest() {
    if (closed_) return false;
    closed_ = true;
    stop_due_ = is_unwanted_ = !stream_.is_finished();
    stream_.consume(pending_.size());
    pending_.clear();
    return true;
}

void StdinWriter::close() {
    if (drop_rest()) close_pipe();
}

Fd StdinWriter::release() {
    if (!drop_rest()) return {};
    watch_.reset();
    return std::move(pipe_);
}

Offset StdinWriter::resume() {
    stream_.resume();
    stop_due_ = is_unwanted_;
    return stream_.received();
}

void StdinWriter::put_control(std::string& out, Channel channel) {
    if (stop_due_) {
        encode(out, msg::Stop{channel, StreamId::Stdin});
        stop_due_ = false;
    }
    if (const auto credit = stream_.due_credit(); credit && has_reader_) {
        encode(out, msg::Credit{channel, StreamId::Stdin, credit->consumed, credit->limit});
        stream_.credit_sent(*credit, EventLoop::Clock::now());
    }
}

}  // namespace frsh
