#include "client/connection/key_memory.hpp"

#include "client/cli/line_memory.hpp"

namespace frsh {
namespace {

constexpr const char* kKeysFile = "keys";

}  // namespace

std::string recall_key(const std::string& host, const std::string& user) {
    return recall_line(kKeysFile, host + " " + user);
}

void remember_result(const std::string& host, const std::string& user,
                     const std::string& fingerprint, WasRecalled was_recalled, Login& login) {
    const std::string name = host + " " + user;
    if (was_recalled == WasRecalled::Yes) {
        login.tried += ", which worked last time; run it again to try others";
        login.on_refused = [name] { remember_line(kKeysFile, name, "-"); };
    } else {
        login.on_accepted = [name, fingerprint] { remember_line(kKeysFile, name, fingerprint); };
    }
}

}  // namespace frsh
