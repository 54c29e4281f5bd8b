#!/usr/bin/env python3
"""Checks what the documents promise about the tree.

README.md:        at most 180 lines, and 35 more in Chinese; links lead to files
reading order:    each listed file exists, their lines are below the number that README gives, and
                  what a listed file includes is listed too, or is known to lie beside the path
PROMISES.md:      each code has a test, and each test's code is in the table
tests/e2e:        a test that only root can run has as_root in its name: root runs those alone

Usage: scripts/check_docs.py
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
ENGLISH_LINES, CHINESE_LINES = 180, 35

# What a file on the path may include without being on the path itself. A byte of a run passes
# through none of these: they are tools (base, sys), other descriptions of the same bytes, or parts
# that start, end, report or keep a run. A new name here is a decision: if bytes pass through the
# file, it belongs into README's list.
BESIDE = [
    "common/base/", "common/sys/", "common/keys/",
    "common/link/wire_log", "common/net/address", "common/net/socket", "common/net/tls",
    "common/proto/checksum", "common/proto/json", "common/proto/message_",
    "common/proto/listen_messages", "common/proto/on_disconnect", "common/proto/window_budget",
    "common/proto/object_reader", "common/proto/outcome",
    "client/cli/", "client/connection/", "client/io/",
    "client/modes/login_only", "client/run/exit_report", "client/run/interrupt_ladder",
    "client/run/run_outputs", "client/run/run_record", "client/run/run_report",
    "client/run/run_request", "client/run/terminal_session",
    "server/audit", "server/forward/", "server/handoff", "server/kept/", "server/login/",
    "server/run/launch", "server/run/output_consumer", "server/run/server_channel",
    "server/run/command_streams", "server/run/executor", "server/run/process_executor",
    "server/run/shell_executor",
    "server/run/shell", "server/run/termination", "server/run/typing", "server/session/channel_table",
    "server/session/connection_shells",
    "server/session/outgoing_handoff", "server/session/refused_channel",
    "server/session/session_claim",
]


def read(path):
    return (ROOT / path).read_text()


def readme_problems():
    english, _, chinese = read("README.md").partition("\n## 中文速览\n")
    for name, text, limit in (("English", english, ENGLISH_LINES), ("Chinese", chinese, CHINESE_LINES)):
        lines = text.count("\n") + 1
        if lines > limit:
            yield f"README.md: the {name} part has {lines} lines, at most {limit}"
    for page in sorted(ROOT.rglob("*.md")):
        if "build" in page.relative_to(ROOT).parts:
            continue
        for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text()):
            if not (page.parent / link).exists():
                yield f"{page.relative_to(ROOT)}: a link to {link}, which does not exist"


def files_of(unit):
    """Returns the header of one entry of the list, and its source if there is one."""
    return [f"{unit}{end}" for end in (".hpp", ".cpp") if (ROOT / f"{unit}{end}").exists()]


def reading_order_problems():
    text = read("README.md")
    promise = re.search(r"read (\w+) files.{0,80}?under\s+([\d,]+)\s+lines", text, re.S)
    units = re.findall(r"^\d+\. `((?:client|common|server)/[\w/]+)`:", text, re.M)
    if not promise or not units:
        yield "README.md: there is no reading order with its numbers"
        return
    count = {"nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13}.get(promise[1])
    if count != len(units):
        yield f"README.md: the reading order lists {len(units)} files and promises {promise[1]}"
    total = 0
    for unit in units:
        files = files_of(unit)
        if not (ROOT / f"{unit}.hpp").exists():
            yield f"README.md: the reading order lists {unit}, which does not exist"
        total += sum(len(read(file).splitlines()) for file in files)
        for file in files:
            for included in re.findall(r'^#include "([\w/]+)\.hpp"', read(file), re.M):
                if included not in units and not included.startswith(tuple(BESIDE)):
                    yield (f"{file}: includes {included}.hpp, which is neither in README's reading "
                           "order nor in BESIDE of scripts/check_docs.py")
    limit = int(promise[2].replace(",", ""))
    if total >= limit:
        yield f"README.md: the reading order has {total} lines, and promises under {limit}"


def promise_problems():
    table = {}
    for code, areas in re.findall(r"^\| ([A-Z]\d+) \|.*\| ([\w, ]*) \|$", read("tests/PROMISES.md"), re.M):
        table[code.lower()] = set(filter(None, areas.split(", ")))
    tested = {}
    for file in sorted((ROOT / "tests/e2e").glob("*_test.py")):
        for code in re.findall(r"^    def test_([a-z]\d+)_", file.read_text(), re.M):
            tested.setdefault(code, set()).add(file.name.removesuffix("_test.py"))
    for code in sorted(table.keys() | tested.keys()):
        if code not in tested:
            yield f"tests/PROMISES.md: {code.upper()} has no test"
        elif code not in table:
            yield f"tests/e2e/{min(tested[code])}_test.py: {code.upper()} is not in tests/PROMISES.md"
        elif table[code] != tested[code]:
            yield f"tests/PROMISES.md: {code.upper()} is tested in {', '.join(sorted(tested[code]))}"


def root_test_problems():
    for file in sorted((ROOT / "tests/e2e").glob("*_test.py")):
        for test, body in re.findall(r"^    def (test_\w+)\(self\):\n(.*?)(?=^    def |^class |\Z)",
                                     file.read_text(), re.M | re.S):
            if re.search(r"skipTest\([^)]*(not|needs) root", body) and "as_root" not in test:
                yield f"{file.relative_to(ROOT)}: {test}: use needs_root(), and a name with as_root"


def main():
    problems = [*readme_problems(), *reading_order_problems(), *promise_problems(),
                *root_test_problems()]
    for problem in problems:
        print(problem)
    print(f"documents: {len(problems)} problems" if problems else "documents: as they promise")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
