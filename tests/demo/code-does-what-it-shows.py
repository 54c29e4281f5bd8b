#!/usr/bin/env python3
"""code-does-what-it-shows.py ROOT: each program beside a lesson runs, the naive one shows the fault
and the fixed one does not. Reports aloud a language whose compiler is missing."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

FOLDER = os.path.join(sys.argv[1], "client/demo/code")
MERGED = ("message 1: echo one;echo two;echo three;\n",
          "message 1: echo one;\nmessage 2: echo two;\nmessage 3: echo three;\n")
# What the naive program prints, and what the fixed one prints.
EXPECTED = {
    "layers": ("10.0.1.9\n10.0.12.9\n", "10.0.1.9\n10.0.1.1\n"),
    "flow": ("cannot start: Address already in use\n", "started again\n"),
    "merge": MERGED,
    "split": ("a part of it\n", "whole\n"),
    "naive": ("seq 1 600 -> 1024 bytes, without hello\necho hello -> 1024 bytes, without hello\n",
              "seq 1 600 -> 2292 bytes, without hello\necho hello -> 6 bytes, with hello\n"),
    "empty": ("no answer\n", "answer: b''\nthe end\n"),
    "frame": ("3 messages\n", "b'echo one'\nb\"printf 'a\\nb'\"\n"),
    "udp": ("b'abcdefghij'\nb'next'\n", "b'abcdefghijklmnopqrstuvwxyz'\nb'next'\n"),
    "server": ("no answer\nafter the silent client has left: b'hello'\n",
               "answer: b'hello'\n"),
    "framings": ("b'echo one'\nb\"printf 'a\"\nb\"b'\"\nb''\n",
                 "b'echo one'\nb\"printf 'a\\nb'\"\nb''\n"),
    "cures": ("answer 1: b'first part, '\nanswer 2: b'second part'\n",
              "answer 1: b'first part, second part'\n"),
}
# Go prints bytes as "text", and C as [text].
TEXTS = ("", '"echo one"\n"printf \'a\\nb\'"\n',
         "[echo one]\n[printf 'a\nb']\n")
EXPECTED_GO, EXPECTED_C = (
    {lesson: tuple(re.sub(r"b'([^']*)'", marked, text) for text in both)
     for lesson, both in EXPECTED.items()} for marked in (r'"\1"', r"[\1]"))
EXPECTED_GO["flow"] = tuple(text.replace("Address", "address") for text in EXPECTED["flow"])
EXPECTED_GO["frame"] = ("3 messages\n", TEXTS[1])
EXPECTED_C["frame"] = ("3 messages\n", TEXTS[2])
EXPECTED_GO["framings"] = ('"echo one"\n"printf \'a"\n"b\'"\n""\n', TEXTS[1] + '""\n')
EXPECTED_C["framings"] = ("[echo one]\n[printf 'a]\n[b']\n[]\n", TEXTS[2] + "[]\n")
ALL = {"py": EXPECTED, "go": EXPECTED_GO, "c": EXPECTED_C}


def output_of(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **options)
    assert done.returncode == 0 and done.stderr == "", (command, done.stdout, done.stderr)
    return done.stdout


def main():
    seen, missing = 0, set()
    with tempfile.TemporaryDirectory() as scratch:
        go = {**os.environ, "HOME": scratch, "GOCACHE": scratch + "/go", "GOFLAGS": "-mod=mod"}
        for lesson in sorted(os.listdir(FOLDER)):
            files = os.listdir(os.path.join(FOLDER, lesson))
            assert set(files) == {f"{one}.{kind}" for one in ("naive", "fixed") for kind in ALL}, lesson
            for name in sorted(files):
                path = os.path.join(FOLDER, lesson, name)
                with open(path, encoding="utf-8") as file:
                    lines = file.read().expandtabs(2).splitlines()
                assert len(lines) <= 40, f"{path} has {len(lines)} lines"
                assert max(map(len, lines)) <= 76, f"{path} does not fit into 80 columns"
                kind = name.rsplit(".", 1)[1]
                program = {"py": sys.executable, "go": "go", "c": "cc"}[kind]
                if shutil.which(program) is None:
                    missing.add(program)
                    continue
                if kind == "c":
                    output_of(["cc", "-Wall", "-Wextra", "-Werror", "-o", f"{scratch}/it", path])
                    text = output_of([f"{scratch}/it"])
                elif kind == "go":
                    text = output_of(["go", "run", path], env=go, cwd=scratch)
                else:
                    text = output_of([sys.executable, path])
                wanted = ALL[kind][lesson][name.startswith("fixed")]
                assert text == wanted, (path, text, wanted)
                seen += 1
    assert set(os.listdir(FOLDER)) == set(EXPECTED)
    assert seen + 2 * len(EXPECTED) * len(missing) == 2 * len(EXPECTED) * len(ALL), seen
    print(f"{seen} programs ran" + "".join(f"; NOT run: {one} is missing" for one in missing))


main()
