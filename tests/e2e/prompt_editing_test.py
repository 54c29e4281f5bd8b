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
            t.enter("!!")
            t.prompt()
            t.mark = 0  # The message may stand above this prompt, or above the one before it.
            t.wait_for_text("there is no line before this one")
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

    def test_a_search_shows_the_match_in_place_and_gives_the_typed_line_back(self):
        with self.at_prompt() as t:
            for line in ("echo one", "true two", "echo three"):
                t.run(line)
            t.keys("typed")
            t.keys(b"\x12ec")
            t.wait_for_line("search: ec")
            self.assertEqual(t.shown_prompt + " echo three", t.screen()[-2])
            t.keys(b"\x12")
            t.wait_for_text("\x1b[7mec\x1b[0mho one")
            t.keys("q")
            t.wait_for_line("no match: ecq")
            t.keys(b"\x07")
            t.wait_for_line(t.shown_prompt + " typed")
            t.keys(b"\x15\x12one\r")
            t.wait_for_text("one\r\n")
            t.prompt()
            t.leave()

    def test_a_suggestion_is_grey_and_taken_by_right_or_by_words(self):
        with self.at_prompt() as t:
            t.run("echo one two")
            t.keys("ec")
            t.wait_for_text(b"ec\x1b7\x1b[90mho one two\x1b[0m")
            t.keys(b"\x1b[1;5C")
            t.wait_for_text(b"echo\x1b7\x1b[90m one two")
            t.keys(b"\x1b[C")
            t.wait_for_text(b"echo one two\x1b7\x1b[K")
            self.assertEqual("one two\n", t.run(""))
            t.keys("ec")
            t.wait_for_text("ho one two")
            self.assertIn("ec: command not found", t.run(""), "it is not part of the line")
            t.leave()

    def test_suggestions_can_be_switched_off(self):
        home = self.path("home")
        os.makedirs(os.path.join(home, ".config/frsh"))
        with open(os.path.join(home, ".config/frsh/config.toml"), "w") as file:
            file.write("[prompt]\nsuggest = false\n")
        with self.at_prompt(HOME=home) as t:
            t.run("echo one two")
            t.keys("ec")
            t.wait_for_text("ec")
            t.keys("ho x")
            self.assertEqual("x\n", t.run(""))
            self.assertNotIn(b"\x1b[90m", t.raw)
            t.leave()

    def test_keys_of_readline_edit_the_line(self):
        with self.at_prompt() as t:
            t.run("true first word")
            for keys, expected in (
                    (b"echo a b\x17c\x1b[1;5D\x1b[1;5Dx\x05 y", "echo xa c y"),
                    (b"echo one two\x1b\x62\x0b\x01\x1b[C\x1b[C\x1b[C\x1b[C \x19\x05",
                     "echo two one"),
                    (b"echo \x1b.", "echo word"),
                    (b"echo one two\x1f", "echo one"),
                    ("echo 日本\x1b[D語\x7f\x1b[3~x", "echo 日x"),
                    ("echo e\u0301a\x7f\x7fx", "echo x"),
                    ("echo 👩\u200d👩\u200d👧a\x1b[D\x7fb\x05", "echo ba")):
                t.keys(keys)
                t.wait_for_line(f"{t.shown_prompt} {expected}")
                t.keys(b"\x15")
                t.wait_for_line(t.shown_prompt)
            t.leave()

    def test_two_hundred_pasted_lines_are_one_entry(self):
        text = "\n".join(f"echo {number}" for number in range(200))
        with self.at_prompt() as t:
            t.keys(b"\x1b[200~" + text.encode() + b"\n\x1b[201~")
            t.wait_for_text("echo 199")
            self.assertEqual("".join(f"{number}\n" for number in range(200)), t.run(""))
            t.leave()
        self.assertEqual([text.replace("\n", "\\012")], self.histories()["history"])

    def test_a_resize_redraws_the_line(self):
        with self.at_prompt(columns=40) as t:
            t.keys("echo " + "x" * 50)
            t.wait_for_text("x" * 10)
            t.resize(30, 80)
            t.wait_for_text("echo " + "x" * 50)
            t.keys(b"\x15")
            t.run("")
            t.leave()

    def test_a_dumb_terminal_gets_no_escape_sequence(self):
        words = self.stdio.command(["--env", "HOME=" + self.home], [])
        variables = environment(self.stdio.runtime, XDG_STATE_HOME=self.path("state"), TERM="dumb")
        with Terminal(self, words, variables, 40) as t:
            t.wait_for("[$#] ")
            t.keys("echo " + "x" * 60 + "\x01\x1b[C\x12nothing\x07\x05y")
            t.wait_for_text("xy")
            t.keys("\r")
            t.wait_for_text("x" * 60 + "y\r\n")
            # Before the prompt the kernel edits what is typed, and keeps no Ctrl-D for the editor.
            t.wait_for("[$#] ")
            t.keys("ec")
            t.wait_for_text("ec")
            t.keys(b"\x15\x04")
            self.assertEqual(0, t.ended())
            self.assertNotIn(b"\x1b", t.raw)


if __name__ == "__main__":
    main()
