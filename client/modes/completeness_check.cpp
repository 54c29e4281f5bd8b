#include "client/modes/completeness_check.hpp"

#include "client/run/run_report.hpp"
#include "common/base/log.hpp"

#include <algorithm>
#include <string_view>

namespace frsh {
namespace {

constexpr int kMaxChecks = 3;  // For one typed command, if a check ends without an answer.

}  // namespace

Completeness CompletenessCheck::check(const std::string& text, const std::string& kind) {
    const bool has_nul = text.find('\0') != std::string::npos;  // It will be refused.
    if (has_nul || !may_be_incomplete(text)) return Completeness::Complete;
    if (ends_in_continuation(text)) return Completeness::Incomplete;
    std::string why;
    for (int attempt = 0; attempt < kMaxChecks; ++attempt) {
        const Completeness answer = check_once(text, kind, why);
        const bool is_over = server_.is_down() || !may_go_on_() || shown_.was_interrupted();
        if (answer != Completeness::Unknown || is_over) return answer;
    }
    log::error("the command was not run: the server did not report whether it is complete (" + why +
               "); enter it again");
    return Completeness::Unknown;
}

Completeness CompletenessCheck::check_once(const std::string& text, const std::string& kind,
                                           std::string& why) {
    SpooledOutput out;
    SpooledOutput err;
    msg::Open open = completeness_request(kind);
    open.run = new_run_id();
    open.on_disconnect = on_disconnect_of(options_);
    RemoteRun& check = server_.open(std::move(open), out, err);
    shown_.show(check, ShownRun::Input::None);
    std::string_view rest = text;
    while (may_go_on_() && !check.is_finished() && !shown_.was_interrupted()) {
        if (const auto size = std::min(rest.size(), check.stdin_room()); size > 0) {
            check.append_stdin(rest.substr(0, size));
            rest.remove_prefix(size);
            if (rest.empty()) check.finish_stdin();
        }
        server_.turn();
    }
    shown_.hide();
    const Outcome outcome = check.is_finished() ? check.outcome() : Lost{"interrupted"};
    server_.forget(check);  // Its sinks are local to this function.
    why = describe(outcome);
    return completeness_of(outcome, err.content());
}

}  // namespace frsh
