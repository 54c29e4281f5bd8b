#include "client/run/exit_report.hpp"

#include <cerrno>
#include <chrono>
#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace {

using namespace std::chrono_literals;
using frsh::Canceled;
using frsh::Exited;
using frsh::ExitReport;
using frsh::Lost;
using frsh::NotStarted;
using frsh::RunFacts;
using frsh::Running;
using frsh::Signaled;
using Client = RunFacts::Client;
using Mode = RunFacts::Mode;
using Lines = std::vector<std::string>;

RunFacts facts(const frsh::Outcome& outcome, Mode mode = Mode::Command) {
    RunFacts facts;
    facts.mode = mode;
    facts.outcome = outcome;
    facts.run = "abc";
    facts.how_to_attach = "frsh --attach abc host";
    facts.has_started = facts.is_finished = facts.is_end_known = true;
    return facts;
}

TEST_CASE("exit report: a command's end gives its own exit code") {
    CHECK(report_exit(facts(Exited{0})).code == 0);
    CHECK(report_exit(facts(Exited{7})).code == 7);
    CHECK(report_exit(facts(Exited{7})).errors.empty());
    CHECK(report_exit(facts(Signaled{"KILL", 9, false})).code == 137);
    CHECK(report_exit(facts(Canceled{})).code == 130);
}

TEST_CASE("exit report: a signal is an error unless the user ended the run") {
    RunFacts ended = facts(Signaled{"INT", 2, false});
    CHECK(report_exit(ended).errors.size() == 1);
    ended.was_ended = true;
    CHECK(report_exit(ended).errors.empty());
}

TEST_CASE("exit report: an exit code of 0 means that no byte is missing") {
    for (const Mode mode : {Mode::Command, Mode::Attach, Mode::Logs}) {
        CHECK(report_exit(facts(Exited{0}, mode)).code == 0);
        RunFacts gap = facts(Exited{0}, mode);
        gap.lacks_bytes = true;
        CHECK(report_exit(gap).code == 255);
        RunFacts journal = facts(Exited{0}, mode);
        journal.journal = "damaged";
        CHECK(report_exit(journal).code == 255);
        RunFacts contradicted = facts(Lost{"checksum"}, mode);
        contradicted.is_contradicted = true;
        CHECK(report_exit(contradicted).code == 255);
    }
}

TEST_CASE("exit report: missing bytes leave an exit code other than 0 as it is") {
    RunFacts gap = facts(Exited{3}, Mode::Attach);
    gap.lacks_bytes = true;
    CHECK(report_exit(gap).code == 3);
}

TEST_CASE("exit report: --wait and --detach request no output, so none is missing") {
    for (const Mode mode : {Mode::Wait, Mode::Detach}) {
        RunFacts gap = facts(Exited{0}, mode);
        gap.lacks_bytes = true;
        CHECK(report_exit(gap).code == 0);
    }
}

TEST_CASE("exit report: --logs of a run that runs or is lost is 0 if the output is whole") {
    CHECK(report_exit(facts(Running{}, Mode::Logs)).code == 0);
    CHECK(report_exit(facts(Lost{"its session died"}, Mode::Logs)).code == 0);
    RunFacts cut = facts(Lost{"the connection closed"}, Mode::Logs);
    cut.is_end_known = false;
    CHECK(report_exit(cut).code == 255);
}

TEST_CASE("exit report: --detach is 0 once the command has started") {
    RunFacts detached = facts(Running{}, Mode::Detach);
    detached.client = Client::Parted;
    CHECK(report_exit(detached).code == 0);
    CHECK(report_exit(detached).errors.empty());
    CHECK(report_exit(facts(NotStarted{"exec", ENOENT, ""}, Mode::Detach)).code == 127);
}

TEST_CASE("exit report: a soft timeout is 124 and names how to attach") {
    RunFacts parted = facts(Running{});
    parted.client = Client::Parted;
    parted.soft_timeout = 1500ms;
    parted.was_up = true;
    const ExitReport report = report_exit(parted);
    CHECK(report.code == 124);
    CHECK(report.errors == Lines{"still running after 1500ms: frsh --attach abc host"});
}

TEST_CASE("exit report: a client that left has the code of its reason") {
    RunFacts left = facts(Lost{""});
    left.client = Client::Left;
    left.leave_code = 143;
    left.is_finished = false;
    left.outlasts_client = left.was_up = true;
    CHECK(report_exit(left).code == 143);
    CHECK(report_exit(left).errors == Lines{"left; the run goes on: frsh --attach abc host"});
    left.is_finished = true;
    CHECK(report_exit(left).errors.empty());
}

TEST_CASE("exit report: a kept run whose end did not arrive has a hint") {
    RunFacts lost = facts(Lost{"the connection closed"});
    lost.is_kept = true;
    lost.is_end_known = false;
    CHECK(report_exit(lost).errors ==
          Lines{"lost: the connection closed; it may go on: frsh --attach abc host"});
    lost.is_end_known = lost.is_contradicted = true;
    CHECK(report_exit(lost).errors ==
          Lines{"lost: the connection closed; to ask again: frsh --attach abc host"});
}

TEST_CASE("exit report: a failed output is never 0") {
    CHECK(frsh::code_after_failures(0, 0, 0) == 0);
    CHECK(frsh::code_after_failures(0, EPIPE, EPIPE) == 141);
    CHECK(frsh::code_after_failures(3, EPIPE, EPIPE) == 3);
    CHECK(frsh::code_after_failures(0, 0, EPIPE) == 0);
    CHECK(frsh::code_after_failures(3, ENOSPC, ENOSPC) == 255);
    CHECK(frsh::code_after_failures(3, 0, ENOSPC) == 255);
}

}  // namespace
