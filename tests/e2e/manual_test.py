"""The manual pages have every option, key and keyword that the programs take, and no others."""

import os
import re
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import FRSH, FRSHD, main  # noqa: E402

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
PAGES = {"frsh.1": "client/man/frsh.1", "frsh.toml.5": "client/man/frsh.toml.5",
         "frsh-ssh.7": "client/man/frsh-ssh.7", "frshd.8": "server/man/frshd.8",
         "frshd.toml.5": "server/man/frshd.toml.5"}


def read(path):
    with open(os.path.join(ROOT, path)) as file:
        return file.read()


def keys_taken(path):
    return set(re.findall(r'\btake(?:_text\(\w+, |\()"(\w+)"', read(path)))


def keys_named(page):
    items = re.findall(r"^\.It Ic (.*)$", read(PAGES[page]), re.M)
    return {key for item in items for key in item.split(" , ") if "[" not in key}


def listed(page, item):
    """Returns the words of one item of a list, up to the next item or the end of the list."""
    [text] = re.findall(rf"^\.It {re.escape(item)}\n(.*?)^\.(?:It|El)", read(page), re.M | re.S)
    return text


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

    def test_every_key_of_a_file_is_in_its_page_and_no_other(self):
        for source, page in (("server/config.cpp", "frshd.toml.5"),
                             ("client/cli/config.cpp", "frsh.toml.5")):
            self.assertGreater(len(keys_taken(source)), 5)
            self.assertEqual(keys_taken(source), keys_named(page), page)

    def test_every_ssh_option_is_in_its_list_of_the_page_and_no_other(self):
        table = read("client/cli/ssh_options.cpp").split("kShortOptions[] = {")[1].split("};")[0]
        # -h is not an option of ssh.
        taken = set(re.findall(r"\{'(\w)', k(?:Flag|Value), (?!accept\}|refuse)", table)) - {"h"}
        accepted = set(re.findall(r"\{'(\w)', k(?:Flag|Value), accept\}", table))
        refused = set(re.findall(r"\{'(\w)', k(?:Flag|Value), refuse", table))
        for item, letters in (("Acted on", taken), ("Accepted without effect", accepted),
                              ("Refused by name, with exit code 255", refused)):
            flags = listed(PAGES["frsh-ssh.7"], item).split("\n")[0].removeprefix(".Fl ")
            self.assertEqual(letters, set(re.findall(r"\b\w\b", flags)), item)

    def test_every_ssh_keyword_is_in_its_list_of_the_page_and_no_other(self):
        source = read("client/cli/ssh_keywords.cpp") + read("client/cli/ssh_keyword_lists.cpp")
        table = source.split("kKeywords[] = {")[1].split("\n};")[0]
        rows = dict(re.findall(r'\{"(\w+)", ([\w<&:>]+)', table))
        for name, kind in (("kWithoutEffect", "harmless"), ("kOnlyOff", "off_only")):
            words = " ".join(re.findall('"(.*)"', source.split(f" {name} =")[1].split(";")[0]))
            rows.update(dict.fromkeys(words.split(), kind))
        self.assertGreater(len(rows), 100)
        lists = {"harmless": "Ic Accepted without effect", "off_only": "Ic Accepted while switched off",
                 "remote_forward": "Ic Refused", "refused": "Ic Refused", "on_only": "Ic Refused",
                 "refuse_connection": "Ic Refused"}
        for item in {"Ic Acted on", *lists.values()}:
            expected = {key for key, kind in rows.items() if lists.get(kind, "Ic Acted on") == item}
            words = {word.lower() for word in re.findall(r"\w+", listed(PAGES["frsh-ssh.7"], item))}
            self.assertEqual(expected, words & rows.keys() - ({"ignoreunknown", "clearallforwardings"}
                                                              if item == "Ic Refused" else set()), item)

    def test_every_page_has_the_usual_sections(self):
        for page, path in PAGES.items():
            sections = re.findall(r"^\.Sh (.*)$", read(path), re.M)
            wanted = ["NAME", "DESCRIPTION", "EXAMPLES", "SEE ALSO"]
            if page in ("frsh.1", "frshd.8"):
                wanted += ["SYNOPSIS", "OPTIONS", "ENVIRONMENT", "FILES", "EXIT STATUS"]
            self.assertEqual(set(), set(wanted) - set(sections), page)

    @unittest.skipUnless(shutil.which("groff"), "no groff here")
    def test_the_pages_are_well_formed(self):
        for page in PAGES.values():
            result = subprocess.run(["groff", "-mdoc", "-ww", "-Tutf8", os.path.join(ROOT, page)],
                                    capture_output=True, text=True, check=True)
            self.assertEqual(result.stderr, "")
            self.assertGreater(result.stdout.count("\n"), 40)


if __name__ == "__main__":
    main()
