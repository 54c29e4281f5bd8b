#include "common/keys/openssl_loader.hpp"

#include "common/base/log.hpp"

#include <mutex>
#include <string>

#include <dlfcn.h>
#include <unistd.h>

namespace frsh {
namespace {

[[noreturn]] void give_up() {
    const char* const reason = ::dlerror();
    log::error(std::string("OpenSSL cannot be loaded: ") +
               (reason != nullptr ? reason : "unknown reason"));
    ::_exit(255);
}

// libcrypto's functions are found through libssl's handle, since libssl depends on libcrypto.
void load() {
    void* const library = ::dlopen(kOpensslLibrary, RTLD_LAZY | RTLD_LOCAL);
    if (library == nullptr) give_up();
    OpensslSlot* slot = frsh_openssl_slots;
    for (const char* const* name = kOpensslFunctions; *name != nullptr; ++name, ++slot) {
        void* const address = ::dlsym(library, *name);
        if (address == nullptr) give_up();
        // Another thread may call through this slot now: it sees the old value or the new one.
        __atomic_store_n(slot, reinterpret_cast<OpensslSlot>(address), __ATOMIC_RELEASE);
    }
}

}  // namespace
}  // namespace frsh

extern "C" void frsh_load_openssl() {
    // Two threads may call this at once, because each reconnect runs in a thread.
    static std::once_flag once;
    std::call_once(once, frsh::load);
}

// OpenSSL's functions take integers and pointers only, so no vector register holds an argument.
#if defined(__x86_64__)
// rax holds the number of vector registers for a function with variable arguments. On entry, the
// stack is 8 bytes off its alignment of 16, as after each call; nine pushes restore it.
asm(R"(
    .text
    .globl openssl_first_call
    .type openssl_first_call, @function
openssl_first_call:
    .cfi_startproc
    endbr64
    pushq %rdi
    pushq %rsi
    pushq %rdx
    pushq %rcx
    pushq %r8
    pushq %r9
    pushq %rax
    pushq %r11
    pushq %rbp
    .cfi_adjust_cfa_offset 72
    call frsh_load_openssl
    popq %rbp
    popq %r11
    popq %rax
    popq %r9
    popq %r8
    popq %rcx
    popq %rdx
    popq %rsi
    popq %rdi
    .cfi_adjust_cfa_offset -72
    leaq frsh_openssl_slots(%rip), %r10
    jmp *(%r10,%r11,8)
    .cfi_endproc
    .size openssl_first_call, .-openssl_first_call
)");
#elif defined(__aarch64__)
asm(R"(
    .text
    .globl openssl_first_call
    .type openssl_first_call, %function
openssl_first_call:
    .cfi_startproc
    hint 34
    stp x29, x30, [sp, #-96]!
    .cfi_adjust_cfa_offset 96
    .cfi_rel_offset x29, 0
    .cfi_rel_offset x30, 8
    stp x0, x1, [sp, #16]
    stp x2, x3, [sp, #32]
    stp x4, x5, [sp, #48]
    stp x6, x7, [sp, #64]
    stp x8, x17, [sp, #80]
    bl frsh_load_openssl
    ldp x8, x17, [sp, #80]
    ldp x6, x7, [sp, #64]
    ldp x4, x5, [sp, #48]
    ldp x2, x3, [sp, #32]
    ldp x0, x1, [sp, #16]
    ldp x29, x30, [sp], #96
    .cfi_adjust_cfa_offset -96
    adrp x16, frsh_openssl_slots
    add x16, x16, :lo12:frsh_openssl_slots
    ldr x16, [x16, x17, lsl #3]
    br x16
    .cfi_endproc
    .size openssl_first_call, .-openssl_first_call
)");
#endif
