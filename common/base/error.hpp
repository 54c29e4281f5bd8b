// Errors end the object that throws them; everything a loop meets daily is a return value.
//
// Three kinds travel as exceptions, and are caught at the top only (main, one session, one host of
// many): the kernel refused something, the peer broke the protocol, or a person said something that
// cannot be done. Would-block, end of file and a command's exit code are never exceptions.
#pragma once

#include <cerrno>
#include <stdexcept>
#include <string>
#include <system_error>

namespace frsh {

// A system call failed: what we tried, and why the kernel refused.
class SysError : public std::system_error {
  public:
    explicit SysError(const std::string& attempt, int error = errno)
        : std::system_error(error, std::generic_category(), attempt) {}
};

// The peer broke the protocol. The connection cannot be trusted any further.
class ProtocolError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

// A user, a file or a server said something that cannot be done: "what: why", ready to print.
class UserError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

// Pass a system call's result through, or throw if it is -1.
template <typename T>
T check(T result, const char* attempt) {
    if (result == -1) throw SysError(attempt);
    return result;
}
template <typename T>
T check(T result, const std::string& attempt) {
    if (result == -1) throw SysError(attempt);
    return result;
}

// Our own rules; kept in release builds. Breaking one is a bug, and nothing after it can be
// trusted.
[[noreturn]] void broken_rule(const char* rule, const char* file, int line);

inline void must(bool kept, const char* rule, const char* file = __builtin_FILE(),
                 int line = __builtin_LINE()) {
    if (!kept) broken_rule(rule, file, line);
}

}  // namespace frsh
