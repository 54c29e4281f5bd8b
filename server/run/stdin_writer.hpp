// StdinWriter is the stdin of a run: from the link to the command's pipe, or to the keyboard side
// of its terminal.
//
// The pipe is non-blocking. Bytes that it does not take wait here, at most one window.
#pragma once

#include "common/link/link.hpp"
#include "common/proto/message.hpp"
#include "server/run/typing.hpp"

#include <string>
#include <string_view>

namespace frsh {

class StdinWriter {
  public:
    // A pipe is closed at the end of the input. On a terminal, its EOF character is typed instead.
    // A socket is shut down for writing, and stays open until this object is destroyed.
    enum class Kind { Pipe, Terminal, Socket };
    // `pipe` is the write end, or a terminal's master. It is not open if the command's stdin is
    // /dev/null or no command ran: then arriving bytes are dropped, and no credit follows the first
    // window.
    StdinWriter(EventLoop& loop, Fd pipe, Kind kind = Kind::Pipe);
    // Writes to a socket, with a window out of `budget`, which is lent.
    StdinWriter(EventLoop& loop, Fd socket, WindowBudget& budget);

    // data() and eof() throw ProtocolError if the peer breaks the rules of stream.hpp.
    void data(const msg::Data& data);
    void eof(Offset offset);

    // Drops all further bytes, and sends one `stop`. Called when the command has ended or has
    // closed its stdin.
    void close();
    // As close(), but returns the pipe, so that the command sees no end of file. Returns a closed
    // Fd if the command has seen the end, or has no pipe.
    [[nodiscard]] Fd release();

    // Continues on a new connection, and sends credit and `stop` again. Returns the offset of the
    // next byte that the peer is to send.
    Offset resume();
    [[nodiscard]] Typing& typing() { return typing_; }
    // Returns how many bytes the pipe or the terminal has taken.
    [[nodiscard]] Offset taken() const { return taken_; }
    // Returns true once the end of the input has arrived.
    [[nodiscard]] bool has_ended() const { return stream_.is_finished(); }

    // Returns true once nothing more will be written.
    [[nodiscard]] bool is_closed() const { return closed_; }

    [[nodiscard]] bool has_control() const {
        return stop_due_ || (has_reader_ && stream_.due_credit().has_value());
    }
    void put_control(std::string& out, Channel channel);

  private:
    StdinWriter(EventLoop& loop, Fd pipe, Kind kind, ReceiveStream stream);
    IoResult attempt(std::string_view bytes);
    [[nodiscard]] bool is_eof_due() const;
    bool type_eof();
    void write_pending();
    void finish_if_done();
    void close_pipe();
    bool drop_rest();

    Fd pipe_;
    Kind kind_;
    bool is_line_open_ = false;  // The last byte typed was not an end of line.
    Typing typing_;
    Offset taken_ = 0;
    ReceiveStream stream_;
    ByteQueue pending_;
    bool has_reader_;
    bool closed_ = false;
    bool is_unwanted_ = false;  // Closed before the end had arrived.
    bool stop_due_ = false;     // A `stop` is to be sent.
    EventLoop::Watch watch_;
};

}  // namespace frsh
