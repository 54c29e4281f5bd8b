"""Runs on a terminal: what they are there, and what becomes of ours."""

import os
import re
import signal
import subprocess
import sys
import termios
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import Case, descendants, environment, is_alive, main, wait_until  # noqa: E402
from terminal import Terminal  # noqa: E402

LFLAG = 3


# A program whose child has the foreground to itself.
LEADER = """
import os, signal
signal.signal(signal.SIGINT, signal.SIG_DFL)
child = os.fork()
if child == 0:
    while True:
        signal.pause()
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
os.setpgid(child, child)
os.tcsetpgrp(0, child)
print("up", flush=True)
status = os.waitpid(child, 0)[1]
print("ended by", os.WTERMSIG(status), flush=True)
"""
# Prints the size at each SIGWINCH.
SIZES = """
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGWINCH})
print("up", flush=True)
while True:
    signal.sigwait({signal.SIGWINCH})
    size = os.get_terminal_size()
    print(size.lines, size.columns, flush=True)
"""


def is_raw(modes):
    return not modes[LFLAG] & (termios.ICANON | termios.ECHO | termios.ISIG)


class WithoutOurs(Case):
    """-tt, and no terminal of our own."""

    def run_on(self, place, *words, options=(), **named):
        named.setdefault("stdin", subprocess.DEVNULL)
        return place.run(["-tt", *options], *words, **named)

    def test_s10_a_terminal_of_its_own_gives_one_stream(self):
        for place in self.everywhere():
            result = self.run_on(place, "test -t 0 && test -t 1 && test -t 2 && test \"$(tty)\" = "
                                 "\"$SSH_TTY\" && : </dev/tty && echo yes; echo err >&2; exit 3",
                                 record=True)
            self.assertEqual((3, b"yes\r\nerr\r\n", b""), (result.code, result.out, result.err))
            self.agrees(result)
            self.assertEqual(10, result.record["stdout"]["bytes"])
            self.assertEqual({"bytes": 0, "crc32": 0, "eof": True}, result.record["stderr"])
            self.assertTrue(result.record["stdout"]["eof"])
            self.assertGreater(result.record["usage"]["max_rss_kib"], 100)

    def test_a_terminal_run_ends_as_other_runs_do(self):
        for command, kind, options, code in (
                ("kill -9 $$", "signaled", [], 137),
                ("sleep 60", "timed_out", ["--timeout", "100ms"], 124),
                ("echo a; sleep 60", "timed_out", ["--idle-timeout", "200ms"], 124),
                ("/no/such/program", "exited", [], 127)):
            result = self.run_on(self.unix, command, options=options, record=True)
            self.assertEqual((code, kind), (result.code, result.record["outcome"]["kind"]), result)
        result = self.run_on(self.unix, "/no/such/program", options=["--argv"], record=True)
        self.assertEqual((127, "exec"), (result.code, result.record["outcome"]["stage"]), result)

    def test_environment_and_folder_are_as_asked(self):
        result = self.run_on(self.unix, "echo $TERM $COLORTERM $LANG $A; pwd",
                             options=["--env", "A=b c", "--cwd", "/usr"],
                             env={"TERM": "vt220", "COLORTERM": "truecolor", "LANG": "C.UTF-8"})
        self.assertEqual(b"vt220 truecolor C.UTF-8 b c\r\n/usr\r\n", result.out)
        result = self.run_on(self.unix, "env | grep ^TERM= || echo none", env={"TERM": "a b"})
        self.assertEqual(b"none\r\n", result.out)
        result = self.run_on(self.unix, "echo $TERM", options=["--env", "TERM=dumb"],
                             env={"TERM": "xterm"})
        self.assertEqual(b"dumb\r\n", result.out)

    def test_s10_the_tail_arrives_after_a_large_last_write(self):
        for _ in range(5):
            result = self.run_on(self.unix, "seq 1 20000")
            self.assertEqual("".join(f"{i}\r\n" for i in range(1, 20001)), result.out.decode())

    def test_s10_the_end_of_stdin_is_typed_as_ctrl_d(self):
        for place in self.everywhere():
            result = self.run_on(place, "stty -echo; cat; echo done", stdin=b"one\ntwo\n")
            self.assertEqual((0, b"done\r\n"), (result.code, result.out[-6:]), result)
            result = self.run_on(place, "cat >/dev/null; echo done", stdin=b"no end of line")
            self.assertEqual((0, b"done\r\n"), (result.code, result.out[-6:]), result)
            # With -n nothing is: it ends at once.
            result = place.run(["-n", "-tt"], "test -t 0 && cat; echo done")
            self.assertEqual((0, b"done\r\n"), (result.code, result.out[-6:]), result)

    def test_t_without_a_local_terminal_warns_and_gives_none(self):
        result = self.unix.run(["-t"], "test -t 0 || echo none")
        self.assertEqual((0, b"none\n"), (result.code, result.out))
        self.assertRegex(result.err, rb"^frsh: -t: stdin is no terminal[^\n]*\n$")
        self.assertEqual(b"", self.unix.run(["-t", "-q"], "true").err)

    def test_a_holder_of_the_terminal_is_named(self):
        result = self.run_on(self.unix, "(trap '' HUP; exec sleep 30) & sleep 0.1; echo up", record=True,
                             options=["--linger", "300ms"])
        self.assertEqual((0, b"up\r\n"), (result.code, result.out), result)
        self.assertIn(b"still held open by sleep (", result.err)
        self.assertFalse(result.record["stdout"]["eof"])
        self.assertEqual(["sleep"], [one["name"] for one in result.record["holders"]])
        os.kill(result.record["holders"][0]["pid"], signal.SIGKILL)

    def test_a_lost_reader_of_stdout_is_a_hang_up(self):
        process = self.unix.popen(["-tt"], "exec yes",
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        with self.running(process):
            self.assertEqual(b"y\r\n", process.stdout.readline())
            process.stdout.close()
            self.assertEqual(128 + signal.SIGHUP, process.wait(20))

    def test_a_killed_client_is_a_hang_up(self):
        path = self.path("hup")
        process = self.unix.popen(["-tt"], f"trap 'echo $$ >{path}; exit' HUP; echo up; "
                                  "while :; do sleep 0.02; done", stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE)
        with self.running(process):
            self.assertEqual(b"up\r\n", process.stdout.readline())
            process.kill()
            self.pid_from(path)

    def test_a_signal_reaches_the_foreground_job(self):
        process = self.unix.popen(["--argv", "-tt"], "python3", "-c", LEADER, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL)
        with self.running(process):
            self.assertEqual(b"up\r\n", process.stdout.readline())
            process.send_signal(signal.SIGINT)
            self.assertEqual(b"ended by 2\r\n", process.stdout.read())
            self.assertEqual(0, process.wait(20))


class AtOurs(Case):
    """From a terminal of ours."""

    def terminal(self, *words, options=("-t",), place=None, env=None, columns=100, **popen):
        place = place or self.unix
        return Terminal(self, place.command(options, words),
                        environment(place.runtime, **(env or {})), columns, **popen)

    def login(self, place):
        """A login shell with a prompt that says "there> ", once it has."""
        home = os.path.join(self.folder, "home")
        os.makedirs(home, exist_ok=True)
        with open(os.path.join(home, ".profile"), "w") as file:
            file.write("PS1='there> '\n")
        terminal = self.terminal(options=["-t", "--env", "HOME=" + home], place=place)
        terminal.wait_for_text("there> ")
        return terminal

    def is_ours_again(self, terminal):
        self.assertEqual(terminal.modes, terminal.modes_now(), "the terminal's modes")

    def wait_for_raw(self, terminal):
        def look():
            terminal.read(0)
            return is_raw(terminal.modes_now())

        wait_until(look, "raw mode")

    def test_size_and_modes_reach_the_remote_terminal(self):
        with self.terminal("stty size; stty -a; echo $TERM") as t:
            t.wait_for(rb"30 100\r\n.*xterm\r\n")
            self.assertEqual(0, t.ended())
            self.is_ours_again(t)
        with self.terminal("read x; echo got $x; stty -a") as t:
            self.wait_for_raw(t)
            t.keys("w\x17ord\x7f\r")
            t.wait_for(rb"got or\r\n.*erase = \^\?")
            self.assertEqual(0, t.ended())
            self.assertEqual(t.modes, t.modes_now())

    def test_local_terminal_modes_are_used_remotely(self):
        command = self.unix.command(["-t"], ["stty -a"])
        quoted = " ".join(f"'{word}'" for word in command)
        with Terminal(self, ["/bin/sh", "-c", f"stty erase ^H -ixon tostop; {quoted}"],
                      environment(self.unix.runtime)) as t:
            t.wait_for(rb"erase = \^H;.* -ixon .* tostop ")
            t.ended()

    def test_without_a_command_it_is_a_login_shell(self):
        for place in (self.unix, self.stdio):
            with self.login(place) as t:
                t.keys("echo $0 $-; exit 4\r")
                t.wait_for(rb"[\r\n]-\w+ \w*i\w*\r\n")
                self.assertEqual(4, t.ended())
                self.is_ours_again(t)

    def test_the_local_terminal_is_unused_without_t_or_with_T(self):
        for options in ([], ["-T"]):
            with self.terminal("test -t 0 || test -t 1 || echo none", options=options) as t:
                t.wait_for_text("none\r\n")
                self.assertEqual(0, t.ended())
        with self.terminal(options=["-T", "--env", "HOME=/"]) as t:
            t.keys("test -t 0 || echo no $((1+1)); exit 6\n")
            t.wait_for_text("no 2\r\n")
            self.assertEqual(6, t.ended())

    def test_keys_arrive_as_bytes_and_act_on_the_remote_terminal(self):
        with self.terminal("stty raw -echo; echo up; head -c 256 | od -An -v -tx1 | tr -d ' \\n'; "
                           "stty sane", options=["-t", "-e", "none"]) as t:
            t.wait_for_text("up\n")
            t.keys(bytes(range(256)))
            t.wait_for_text(bytes(range(256)).hex())
            self.assertEqual(0, t.ended())
        with self.terminal("trap hit=1 INT; echo up; until [ $hit ]; do sleep 0.02; done; "
                           "echo int; read x; echo end $?; cat; echo eof") as t:
            t.wait_for_text("up\r\n")
            t.keys("\x03")
            t.wait_for(rb"\^Cint\r\n")
            t.keys("x\r")
            t.wait_for(rb"end 0\r\n")
            t.keys("line\r\x04")
            t.wait_for(rb"line\r\nline\r\neof\r\n")
            self.assertEqual(0, t.ended())

    def test_a_new_size_reaches_the_program_as_sigwinch(self):
        with self.terminal("python3", "-c", SIZES, options=["--argv", "-t"]) as t:
            t.wait_for_text("up\r\n")
            for rows, columns in ((40, 120), (10, 20)) * 50:
                t.resize(rows, columns)
                t.wait_for_text(f"{rows} {columns}\r\n")
            for rows in range(10, 300):
                t.resize(rows, 77)  # Some of these sizes may be skipped; the last one never is.
            t.wait_for_text("299 77\r\n")
            t.keys("\r~.")
            self.assertEqual(255, t.ended())

    def test_l6_an_escape_leaves_shows_help_or_sends_itself(self):
        with self.terminal("stty -echo; echo up; cat") as t:
            t.wait_for_text("up\r\n")
            t.keys("~?")
            t.wait_for(rb"~\?\r\n~\.   leave.*~~  send ~\r\n")
            t.keys("~~.\r")
            t.wait_for_text("~.\r\n")
            t.keys("a~.\r")
            t.wait_for_text("a~.\r\n")
            t.keys("~.")
            t.wait_for(rb"frsh: left[^\n]*\n")
            self.assertEqual(255, t.ended())
            self.is_ours_again(t)
        with self.terminal("stty -echo; echo up; cat", options=["-t", "-e", "^]"]) as t:
            t.wait_for_text("up\r\n")
            t.keys("~.\r")
            t.wait_for_text("~.\r\n")
            t.keys("\x1d.")
            self.assertEqual(255, t.ended())

    def test_l6_the_terminal_is_restored_whatever_ends_the_client(self):
        for name, code in (("TERM", 143), ("HUP", 129), ("QUIT", -3), ("SEGV", -11), ("ABRT", -6),
                           ("USR1", 138), ("USR2", -12)):
            with self.subTest(name), self.terminal("echo up; exec sleep 60") as t:
                t.wait_for_text("up\r\n")
                self.wait_for_raw(t)
                t.send_signal(name)
                self.assertEqual(code, t.ended())
                self.is_ours_again(t)
            self.no_strays()

    def test_l6_the_terminal_is_restored_when_the_server_dies(self):
        for place in (self.unix, self.stdio):
            with self.terminal("echo $$ up; exec sleep 60", place=place) as t:
                pid = int(t.wait_for(rb"(\d+) up\r\n").group(1))
                self.wait_for_raw(t)
                with open(f"/proc/{pid}/stat") as file:
                    session = int(file.read().rsplit(")", 1)[1].split()[1])
                os.kill(session, signal.SIGKILL)
                t.wait_for(rb"frsh: lost: [^\n]*\n")
                self.assertEqual(255, t.ended())
                self.is_ours_again(t)
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)

    def test_l6_the_terminal_is_restored_at_a_timeout_and_a_refusal(self):
        with self.terminal("sleep 60", options=["-t", "--timeout", "200ms"]) as t:
            t.wait_for_text("time limit passed")
            self.assertEqual(124, t.ended())
            self.is_ours_again(t)
        with self.terminal("true", options=["-t", "--cwd", "/no/such"]) as t:
            t.wait_for(rb"frsh: [^\n]*/no/such[^\n]*\n")
            self.assertEqual(255, t.ended())
            self.is_ours_again(t)

    def test_stopped_from_outside_it_goes_on_raw_with_the_new_size(self):
        with self.terminal("python3", "-c", SIZES, options=["--argv", "-t"]) as t:
            t.wait_for_text("up\r\n")
            self.wait_for_raw(t)
            t.send_signal("STOP")
            wait_until(lambda: self.state_of(t.pid) == "T", "the client to stop")
            termios.tcsetattr(t.slave, termios.TCSANOW, t.modes)  # As a shell does.
            t.resize(33, 44)
            t.send_signal("CONT")
            t.wait_for_text("33 44\r\n")
            self.wait_for_raw(t)
            t.keys("\r~.")
            self.assertEqual(255, t.ended())
            self.is_ours_again(t)

    @staticmethod
    def state_of(pid):
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0]

    def test_suspended_by_an_escape_the_shell_has_a_sane_terminal(self):
        command = " ".join(f"'{word}'" for word in self.unix.command(["-t"], ["echo up; cat"]))
        with Terminal(self, ["/bin/bash", "--norc", "--noprofile", "--noediting", "-i"],
                      environment(self.unix.runtime, PS1="here> ")) as t:
            t.wait_for_text("here> ")
            before = t.modes_now()
            t.keys(command + "\r")
            t.wait_for_text("up\r\n")
            self.wait_for_raw(t)
            t.keys("~\x1a")
            t.wait_for(rb"Stopped.*here> ")
            self.assertEqual(before, t.modes_now())
            t.keys("echo at home\r")
            t.wait_for(rb"\r\nat home\r\nhere> ")
            t.keys("fg\r")
            self.wait_for_raw(t)
            t.keys("line\r\x04")
            t.wait_for(rb"line\r\nline\r\n.*here> ")
            self.assertEqual(before, t.modes_now())
            t.keys("exit\r")
            self.assertEqual(0, t.ended())

    def test_the_callers_descriptors_stay_blocking(self):
        with self.terminal("echo up; cat") as t:
            t.wait_for_text("up\r\n")
            with open(f"/proc/{t.pid}/fdinfo/0") as file:
                flags = int(re.search(r"flags:\s+(\d+)", file.read()).group(1), 8)
            self.assertFalse(flags & os.O_NONBLOCK)
            t.keys("\r\x04")
            self.assertEqual(0, t.ended())

    def test_a_paste_of_a_mebibyte_arrives_whole(self):
        line = b"".join(b"%04d " % i for i in range(800))  # 4,000 bytes: below the kernel's limit.
        paste = b"".join(b"%06d " % i + line + b"\n" for i in range(270))
        self.assertGreater(len(paste), 1 << 20)
        for echo in ("-echo", "echo"):
            path = self.path("paste" + echo)
            with self.terminal(f"stty {echo}; echo up; cat >{path}") as t:
                t.wait_for_text("up\r\n")
                t.keys(paste.replace(b"\n", b"\r"))
                t.keys(b"\x04")
                self.assertEqual(0, t.ended())
            with open(path, "rb") as file:
                self.assertTrue(file.read() == paste, "the paste differs")

    def test_an_interrupt_within_a_flood_gives_the_prompt_back_soon(self):
        for place in self.everywhere():
            with self.login(place) as t:
                left = []  # What is still shown of the flood.
                took = []
                for _ in range(5):
                    t.keys("yes $(seq 1000)\r")
                    until = time.monotonic() + 0.3
                    while time.monotonic() < until:
                        t.read(0.01)
                    t.mark = at = len(t.raw)
                    began = time.monotonic()
                    t.keys("\x03")
                    t.wait_for_text("there> ")
                    took.append(time.monotonic() - began)
                    left.append(t.mark - at)
                if os.environ.get("FRSH_TEST_VERBOSE"):
                    print(f"{place.name}: {left} bytes, {took} s")
                self.assertLess(max(left), 100_000)
                self.assertLess(min(took), 0.2)
                t.keys("exit\r")
                t.ended()


class AtThePrompt(Case):
    """Commands at the prompt, which run on a terminal."""

    def at_prompt(self, place=None, options=()):
        home = os.path.join(self.folder, "home")
        os.makedirs(home, exist_ok=True)
        place = place or self.unix
        terminal = Terminal(self, place.command(["--env", "HOME=" + home, *options], []),
                            environment(place.runtime, XDG_STATE_HOME=home))
        terminal.prompt()
        return terminal

    def test_a_program_finds_the_shells_folder_and_variables(self):
        for place in (self.unix, self.stdio):
            with self.at_prompt(place) as t:
                t.run_all(["cd /usr", "export A='b  c'", "export B=\"$(printf 'd\\ne')\"", "unset LANG"])
                written = t.run("test -t 0 && test -t 2 && pwd && echo \"$A\" \"$B\" $TERM; "
                                "stty size; (exit 3)")
                self.assertEqual("/usr\nb  c d\ne xterm\n30 250\n", written)
                self.assertIn("[3] ", t.last_prompt)
                self.assertIn('"outcome":{"kind":"exited","code":3}', t.run(":status"))
                self.assertEqual("b  c\n", t.run("echo \"$A\""))
                self.assertEqual(0, t.leave())
                self.assertEqual(t.modes, t.modes_now())

    def test_keys_go_to_the_program_and_then_to_the_prompt(self):
        with self.at_prompt() as t:
            t.enter("sh -c \"trap 'echo int; hit=1' INT; stty -echo; printf 'password: '; read x; "
                    "echo got \\$x; until [ \\$hit ]; do sleep 0.05; done; stty echo; cat\"")
            t.wait_for_text("password: ")
            t.keys("s3cret\r")
            t.wait_for_text("got s3cret\r\n")
            t.keys("\x03")
            t.wait_for_text("int\r\n")
            t.keys("line\r")
            t.wait_for_text("line\r\n")
            self.assertNotIn(b"\ns3cret", t.raw)
            t.keys("\x04")
            t.prompt()
            self.assertEqual("back\n", t.run("echo back"))
            self.assertEqual(0, t.leave())
            self.assertEqual(t.modes, t.modes_now())

    def test_an_escape_ends_the_program_and_the_prompt_returns(self):
        with self.at_prompt() as t:
            t.enter("echo up; bash --norc --noediting -i")
            t.wait_for_text("up\r\n")
            t.keys("\r~.")
            self.assertIn("[130] ", t.prompt())
            self.assertEqual("back\n", t.run("echo back"))
            t.leave()
            self.assertEqual(t.modes, t.modes_now())

    def test_an_unfinished_last_line_is_not_overwritten(self):
        with self.at_prompt() as t:
            t.run("printf abc")
            lines = [line for line in t.screen() if line]
            self.assertEqual("abc", lines[-2])
            t.run("printf 'abc\\r\\033[K'")
            self.assertRegex(t.screen()[-2], "printf 'abc")  # And no blank line without need.
            t.leave()

    def test_the_terminal_is_restored_after_a_signal_to_the_client(self):
        for name, code in (("TERM", 143), ("HUP", 129), ("SEGV", -11)):
            with self.subTest(name), self.at_prompt() as t:
                t.enter("echo up; exec sleep 60")
                t.wait_for_text("up\r\n")
                t.send_signal(name)
                self.assertEqual(code, t.ended())
                self.assertEqual(t.modes, t.modes_now())
            self.no_strays()

    def test_after_a_stop_the_prompt_edits_again(self):
        with self.at_prompt() as t:
            t.send_signal("STOP")
            wait_until(lambda: AtOurs.state_of(t.pid) == "T", "the client to stop")
            termios.tcsetattr(t.slave, termios.TCSANOW, t.modes)
            t.send_signal("CONT")
            wait_until(lambda: not t.modes_now()[LFLAG] & termios.ICANON, "an editor's modes")
            self.assertEqual("back\n", t.run("echo back"))
            t.leave()
            self.assertEqual(t.modes, t.modes_now())


if __name__ == "__main__":
    main()
