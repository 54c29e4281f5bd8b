// OpenSSL with the few ciphers and digests that frsh uses.
//
// The first time that one of a kind is asked for, OpenSSL makes an object of each that it has, some
// two hundred of them: a quarter of what a client computes for a command. A program that starts
// anew for every command does without; a server does it once.
#pragma once

namespace frsh {

// Instead of the provider that OpenSSL would load by itself; before anything else is asked of it.
// Where OpenSSL is a library of its own, all stays as it is. False if it cannot be loaded.
[[nodiscard]] bool load_lean_provider();

}  // namespace frsh
