"""The stateful shell as a client sees it that does what ours never would (PROTOCOL.md, Shells)."""

import os
import random
import shutil
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import (Case, Server, descendants, is_alive, main, open_descriptors,  # noqa: E402
                     wait_until)
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
            # Bytes that are no text, in a locale that minds.
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

    def test_what_was_never_evaluated_is_not_said_to_have_ended(self):
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
            # Nor is one in a shell that was there, or never was.
            for number in (1, 77):
                wire.open(4, "echo", shell=number)
                self.assertEqual("not_started", wire.end(4)[0]["outcome"]["kind"])
        self.nothing_is_left()

    def test_one_that_waits_can_be_canceled_without_harm_to_the_others(self):
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
            while time.monotonic() < until:
                channel += 1
                endless = chance.random() < 0.3
                command = chance.choice(("sleep 100", "cat", "while :; do :; done",
                                         "sleep 100; echo no") if endless else
                                        ("true", "sleep 0.001", "(exit 5)", "echo hi | cat",
                                         "for i in 1 2 3; do :; done"))
                wire.open(channel, command, shell=1)
                for _ in range(1 if endless else chance.randint(0, 5)):
                    time.sleep(chance.random() * 0.003)
                    wire.send({"type": "signal", "ch": channel, "name": "INT"})
                header, out, folder = wire.end(channel)
                self.assertEqual("exited", header["outcome"]["kind"], command)
                self.assertNotIn(b"no", out)
                self.assertEqual(b"/usr/lib", folder)
                if endless:
                    self.assertEqual(130, header["outcome"]["code"], command)
            self.assertEqual(f"1 {pid}\n".encode(), self.run_in(wire, 999999, "echo $kept $$")[1])
            self.assertGreater(channel, 50)
        self.nothing_is_left()

    def test_sixteen_shells_and_not_one_more(self):
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
            wire.send({"type": "shell_close", "shell": 99})  # Nobody; it may just have ended.
            wire.open(1, "sleep 60", shell=1)
            wire.open_shell(1)
            header, _ = wire.next(lambda one: one["type"] == "error", "an error")
            self.assertEqual("protocol", header["reason"])
        self.nothing_is_left()

    def test_closing_lets_what_was_asked_for_end(self):
        with self.wire() as wire:
            self.shell(wire)
            wire.open(1, "sleep 0.2; echo done", shell=1)
            wire.send({"type": "shell_close", "shell": 1})
            self.assertEqual(b"done\n", wire.end(1)[1])
            self.assertEqual({"kind": "exited", "code": 0}, wire.shell_ended(1))
        self.nothing_is_left()

    def test_a_killed_session_takes_its_shells_along_and_the_next_sweeps_its_folder(self):
        with self.wire() as wire:
            pid = self.shell(wire)
            wire.open(1, "sleep 60", shell=1)
            session = self.mine.sessions()[0].pid
            wait_until(lambda: [s for s in descendants(session) if s.name == "sleep"], "sleep")
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

    def test_a_runtime_folder_that_vanishes_is_said_run_by_run(self):
        with self.wire() as wire:
            self.shell(wire)
            self.assertEqual(b"on\n", self.run_in(wire, 1, "echo on")[1])
            shutil.rmtree(os.path.join(self.runtime, "frsh"))
            outcome = self.run_in(wire, 2, "echo on")[0]["outcome"]
            self.assertEqual(("not_started", "shell"), (outcome["kind"], outcome["stage"]))
            wire.open(3, "echo plain")
            self.assertEqual(b"plain\n", wire.end(3)[1])
            # A new shell makes itself a new one.
            wire.open_shell(2)
            wire.ready(2)
            wire.open(4, "echo on", shell=2)
            self.assertEqual(b"on\n", wire.end(4)[1])
        self.nothing_is_left()

    def test_a_folder_name_without_end_ends_the_shell_and_nothing_hangs(self):
        with self.wire() as wire:
            self.shell(wire)
            wire.open(1, "PWD=$(head -c 300000 /dev/zero | tr '\\0' x)", shell=1)
            wire.end(1)
            self.assertEqual("signaled", wire.shell_ended(1)["kind"])
        self.nothing_is_left()

    def test_what_a_dead_shell_left_ends_with_a_client_that_is_lost(self):
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
            self.assertEqual(["start"], os.listdir(os.path.join(self.runtime, "frsh",
                                                                self.folders()[0])))
        self.nothing_is_left()

    def test_stdin_arrives_also_where_nobody_reads_it_yet(self):
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
