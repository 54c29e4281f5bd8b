// The stdin of a run: from the link to the command's pipe, or to the keyboard side of its terminal.
#pragma once

#include "common/link/link.hpp"
#include "common/proto/message.hpp"

namespace frsh {

class StdinWriter {
  public:
    // A pipe ends where the input does. A terminal has no end: there its EOF character is typed.
    enum class Kind { Pipe, Terminal };
    // `pipe` is the write end, or a terminal's master; not open where the command's stdin is
    // /dev/null, or no command ran: then what comes is dropped, and no more than the first window
    // is asked for.
    StdinWriter(EventLoop& loop, Fd pipe, Kind kind = Kind::Pipe);

    // Throw ProtocolError where the peer breaks the rules of stream.hpp.
    void data(const msg::Data& data);
    void eof(Offset offset);

    // The command has ended, or closed its stdin: what still comes is dropped, and the peer is told
    // once that no more is wanted.
    void close();

    // A new connection, on which stdin goes on from here; what was said on the old one is said
    // again.
    Offset resume();
    // Its end has arrived.
    [[nodiscard]] bool has_ended() const { return stream_.is_finished(); }

    [[nodiscard]] bool has_control() const {
        return stop_due_ || (has_reader_ && stream_.due_credit().has_value());
    }
    void put_control(std::string& out, Channel channel);

  private:
    IoResult attempt(std::string_view bytes);
    [[nodiscard]] bool is_eof_due() const;
    bool type_eof();
    void write_pending();
    void finish_if_done();

    Fd pipe_;
    Kind kind_;
    bool is_line_open_ = false;  // Of what was typed, the last byte ended no line.
    ReceiveStream stream_;
    ByteQueue pending_;
    bool has_reader_;
    bool closed_ = false;
    bool is_unwanted_ = false;  // Closed before the peer had said the end,
    bool stop_due_ = false;     // and it has not been told.
    EventLoop::Watch watch_;
};

}  // namespace frsh
