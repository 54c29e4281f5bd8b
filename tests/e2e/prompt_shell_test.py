"""The shell behind the prompt: its start-up files, its jobs, and how it is left."""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import Case, environment, main  # noqa: E402
from terminal import Terminal  # noqa: E402


class PromptShell(Case):
    def terminal(self, **files):
        home = self.path("home")
        os.makedirs(home, exist_ok=True)
        for name, text in files.items():
            with open(os.path.join(home, "." + name), "w") as file:
                file.write(text + "\n")
        return Terminal(self, self.unix.command(["--env", "HOME=" + home], []),
                        environment(self.unix.runtime, XDG_STATE_HOME=self.path("state")))

    def at_prompt(self, **files):
        terminal = self.terminal(**files)
        terminal.last_prompt = terminal.prompt()
        return terminal

    def test_l14_a_question_of_a_start_up_file_is_shown_and_answered(self):
        with self.terminal(bashrc="echo welcome; read -p 'Name? ' name") as t:
            t.wait_for_text("welcome\r\n")
            t.wait_for_text("Name? ")
            time.sleep(6)  # Longer than the limit of files that do not wait for an answer.
            t.keys("Ada\r")
            t.prompt()
            self.assertEqual("Ada\n", t.run("echo $name"))
            self.assertNotIn(b"without", t.raw)
            self.assertEqual(0, t.leave())

    def test_l14_only_the_file_that_takes_the_prompt_away_is_left_out(self):
        for text in ("exec sh -c 'exec cat'", "while :; do sleep 1; done",
                     "readonly PROMPT_COMMAND=x", "exit 4"):
            with self.at_prompt(profile="export FROM_PROFILE=1", bashrc=text) as t:
                self.assertRegex(t.plain(t.raw), r"\.bashrc does not come to its end", text)
                self.assertEqual("1\n", t.run("echo $FROM_PROFILE"), text)
                self.assertEqual(0, t.leave())

    def test_l14_a_debug_trap_that_prints_does_not_take_the_prompt_away(self):
        with self.at_prompt(bashrc="trap 'echo D' DEBUG") as t:
            self.assertEqual("D\non\n", t.run("echo on"))
            self.assertEqual(0, t.leave(b"trap - DEBUG\r\x04"))

    def test_l14_ctrl_c_ends_what_a_start_up_file_runs(self):
        with self.terminal(bashrc="echo began; sleep 60; after=1") as t:
            t.wait_for_text("began\r\n")
            t.keys(b"\x03")
            t.prompt()
            self.assertEqual("on\n", t.run("echo on"))
            self.assertEqual(0, t.leave())

    def test_l14_stopped_jobs_are_warned_of_once(self):
        for keys in ("exit\r", b"\x04"):
            with self.at_prompt() as t:
                t.enter("sleep 61")
                time.sleep(0.3)
                t.keys(b"\x1a")
                t.prompt()
                t.keys(keys)
                t.wait_for_text("There are stopped jobs.\r\n")
                t.prompt()
                t.keys(keys)
                t.ended()

    def test_l14_ctrl_d_leaves_with_the_status_of_the_last_command(self):
        with self.at_prompt() as t:
            t.run("trap 'echo b''ye' EXIT; (exit 7)")
            self.assertEqual(7, t.leave())
            self.assertIn(b"bye\r\n", t.raw)

    def test_l14_the_history_of_bash_has_the_lines_of_the_prompt(self):
        with self.at_prompt() as t:
            t.run_all(["true one", " true hidden"])
            self.assertEqual(["1 true one", "2 history"],
                             [" ".join(line.split()) for line in t.run("history").splitlines()])
            self.assertIn("true one", t.run("fc -l"))
            self.assertEqual(0, t.leave())


if __name__ == "__main__":
    main()
