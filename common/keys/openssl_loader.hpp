// Loads OpenSSL when one of its functions is called for the first time (see openssl_stubs.cmake).
//
// Only frsh uses this file. frshd, the tests and a frsh with FRSH_STATIC_CLIENT are linked to
// OpenSSL as usual. FRSH_STUB is a macro because C++ cannot define a function without stating its
// parameters; a stub passes on whatever registers and stack hold.
#pragma once

using OpensslSlot = void (*)();

namespace frsh {

// Generated: the file name of libssl, which itself loads libcrypto; and the functions of both in
// the order of their slots, with nullptr at the end.
extern const char* const kOpensslLibrary;
extern const char* const kOpensslFunctions[];

}  // namespace frsh

extern "C" {
extern OpensslSlot frsh_openssl_slots[];  // Generated.
// What each slot holds at first. Expects the slot's number in a scratch register (r11, x17), saves
// the registers that hold arguments, calls frsh_load_openssl(), and continues at the real function.
void openssl_first_call();
// Fills all slots. Ends the process with status 255 and a message if OpenSSL cannot be loaded.
void frsh_load_openssl();
}

#if defined(__x86_64__)
#define FRSH_STUB(name, index)                                        \
    asm(".text\n.globl " #name "\n.type " #name ", @function\n" #name \
        ":\n"                                                         \
        "    endbr64\n"                                               \
        "    movl $" #index                                           \
        ", %r11d\n"                                                   \
        "    jmp *frsh_openssl_slots+8*" #index                       \
        "(%rip)\n"                                                    \
        ".size " #name ", .-" #name "\n");
#elif defined(__aarch64__)
#define FRSH_STUB(name, index)                                        \
    asm(".text\n.globl " #name "\n.type " #name ", %function\n" #name \
        ":\n"                                                         \
        "    hint 34\n" /* bti c */                                   \
        "    mov x17, #" #index                                       \
        "\n"                                                          \
        "    adrp x16, frsh_openssl_slots\n"                          \
        "    add x16, x16, :lo12:frsh_openssl_slots\n"                \
        "    ldr x16, [x16, x17, lsl #3]\n"                           \
        "    br x16\n"                                                \
        ".size " #name ", .-" #name "\n");
#endif
