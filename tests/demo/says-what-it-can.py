#!/usr/bin/env python3
"""says-what-it-can.py FRSH_DEMO: list, help, and what a wrong command line gets."""
import os
import re
import signal
import subprocess
import sys


def run(*arguments, **environment):
    return subprocess.run([sys.argv[1], *arguments], capture_output=True, text=True, check=False,
                          timeout=20, env={"PATH": "/usr/bin:/bin", **environment})


NAMES = "layers flow merge split naive empty frame udp server cures framings".split()
listed = run("list", LANG="C")
assert listed.returncode == 0
assert [line.split()[1] for line in listed.stdout.splitlines() if line[0].isdigit()] == NAMES
assert "粘包" in run("list", LANG="zh_CN.UTF-8").stdout
assert "粘包" in run("list", "--lang", "zh").stdout
assert "粘包" not in run("list", "--lang", "en", LANG="zh_CN.UTF-8").stdout
assert "粘包" not in run("list", LANG="zh_CN.UTF-8", LC_ALL="C").stdout

help_text = run("--help")
assert help_text.returncode == 0
for option in ("--lang", "--step", "--ask", "--code", "--speed", "--hex", "--html"):
    assert option in help_text.stdout, option
for words, wanted in ((["--help", "--lang", "zh"], "用真实的套接字演示"), (["--help"], "用法")):
    chinese = run(*words, LANG="zh_CN.UTF-8")
    assert chinese.returncode == 0 and wanted in chinese.stdout, chinese.stdout
refused = run("nosuch", LANG="zh_CN.UTF-8")
assert refused.returncode == 2 and refused.stderr.startswith("frsh-demo：命令行有误"), refused.stderr
for wrong in ([], ["nosuch"], ["merge", "--lang", "fr"], ["merge", "--speed", "-1"],
              ["merge", "--code", "basic"]):
    done = run(*wrong)
    assert done.returncode == 2, (wrong, done.returncode)
    assert done.stderr and not done.stdout, wrong
# Each error in Chinese: no English word beside names of options, values and lessons.
for wrong in ([], ["nosuch"], ["merge", "--lang", "fr"], ["merge", "--speed", "-1"],
              ["merge", "--speed", "fast"], ["merge", "--code", "basic"], ["merge", "--bogus"],
              ["merge", "split"], ["merge", "--html"], ["merge", "--step=maybe"],
              ["merge", "--seed", "one"], ["try", "--recv", "0"], ["try", "--recv", "many"],
              ["try", "--send", "A:0"], ["try", "--gap", "5000"], ["try", "--framing", "tlv"], ["merge", "--recv", "4"],
              ["all", "--cork"]):
    done = run(*wrong, LANG="zh_CN.UTF-8")
    assert done.returncode == 2 and not done.stdout, (wrong, done)
    known = {*NAMES, "frsh-demo", "--help", "--lang", "zh", "en", "LESSON", "all", "list", "serve", "try",
             "notes", "teach", "wireshark", "wire", "py", "go", "c", "calls", "none", "length",
             *(word for one in wrong for word in re.split("[=:]", one))}
    words = set(re.findall(r"[A-Za-z-]*[A-Za-z]+", done.stderr)) - known
    assert re.search("[一-鿿]", done.stderr) and not words, (wrong, words, done.stderr)
assert "only with try" in run("merge", "--recv", "4").stderr
assert "notes: 1 claim, and it happened" in run("notes", LANG="C").stdout
assert "recvs that returned exactly one message" in " ".join(run("try", LANG="C").stdout.split())
# Without a terminal, the option that needs one is named before the lesson begins.
for option in ("--step", "--ask"):
    for language, wanted in (("en", "needs a terminal"), ("zh", "要从终端读键")):
        done = subprocess.run([sys.argv[1], "split", option, "--lang", language],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                              timeout=20, start_new_session=True)
        assert done.returncode == 1 and not done.stdout, done
        assert f"{option} {wanted}" in done.stderr, done.stderr
# A reader that goes away ends it without a word.
ends = os.pipe()
os.close(ends[0])
gone = subprocess.run([sys.argv[1], "list"], stdout=ends[1], stderr=subprocess.PIPE, check=False,
                      timeout=20)
os.close(ends[1])
assert (gone.returncode, gone.stderr) == (-signal.SIGPIPE, b""), gone
missing = run("empty", "--html", "/no/such/folder/page.html", "--lang", "zh")
assert missing.stderr == "frsh-demo: open /no/such/folder/page.html：没有那个文件或目录\n", missing.stderr
unwritable = run("empty", "--html", "/no/such/folder/page.html", "--lang", "en")
assert unwritable.returncode == 1
assert unwritable.stderr == "frsh-demo: open /no/such/folder/page.html: No such file or directory\n"
for kind, marks in (("py", ("import", "def ")), ("go", ("package main",)), ("c", ("int main(void)",))):
    # That each lesson has all three is seen by code-does-what-it-shows; these take no second.
    for name in NAMES if kind == "py" else ("layers", "merge", "frame", "cures", "framings"):
        shown = run(name, "--lang", "en", "--code", kind).stdout
        assert f"naive.{kind}" in shown and f"fixed.{kind}" in shown, (name, kind)
        assert any(mark in shown for mark in marks), (name, kind)
