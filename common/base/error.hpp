// The exceptions of the project. An object that throws one cannot be used any further.
//
// Three kinds exist: a system call failed, the peer broke the protocol, or the user asked for
// something impossible. They are caught at the top only (main, one session, one host of many).
// Ordinary results (would-block, end of file, an exit code) are return values, never exceptions.
#pragma once

#include <cerrno>
#include <stdexcept>
#include <string>
#include <system_error>

namespace frsh {

// A system call failed. The text is "ATTEMPT: REASON", with the reason from errno.
class SysError : public std::system_error {
  public:
    explicit SysError(const std::string& attempt, int error = errno)
        : std::system_error(error, std::generic_category(), attempt) {}
};

// The peer broke the protocol. The connection cannot be trusted any further.
class ProtocolError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

// The user, a file or a server asked for something impossible. The text can be shown as it is.
class UserError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

// Returns a system call's result. Throws SysError if it is -1.
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

// Checks a rule of the program itself, also in release builds. A broken rule is a bug: prints it
// and calls abort(3).
[[noreturn]] void broken_rule(const char* rule, const char* file, int line);

inline void must(bool kept, const char* rule, const char* file = __builtin_FILE(),
                 int line = __builtin_LINE()) {
    if (!kept) broken_rule(rule, file, line);
}

}  // namespace frsh
