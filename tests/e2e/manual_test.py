"""The manual pages, and the README's tables: whatever the programs take is in them, and nothing else."""

import os
import re
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import FRSH, FRSHD, main  # noqa: E402

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
PAGES = {"frsh.1": "client/man/frsh.1", "frshd.8": "server/man/frshd.8", "frshd.toml.5": "server/man/frshd.toml.5"}


def read(path):
    with open(os.path.join(ROOT, path)) as file:
        return file.read()


def keys_taken(path):
    return set(re.findall(r'\.take\("(\w+)"', read(path)))


@unittest.skipUnless(os.path.exists(os.path.join(ROOT, PAGES["frsh.1"])), "no sources here")
class Manual(unittest.TestCase):
    def test_every_option_of_the_help_is_in_the_page_and_no_other(self):
        for program, page in ((FRSH, "frsh.1"), (FRSHD, "frshd.8")):
            help_text = subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
            # At the start of a line, alone or with others, as in "-N, -f" and "-4, -6, -b ADDR".
            lines = re.findall(r"^  (-.*?)(?:  |$)", help_text, re.M)
            taken = {flag for line in lines for flag in re.findall(r"(?<![\w-])--?[A-Za-z0-9][\w-]*", line)}
            taken |= {flag for flag in re.findall(r"; (-tt|-vv)\b", help_text)}
            self.assertGreater(len(taken), 10)
            explained = {"-" + flag for item in re.findall(r"^\.It (Fl .*)$", read(PAGES[page]), re.M)
                         for flag in re.findall(r"Fl (-?[\w-]+)", item)} - {"-tt", "-vv"}
            self.assertEqual(taken - {"-tt", "-vv"}, explained, page)

    def test_every_key_of_a_file_is_in_the_page_and_in_the_readme(self):
        server = keys_taken("server/config.cpp")
        named = {key for item in re.findall(r"^\.It Ic (.*)$", read(PAGES["frshd.toml.5"]), re.M)
                 for key in item.split(" , ")}
        self.assertEqual(server, named)
        client = keys_taken("client/cli/config.cpp")
        [part] = re.findall(r"config\.toml\n(.*?)\nAn unknown key", read(PAGES["frsh.1"]), re.S)
        self.assertEqual(client, {key for line in re.findall(r"^\.Ql (.*)$", part, re.M) if "[" not in line
                                  for key in line.removesuffix(" .").split(" , ")})
        [tables] = re.findall(r"\n### Configuration\n(.*?)\n### ", read("README.md"), re.S)
        self.assertEqual(set(), {key for key in server | client if f"`{key}`" not in tables})

    @unittest.skipUnless(shutil.which("groff"), "no groff here")
    def test_the_pages_are_well_formed(self):
        for page in PAGES.values():
            result = subprocess.run(["groff", "-mdoc", "-ww", "-Tutf8", os.path.join(ROOT, page)],
                                    capture_output=True, text=True, check=True)
            self.assertEqual(result.stderr, "")
            self.assertGreater(result.stdout.count("\n"), 40)


if __name__ == "__main__":
    main()
