#!/usr/bin/env python3
"""steps-wait-for-a-key.py FRSH_DEMO: on a terminal, --step goes on only at a key, and ends at q."""
import os
import pty
import select
import sys
import time


def read_until(master, wanted, seconds):
    """What the terminal shows until `wanted` is seen; fails when it is not in time."""
    shown = b""
    deadline = time.monotonic() + seconds
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    while not any(one in shown for one in wanted):
        left = deadline - time.monotonic()
        assert left > 0, f"{wanted!r} never came; last: {shown[-400:]!r}"
        if select.select([master], [], [], left)[0]:
            try:
                shown += os.read(master, 65536)
            except OSError:
                return shown
    return shown


def start(program, *arguments):
    pid, master = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm-256color"
        os.environ.pop("NO_COLOR", None)
        os.execv(program, [program, *arguments])
    return pid, master


program = sys.argv[1]
prompt = b"any key goes on"

pid, master = start(program, "merge", "--step", "--lang", "en")
first = read_until(master, prompt, 10)
assert b"\x1b[" in first, "a terminal gets colour"
assert not select.select([master], [], [], 0.3)[0], "went on without a key"
os.write(master, b" ")
second = read_until(master, prompt, 10)
assert "Three sends".encode() in second
os.write(master, b"q")
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130

pid, master = start(program, "merge", "--step", "--lang", "en")
for _ in range(50):
    shown = read_until(master, (prompt, b"happened just now"), 10)
    if b"happened just now" in shown:
        break
    os.write(master, b" ")
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

# b shows the part before once more, and the lesson stays where it is.
pid, master = start(program, "merge", "--step", "--lang", "en")
read_until(master, prompt, 10)
os.write(master, b" ")
read_until(master, prompt, 10)
os.write(master, b"b")
assert b"I sent three messages" in read_until(master, prompt, 10)
os.write(master, b"q")
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130

# --ask counts: the first answer is right and the second is not.
pid, master = start(program, "merge", "--ask", "--lang", "en", "--speed", "0")
read_until(master, b"your prediction", 10)
os.write(master, b"92")
assert b"2: right" in read_until(master, b"your prediction", 10)
os.write(master, b"1")
assert b"1: no, it is 2" in read_until(master, b"You predicted 1 of 2.", 20)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
