// Captures every packet on loopback, in a network of this process's own.
//
// The network is a network namespace with no interface but lo. An ordinary user needs a user
// namespace for it (user_namespaces(7)), in which this process keeps its uid and gets no rights. No
// packet of another process is in that network, and none of it is on the machine's own loopback.
#pragma once

#include "common/sys/fd.hpp"

#include <cstddef>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace frsh::demo {

// Returns the time of the capture's clock, in seconds.
[[nodiscard]] double capture_clock();

// A packet at the moment when the kernel sends it.
struct TappedFrame {
    double seconds = 0;  // As capture_clock().
    std::string bytes;   // From the Ethernet header on.
};

class LoopbackTap {
  public:
    // Moves this process to a network of its own. The process must have one thread. Throws SysError
    // if this machine allows no such network; then nothing has changed.
    LoopbackTap();
    ~LoopbackTap();
    LoopbackTap(const LoopbackTap&) = delete;
    LoopbackTap& operator=(const LoopbackTap&) = delete;

    // Returns what was sent since the last call, in order. Does not block.
    [[nodiscard]] std::vector<TappedFrame> take();
    // Returns how many packets were sent while the tap's buffer was full.
    [[nodiscard]] std::size_t lost() const;

  private:
    void drain();

    Fd socket_;
    Fd stop_;  // An eventfd(2) that ends the thread.
    std::mutex mutex_;
    std::vector<TappedFrame> frames_;
    std::thread thread_;  // Empties the socket before its buffer is full.
};

}  // namespace frsh::demo
