// CompletenessCheck finds out whether a typed command is complete: the server runs `SHELL -n` on
// it. The check survives a lost connection as any command does.
#pragma once

#include "client/cli/client_options.hpp"
#include "client/connection/server_connection.hpp"
#include "client/modes/prompt_text.hpp"
#include "client/modes/shown_run.hpp"

#include <functional>
#include <string>
#include <utility>

namespace frsh {

class CompletenessCheck {
  public:
    // All are lent. `may_go_on` returns false once the prompt is about to leave.
    CompletenessCheck(const ClientOptions& options, ServerConnection& server, ShownRun& shown,
                      std::function<bool()> may_go_on)
        : options_(options), server_(server), shown_(shown), may_go_on_(std::move(may_go_on)) {}

    // Blocks until the answer is there. A check without an answer is repeated, and is never taken
    // for a complete command: the first lines of a loop would run without the rest. `kind` is that
    // of the shell.
    [[nodiscard]] Completeness check(const std::string& text, const std::string& kind);

  private:
    [[nodiscard]] Completeness check_once(const std::string& text, const std::string& kind,
                                          std::string& why);

    const ClientOptions& options_;
    ServerConnection& server_;
    ShownRun& shown_;
    std::function<bool()> may_go_on_;
};

}  // namespace frsh
