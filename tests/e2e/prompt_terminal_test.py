"""Commands at the prompt have a terminal: keys, jobs, what is typed ahead, the ways to leave."""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import Case, environment, main  # noqa: E402
from terminal import Terminal  # noqa: E402


class PromptTerminal(Case):
    def at_prompt(self, place=None, home=None):
        home = home or os.path.join(self.folder, "home")
        os.makedirs(home, exist_ok=True)
        place = place or self.unix
        terminal = Terminal(self, place.command(["--env", "HOME=" + home], []),
                            environment(place.runtime, XDG_STATE_HOME=self.path("state"),
                                        COLORTERM="truecolor"))
        terminal.last_prompt = terminal.prompt()
        return terminal

    def start(self, terminal, command):
        terminal.enter("echo U''P; " + command)
        terminal.wait_for_text("UP\r\n")

    def test_l8_the_streams_of_a_command_are_one_terminal_of_the_users_size(self):
        for place in (self.unix, self.stdio):
            with self.at_prompt(place) as t:
                self.assertEqual("yes xterm truecolor 30 250\n",
                                 t.run("test -t 0 -a -t 1 -a -t 2 && echo yes $TERM $COLORTERM "
                                       "$(stty size </dev/tty)"))
                first = t.run("tty")
                self.assertEqual(first, t.run("tty"), "one terminal for the life of the shell")
                t.resize(40, 100)
                self.assertEqual("40 100\n", t.run("stty size"))
                self.assertEqual("".join(f"{n}\n" for n in range(40)),
                                 t.run("for i in {0..38..2}; do echo $i; echo $((i+1)) >&2; done"),
                                 "the exact order of stdout and stderr")
                self.assertEqual(0, t.leave())
                self.assertEqual(t.modes, t.modes_now())

    def test_l8_what_was_typed_ahead_is_the_next_line(self):
        with self.at_prompt() as t:
            self.start(t, "sleep 0.5")
            t.keys("echo typed; (exit 4)\r")
            t.prompt()
            t.wait_for_text("typed\r\n")
            self.assertIn("[4] ", t.prompt())
            self.start(t, "head -n 1; sleep 0.3")
            t.keys("for head\recho he''re\r")
            t.prompt()
            t.wait_for_text("here\r\n")
            t.prompt()
            self.assertEqual(0, t.leave())

    def test_l8_a_password_is_never_shown_and_never_a_line(self):
        with self.at_prompt() as t:
            self.start(t, "read -rsp 'Password: ' p </dev/tty; echo; echo ${#p}")
            t.wait_for_text("Password: ")
            t.keys("s3cret\r")
            t.wait_for_text("6\r\n")
            t.prompt()
            self.start(t, "stty -echo; echo q''uiet; sleep 0.5; stty echo")
            t.wait_for_text("quiet\r\n")
            t.keys("s3cret\r")
            t.prompt()
            self.assertEqual("on\n", t.run("echo on"))
            self.assertNotIn(b"s3cret", t.raw)
            self.assertEqual(0, t.leave())

    def test_l8_an_interrupt_ends_the_command_with_130_and_drops_what_was_typed(self):
        with self.at_prompt() as t:
            self.start(t, "sleep 60; echo no")
            t.keys("echo ahead\r")
            t.wait_for_text("ahead\r\n")
            t.keys(b"\x03")
            self.assertIn("[130] ", t.prompt())
            self.assertEqual("130\n", t.run("echo $?"))
            t.enter("yes")
            t.wait_for_text("y\r\ny\r\n")
            before = time.monotonic()
            t.keys(b"\x03")
            self.assertIn("[130] ", t.prompt())
            self.assertLess(time.monotonic() - before, 3)
            self.assertEqual(0, t.leave(b"true\r\x04"))

    def test_l8_jobs_are_those_of_the_shell(self):
        with self.at_prompt() as t:
            self.assertEqual("", t.run_all(["true; ls / >/dev/null", "jobs"]))
            t.enter("sleep 61")
            time.sleep(0.3)
            t.keys(b"\x1a")
            self.assertIn("[148] ", t.prompt())
            self.assertRegex(t.run("jobs"), r"^\[1\]\+ +Stopped +sleep 61\n$")
            t.enter("fg")
            t.wait_for_text("sleep 61\r\n")
            t.keys(b"\x03")
            self.assertIn("[130] ", t.prompt())
            self.assertEqual("", t.run("jobs"))
            self.assertEqual(0, t.leave(b"true\r\x04"))

    def test_l8_exit_leaves_with_the_code_of_the_shell(self):
        for line, code in (("exit 3", 3), ("logout", 0), ("set -e; false", 1)):
            with self.at_prompt() as t:
                t.run("trap 'echo b''ye' EXIT")
                t.keys(line + "\r")
                self.assertEqual(code, t.ended(), line)
                self.assertIn(b"bye\r\n", t.raw)
                self.assertEqual(t.modes, t.modes_now())

    def test_l8_start_up_files_that_end_or_replace_the_shell_are_left_out(self):
        for text in ("exit 5", "exec sh -c 'exit 6'"):
            home = self.path("home" + text.split()[0])
            os.mkdir(home)
            with open(os.path.join(home, ".profile"), "w") as file:
                file.write(text + "\n")
            with self.at_prompt(home=home) as t:
                self.assertIn(b".profile does not come to its end", t.raw)
                self.assertEqual("on\n", t.run("echo on"))
                self.assertEqual(0, t.leave())

    def test_l8_what_bash_remembers_of_a_line_is_there_in_the_next(self):
        with self.at_prompt() as t:
            self.assertEqual("3 4\n", t.run_all(["(exit 3) | (exit 4)", "echo ${PIPESTATUS[*]}"]))
            self.assertEqual("5\n", t.run_all(["(exit 5)", "echo ${PIPESTATUS[*]}"]))
            self.assertEqual("4 b\n", t.run_all([": a b; (exit 4)", "echo $? $_"]))
            self.assertEqual("c\n", t.run_all([": c | (exit 4)", ": c", "echo $_"]))
            self.assertEqual("0077\n", t.run_all(["umask 77", "umask"]))
            self.assertEqual("2\n", t.run_all(["echo a )", "echo $?"])[-2:])
            self.assertEqual(0, t.leave())

    def test_l8_the_prompts_own_lines_are_invisible(self):
        with self.at_prompt() as t:
            self.assertRegex(t.run_all(["set -x", "echo a"]), r"^\++ echo a\na\n$")
            t.run("set +x")
            self.assertEqual("D\nb\n", t.run_all(["trap 'echo D' DEBUG", "echo b"]))
            self.assertEqual("0 1 2 3\n", t.run_all(["trap - DEBUG", "echo $(ls /proc/self/fd)"]))
            self.assertEqual(0, t.leave())


if __name__ == "__main__":
    main()
