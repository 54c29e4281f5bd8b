#!/usr/bin/env python3
"""lesson-keeps-its-word.py FRSH_DEMO LESSON LANGUAGE

Runs a lesson as a student would, without colour, and checks: what it claims happened (exit 0), in
under ten seconds, no line wider than 80 cells, no escape sequences, a place in frsh named at the
end; and its page: well-formed, self-contained, light and dark.
"""
import html.parser
import os
import re
import subprocess
import sys
import tempfile
import time
import unicodedata

VOID = {"meta", "br", "hr", "img", "input", "link", "path", "rect"}


def cells(line):
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


class WellFormed(html.parser.HTMLParser):
    """Every element that is opened is closed, in order; nothing is fetched from anywhere."""

    def __init__(self):
        super().__init__()
        self.open = []
        self.problems = []
        self.texts = []

    def handle_starttag(self, tag, attributes):
        if tag in ("script", "link", "img", "iframe", "object"):
            self.problems.append(f"<{tag}>")
        for name, value in attributes:
            if name in ("src", "href", "xlink:href", "srcset") or name.startswith("on"):
                self.problems.append(f"{name}={value}")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"unexpected </{tag}> at {self.getpos()}")

    def handle_startendtag(self, tag, attributes):
        if tag not in VOID:
            self.problems.append(f"<{tag}/>")

    def handle_data(self, data):
        self.texts.append(data)


def check_page(page, language, claims):
    parser = WellFormed()
    parser.feed(page)
    parser.close()
    assert not parser.problems, parser.problems[:5]
    assert not parser.open, f"never closed: {parser.open}"
    for outside in ("http:", "https:", "@import", "url(", "//cdn"):
        assert outside not in page, outside
    assert "prefers-color-scheme: dark" in page
    assert f'lang="{"zh-CN" if language == "zh" else "en"}"' in page
    assert "<svg" in page or "<table" in page
    assert page.count('<li class="broken">') == 0
    section = re.sub(r"<style>.*?</style>", "", page, flags=re.S)
    assert len(re.findall(r'<ul class="claims">', section)) > 0
    assert claims > 0


def main():
    program, lesson, language = sys.argv[1:4]
    environment = {**os.environ, "NO_COLOR": "1", "LC_ALL": "C"}
    with tempfile.TemporaryDirectory() as folder:
        page = os.path.join(folder, "page.html")
        begin = time.monotonic()
        done = subprocess.run([program, lesson, "--lang", language, "--html", page, "--hex"],
                              capture_output=True, env=environment, check=False, timeout=80)
        spent = time.monotonic() - begin
        text = done.stdout.decode("utf-8")
        assert done.returncode == 0, f"exit {done.returncode}\n{text[-3000:]}\n{done.stderr.decode()}"
        assert done.stderr == b"", done.stderr
        if lesson != "all":
            assert spent < 10, f"took {spent:.1f} s"
        assert "\x1b" not in text and "\r" not in text
        for number, line in enumerate(text.split("\n"), 1):
            assert cells(line) <= 80, f"line {number} is {cells(line)} cells wide: {line}"
            assert line == line.rstrip(), f"line {number} ends in spaces: {line!r}"
        claims = text.count("  ✓ ")
        assert claims >= 3 and "✗" not in text
        questions = len(re.findall(r"^  \? ", text, flags=re.M))
        assert questions >= 2, f"{questions} questions"
        if lesson not in ("layers", "udp") and "not captured here" not in text and "无法抓包" not in text:
            assert re.search(r"─ [A-Z+]+ seq=\d+ ack=\d+ len=[1-9]\d*  \d+\.\d{3} ms ─", text), "no packet"
        places = re.findall(r"^    \S+\.(?:cpp|hpp|py):(\d+)$", text, flags=re.M)
        assert len(places) >= 2, "names no place in frsh"
        assert not re.search(r"\{\d\}", text), "a value was not filled in"
        if language == "zh":
            # No sentence was left in English: what is ASCII alone is calls, bytes and source.
            for line in text.split("\n"):
                words = re.findall(r"[a-z]{2,}", line)
                if line.startswith("  ✓ ") or re.match(r"^  \S", line) and len(words) > 6:
                    assert any(cells(c) == 2 for c in line) or "(" in line, f"not Chinese: {line}"
        with open(page, encoding="utf-8") as file:
            check_page(file.read(), language, claims)
    print(f"{lesson} ({language}): {claims} claims, {spent:.1f} s")


main()
