#!/usr/bin/env python3
"""wire-is-drawn.py FRSH FRSHD FRSH_DEMO: what --wire writes is drawn, in both languages."""
import os
import re
import subprocess
import sys
import tempfile
import unicodedata

FRSH, FRSHD, DEMO = sys.argv[1:4]


def cells(line):
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


def demo(*words, **options):
    return subprocess.run([DEMO, *words], capture_output=True, check=False, timeout=30,
                          env={**os.environ, "LC_ALL": "C"}, **options)


with tempfile.TemporaryDirectory() as folder:
    log = os.path.join(folder, "wire")
    page = os.path.join(folder, "page.html")
    subprocess.run([FRSH, "--wire", log, "-n", "--via", f"{FRSHD} --stdio", "host",
                    "echo hello; seq 1 20000"], stdout=subprocess.DEVNULL, check=True, timeout=30)
    with open(log, encoding="ascii") as file:
        text = file.read()
    frames = len(re.findall(r"^(?:<-|->) frame ", text, flags=re.M))
    for language, head, claim in (("en", "What frsh received", r"^  ✓ (\d+) frames, "),
                                  ("zh", "frsh 收到的", r"^  ✓ (\d+) 帧，")):
        done = demo("wire", log, "--lang", language, "--html", page)
        shown = done.stdout.decode()
        assert done.returncode == 0 and done.stderr == b"", done
        assert head in shown and "hello 1" in shown and "recv 1" in shown and "end " in shown, shown
        assert '{"type":"hello"' in shown, "the bytes are shown"
        assert "recv 4" in shown and re.search(r"(?:the first|中的前) \d+", shown), shown
        assert sum(map(int, re.findall(claim, shown, flags=re.M))) == frames, (shown, frames)
        assert all(cells(line) <= 80 for line in shown.split("\n"))
        with open(page, encoding="utf-8") as file:
            assert file.read().count("<svg") >= 2
    with open(log, "rb") as file:
        assert demo("wire", "-", "--lang", "zh", stdin=file).stdout.decode() [:400] == shown[:400], "from a pipe"
    empty = demo("wire", "/dev/null", "--lang", "en")
    assert empty.returncode == 1 and b"no frame in it" in empty.stderr, empty
assert demo("wire").returncode == 2
assert demo("merge", "wire").returncode == 2
