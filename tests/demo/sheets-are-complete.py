#!/usr/bin/env python3
"""sheets-are-complete.py FRSH_DEMO: notes has 40 statements, and each names a part that its lesson
really shows; teach has a row for each lesson; wireshark has ten questions. Both languages."""
import os
import re
import subprocess
import sys
import unicodedata


def run(*arguments):
    done = subprocess.run([sys.argv[1], *arguments], capture_output=True, text=True, check=False,
                          timeout=30, env={**os.environ, "NO_COLOR": "1"})
    assert done.returncode == 0 and done.stderr == "", (arguments, done.stdout[-500:], done.stderr)
    return done.stdout


def cells(line):
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


def joined(text):
    return re.sub(r"\s+", "", text)


LESSONS = [row.split()[1] for row in run("list", "--lang", "en").splitlines() if row[0].isdigit()]
SHOWN = {}
for language, says, place in (("en", "The notes say:", r'→ lesson (\w+), "(.*?)"\n(?= *\n|▌)'),
                              ("zh", "讲义里说：", r"→ (\w+) 一课，“(.*?)”\n(?= *\n|▌)")):
    notes = run("notes", "--lang", language)
    for sheet in (notes, run("teach", "--lang", language), run("wireshark", "--lang", language)):
        assert max(map(cells, sheet.splitlines())) <= 80, max(sheet.splitlines(), key=cells)
        assert "\x01" not in sheet and not re.search(r"\{\d\}", sheet)
    assert notes.count(says) == 40, notes.count(says)
    places = re.findall(place, notes, flags=re.S)
    assert len(places) == 39, len(places)
    for lesson, part in places:
        if (lesson, language) not in SHOWN:
            SHOWN[lesson, language] = joined(run(lesson, "--lang", language))
        assert joined("▌" + part) in SHOWN[lesson, language].replace("▌▌", "▌") or \
            joined(part) in SHOWN[lesson, language].replace("▌", ""), (lesson, part)
    named = set(re.findall(r"→ lesson (\w+)" if language == "en" else r"→ (\w+) 一课", notes))
    assert named <= set(LESSONS), named
    live = int(re.search(r"statements(\d+)areshown" if language == "en" else r"，(\d+)句由",
                         joined(notes)).group(1))
    assert live == 39, live
    teach = run("teach", "--lang", language)
    for lesson in LESSONS:
        assert re.search(rf"^▌ {lesson}[:：]", teach, flags=re.M), lesson
    assert len(re.findall(r"^  \d+\. ", run("wireshark", "--lang", language), flags=re.M)) == 10
