#include "server/listener/fork_tuning.hpp"

#include "common/keys/private_key.hpp"
#include "common/keys/proof.hpp"

#include <cstddef>
#include <cstdlib>
#include <utility>

#include <malloc.h>
#include <unistd.h>

namespace frsh {

void fill_heap_holes() {
    constexpr std::size_t kSmallest = 24;
    constexpr std::size_t kLargest =
        1032;                            // The largest size in glibc's per-thread cache (tcache).
    constexpr int kMaxPieces = 100'000;  // For another malloc(3) than glibc's.
    static void* taken = nullptr;        // A list: each piece holds the address of the next.
    ::mallopt(M_MXFAST, 0);              // From here on glibc merges all freed pieces.
    int left = kMaxPieces;
    const char* const top = static_cast<const char*>(::sbrk(0)) - ::mallinfo2().keepcost;
    for (std::size_t size = kLargest; size >= kSmallest; size -= 16) {
        do {
            void* const piece = std::malloc(size);
            if (piece == nullptr) return;
            *static_cast<void**>(piece) = std::exchange(taken, piece);
        } while (taken < top && --left > 0);
    }
}

const TlsContext* make_warm_context() {
    static const auto* const context = new TlsContext(TlsContext::Side::Server);
    context->warm_up();
    warm_up_proofs(PrivateKey::generate_ed25519());
    return context;
}

void exit_without_destructors(int status) {
#ifdef FRSH_SANITIZE
    std::exit(status);
#else
    ::_exit(status);
#endif
}

}  // namespace frsh
