// The stdin of a run: from the link to the command's pipe.
#pragma once

#include "common/link/link.hpp"
#include "common/proto/message.hpp"

namespace frsh {

class Input {
  public:
    // `pipe` is the write end; not open where the command's stdin is /dev/null, or no command ran:
    // then what comes is dropped, and no more than the first window is asked for.
    Input(EventLoop& loop, Fd pipe);

    // Throw ProtocolError where the peer breaks the rules of stream.hpp.
    void data(const msg::Data& data);
    void eof(Offset offset);

    // The command has ended, or closed its stdin: what still comes is dropped, and the peer is told
    // once that no more is wanted.
    void close();

    [[nodiscard]] bool has_control() const {
        return stop_due_ || (has_reader_ && stream_.due_credit().has_value());
    }
    void put_control(std::string& out, Channel channel);

  private:
    void write_pending();
    void finish_if_done();

    Fd pipe_;
    ReceiveStream stream_;
    ByteQueue pending_;
    bool has_reader_;
    bool closed_ = false;
    bool stop_due_ = false;
    EventLoop::Watch watch_;
};

}  // namespace frsh
