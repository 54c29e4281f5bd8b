"""Editing at the prompt: history, keys, suggestions and completion."""

import os
import stat
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import Case, environment, main  # noqa: E402
from terminal import Terminal  # noqa: E402

UP = b"\x1b[A"


class PromptEditing(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.home = os.path.join(cls.folder, "home")  # No start-up files.
        os.mkdir(cls.home)

    def at_prompt(self, columns=80, options=(), **variables):
        words = self.stdio.command(["--env", "HOME=" + self.home, *options], [])
        variables = {"XDG_STATE_HOME": self.path("state"), **variables}
        terminal = Terminal(self, words, environment(self.stdio.runtime, **variables), columns)
        terminal.last_prompt = terminal.prompt()
        terminal.shown_prompt = terminal.last_prompt
        return terminal

    def histories(self):
        folder = os.path.join(self.path("state"), "frsh")
        result = {}
        for name in os.listdir(folder):
            if name.startswith("history"):
                path = os.path.join(folder, name)
                self.assertEqual(0o600, stat.S_IMODE(os.stat(path).st_mode), name)
                with open(path) as file:
                    result[name] = file.read().splitlines()
        return result

    def test_history_marks_are_expanded_and_shown_before_the_line_runs(self):
        with self.at_prompt() as t:
            t.keys("!!\r")
            t.wait_for_text("there is no line before this one")
            t.prompt()
            self.assertEqual("a b\n", t.run("echo a b"))
            self.assertEqual("x b\n", t.run("echo x !$").split("\n", 1)[1])
            self.assertEqual("echo x b; echo\nx b\n\n", t.run("!!; echo"))
            self.assertEqual("!! !$ !!\n", t.run("echo '!!' \\!\\$ !\\!"))
            t.enter("echo 'one")
            t.prompt()
            self.assertEqual("one\n!!\n", t.run("!!'"), "the quote of the line before is open")
            t.leave()
        ours = [lines for name, lines in self.histories().items() if name != "history"]
        self.assertEqual([["echo a b", "echo x b", "echo x b; echo", r"echo '!!' \134!\134$ !\134!",
                           r"echo 'one\012!!'"]], ours)
        self.assertEqual(ours[0], self.histories()["history"])

    def test_up_offers_only_lines_that_begin_as_what_is_typed(self):
        with self.at_prompt() as t:
            for line in ("echo one", "true two", "echo three", "true four"):
                t.run(line)
            t.keys("echo")
            t.keys(UP * 2)
            t.wait_for_line(t.shown_prompt + " echo one")
            t.keys(b"\x1b[B")
            t.wait_for_line(t.shown_prompt + " echo three")
            self.assertEqual("three\n", t.run(""))
            t.leave()


if __name__ == "__main__":
    main()
