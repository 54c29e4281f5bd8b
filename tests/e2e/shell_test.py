"""The stateful shell as a client sees it that does what ours never would (PROTOCOL.md, Shells)."""

import contextlib
import os
import random
import resource
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import (Case, FRSHD, Server, descendants, is_alive, is_listening,  # noqa: E402
                     main, open_descriptors, wait_until)
from wire import Wire  # noqa: E402


class Shells(Case):
    """A server of its own for each test, so that its folder shows what is left."""

    def setUp(self):
        self.runtime = self.short_path()
        os.mkdir(self.runtime, 0o700)
        self.mine = Server(self.runtime, tcp=False)

    def tearDown(self):
        self.mine.end()
        super().tearDown()

    def wire(self):
        return Wire(self.mine.socket)

    def shell(self, wire, number=1, *env):
        wire.open_shell(number, "HOME=/nonexistent", *env)
        header, payload = wire.ready(number)
        return header["pid"]

    def folders(self):
        return [name for name in os.listdir(os.path.join(self.runtime, "frsh"))
                if name.startswith("shell-")]

    def nothing_is_left(self):
        wait_until(lambda: not self.mine.sessions(), "the session to end")
        self.assertEqual([], self.folders())

    def run_in(self, wire, channel, command, **more):
        wire.open(channel, command, shell=1, **more)
        return wire.end(channel)

    def test_a_command_of_a_mebibyte_and_one_of_many_lines(self):
        with self.wire() as wire:
            self.shell(wire)
            big = "x='" + "y" * (1 << 20) + "'; echo ${#x}"
            wire.send({"type": "open", "ch": 1, "run": "run-1", "mode": "command", "args": 1,
                       "env": 0, "shell": 1, "linger_ms": 300, "more": True},
                      payload=big[:600000].encode())
            wire.send({"type": "more", "ch": 1}, payload=big[600000:].encode() + b"\0")
            self.assertEqual(b"1048576\n", wire.end(1)[1])
            header, out, _ = self.run_in(wire, 2, "x=1\n" * 50000 + "echo $x")
            self.assertEqual((b"1\n", 0), (out, header["outcome"]["code"]))
            # Bytes that are invalid in this locale.
            for locale in ("C", "C.UTF-8"):
                _, out, _ = self.run_in(wire, 3, f"LC_ALL={locale}; printf %s ".encode() +
                                        b"'\xff\xfe\xc3'")
                self.assertEqual(b"\xff\xfe\xc3", out)
        self.nothing_is_left()

    def test_runs_are_evaluated_one_after_another_in_order(self):
        with self.wire() as wire:
            wire.open_shell(1, "HOME=/nonexistent")
            for channel in range(1, 31):
                wire.open(channel, f"n=$((n + 1)); echo $n; (exit {channel})", shell=1)
            for channel in range(1, 31):
                header, out, _ = wire.end(channel)
                self.assertEqual((b"%d\n" % channel, channel),
                                 (out, header["outcome"]["code"]))
        self.nothing_is_left()

    def test_a_command_never_evaluated_is_not_reported_as_ended(self):
        with self.wire() as wire:
            self.shell(wire)
            wire.open(1, "sleep 0.1; exit 0", shell=1)
            wire.open(2, "echo never", shell=1)
            wire.open(3, "echo never", shell=1, stdin_null=True)
            self.assertEqual({"kind": "exited", "code": 0}, wire.end(1)[0]["outcome"])
            for channel in (2, 3):
                header, out, _ = wire.end(channel)
                self.assertEqual(("not_started", "shell", b""),
                                 (header["outcome"]["kind"], header["outcome"]["stage"], out))
            self.assertEqual({"kind": "exited", "code": 0}, wire.shell_ended(1))
            # The same in a shell that has ended, and in one that never existed.
            for number in (1, 77):
                wire.open(4, "echo", shell=number)
                self.assertEqual("not_started", wire.end(4)[0]["outcome"]["kind"])
        self.nothing_is_left()

    def test_canceling_a_waiting_run_leaves_the_others(self):
        with self.wire() as wire:
            pid = self.shell(wire)
            wire.open(1, "read x; echo $x $$", shell=1)
            wire.open(2, "echo never", shell=1)
            wire.open(3, "echo never", shell=1, timeout_ms=50)
            wire.open(4, "echo after", shell=1)
            wire.send({"type": "cancel", "ch": 2})
            self.assertEqual({"kind": "canceled"}, wire.end(2)[0]["outcome"])
            outcome = wire.end(3)[0]["outcome"]
            self.assertEqual({"kind": "timed_out", "limit": "wall"}, outcome)
            time.sleep(0.1)
            wire.send({"type": "data", "ch": 1, "stream": "stdin", "off": 0}, payload=b"hi\n")
            self.assertEqual(f"hi {pid}\n".encode(), wire.end(1)[1])
            self.assertEqual(b"after\n", wire.end(4)[1])
        self.nothing_is_left()

    def test_a_timeout_ends_the_command_and_keeps_the_shell(self):
        with self.wire() as wire:
            pid = self.shell(wire)
            for channel, command in enumerate(("sleep 60", "while :; do :; done", "cat",
                                               "sleep 60; echo no"), 1):
                header, out, _ = self.run_in(wire, channel, command, timeout_ms=100)
                self.assertEqual(("timed_out", b""), (header["outcome"]["kind"], out), command)
            self.assertEqual(f"{pid}\n".encode(), self.run_in(wire, 9, "echo $$")[1])
        self.nothing_is_left()

    def test_interrupts_at_any_moment_lose_neither_shell_nor_command(self):
        """Before, in and after commands; late ones used to tear the number of the next."""
        chance = random.Random(5)
        until = time.monotonic() + 4
        with self.wire() as wire:
            pid = self.shell(wire)
            self.run_in(wire, 1, "kept=1; cd /usr/lib")
            channel = 1
            while time.monotonic() < until or channel < 50:
                channel += 1
                endless = chance.random() < 0.3
                command = chance.choice(("sleep 100", "cat", "while :; do :; done",
                                         "sleep 100; echo no", "true | sleep 100", "(sleep 100)",
                                         "echo hi | (sleep 100)", "x=$(sleep 100)") if endless else
                                        ("true", "sleep 0.001", "(exit 5)", "echo hi | cat",
                                         "for i in 1 2 3; do :; done"))
                wire.open(channel, command, shell=1)
                for _ in range(1 if endless else chance.randint(0, 5)):
                    time.sleep(chance.random() * 0.003)
                    wire.send({"type": "signal", "ch": channel, "name": "INT"})
                header, out, folder = wire.end(channel)
                self.assertEqual("exited", header["outcome"]["kind"], command)
                self.assertNotIn(b"no", out)
                self.assertEqual(b"/usr/lib", folder, (command, header))
                if endless:
                    # Bash leaves a status beyond 127 as it was before: that of an `echo` whose
                    # `cat` the interrupt took first.
                    self.assertIn(header["outcome"]["code"], (130, 141), command)
            self.assertEqual(f"1 {pid}\n".encode(), self.run_in(wire, 999999, "echo $kept $$")[1])
        self.nothing_is_left()

    def test_an_interrupt_that_is_caught_is_caught_once(self):
        body = "trap 'echo i' INT; trap x=1 USR1; echo up; while [ -z \"$x\" ]; do :; done; echo end"
        with self.wire() as wire:
            self.shell(wire)
            # A program, a copy of the shell that stays one, one in its own group, and the shell.
            for channel, command in enumerate(("sh -c " + shlex.quote(body), f"({body})",
                                               f"true | ({body})", f"x=; {body}"), 1):
                wire.open(channel, command, shell=1)

                def said(channel=channel):
                    return wire.next(lambda one: one["type"] == "data" and one["ch"] == channel)[1]

                self.assertEqual(b"up\n", said())
                for _ in range(3):
                    wire.send({"type": "signal", "ch": channel, "name": "INT"})
                    self.assertEqual(b"i\n", said(), command)
                time.sleep(0.8)  # Longer than the last one is looked after.
                wire.send({"type": "signal", "ch": channel, "name": "USR1"})
                self.assertEqual(b"end\n", wire.end(channel)[1], command)
            # A signal that has ended a job is not sent to the shell as well.
            self.shell(wire, 2)
            for channel in range(10, 20):
                wire.open(channel, "(trap 'exit 3' USR1; echo up; while :; do :; done)"
                                   "; echo $?; while read x; do :; done", shell=2)
                self.assertEqual(b"up\n", said(channel))
                wire.send({"type": "signal", "ch": channel, "name": "USR1"})
                self.assertEqual(b"3\n", said(channel))
                time.sleep(0.1)
                wire.send({"type": "eof", "ch": channel, "stream": "stdin", "off": 0})
                self.assertEqual("exited", wire.end(channel)[0]["outcome"]["kind"])
        self.nothing_is_left()

    def test_a_connection_has_at_most_sixteen_shells(self):
        with self.wire() as wire:
            for number in range(1, 18):
                wire.open_shell(number, "HOME=/nonexistent")
            outcome = wire.shell_ended(17)
            self.assertEqual("not_started", outcome["kind"])
            self.assertIn("16", outcome["message"])
            for number in range(1, 17):
                wire.ready(number)
                wire.open(number, f"n={number}", shell=number)
            for number in range(1, 17):
                wire.end(number)
                wire.open(number, "echo $n; exec >/dev/null; exit", shell=number)
            for number in range(1, 17):
                self.assertEqual(b"%d\n" % number, wire.end(number)[1])
                wire.shell_ended(number)
            # Each number is free again.
            for _ in range(3):
                for number in (1, 16):
                    wire.open_shell(number)
                    wire.send({"type": "shell_close", "shell": number})
                for number in (1, 16):
                    self.assertEqual("exited", wire.shell_ended(number)["kind"])
        self.nothing_is_left()

    def test_a_number_that_is_in_use_ends_the_connection(self):
        with self.wire() as wire:
            self.shell(wire)
            wire.send({"type": "shell_close", "shell": 99})  # No such shell.
            wire.open(1, "sleep 60", shell=1)
            wire.open_shell(1)
            header, _ = wire.next(lambda one: one["type"] == "error", "an error")
            self.assertEqual("protocol", header["reason"])
        self.nothing_is_left()

    def test_a_closed_shell_finishes_its_requested_runs(self):
        with self.wire() as wire:
            self.shell(wire)
            wire.open(1, "sleep 0.2; echo done", shell=1)
            wire.send({"type": "shell_close", "shell": 1})
            self.assertEqual(b"done\n", wire.end(1)[1])
            self.assertEqual({"kind": "exited", "code": 0}, wire.shell_ended(1))
        self.nothing_is_left()

    def test_a_killed_sessions_shells_end_and_its_folder_is_swept(self):
        with self.wire() as wire:
            pid = self.shell(wire)
            wire.open(1, "sleep 60", shell=1)
            session = self.mine.sessions()[0].pid
            wait_until(lambda: [one for one in descendants(session) if one.name == "sleep"], "sleep")
            os.kill(session, signal.SIGKILL)
            wait_until(lambda: not is_alive(pid), "the shell to end")
        left = self.folders()
        self.assertEqual(1, len(left))
        with self.wire() as living:
            self.shell(living)
            self.assertEqual(2, len(self.folders()), "one so young may be in the making")
            path = os.path.join(self.runtime, "frsh", left[0])
            os.utime(path, (1, 1))
            for name in self.folders():
                os.utime(os.path.join(self.runtime, "frsh", name), (1, 1))
            with self.wire() as wire:
                self.shell(wire)
                self.assertNotIn(left[0], self.folders())
                self.assertEqual(2, len(self.folders()), "the living are left alone")
                self.assertEqual(b"on\n", self.run_in(wire, 1, "echo on")[1])
            self.assertEqual(b"on\n", self.run_in(living, 1, "echo on")[1])
        self.nothing_is_left()

    def test_a_runtime_folder_that_vanishes_is_made_anew(self):
        with self.wire() as wire:
            pid = self.shell(wire)
            self.assertEqual(b"on\n", self.run_in(wire, 1, "echo on")[1])
            for what in (self.folders()[0], ""):
                shutil.rmtree(os.path.join(self.runtime, "frsh", what).rstrip("/"))
                for channel in (2, 3):
                    self.assertEqual(f"{pid}\n".encode(), self.run_in(wire, channel, "echo $$")[1])
                self.assertEqual(1, len(self.folders()))
            folder = os.path.join(self.runtime, "frsh", self.folders()[0])
            self.assertEqual(0o700, stat.S_IMODE(os.stat(folder).st_mode))
            os.utime(folder, (1, 1))
            self.shell(wire, 2)
            self.assertIn(os.path.basename(folder), self.folders(), "nobody sweeps it away")
        self.nothing_is_left()

    def test_a_lost_runtime_folder_ends_only_this_shell(self):
        own = f"/tmp/frsh-{os.getuid()}"
        with self.wire() as wire:
            self.shell(wire)
            shutil.rmtree(self.runtime)
            outcome = self.run_in(wire, 1, "echo on")[0]["outcome"]
            self.assertEqual(("not_started", "shell"), (outcome["kind"], outcome["stage"]))
            self.assertIn(self.runtime, outcome["message"])
            wire.shell_ended(1)
            pid = self.shell(wire)
            self.assertEqual(b"on\n", self.run_in(wire, 2, "echo on")[1])
            with open(f"/proc/{pid}/cmdline") as file:
                folder = os.path.dirname(file.read().split("\0")[3])
            self.assertEqual(own, os.path.dirname(folder))
        wait_until(lambda: not self.mine.sessions(), "the session to end")
        self.assertFalse(os.path.exists(folder))

    def test_a_runtime_folder_of_another_user_is_not_used(self):
        with self.wire() as wire:
            self.shell(wire)
            os.chmod(os.path.join(self.runtime, "frsh"), 0o777)
            outcome = self.run_in(wire, 1, "echo on")[0]["outcome"]
            self.assertEqual(("not_started", "shell"), (outcome["kind"], outcome["stage"]))
            self.assertIn("open to other users", outcome["message"])
            wire.shell_ended(1)
        wait_until(lambda: not self.mine.sessions(), "the session to end")

    def test_a_run_without_descriptors_fails_and_others_go_on(self):
        with self.wire() as wire:
            self.shell(wire)
            session = self.mine.sessions()[0].pid
            self.run_in(wire, 1, "true")
            before = open_descriptors(session)
            limit = resource.prlimit(session, resource.RLIMIT_NOFILE)
            wire.open(2, "read x; echo $x", shell=1)
            resource.prlimit(session, resource.RLIMIT_NOFILE, (len(before) + 12, limit[1]))
            kinds = set()
            for channel in range(3, 9):
                wire.open(channel, f"echo {channel}", shell=1)
            for channel in range(8, 2, -1):
                # Runs that wait for their turn still wait.
                header = wire.next(lambda one: one["type"] in ("end", "credit") and
                                   one["ch"] == channel)[0]
                kinds.add(header["type"])
                if header["type"] == "end":
                    wire.send({"type": "end_ack", "ch": channel, "run": f"run-{channel}"})
                    outcome = header["outcome"]
                    self.assertEqual(("not_started", "shell", 24),
                                     (outcome["kind"], outcome["stage"], outcome["errno"]))
            self.assertEqual({"end", "credit"}, kinds, "some had room, and some had none")
            wire.send({"type": "data", "ch": 2, "stream": "stdin", "off": 0}, payload=b"hi\n")
            self.assertEqual(b"hi\n", wire.end(2)[1])
            self.assertEqual(b"3\n", wire.end(3)[1])
            resource.prlimit(session, resource.RLIMIT_NOFILE, limit)
            self.assertEqual(b"on\n", self.run_in(wire, 20, "echo on")[1])
        self.nothing_is_left()

    def test_of_67_writing_jobs_the_oldest_three_lose_their_pipe(self):
        """Each costs a descriptor, so 64 are read. Older ones get a broken pipe."""
        over = 3
        marker = self.path("cut-off")
        with self.wire() as wire:
            self.shell(wire)
            for channel in range(64 + over):
                self.run_in(wire, channel, f"(: >{marker}.{channel}; trap '' PIPE; while echo x; do sleep 0.7; "
                            f"done; echo {channel} >>{marker}) 2>/dev/null & "
                            f"until [ -e {marker}.{channel} ]; do sleep 0.01; done", linger_ms=1)

            def cut_off():
                with contextlib.suppress(FileNotFoundError), open(marker) as file:
                    return sorted(file.read().split(), key=int)

            wait_until(lambda: len(cut_off() or []) >= over, "the oldest to be cut off")
            time.sleep(0.5)  # Waits for the whole time: nothing must follow.
            self.assertEqual(["0", "1", "2"], cut_off())
        self.nothing_is_left()

    def test_without_bash_long_commands_and_any_bytes_are_evaluated(self):
        hide = "for b in /bin/bash /usr/bin/bash /usr/local/bin/bash; do " \
               "[ -e $b ] && mount --bind /dev/null $b; done; exec \"$@\""
        unshare = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"]),
                   *self.as_root_at_home("sh", "-c", hide, "sh")]
        probe = subprocess.run([*unshare, "true"], stderr=subprocess.PIPE)
        if probe.returncode != 0:
            self.skipTest(f"no mount namespace of our own: {probe.stderr!r}")
        path = self.short_path()
        environment = {"XDG_RUNTIME_DIR": self.runtime, "PATH": os.environ["PATH"]}
        with self.running(subprocess.Popen([*unshare, FRSHD, "--unix", path], env=environment,
                                           stderr=subprocess.DEVNULL)):
            wait_until(lambda: is_listening(path), "the server to listen")
            with Wire(path) as wire:
                wire.open_shell(1, "HOME=/nonexistent")
                self.assertEqual("sh", wire.ready(1)[0]["kind"])
                _, out, _ = self.run_in(wire, 1, "x='" + "y" * 900000 + "'; echo ${#x}")
                self.assertEqual(b"900000\n", out)
                _, out, _ = self.run_in(wire, 2, b"printf %s '\xff\xfe\xc3' \"$0\"")
                self.assertTrue(out.startswith(b"\xff\xfe\xc3"), out)
                for channel, line in enumerate(("break 5", "continue 5", "(exit 3); break 2"), 3):
                    header, _, _ = self.run_in(wire, channel, line)
                    self.assertEqual({"kind": "exited", "code": 0}, header["outcome"], line)
                header, _, _ = self.run_in(wire, 7, "return 4")
                self.assertEqual({"kind": "exited", "code": 4}, header["outcome"])
                self.assertEqual(b"900000\n", self.run_in(wire, 8, "echo ${#x}")[1])
                self.assertEqual(["start0"], os.listdir(os.path.join(self.runtime, "frsh",
                                                                    self.folders()[0])))
        wait_until(lambda: not self.folders(), "the shell's folder to go")

    def test_traps_and_tracing_show_no_line_of_the_shells_loop(self):
        name = f"traps-{os.getpid()}"

        def ask(command):
            result = self.unix.run(["--shell", name], command, stdin=b"in\n")
            self.assertEqual(0, result.code, result)
            # `set -x` prints a plus for each level of eval.
            return result.out.decode(), result.err.decode().lstrip("+")

        ask("set -T; trap 'echo \"debug $BASH_COMMAND\"' DEBUG; trap 'echo return >&2' RETURN")
        self.assertEqual(("debug echo hi\nhi\n", ""), ask("echo hi"))
        self.assertEqual(("debug cat\nin\n", ""), ask("cat"))
        self.assertEqual(("debug trap - DEBUG RETURN\n", ""), ask("trap - DEBUG RETURN"))
        ask("set -x")
        self.assertEqual(("hi\n", " echo hi\n"), ask("echo hi"))
        self.assertEqual(("", " set +x\n"), ask("set +x"))
        self.assertEqual(0, self.unix.run(["--kill", name]).code)

    def test_break_out_of_every_loop_keeps_the_shell_and_is_a_success(self):
        with self.wire() as wire:
            pid = self.shell(wire)
            for channel, line in enumerate(("break 2", "break 99", "continue 2", "continue 99",
                                            "(exit 3); break 2", "(exit 3); continue 2") * 20, 1):
                header, _, _ = self.run_in(wire, channel, line)
                self.assertEqual({"kind": "exited", "code": 0}, header["outcome"], line)
            header, out, _ = self.run_in(wire, 900, "for i in 1 2; do for j in a b; do echo $i$j; "
                                         "break 2; done; done; echo $$; (exit 6)")
            self.assertEqual((f"1a\n{pid}\n".encode(), 6), (out, header["outcome"]["code"]))
        self.nothing_is_left()

    def test_a_readonly_tmout_does_not_end_a_shell_during_a_command(self):
        home = self.path("home")
        os.mkdir(home)
        with open(os.path.join(home, ".bashrc"), "w") as file:
            file.write("readonly TMOUT=1\n")
        with self.wire() as wire:
            wire.open_shell(1, "HOME=" + home)
            pid = wire.ready(1)[0]["pid"]
            self.assertEqual(b"one\n", self.run_in(wire, 1, "sleep 1.5; echo one")[1])
            wire.open(2, "sleep 60", shell=1)
            wait_until(lambda: [one for one in descendants(pid) if one.name == "sleep"], "sleep")
            wire.send({"type": "signal", "ch": 2, "name": "INT"})
            self.assertEqual(130, wire.end(2)[0]["outcome"]["code"])
            self.assertEqual(f"{pid}\n".encode(), self.run_in(wire, 3, "sleep 1.5; echo $$")[1])
            # Only the shell itself ignores it: a program gets the default action.
            header, _, _ = self.run_in(wire, 4, "sh -c 'kill -ALRM $$'")
            self.assertEqual(142, header["outcome"]["code"])
        self.nothing_is_left()

    def test_a_folder_name_without_end_ends_the_shell_and_nothing_hangs(self):
        with self.wire() as wire:
            self.shell(wire)
            wire.open(1, "PWD=$(head -c 300000 /dev/zero | tr '\\0' x)", shell=1)
            wire.end(1)
            self.assertEqual("signaled", wire.shell_ended(1)["kind"])
        self.nothing_is_left()

    def test_orphans_of_a_dead_shell_end_with_a_lost_client(self):
        for last_words in ("exit", "kill -9 $$"):
            for is_lost in (True, False):
                with self.wire() as wire:
                    self.shell(wire)
                    out = self.run_in(wire, 1, "nohup sleep 64 >&- 2>&- & echo $!; "
                                      "setsid --wait sh -c 'echo $$; exec sleep 65 >&- 2>&-' &")[1]
                    pids = [int(pid) for pid in out.split()]
                    self.run_in(wire, 2, last_words)
                    wire.shell_ended(1)
                    wire.open_shell(2)
                    wire.ready(2)
                    if not is_lost:
                        wire.send({"type": "shell_close", "shell": 2})
                        wire.shell_ended(2)
                for pid in pids:
                    if is_lost:
                        wait_until(lambda: not is_alive(pid), "the job to end")
                    else:
                        wait_until(lambda: not self.mine.sessions(), "the session to end")
                        self.assertTrue(is_alive(pid), "whoever takes leave lets them go on")
                        os.kill(pid, signal.SIGKILL)
                self.nothing_is_left()

    def test_no_descriptor_is_left_after_many_runs_and_shells(self):
        with self.wire() as wire:
            self.shell(wire)
            session = self.mine.sessions()[0].pid
            self.run_in(wire, 1, "true")
            before = open_descriptors(session)
            for channel in range(2, 60):
                more = {"stdin_null": True} if channel % 2 == 0 else {}
                self.run_in(wire, channel, "echo x", **more)
            for number in range(2, 6):
                wire.open_shell(number)
                wire.ready(number)
                wire.send({"type": "shell_close", "shell": number})
                wire.shell_ended(number)
            self.assertEqual(len(before), len(open_descriptors(session)))
            self.assertEqual(["start0"], os.listdir(os.path.join(self.runtime, "frsh",
                                                                self.folders()[0])))
        self.nothing_is_left()

    def test_stdin_arrives_before_the_command_reads_it(self):
        with self.wire() as wire:
            wire.open_shell(1, "HOME=/nonexistent")
            wire.open(1, "cat", shell=1)
            wire.open(2, "wc -c", shell=1)
            for channel, data in ((2, b"x" * 200000), (1, b"one\n")):
                for at in range(0, len(data), 50000):
                    wire.send({"type": "data", "ch": channel, "stream": "stdin", "off": at},
                              payload=data[at:at + 50000])
                wire.send({"type": "eof", "ch": channel, "stream": "stdin", "off": len(data)})
            self.assertEqual(b"one\n", wire.end(1)[1])
            self.assertEqual(b"200000\n", wire.end(2)[1])
        self.nothing_is_left()


if __name__ == "__main__":
    main()
