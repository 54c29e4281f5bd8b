#!/usr/bin/env python3
"""Checks the prose of the tree: comments and documents are plain English and fit the page.

Fails on a comment that makes a person of a process (who, whoever, somebody, nobody, anybody, he,
him, his), on a comment that begins as a fragment ("// Of ..."), and on prose wider than 100
columns. Text in `backticks` and "quotes" is not judged: `nobody` is also an account.

Usage: scripts/check_prose.py [--report] [PATH...]    --report counts by folder and lists nothing
"""

import collections
import io
import pathlib
import re
import subprocess
import sys
import tokenize
import unicodedata

ROOT = pathlib.Path(__file__).resolve().parent.parent

PERSONS = re.compile(r"\b(who|whoever|somebody|nobody|anybody|he|him|his)\b", re.I)
QUOTED = re.compile(r"`[^`]*`|\"[^\"]*\"|“[^”]*”|'[^'\s]+'|\b\w+\(\d\)")
PROSE_WIDTH = 100
TABLE_WIDTH = 120
# Written by scripts, which cut their own cells.
GENERATED = {"tests/bench/RESULTS.md", "tests/bench/COMPARISON.md"}
# A file that has to contain what it forbids.
EXEMPT = {"scripts/check_prose.py", "common/STYLE.md"}


def columns(text):
    """Returns how many columns a terminal needs for the text: two for a Chinese character."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def cpp_comments(text):
    """Yields (line number, comment text) for // and /* */ outside of string literals."""
    token = re.compile(r'R"(?P<mark>[^\s()\\]{0,16})\(.*?\)(?P=mark)"'
                       r'|"(?:\\.|[^"\\\n])*"' r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])*'"
                       r"|(?P<line>//[^\n]*)|(?P<block>/\*.*?\*/)", re.S)
    for found in token.finditer(text):
        comment = found["line"] or found["block"]
        if comment:
            first = text.count("\n", 0, found.start()) + 1
            for index, line in enumerate(comment.split("\n")):
                yield first + index, re.sub(r"^\s*(//+|/\*+|\*+)|\*+/$", "", line)


def python_comments(text):
    """Yields (line number, comment text) for # comments and for docstrings."""
    previous = tokenize.NEWLINE
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string.lstrip("#!")
        elif token.type == tokenize.STRING and previous in (tokenize.NEWLINE, tokenize.INDENT,
                                                            tokenize.DEDENT):
            quote = '"""' if '"""' in token.string else "'''"
            for index, line in enumerate(token.string.split("\n")):
                yield token.start[0] + index, line.replace(quote, "")
        if token.type not in (tokenize.COMMENT, tokenize.NL):
            previous = token.type


def hash_comments(text):
    """Yields (line number, comment text) for shell and CMake: # after a blank, outside of quotes."""
    for number, line in enumerate(text.split("\n"), 1):
        bare = re.sub(r"'[^']*'|\"(?:\\.|[^\"\\])*\"", lambda m: "_" * len(m[0]), line)
        found = re.search(r"(?:^|\s)#(?!!)", bare)
        if found:
            yield number, line[found.end():]


def kind_of(path, text):
    """Returns the reader of a file's comments, None for a document, or False: not ours to judge."""
    if "/corpus/" in path or "\0" in text:
        return False
    if path.endswith(".md"):
        return None
    if path.endswith((".cpp", ".hpp")):
        return cpp_comments
    if path.endswith(".py") or text.startswith("#!/usr/bin/env python3"):
        return python_comments
    if text.startswith(("#!/bin/sh", "#!/usr/bin/env bash", "#!/bin/bash")) or path.endswith(
            (".cmake", "CMakeLists.txt", ".sh", ".bash")):
        return hash_comments
    return False


def document_problems(path, text):
    fenced = False
    for number, line in enumerate(text.split("\n"), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        limit = TABLE_WIDTH if line.startswith("|") else PROSE_WIDTH
        if columns(line) > limit and path not in GENERATED:
            yield number, f"{columns(line)} columns, at most {limit}"
        found = PERSONS.search(QUOTED.sub("", line))
        if found and not fenced and path not in GENERATED:
            yield number, f'"{found[1]}": name the subject'


def comment_problems(reader, text):
    lines = text.split("\n")
    for number, comment in reader(text):
        found = PERSONS.search(QUOTED.sub("", comment))
        if found:
            yield number, f'"{found[1]}": name the subject'
        if comment.startswith(" Of "):
            yield number, "a comment that begins with \"Of\" is a fragment"
        if columns(lines[number - 1]) > PROSE_WIDTH and not comment.startswith(" noqa"):
            yield number, f"{columns(lines[number - 1])} columns, at most {PROSE_WIDTH}"


def main():
    arguments = [a for a in sys.argv[1:] if a != "--report"]
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "--",
                             *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    per_folder = collections.Counter()
    for path in sorted(set(listed.stdout.split("\n")) - {""} - EXEMPT):
        if not (ROOT / path).is_file():
            continue
        text = (ROOT / path).read_bytes().decode(errors="replace")
        reader = kind_of(path, text)
        if reader is False:
            continue
        found = comment_problems(reader, text) if reader else document_problems(path, text)
        for number, what in found:
            per_folder[str(pathlib.Path(path).parent)] += 1
            if "--report" not in sys.argv:
                print(f"{path}:{number}: {what}")
    if "--report" in sys.argv:
        for folder, count in sorted(per_folder.items()):
            print(f"{count:5} {folder}")
    total = sum(per_folder.values())
    print(f"prose: {total} problems" if total else "prose: plain, and within the page")
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
