#!/usr/bin/env python3
"""wire-shows-every-frame.py FRSH FRSHD: --wire shows all that was said, and changes nothing."""
import os
import re
import subprocess
import sys
import tempfile

FRSH, FRSHD = sys.argv[1:3]


def frsh(wire):
    return subprocess.run([FRSH, "--wire", wire, "-n", "--via", f"{FRSHD} --stdio", "host",
                           "seq 1 50000; exit 3"], capture_output=True, check=False, timeout=30)


with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "wire")
    done = frsh(path)
    assert done.returncode == 3 and done.stderr == b"", done
    assert os.stat(path).st_mode & 0o077 == 0, "others may read it"
    with open(path, encoding="ascii") as file:
        text = file.read()
    frames = re.findall(r"^(<-|->) frame \d+: (\w+), ", text, flags=re.M)
    for way, kind in (("->", "hello"), ("->", "open"), ("<-", "hello"), ("<-", "started"),
                      ("<-", "data"), ("<-", "eof"), ("<-", "end"), ("->", "end_ack")):
        assert (way, kind) in frames, (way, kind)
    carried = sum(map(int, re.findall(r"^     payload   (\d+) bytes",
                                      text[text.index("<- frame"):], flags=re.M)))
    assert carried == len(done.stdout), (carried, len(done.stdout))
    assert "cut off" not in text and "not a frame" not in text
to_stderr = frsh("-")
assert to_stderr.stdout == done.stdout and b"<- frame 1: hello" in to_stderr.stderr
full = frsh("/dev/full")
assert full.stdout == done.stdout and full.returncode == 3
assert full.stderr == b"frsh: wire log: write: No space left on device\n", full.stderr
