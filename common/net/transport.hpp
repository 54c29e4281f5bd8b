// Bytes to and from one peer, over a socket, two pipes or TLS.
//
// A transport is non-blocking and has no notion of frames. It buffers only what the kernel cannot
// hold for it. It also returns what poll(2) should wait for, since a TLS read may need to write.
#pragma once

#include "common/sys/fd.hpp"

#include <cstddef>
#include <memory>
#include <string_view>

#include <poll.h>

namespace frsh {

class Transport {
  public:
    virtual ~Transport() = default;

    // Each makes one attempt. read() returns EndOfFile if the peer has closed, write() if the peer
    // takes no more bytes. Both throw SysError or TlsError if the connection failed.
    virtual IoResult read(char* buffer, std::size_t size) = 0;
    virtual IoResult write(std::string_view bytes) = 0;

    // Sends end-of-file to the peer, if the transport can; reading goes on. Never throws.
    virtual void finish_writing() = 0;

    // Return the descriptors to watch, lent. A socket returns the same one for both.
    [[nodiscard]] virtual int read_fd() const = 0;
    [[nodiscard]] virtual int write_fd() const = 0;
    // Return the events of poll(2) after which the next read, or write, can make progress.
    [[nodiscard]] virtual short read_events() const { return POLLIN; }
    [[nodiscard]] virtual short write_events() const { return POLLOUT; }
    // Returns true while read() would return bytes that poll(2) cannot see.
    [[nodiscard]] virtual bool has_buffered() const { return false; }
    // Returns true while bytes that write() took have not reached the kernel. Poll for
    // write_events() and call write() again, with "" if there are no new bytes.
    [[nodiscard]] virtual bool has_unsent() const { return false; }
};

// A socket, or a pair of pipes such as stdin and stdout. Takes ownership and makes both
// non-blocking; pass one descriptor in `input` alone for a socket.
class FdTransport : public Transport {
  public:
    explicit FdTransport(Fd input, Fd output = {});

    IoResult read(char* buffer, std::size_t size) override;
    IoResult write(std::string_view bytes) override;
    void finish_writing() override;
    [[nodiscard]] int read_fd() const override { return input_.get(); }
    [[nodiscard]] int write_fd() const override;

  private:
    Fd input_;
    Fd output_;
    bool has_output_;  // False: input_ is a socket, and is written to as well.
};

}  // namespace frsh
