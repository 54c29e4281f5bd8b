"""The prompt, in a real pseudo-terminal."""

import contextlib
import hashlib
import json
import os
import re
import shlex
import signal
import stat
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import (Case, Place, descendants, environment, is_alive, main,  # noqa: E402
                     wait_until)
from terminal import Terminal  # noqa: E402


class Repl(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.home = os.path.join(cls.folder, "home")  # No start-up files.
        os.mkdir(cls.home)

    def terminal(self, options=(), place=None, env=None, home=None, columns=Terminal.COLUMNS,
                 command=None, **popen):
        place = place or self.stdio
        words = command or place.command(["--env", "HOME=" + (home or self.home), *options], [])
        state = env.pop("XDG_STATE_HOME", None) if env else None
        return Terminal(self, words, environment(place.runtime,
                                                 XDG_STATE_HOME=state or self.path("state"),
                                                 **(env or {})), columns, **popen)

    def at_prompt(self, *arguments, **named):
        terminal = self.terminal(*arguments, **named)
        terminal.last_prompt = terminal.prompt()
        return terminal

    def modes_are_back(self, terminal):
        self.assertEqual(terminal.modes, terminal.modes_now(), "the terminal's modes")
        self.assertEqual(terminal.raw.count(b"\x1b[?2004h"), terminal.raw.count(b"\x1b[?2004l"))

    def test_blank_lines_prompt_again_and_send_nothing(self):
        wire = self.path("wire")
        with self.at_prompt(["--wire", wire]) as t:
            with open(wire) as file:
                first = file.read()
            self.assertIn("shell_open", first)
            for line in ("", "   ", "\t", ""):
                self.assertEqual("", t.run(line))
            with open(wire) as file:
                before = file.read()
            self.assertEqual(first.count('"open"'), before.count('"open"'))
            self.assertEqual("1\n", t.run("echo 1"))
            with open(wire) as file:
                self.assertGreater(file.read().count('"open"'), before.count('"open"'))
            self.assertEqual(0, t.leave())
            self.modes_are_back(t)

    def test_state_of_one_line_is_kept_for_the_next(self):
        for place in (self.stdio, self.unix):
            with self.at_prompt(place=place) as t:
                written = t.run_all(["cd /tmp", "export A=1", "f() { echo \"f $1 $A\"; }",
                                     "declare -A m", "m[k]=v", "declare -i n=2+3",
                                     "alias hey='echo hey'", "shopt -s extglob", "set -- x y",
                                     "f z; echo ${m[k]} $n $PWD $#; hey; sh -c 'echo $A'"])
                self.assertEqual("f z 1\nv 5 /tmp 2\nhey\n1\n", written)
                self.assertEqual(0, t.leave())

    def test_the_last_status_is_kept_and_does_not_stop_the_shell(self):
        with self.at_prompt() as t:
            self.assertEqual("7\n", t.run_all(["(exit 7)", "echo $?"]))
            self.assertEqual("0\n", t.run("echo $?"))
            self.assertEqual("1\n", t.run_all(["false", "x=$?", "echo $x"]))
            # set -e and an ERR trap do not treat that as a failure.
            written = t.run_all(["trap 'echo trapped' ERR", "(exit 3) || ! true", "echo $?"])
            self.assertEqual("1\n", written)
            shell = t.run("echo $$")
            self.assertEqual("still\n", t.run_all(["set -e", "! true", "echo still"]))
            self.assertEqual(shell, t.run("echo $$"))
            t.leave()

    def test_break_and_continue_do_not_leave_the_shells_own_loop(self):
        with self.at_prompt() as t:
            t.run("kept=1")
            for word in ("break", "continue", "return 3", "fi", ")", "}", "done", "esac; x"):
                t.run(word)
                self.assertEqual("1\n", t.run("echo $kept"), word)
            t.leave()

    def test_set_x_shows_the_command_and_no_internals(self):
        with self.at_prompt() as t:
            t.run("set -x")
            written = t.run("echo a   b; printf '%s\\n' c")
            self.assertEqual(["a b", "c"], [line for line in written.splitlines()
                                            if not line.startswith("+")])
            self.assertRegex(written, r"(?m)^\++ echo a b$")
            self.assertEqual(2, written.count("+ "), written)
            t.leave()

    def test_a_command_may_be_typed_over_several_lines(self):
        with self.at_prompt() as t:
            for lines, expected in (
                    (["for i in 1 2", "do echo $i", "", "done"], "1\n2\n"),
                    (["if true", "then echo yes", "fi"], "yes\n"),
                    (["echo 'a", "b'"], "a\nb\n"),
                    (['echo "a', '', '  b"'], "a\n\n  b\n"),
                    (["cat <<EOT", "x $((1+1))", "EOT"], "x 2\n"),
                    (["echo a \\", "b"], "a b\n"),
                    (["echo pipe |", "tr a-z A-Z"], "PIPE\n"),
                    (["true &&", "echo and"], "and\n"),
                    (["f() {", "echo in f", "}", ], ""),
                    (["case x in", "x) echo case;;", "esac"], "case\n"),
                    (["echo $(", "echo sub", ")"], "sub\n")):
                for line in lines[:-1]:
                    t.enter(line)
                    self.assertEqual(">", t.prompt(), line)
                self.assertEqual(expected, t.run(lines[-1]), lines)
            self.assertEqual("in f\n", t.run("f"))
            # Given up half-way, by Ctrl-C or Ctrl-D.
            for key in (b"\x03", b"\x04"):
                t.enter("echo 'open")
                self.assertEqual(">", t.prompt())
                t.keys(key)
                self.assertRegex(t.prompt(), r"[#$]$")
            self.assertEqual("on\n", t.run("echo on"))
            self.assertEqual(0, t.leave())

    def test_a_syntax_error_is_reported_and_survived(self):
        with self.at_prompt() as t:
            t.run("kept=1")
            self.assertIn("syntax error", t.run("if ; then"))
            self.assertRegex(t.last_prompt, r"^\[\d+\] ")
            self.assertIn("syntax error", t.run("echo a )"))
            self.assertEqual("1\n", t.run("echo $kept"))
            t.leave()

    def interrupted(self, t, line, program=None):
        """Runs the line, and interrupts it when it has shown that it runs."""
        t.enter(line)
        t.wait_for_text("UP\r\n")
        if program is not None:
            wait_until(lambda: any(stat.name == program for stat in descendants()), program)
        t.interrupt()
        return t.prompt()

    def test_ctrl_c_ends_the_command_and_keeps_the_shell(self):
        with self.at_prompt(place=self.unix) as t:
            t.run("kept=1; cd /tmp")
            t.keys("half a line")
            t.interrupt()
            self.assertRegex(t.prompt(), r"^[^\[].*:/tmp[#$]$")
            for line, program in (
                    ("echo U''P; sleep 60", "sleep"), ("echo U''P; while :; do :; done", None),
                    ("echo U''P; sleep 60; echo no", None),
                    ("echo U''P; sleep 60; echo no", "sleep"), ("echo U''P; cat", "cat"),
                    ("(echo U''P; sleep 60) | cat", "sleep"),
                    ("echo U''P; (sleep 60; echo no)", "sleep"),
                    ("f() { echo U''P; sleep 60; echo no; }; f; echo no", "sleep")):
                self.assertRegex(self.interrupted(t, line, program), r"^\[130\] ", line)
                self.assertNotIn("no\n", t.plain(t.raw[-60:]))
            self.assertEqual("1 /tmp\n", t.run("echo $kept $PWD"))
            # Twice, quickly, at the prompt and in a command.
            t.keys(b"\x03")
            t.prompt()
            t.keys(b"\x03")
            t.prompt()
            self.assertEqual("1\n", t.run("echo $kept"))
            t.leave()

    def test_the_second_ctrl_c_sends_term_and_the_third_kill(self):
        with self.at_prompt() as t:
            t.run_all([":split on", "kept=1"])
            t.enter("sh -c 'trap \"echo i\"nt INT; trap \"echo te\"rm\\;exit\\ 9 TERM; echo U\"\"P; "
                    "while :; do sleep 0.02; done'")
            t.wait_for_text("UP\r\n")
            t.interrupt()
            t.wait_for_text("int\r\n")
            t.interrupt()
            t.wait_for_text("term\r\n")
            self.assertRegex(t.prompt(), r"^\[9\] ")
            self.assertEqual("1\n", t.run("echo $kept"))
            # Only the end of the shell helps against this; a new shell replaces it.
            t.enter("trap '' INT TERM; cd /tmp; echo U''P; while :; do :; done")
            t.wait_for_text("UP\r\n")
            for _ in range(3):
                t.interrupt()
                time.sleep(0.3)  # The kernel would merge two signals at once.
            t.wait_for_text("the shell ended")
            t.prompt()
            self.assertEqual("on\n", t.run("echo on"))
            t.leave()

    def test_ctrl_d_leaves_with_the_last_status(self):
        with self.at_prompt() as t:
            t.run("(exit 5)")
            self.assertEqual(5, t.leave())
            self.modes_are_back(t)
        with self.at_prompt() as t:
            t.run("trap 'echo bye >" + self.path("bye") + "' EXIT")
            self.assertEqual(0, t.leave())
        with open(self.path("bye")) as file:
            self.assertEqual("bye\n", file.read())

    def test_keys_typed_while_a_command_runs_are_its_input(self):
        with self.at_prompt() as t:
            t.enter("echo U''P; read x; echo \"got $x\"; cat; echo end")
            t.wait_for_text("UP\r\n")
            t.keys("one two\r")
            t.wait_for_text("got one two\r\n")
            t.keys("line\r")
            t.wait_for_text("line\r\nline\r\n")
            t.keys(b"\x04")
            t.wait_for_text("end\r\n")
            t.prompt()
            self.assertEqual("on\n", t.run("echo on"))
            t.leave()

    def test_a_dead_shell_is_reported_and_replaced_in_its_folder(self):
        with self.at_prompt(place=self.unix) as t:
            t.run("cd /tmp; v=1")
            for line, words, status in (("kill -9 $$", "KILL", "[137] "),
                                        ("exec sh -c 'kill -TERM $$'", "TERM", "[143] ")):
                written = t.run(line)
                self.assertIn("frsh: the shell ended", written, line)
                self.assertIn(words, written, line)
                self.assertTrue(t.last_prompt.startswith(status), t.last_prompt)
                self.assertIn(":/tmp", t.last_prompt)
                self.assertEqual("/tmp\n", t.run("echo $v$PWD"))
            self.assertEqual(0, t.leave())

    def test_a_shell_that_dies_at_the_prompt_is_replaced_at_once(self):
        with self.at_prompt() as t:
            pid = int(t.run("echo $$"))
            os.kill(pid, signal.SIGKILL)
            t.wait_for_text("the shell ended")
            t.prompt()
            self.assertNotEqual(pid, int(t.run("echo $$")))
            t.leave()

    def test_the_prompt_shows_user_host_folder_and_a_status_that_is_not_0(self):
        with self.at_prompt() as t:
            user, host = t.run("id -un 2>/dev/null; uname -n").split()
            mark = "#" if user == "root" else "$"
            home = os.path.expanduser(f"~{user}") if os.getuid() == 0 else "/"
            self.assertEqual(f"{user}@{host}:/{mark}", t.run("cd /") and "" or t.last_prompt)
            t.run("cd /usr/lib")
            self.assertEqual(f"{user}@{host}:/usr/lib{mark}", t.last_prompt)
            t.run("(exit 42)")
            self.assertEqual(f"[42] {user}@{host}:/usr/lib{mark}", t.last_prompt)
            t.run("true")
            self.assertEqual(f"{user}@{host}:/usr/lib{mark}", t.last_prompt)
            if os.getuid() == 0:
                t.run("cd " + home)
                self.assertEqual(f"{user}@{host}:~{mark}", t.last_prompt)
                sibling = self.path("x")
                t.run(f"mkdir -p {sibling}; cd {sibling}")
                self.assertIn(f":{sibling}{mark}", t.last_prompt)
            t.leave()

    def test_the_prompt_shows_folders_with_any_bytes(self):
        base = os.fsencode(self.path("base"))
        os.mkdir(base)
        for name, shown in ((b"new\nline", rb"\n|\\x0a|\?"), (b"it's \"q\" $x", rb"it's"),
                            (b"\xff\xfe", rb"base"), ("grün 日本".encode(), "grün 日本".encode()),
                            (b"esc\x1b[31m", rb"esc")):
            folder = os.path.join(base, name)
            os.mkdir(folder)
            with self.at_prompt(["--cwd", folder]) as t:
                digest = hashlib.md5(folder).hexdigest()
                self.assertEqual(digest, t.run("printf %s \"$PWD\" | md5sum")[:32], name)
                t.run("kill -9 $$")
                self.assertEqual(digest, t.run("printf %s \"$PWD\" | md5sum")[:32], name)
                self.assertRegex(t.raw, shown)
                self.assertNotIn(b"esc\x1b", re.sub(rb"(?s)\x1b\[\?2004l.*?\x1b\[\?2004h", b"",
                                                   t.raw), "nothing acts from within a prompt")
                t.leave()

    def test_a_deleted_folder_does_not_end_the_shell(self):
        with self.at_prompt() as t:
            folder = self.path("gone")
            t.run(f"mkdir {folder}; cd {folder}; rmdir {folder}")
            self.assertIn(os.path.basename(folder), t.last_prompt)
            self.assertEqual("on\n", t.run("echo on"))
            written = t.run("kill -9 $$")
            self.assertIn("the shell ended", written)
            self.assertIn(folder, written, "why it is not where it was")
            self.assertEqual("on\n", t.run("echo on"))
            self.assertEqual(0, t.leave())

    def test_history_is_kept_across_sessions_for_its_owner_only(self):
        state = self.path("state")
        os.umask(0o022)
        with self.at_prompt(env={"XDG_STATE_HOME": state}) as t:
            t.run("echo first")
            t.enter("echo 'two")
            t.prompt()
            t.run("lines'")
            t.run(" echo secret")
            t.leave()
        path = os.path.join(state, "frsh/history")
        self.assertEqual(0o600, stat.S_IMODE(os.stat(path).st_mode))
        self.assertEqual(0o700, stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode))
        with open(path) as file:
            self.assertNotIn("secret", file.read())
        with self.at_prompt(env={"XDG_STATE_HOME": state}) as t:
            t.keys(b"\x1b[A")
            t.wait_for_text("lines'")
            self.assertEqual("two\nlines\n", t.run(""))
            t.keys(b"\x1b[A\x1b[A")
            t.wait_for_text("first")
            self.assertEqual("first\n", t.run(""))
            t.keys(b"\x12fir")  # Ctrl-R
            t.wait_for_text("search: fir")
            self.assertEqual("first\n", t.run(""))
            t.leave()
        # Without a folder for it there is no history; all else is the same.
        with self.at_prompt(env={"XDG_STATE_HOME": "/proc/none"}) as t:
            self.assertEqual("on\n", t.run("echo on"))
            self.assertEqual(0, t.leave())

    def test_history_survives_a_kill_and_a_second_client(self):
        env = {"XDG_STATE_HOME": self.path("state")}
        odd = "echo 'a\\b é %s' #x"
        with self.at_prompt(env=dict(env)) as one, self.at_prompt(env=dict(env)) as two:
            one.run(odd % "one")
            two.run(odd % "two")
            one.run("echo last")
            one.process.kill()
            one.process.wait()
            two.leave()
        with self.at_prompt(env=dict(env)) as t:
            for ups, line in ((1, "echo last"), (2, odd % "two"), (3, odd % "one")):
                t.keys(b"\x1b[A" * ups)
                t.wait_for_text(line.rsplit(" ", 2)[1])
                t.keys(b"\x01\x0b")  # To the start, and cut from there.
            t.leave()
        with open(os.path.join(env["XDG_STATE_HOME"], "frsh/history")) as file:
            self.assertEqual([r"echo 'a\134b é one' #x", r"echo 'a\134b é two' #x"],
                             file.read().splitlines()[:2])

    def test_a_history_that_has_grown_large_is_cut_to_what_is_used(self):
        state = self.path("state")
        path = os.path.join(state, "frsh/history")
        os.makedirs(os.path.dirname(path))
        with open(path, "w") as file:
            file.write("_HiStOrY_V2_\n")
            for i in range(50000):
                file.write(f"echo\\040{i}\\040{'x' * 100}\n")
        with self.at_prompt(env={"XDG_STATE_HOME": state}) as t:
            t.keys(b"\x1b[A")
            t.wait_for_text("echo 49999")
            t.leave(b"\x01\x0b\x04")
        self.assertLess(os.path.getsize(path), 1 << 20)
        with open(path) as file:
            self.assertEqual(5000, len(file.readlines()))

    def test_editing_counts_characters_not_bytes(self):
        with self.at_prompt() as t:
            prompt = t.screen()[-1].rstrip()
            t.keys("echo äö日本x")
            t.wait_for_line(f"{prompt} echo äö日本x")
            t.keys(b"\x7f\x7f")
            t.wait_for_line(f"{prompt} echo äö日")
            t.keys(b"\x1b[D\x1b[D")
            t.keys("é")
            t.wait_for_line(f"{prompt} echo äéö日")
            t.keys("\x01# \x05 ü")  # Home, end.
            t.wait_for_line(f"{prompt} # echo äéö日 ü")
            t.keys(b"\x01\x1b[3~\x04")
            t.wait_for_line(f"{prompt} echo äéö日 ü")
            self.assertEqual("äéö日 ü\n", t.run(""))
            t.keys(b"\xff\xfe")  # No characters at all.
            self.assertEqual("on\n", t.run("echo on"))
            t.leave()

    def test_a_long_line_is_edited_over_several_rows(self):
        with self.at_prompt(columns=40) as t:
            text = "x" * 120
            t.enter("echo " + text + b"\x7f".decode())
            start = t.mark
            t.prompt()
            self.assertIn(text[:-1] + "\r\n", t.raw[start:].decode())
            t.leave()

    def test_pasted_lines_are_not_run_until_enter(self):
        with self.at_prompt() as t:
            t.keys(b"\x1b[200~echo one\recho two\r\x1b[201~")
            t.wait_for_text("two")
            t.keys(" x")
            t.wait_for_text("x")
            self.assertNotIn(b"\x1b[?2004l", t.raw[t.raw.rindex(b"\x1b[?2004h"):])
            self.assertEqual("one\ntwo x\n", t.run(""))
            # Nothing in a paste is a key: neither Ctrl-C, Ctrl-D nor a tab.
            t.keys(b"\x1b[200~printf '%q\\n' '\ta\x01b'\x1b[201~")
            self.assertEqual("$'\\ta\\001b'\n", t.run(""))
            # A marker in pieces, and the same marker whole.
            t.keys(b"\x1b[20")
            t.keys(b"0~echo pieces\n\x1b[2")
            t.keys(b"01~")
            self.assertEqual("pieces\n", t.run(""))
            t.leave()

    def test_the_prompts_own_commands(self):
        with self.at_prompt() as t:
            self.assertEqual("no command has run yet\n", t.run(":status"))
            t.run_all([":split on", "echo out; echo err >&2; (exit 3)"])
            record = json.loads(t.run(":status").replace("\n", ""))
            self.assertEqual({"kind": "exited", "code": 3}, record["outcome"])
            self.assertEqual((4, 4), (record["stdout"]["bytes"], record["stderr"]["bytes"]))
            self.assertIn(":status", t.run(":help"))
            self.assertIn("unknown: :nonsense", t.run(":nonsense"))
            self.assertIn("[3] ", t.last_prompt)
            # ":" is the shell's null command, and no command of the prompt.
            self.assertEqual("5\n", t.run(": ${x:=5}; echo $x"))
            t.run("(exit 6)")
            t.keys(":quit\r")
            self.assertEqual(6, t.ended())
            self.modes_are_back(t)

    def test_colour_tells_streams_apart_on_a_terminal_only(self):
        with self.at_prompt() as t:
            t.run(":split on")
            self.assertIn("(split)", t.last_prompt)
            t.run("echo out; echo err >&2")
            self.assertRegex(t.raw, rb"\x1b\[31merr\r\n\x1b\[39m")
            self.assertNotRegex(t.raw, rb"\x1b\[31mout")
            t.leave()
        with self.at_prompt(env={"NO_COLOR": "1"}) as t:
            t.run("(exit 3)")
            t.run("echo out; echo err >&2")
            self.assertNotRegex(t.raw, rb"\x1b\[[0-9;]*m")
            t.leave()
        path = self.path("stderr")
        with open(path, "wb") as file, self.at_prompt(stderr=file) as t:
            t.run_all([":split on", "echo err >&2"])
            t.leave()
        with open(path, "rb") as file:
            self.assertEqual(b"err\n", file.read())

    def test_output_without_a_newline_does_not_swallow_the_prompt(self):
        with self.at_prompt() as t:
            for line in ("printf abc", "printf abc >&2", "printf 'a\\nabc'"):
                t.run(line)
                prompt = t.last_prompt
                self.assertEqual(["abc", prompt], t.screen()[-2:], line)
            t.run("true")
            self.assertEqual(prompt + " true", t.screen()[-2], "and no empty line otherwise")
            t.leave()

    def test_l6_the_prompt_restores_the_terminal_on_every_way_out(self):
        for name in ("TERM", "HUP"):
            number = getattr(signal, "SIG" + name)
            with self.at_prompt() as t:
                t.keys("half")
                t.send_signal(name)
                self.assertEqual(128 + number, t.ended())
                self.modes_are_back(t)
            with self.at_prompt(place=self.unix) as t:
                pid_file = self.path("pid" + name)
                t.enter(f"sh -c 'echo $$ > {pid_file}; exec sleep 60'")
                pid = self.pid_from(pid_file)
                t.send_signal(name)
                self.assertEqual(128 + number, t.ended())
                self.modes_are_back(t)
                wait_until(lambda: not is_alive(pid), "the command to end")
        for busy in (False, True):
            with self.at_prompt(place=self.unix) as t:
                if busy:
                    t.enter("echo U''P; sleep 60")
                    t.wait_for_text("UP\r\n")
                for session in self.server.sessions():
                    os.kill(session.pid, signal.SIGKILL)
                self.assertEqual(255, t.ended())
                self.modes_are_back(t)
                self.assertIn(b"frsh: ", t.raw)
            self.no_strays()
        with self.at_prompt(place=self.unix) as t:
            t.hang_up()
            t.process.wait(20)

    def test_ctrl_backslash_is_for_the_command_and_nothing_at_the_prompt(self):
        with self.at_prompt() as t:
            t.keys(b"\x1c")
            self.assertEqual("on\n", t.run("echo on"))
            t.enter("ulimit -c 0; sh -c 'echo U\"\"P; sleep 60'; echo $?")
            t.wait_for_text("UP\r\n")
            t.keys(b"\x1c")
            t.wait_for_text("131\r\n")
            t.prompt()
            t.leave()
            self.modes_are_back(t)

    def test_commands_see_no_private_descriptor(self):
        with self.at_prompt() as t:
            # 3 is the folder that ls reads.
            self.assertEqual("0 1 2 3\n", t.run("echo $(ls /proc/self/fd)"))
            self.assertEqual("0 1 2 3\n", t.run("ls /proc/self/fd | xargs"))
            # The single digits belong to the user, and descriptors opened there stay open.
            self.assertEqual("x\n", t.run_all([f"exec 5>{self.path('five')} 8>&5 9>&5",
                                               "echo x >&9", f"cat {self.path('five')}"]))
            t.leave()

    def test_a_job_in_the_background_gives_the_prompt_back_and_is_named(self):
        with self.at_prompt() as t:
            t.run(":split on")
            written = t.run("sleep 60 &")
            self.assertRegex(written, r"frsh: output still held open by sleep \(\d+\)")
            self.assertEqual("", t.run("kill %1; wait 2>/dev/null").replace("[1]+", "")
                             .split("Terminated")[0].strip())
            self.assertNotIn("frsh:", t.run("sleep 60 >/dev/null 2>&1 </dev/null & true"))
            pid = int(t.run("echo $!"))
            self.assertTrue(is_alive(pid))
            # Its later output is dropped, and does not end it.
            t.run("(sleep 0.5; echo late; echo late; sleep 60) & late=$!")
            t.run("sleep 0.7; kill -0 $late && echo alive")
            self.assertIn(b"alive", t.raw)
            t.run("kill $late $!; kill %%; kill %1")
            t.leave()

    def test_a_job_that_was_let_go_survives_the_end_of_the_session(self):
        with self.at_prompt() as t:
            pid = int(t.run("nohup sleep 61 >/dev/null 2>&1 </dev/null & echo $!").split()[-1])
            self.assertEqual(0, t.leave())
        try:
            self.assertTrue(is_alive(pid))
        finally:
            os.kill(pid, signal.SIGKILL)

    def test_a_shells_command_gets_the_signal_and_time_to_clean_up(self):
        for name, others in (("TERM", ("INT", "HUP")), ("HUP", ("INT", "TERM"))):
            for place in (self.unix, self.stdio):
                path = self.path(name + place.name)
                with self.at_prompt(place=place) as t:
                    traps = "; ".join(f"trap 'echo {other} >>{path}' {other}" for other in others)
                    script = f"{traps}; trap 'trap \"\" HUP; sleep 0.7; echo {name} >>{path}; exit' " \
                             f"{name}; echo U''P; while :; do sleep 0.02; done"
                    t.enter(f"sh -c {shlex.quote(script)}")
                    t.wait_for_text("UP\r\n")
                    t.send_signal(name)
                    self.assertEqual(128 + getattr(signal, "SIG" + name), t.ended())

                def content():
                    with contextlib.suppress(FileNotFoundError), open(path) as file:
                        return file.read()

                wait_until(content, "the end of tidying up", 10)
                self.assertEqual(name + "\n", content())
                self.no_strays()

    def test_a_killed_client_leaves_nothing_behind(self):
        with self.at_prompt(place=self.unix) as t:
            pid = int(t.run("nohup setsid sleep 62 >/dev/null 2>&1 </dev/null & echo $!").split()[-1])
            t.enter("echo U''P; sleep 63")
            t.wait_for_text("UP\r\n")
            t.process.kill()
            t.process.wait()
        wait_until(lambda: not is_alive(pid), "the job to end")
        self.no_strays()
        wait_until(lambda: not [name for name in os.listdir(os.path.join(self.unix.runtime, "frsh"))
                                if name.startswith("shell-")], "the shell's folder to go")

    def test_start_up_files_do_not_disturb_the_shell(self):
        for number, (text, check, expected) in enumerate((
                ("echo noise; echo noise >&2", "echo on", "on\n"),
                ("PROMPT_COMMAND='echo never'; PS1='mine> '", "echo on", "on\n"),
                ("PROMPT_COMMAND=('echo never' 'echo never2')", "echo on", "on\n"),
                ("set -u; set -o noclobber; set -f", "echo \"$-\" | tr -cd fuC; echo", "fuC\n"),
                ("set -e", "echo on", "on\n"),
                ("alias ls='echo aliased' printf=false read=false eval=false", "ls", "aliased\n"),
                ("printf() { :; }; read() { :; }; eval() { :; }", "echo on", "on\n"),
                ("TMOUT=1; IFS=x", "sleep 1.2; echo on", "on\n"),
                ("trap 'echo int' INT; trap : DEBUG; set -o vi", "echo on", "on\n"),
                ("cd /tmp; export FROM_RC=1", "echo $PWD $FROM_RC", "/tmp 1\n"),
                ("syntax error (", "echo on", "on\n"), ("return 5", "echo on", "on\n"))):
            home = self.path(f"home{number}")
            os.mkdir(home)
            with open(os.path.join(home, ".bashrc"), "w") as file:
                file.write(text + "\n")
            with self.at_prompt(home=home) as t:
                self.assertEqual("noise" in text, b"noise" in t.raw)
                self.assertEqual(expected, t.run(check), text)
                if "TMOUT" in text:
                    time.sleep(1.2)
                    self.assertEqual("on\n", t.run("echo on"), text)
                self.assertEqual("7\n", t.run_all(["(exit 7) || x=$?", "echo $x"]), text)
                t.leave()

    def test_a_prompt_command_that_is_set_later_does_not_end_the_shell(self):
        with self.at_prompt() as t:
            t.run("kept=1; PROMPT_COMMAND='echo mine'")
            self.interrupted(t, "echo U''P; sleep 60", "sleep")
            self.assertEqual("1\n", t.run("echo $kept"))
            t.leave()

    def test_start_up_files_that_end_the_shell_or_never_end(self):
        for text, ways in (("exit 5", None), ("sleep 600", b"\x03"), ("sleep 600", "TERM")):
            home = self.path("home" + str(len(os.listdir(self.folder))))
            os.mkdir(home)
            with open(os.path.join(home, ".bashrc"), "w") as file:
                file.write(f"echo > {home}/began; {text}\n")
            with self.terminal(home=home) as t:
                wait_until(lambda: os.path.exists(home + "/began"), "the start-up file")
                if ways is None:
                    t.prompt()
                    self.assertIn(b".bashrc does not come to its end", t.raw)
                    self.assertEqual("on\n", t.run("echo on"))
                    self.assertEqual(0, t.leave())
                elif ways == "TERM":
                    t.send_signal("TERM")
                    self.assertEqual(143, t.ended())
                else:
                    t.keys(ways)
                    t.prompt()
                    self.assertEqual(0, t.leave())
                self.modes_are_back(t)
            self.no_strays()

    def test_without_bash_sh_is_used(self):
        hide = "for b in /bin/bash /usr/bin/bash /usr/local/bin/bash; do " \
               "[ -e $b ] && mount --bind /dev/null $b; done; exec \"$@\""
        probe = subprocess.run(["unshare", "-m", "sh", "-c", hide, "sh", "true"],
                               stderr=subprocess.PIPE)
        if probe.returncode != 0:
            self.skipTest(f"no mount namespace of our own: {probe.stderr!r}")
        words = self.stdio.command([], [])
        with self.at_prompt(command=["unshare", "-m", "sh", "-c", hide, "sh", *words]) as t:
            self.assertIn(b"no bash on the server", t.raw)
            self.assertEqual("3 /tmp\n", t.run_all(["cd /tmp; f() { echo $1 $PWD; }", "f 3"]))
            self.assertEqual("4\n", t.run_all(["(exit 4)", "echo $?"]))
            self.assertEqual("on\n", t.run_all(["break", "set -e", "echo on"]))
            for line in ("for i in a", "do echo $i"):
                t.enter(line)
                self.assertEqual(">", t.prompt())
            self.assertEqual("a\n", t.run("done"))
            self.assertIn("the shell ended", t.run("if ; then"), "dash dies of this")
            self.assertEqual("/tmp\n", t.run("pwd"))
            # Also while it is about to start a program.
            for _ in range(8):
                t.enter("echo U''P; sleep 60")
                t.wait_for_text("UP\r\n")
                t.interrupt()
                t.wait_for_text("the shell ended")
                t.prompt()
            self.assertEqual("0 1 2 3\n", t.run("ls /proc/self/fd | xargs"))
            self.assertEqual(0, t.leave())

    def test_nothing_is_left_in_the_runtime_folder(self):
        place = Place("own", self.short_path(), ["local"])
        os.mkdir(place.runtime, 0o700)
        with self.at_prompt(place=place) as t:
            t.run("echo x | cat")
            t.run("kill -9 $$")
            t.run("sleep 0.5 &")
            t.leave()
        self.assertEqual([], os.listdir(os.path.join(place.runtime, "frsh")))


class Login(Case):
    """No command and no terminal: a login shell reads stdin (C4)."""

    def test_a_login_shell_reads_stdin(self):
        for place in self.everywhere():
            for words in ([], [""]):
                text = b"echo hi; echo $0\nread x\nline\necho got $x; exit 5"
                result = place.run([], *words, stdin=text)
                self.assertEqual(5, result.code, result)
                lines = result.out.decode().splitlines()
                self.assertEqual("hi", lines[0])
                self.assertRegex(lines[1], "^-")
                if "bash" in lines[1]:  # Others read ahead.
                    self.assertEqual("got line", lines[2])
            self.assertEqual(0, place.run([], stdin=b"").code)

    def test_a_command_that_is_only_blank_or_a_comment_is_run_by_the_host(self):
        for place in self.everywhere():
            for command in ("# comment", " ", "\t", "\n"):
                result = place.run([], command, stdin=b"echo not run", record=True)
                self.assertEqual((0, b"", b""), (result.code, result.out, result.err), command)
                self.assertEqual({"kind": "exited", "code": 0}, result.record["outcome"])

    def test_a_terminal_at_one_end_only_is_no_prompt(self):
        result = self.stdio.run([], stdin=b"echo hi\n")
        self.assertEqual(b"hi\n", result.out)
        self.assertNotIn(b"\x1b", result.out + result.err)


if __name__ == "__main__":
    main()
