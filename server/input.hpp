// The stdin of a run: from the link to the command's pipe.
#pragma once

#include "common/link/link.hpp"
#include "common/proto/message.hpp"

namespace frsh {

class Input {
  public:
    // `pipe` is the write end; not open where the command's stdin is /dev/null.
    Input(EventLoop& loop, Fd pipe);

    // Throw ProtocolError where the peer breaks the rules of stream.hpp.
    void data(const msg::Data& data);
    void eof(Offset offset);

    // The command has ended, or closed its stdin: what still comes is dropped, and the peer is told
    // once that no more is wanted.
    void close();

    // A new connection, on which stdin goes on from here; what was said on the old one is said
    // again.
    Offset resume();

    [[nodiscard]] bool has_control() const { return stop_due_ || stream_.due_credit().has_value(); }
    void put_control(std::string& out, Channel channel);

  private:
    void write_pending();
    void finish_if_done();

    Fd pipe_;
    ReceiveStream stream_;
    ByteQueue pending_;
    bool closed_ = false;
    bool is_unwanted_ = false;  // Closed before the peer had said the end,
    bool stop_due_ = false;     // and it has not been told.
    EventLoop::Watch watch_;
};

}  // namespace frsh
