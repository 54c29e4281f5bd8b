"""The prompt of an account whose shell is zsh, with the shell's own jobs, history and messages."""

import os
import pwd
import re
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import Case, environment, main  # noqa: E402
from terminal import Terminal  # noqa: E402

BIND = "mount --bind \"$0\" /etc/passwd && exec \"$@\""


class PromptKinds(Case):
    def at_prompt(self, shell="zsh", **files):
        path = shutil.which(shell)
        if path is None:
            self.skipTest(f"no {shell}")
        passwd = self.path("passwd")
        name = pwd.getpwuid(os.getuid()).pw_name
        with open("/etc/passwd") as old, open(passwd, "w") as new:
            new.write(re.sub(rf"(?m)^({name}:.*:)[^:]*$", rf"\g<1>{path}", old.read()))
        within = ["unshare", "-m", "sh", "-c", BIND, passwd]
        probe = subprocess.run(within + ["true"], stderr=subprocess.PIPE, check=False)
        if probe.returncode != 0:
            self.skipTest(f"no mount namespace of our own: {probe.stderr!r}")
        home = self.path("home")
        os.makedirs(home, exist_ok=True)
        for file_name, text in files.items():
            with open(os.path.join(home, "." + file_name), "w") as file:
                file.write(text + "\n")
        terminal = Terminal(self, within + self.stdio.command(["--env", "HOME=" + home], []),
                            environment(self.stdio.runtime, XDG_STATE_HOME=self.path("state")))
        terminal.last_prompt = terminal.prompt()
        return terminal

    def test_l16_zsh_runs_its_own_files_and_keeps_its_state(self):
        with self.at_prompt(zshrc="from_rc=1; alias hey='echo hey'; PROMPT='mine> '") as t:
            self.assertIn(b", zsh; :help", t.raw)
            self.assertEqual("1 5.9\nhey\n", t.run_all(["cd /tmp", "echo $from_rc "
                                                       "${ZSH_VERSION%.*}.9; hey"])[:12])
            self.assertIn(":/tmp", t.last_prompt)
            self.assertEqual("7\n", t.run_all(["(exit 7)", "echo $?"]))
            self.assertEqual("1\n2\n", t.run("for i in 1 2; do echo $i; done"))
            self.assertEqual("1\n", t.run_all(["echo a )", "echo $?"])[-2:])
            self.assertEqual("0 1 2 3\n", t.run("echo $(ls /proc/self/fd)"))
            self.assertRegex(t.run("nosuchcommand"), r"^zsh:\d*:? ?command not found: nosuchc")
            self.assertEqual(3, t.leave(b"exit 3\r"))

    def test_l16_fg_and_ctrl_z_work_again_and_again_in_zsh(self):
        with self.at_prompt() as t:
            for line in ("sleep 61", "sleep 61 | cat"):
                t.enter(line)
                time.sleep(0.5)
                for _ in range(3):
                    t.keys(b"\x1a")
                    t.wait_for_text("suspended")
                    t.prompt()
                    self.assertRegex(t.run("jobs"), r"^\[1\]  \+ suspended  sleep 61")
                    t.enter("fg")
                    t.wait_for_text("continued")
                    time.sleep(0.3)
                t.keys(b"\x03")
                self.assertIn("[130] ", t.prompt())
            self.assertEqual("", t.run("jobs"))
            t.enter("while :; do sleep 0.1; done")
            time.sleep(0.3)
            t.keys(b"\x03")
            self.assertIn("[130] ", t.prompt())
            self.assertEqual(130, t.leave())

    def test_l16_zsh_has_a_history_and_traces_only_the_users_lines(self):
        with self.at_prompt() as t:
            t.run_all(["echo o''ne", "echo t''wo"])
            self.assertEqual(["1 echo o''ne", "2 echo t''wo"],
                             [" ".join(line.split()) for line in t.run("fc -l 1 2").splitlines()])
            self.assertEqual("echo o''ne\none\n", t.run("r 1"))
            self.assertRegex(t.run_all(["set -x", "echo hi"]), r"^\+zsh:\d+> echo hi\nhi\n$")
            t.run("set +x")
            self.assertEqual(0, t.leave())

    def test_l16_zsh_without_an_end_of_its_files_starts_without_them(self):
        with self.at_prompt(zshrc="exec sh -c 'exec cat'") as t:
            self.assertIn("this zsh is without them", t.plain(t.raw))
            self.assertEqual("on\n", t.run("echo on"))
            self.assertEqual(0, t.leave())


if __name__ == "__main__":
    main()
