#include "client/run/exit_report.hpp"

#include "common/base/text.hpp"

#include <cerrno>
#include <csignal>
#include <variant>

namespace frsh {
namespace {

using Client = RunFacts::Client;
using Mode = RunFacts::Mode;

constexpr int kFailureCode = 255;

// "30s", "250ms"
std::string in_words(std::chrono::milliseconds time) {
    const auto count = time.count();
    return count % 1000 == 0 ? std::to_string(count / 1000) + "s" : std::to_string(count) + "ms";
}

bool is_started(const RunFacts& facts) {
    return facts.has_started && !std::holds_alternative<NotStarted>(facts.outcome);
}

bool has_left(const RunFacts& facts) {
    return facts.client == Client::Left || facts.client == Client::Escaped;
}

// Returns true if the output that the caller requested did not arrive whole.
bool is_incomplete(const RunFacts& facts) {
    const bool wants_output = facts.mode != Mode::Wait && facts.mode != Mode::Detach;
    return wants_output && (facts.journal || facts.lacks_bytes || facts.is_contradicted);
}

int code_for(const RunFacts& facts) {
    if (has_left(facts)) return facts.leave_code;
    if (facts.mode == Mode::Logs) {
        return facts.is_end_known && !is_incomplete(facts) ? 0 : kFailureCode;
    }
    if (facts.mode == Mode::Detach && is_started(facts)) return 0;
    const int code = exit_code(facts.outcome);
    return code == 0 && is_incomplete(facts) ? kFailureCode : code;
}

// Returns a hint for a run whose end did not arrive.
std::string hint_for_lost(const RunFacts& facts) {
    if (!std::holds_alternative<Lost>(facts.outcome) || !facts.is_kept) return "";
    if (!facts.is_end_known) return "; it may go on: " + facts.how_to_attach;
    // An undamaged record of `lost` is all that the server knows.
    const bool is_damaged = facts.journal || facts.is_contradicted;
    return is_damaged ? "; to ask again: " + facts.how_to_attach : "";
}

void report_parting(const RunFacts& facts, ExitReport& report) {
    if (facts.mode == Mode::Detach || !facts.soft_timeout) return;
    const char* const how = facts.was_up ? "still running after " : "not heard to end within ";
    report.errors.push_back(how + in_words(*facts.soft_timeout) + ": " + facts.how_to_attach);
}

void report_leaving(const RunFacts& facts, ExitReport& report) {
    if (facts.is_finished) return;
    if (facts.mode == Mode::Attach || facts.mode == Mode::Logs || facts.mode == Mode::Wait) {
        report.errors.push_back("left; to follow it again: " + facts.how_to_attach);
    } else if (facts.outlasts_client) {
        report.errors.push_back(std::string("left; the run ") + (facts.was_up ? "goes" : "may go") +
                                " on: " + facts.how_to_attach);
    } else if (facts.client == Client::Escaped) {
        report.errors.emplace_back("left; what ran there is ended");
    }
}

void report_end(const RunFacts& facts, ExitReport& report) {
    if (facts.refusal) {
        report.errors.push_back(facts.run + ": " + escape_controls(*facts.refusal));
        return;
    }
    const bool is_expected = std::holds_alternative<Exited>(facts.outcome) ||
                             std::holds_alternative<Running>(facts.outcome) ||
                             (std::holds_alternative<Signaled>(facts.outcome) && facts.was_ended);
    if (is_expected) {
        report.info = describe(facts.outcome);
    } else {
        report.errors.push_back(describe(facts.outcome) + hint_for_lost(facts));
    }
}

}  // namespace

ExitReport report_exit(const RunFacts& facts) {
    ExitReport report;
    report.code = code_for(facts);
    switch (facts.client) {
        case Client::Stayed:
            report_end(facts, report);
            break;
        case Client::Parted:
            report_parting(facts, report);
            break;
        case Client::Left:
        case Client::Escaped:
            report_leaving(facts, report);
            break;
    }
    return report;
}

int code_after_failures(int code, int stdout_error, int other_error) {
    const auto is_fatal = [](int error) { return error != 0 && error != EPIPE; };
    if (is_fatal(stdout_error) || is_fatal(other_error)) return kFailureCode;
    return stdout_error == EPIPE && code == 0 ? 128 + SIGPIPE : code;
}

}  // namespace frsh
