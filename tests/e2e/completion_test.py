"""Shell completion: each option of --help is in it; bash offers targets, options and run ids."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import FRSH, FRSHD, main  # noqa: E402

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
FILES = {"frsh": ("client", FRSH), "frshd": ("server", FRSHD)}


@unittest.skipUnless(os.path.exists(os.path.join(ROOT, "client/completions")), "no sources here")
class Completion(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="frsh-")
        self.addCleanup(folder.cleanup)
        self.home = folder.name
        os.makedirs(os.path.join(self.home, ".config/frsh"), 0o700)
        os.makedirs(os.path.join(self.home, ".ssh"), 0o700)

    def read(self, program, name):
        with open(os.path.join(ROOT, FILES[program][0], "completions", name)) as file:
            return file.read()

    def options(self, program):
        text = subprocess.run([FILES[program][1], "--help"], capture_output=True, text=True).stdout
        long = set(re.findall(r"^\s+(?:-\w,)?(--[\w-]+)", text, re.M))
        lists = re.findall(r"^\s+(-\w\b[^\n]*?)(?:  |,--)", text, re.M)
        short = {word for line in lists for word in re.findall(r"(?:^|, )(-\w)\b", line)}
        return long, short

    def complete(self, *words, **env):
        """Returns what bash would offer for the last word."""
        script = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _frsh; ' \
                 '[ ${#COMPREPLY[@]} = 0 ] || printf "%s\\n" "${COMPREPLY[@]}"'
        result = subprocess.run(
            ["bash", "-c", script, "bash", os.path.join(ROOT, "client/completions/frsh.bash"), *words],
            env={"PATH": "/usr/bin:/bin", "HOME": self.home, **env}, capture_output=True, text=True,
            stdin=subprocess.DEVNULL, timeout=60)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return result.stdout.split("\n")[:-1]

    def test_every_option_is_in_every_completion(self):
        for program in FILES:
            long, short = self.options(program)
            self.assertGreater(len(long), 10)
            bash = self.read(program, f"{program}.bash")
            zsh = self.read(program, f"_{program}")
            fish = self.read(program, f"{program}.fish")
            for option in sorted(long | short):
                with self.subTest(program=program, option=option):
                    self.assertRegex(bash, rf'[ "]{option}[ "\n]')
                    self.assertRegex(zsh, rf"['{{,)*]{option}[\[,}}]")
                    flag = f"-l {option[2:]}" if option in long else f"-s {option[1:]}"
                    self.assertRegex(fish, f"(?m)^complete -c {program}.* {flag} ")

    def test_bash_offers_options(self):
        self.assertEqual(self.complete("frsh", "--att"), ["--attach"])
        self.assertIn("--runs", self.complete("frsh", "-"))
        self.assertEqual(self.complete("frsh", "--on-disconnect", "k"), ["kill", "keep"])

    def test_bash_offers_targets_of_all_files(self):
        def write(name, text):
            with open(os.path.join(self.home, name), "w") as file:
                file.write(text)

        write(".config/frsh/config.toml", '[defaults]\nport = 7700\n[hosts.alpha]\n[hosts."al.two"]\n')
        write(".config/frsh/known_hosts", "[albert]:7722 ssh-ed25519 AAAA\n")
        write(".ssh/known_hosts", "alfred,192.0.2.1 ssh-ed25519 AAAA\n|1|hash= ssh-ed25519 AAAA\n")
        write(".ssh/config", "Host alice  al*\n  Port 3\nMatch host alx\n")
        expected = ["al.two", "albert", "alfred", "alice", "alpha"]
        self.assertEqual(self.complete("frsh", "al"), expected)
        self.assertEqual(self.complete("frsh", "-p", "22", "me@alp"), ["me@alpha"])
        self.assertEqual(self.complete("frsh", "lo"), ["local"])
        self.assertEqual(self.complete("frsh", "alpha", "al"), [])

    def test_bash_offers_ids_of_kept_runs(self):
        runtime = os.path.join(self.home, "run")
        os.mkdir(runtime, 0o700)
        env = {"XDG_RUNTIME_DIR": runtime, "XDG_STATE_HOME": os.path.join(self.home, "state")}
        subprocess.run([FRSH, "--run-id", "nightly", "local", "true"], check=True,
                       env={"PATH": "/usr/bin:/bin", "HOME": self.home, **env})
        self.assertEqual(self.complete(FRSH, "local", "--logs", "nig", **env), ["nightly"])


if __name__ == "__main__":
    main()
