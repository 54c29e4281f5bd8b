// Measures that make a forked session start fast and use little memory of its own. After fork(2)
// parent and child share each page of memory until one of them writes to it (copy-on-write). Each
// piece here either does work before the fork, or avoids writes after it:
//
//     fork server (fork_server.hpp)         private memory of the first, middle and last of 800
//       and fill_heap_holes()               sessions: 76/76/76 KiB instead of 96/144/160
//     preforked sessions (prefork_pool.hpp) cold start over TLS 24.6 ms instead of 30.0, over a
//       and warm_up() in monitor.cpp        unix socket 15.2 ms instead of 16.7
//     make_warm_context()                   1.4 ms of each TLS handshake
//     leak(), exit_without_destructors()    part of the memory above: a destructor writes to pages
//                                           that are shared
#pragma once

#include "common/net/tls.hpp"

#include <memory>

namespace frsh {

// Allocates the free pieces inside the heap and never frees them. glibc would otherwise give them
// to a forked process first, spread over many pages, and each write makes a page its own. Call once
// before the first fork.
void fill_heap_holes();

// Returns a context in which OpenSSL has already looked up its algorithms. It is never destroyed.
// Call before the first fork. Throws TlsError.
[[nodiscard]] const TlsContext* make_warm_context();

// Gives up an object without destroying it, so that a forked session does not write to its pages.
// Keeps a pointer, so that a leak checker does not report it.
template <typename T>
void leak(std::unique_ptr<T> object) {
    [[maybe_unused]] static T* volatile leaked = nullptr;
    leaked = object.release();
}

// Ends a session without static destructors. Builds with a sanitizer run them, because the leak
// check is one of them.
[[noreturn]] void exit_without_destructors(int status);

}  // namespace frsh
