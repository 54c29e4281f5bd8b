// Bytes to and from one peer, whatever carries them: a socket, two pipes, TLS.
//
// A transport is non-blocking, knows nothing of frames and buffers nothing it can leave to the
// kernel. It answers for itself what poll(2) should wait for, since a TLS read may need to write.
#pragma once

#include "common/sys/fd.hpp"

#include <memory>

#include <poll.h>

namespace frsh {

class Transport {
  public:
    virtual ~Transport() = default;

    // Each is one attempt. EndOfFile when the peer has closed (reading) or takes no more (writing);
    // SysError or TlsError when the connection itself broke.
    virtual IoResult read(char* buffer, std::size_t size) = 0;
    virtual IoResult write(std::string_view bytes) = 0;

    // Tell the peer that nothing more will come; reading goes on. Best effort, never throws.
    virtual void finish_writing() = 0;

    // The descriptors to watch, lent; they are the same one for a socket.
    [[nodiscard]] virtual int read_fd() const = 0;
    [[nodiscard]] virtual int write_fd() const = 0;
    // What to poll for so that the next read, or write, can get on.
    [[nodiscard]] virtual short read_events() const { return POLLIN; }
    [[nodiscard]] virtual short write_events() const { return POLLOUT; }
    // True while read() would deliver bytes that poll(2) cannot see.
    [[nodiscard]] virtual bool has_buffered() const { return false; }
    // True while write() has taken bytes that the kernel has not: poll for write_events() and call
    // write() again, with nothing if there is nothing more to say.
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
    bool has_output_;  // Else input_ is a socket that does both.
};

}  // namespace frsh
