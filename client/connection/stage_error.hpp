// StageError reports how far a request came before it failed. No run has been started then.
//
//     stage     what failed                                         a retry can help
//     usage     the command line or a configuration file            no
//     resolve   the look-up of the host's name                      yes
//     connect   TCP, TLS, a proxy command, the greeting             yes
//     trust     the host's key                                      no
//     login     the keys or the account                             no
//     busy      the server has no room; see retry_after             yes
#pragma once

#include "common/base/error.hpp"
#include "common/proto/message.hpp"
#include "common/sys/wait.hpp"

#include <cstdint>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace frsh {

class StageError : public std::runtime_error {
  public:
    StageError(std::string stage, const std::string& text,
               std::optional<std::uint64_t> retry_after = {}, int error_number = 0)
        : std::runtime_error(text),
          stage_(std::move(stage)),
          retry_after_(retry_after),
          error_number_(error_number) {}

    [[nodiscard]] const std::string& stage() const { return stage_; }
    // Seconds, if the server named a time.
    [[nodiscard]] const std::optional<std::uint64_t>& retry_after() const { return retry_after_; }
    // Returns the errno of the system call that failed; 0 if the reason is another one.
    [[nodiscard]] int error_number() const { return error_number_; }

  private:
    std::string stage_;
    std::optional<std::uint64_t> retry_after_;
    int error_number_;
};

// Returns the stage of an `error` that the server sent: after its greeting was complete, "server"
// unless it is busy.
[[nodiscard]] inline const char* stage_of_refusal(const msg::Error& error, bool is_greeted) {
    if (error.reason == "busy" || error.retry_after) return "busy";
    if (is_greeted) return "server";
    return error.reason == "denied" ? "login" : "connect";
}

// Returns what `act` returns. Turns its exceptions into a StageError, except WaitCanceled,
// Interrupted and those that have a stage already.
template <typename Act>
auto at_stage(const char* stage, Act&& act) {
    try {
        return act();
    } catch (const StageError&) {
        throw;
    } catch (const WaitCanceled&) {
        throw;
    } catch (const Interrupted&) {
        throw;
    } catch (const SysError& error) {
        throw StageError(stage, error.what(), std::nullopt, error.code().value());
    } catch (const std::exception& error) {
        throw StageError(stage, error.what());
    }
}

}  // namespace frsh
