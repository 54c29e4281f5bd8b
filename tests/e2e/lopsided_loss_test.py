"""A connection that one side loses long before the other, and the first flight that is cut: a run
is run once, and the client reports what happened to it, or `lost`."""

import os
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import FRSH, PATIENCE, Case, environment, is_alive, main, wait_until  # noqa: E402
from lopsided_proxy import LopsidedProxy  # noqa: E402
from wire import Wire  # noqa: E402

GRACE = 0.4  # Seconds.


class LopsidedLoss(Case):
    def setUp(self):
        super().setUp()
        self.marks = self.path("marks")
        self.pid_file = self.path("pid")

    def tearDown(self):
        self.no_strays(40)

    def proxy(self, **how):
        proxy = LopsidedProxy(self.server.socket, self.short_path(), **how)
        self.addCleanup(proxy.close)
        return proxy

    def start(self, proxy, command, *options, stdin=subprocess.DEVNULL, grace=f"grace:{GRACE}s"):
        words = [] if command is None else [command]
        return subprocess.Popen(
            [FRSH, f"--on-disconnect={grace}", *options, f"unix:{proxy.near}", *words],
            env=environment(self.unix.runtime), stdin=stdin, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)

    def marked(self, rest, ignore=""):
        trap = f"trap '' {ignore}; " if ignore else ""
        return f"{trap}echo once >> {self.marks}; echo $$ > {self.pid_file}; {rest}"

    def was_run_once(self):
        with open(self.marks) as file:
            self.assertEqual("once\n", file.read())

    def end_of(self, process):
        with self.running(process):
            out, err = process.communicate(timeout=PATIENCE)
        return process.returncode, out, err

    def wait_for_expiry(self, pid, is_ended):
        """The server has lost the client, and ends the run, or has ended it."""
        if is_ended:
            wait_until(lambda: not is_alive(pid), "the grace to end the run")
        else:
            time.sleep(3 * GRACE)
            self.assertTrue(is_alive(pid))

    # The server notices the loss first. The client has not received `started`.

    def lose_the_server_first(self, ignore, *options, other_runs=False):
        proxy = self.proxy()
        command = self.marked("exec sleep 30", ignore)
        process = self.start(proxy, command, *options)
        pid = self.pid_from(self.pid_file)
        proxy.cut_far()
        self.wait_for_expiry(pid, is_ended=not ignore)
        proxy.cut_near()
        result = self.end_of(process)
        self.was_run_once()
        self.assertGreater(proxy.count, 1, "the client has returned")
        return result

    def test_a_run_that_is_being_ended_is_lost(self):
        code, out, err = self.lose_the_server_first("HUP TERM")
        self.assertEqual((255, b""), (code, out), err)
        self.assertRegex(err, rb"lost: the server ended it when its grace period was over")

    def test_a_run_that_has_been_ended_is_lost(self):
        code, out, err = self.lose_the_server_first("")
        self.assertEqual((255, b""), (code, out), err)
        self.assertRegex(err, rb"frsh: lost: ")

    def test_a_run_with_an_id_has_its_real_end(self):
        for number, ignore in enumerate(("", "HUP TERM")):
            for name in (self.marks, self.pid_file):
                if os.path.exists(name):
                    os.unlink(name)
            code, _, err = self.lose_the_server_first(ignore, "--run-id", f"mine{number}")
            expected = signal.SIGKILL if ignore else signal.SIGHUP
            self.assertEqual(128 + expected, code, err)

    def test_a_batch_line_is_not_run_again(self):
        for ignore in ("", "HUP TERM"):
            for name in (self.marks, self.pid_file):
                if os.path.exists(name):
                    os.unlink(name)
            proxy = self.proxy()
            process = self.start(proxy, None, "--batch", "--jobs", "1", stdin=subprocess.PIPE)
            with self.running(process):
                process.stdin.write(self.marked("exec sleep 30", ignore).encode() + b"\necho second\n")
                process.stdin.close()
                process.stdin = None
                pid = self.pid_from(self.pid_file)
                proxy.cut_far()
                self.wait_for_expiry(pid, is_ended=not ignore)
                proxy.cut_near()
                _, err = process.communicate(timeout=PATIENCE)
            self.was_run_once()
            self.assertEqual(255, process.returncode, err)
            self.assertRegex(err, rb"line 1: lost: ")

    # The client notices the loss first.

    def test_a_late_open_is_not_begun_beside_its_repetition(self):
        proxy = self.proxy(up=40)
        process = self.start(proxy, self.marked("exit 7"))
        proxy.is_connected.wait(PATIENCE)
        waiting = lambda: proxy.first.recv(1000, socket.MSG_PEEK)  # noqa: E731
        wait_until(lambda: b'"open"' in waiting(), "the first flight to wait in the proxy")
        proxy.first.shutdown(socket.SHUT_WR)  # The client gets the end, and the server does not.
        code, _, err = self.end_of(process)
        self.assertEqual(7, code, err)
        proxy.release()
        self.assertTrue(proxy.is_over.wait(PATIENCE), "the server closes the late connection")
        self.assertIn(b'"reason":"gone"', proxy.late)
        self.was_run_once()

    def test_a_session_killed_before_started_arrives_is_lost(self):
        proxy = self.proxy()
        process = self.start(proxy, self.marked(f"echo $PPID > {self.pid_file}; exec sleep 30"),
                             grace="grace:10s")
        with self.running(process):
            wait_until(lambda: os.path.exists(self.pid_file), "the run")
            session = wait_until(self.session_from, "the session's pid")
            os.kill(session, signal.SIGKILL)
            proxy.release()
            code, _, err = self.end_of(process)
        self.assertEqual(255, code, err)
        self.assertRegex(err, rb"frsh: lost: ")
        self.was_run_once()

    def session_from(self):
        with open(self.pid_file) as file:
            text = file.read().split()
        return int(text[-1]) if text else None

    # The first flight is cut.

    def test_a_run_that_the_server_never_saw_is_asked_for_again(self):
        stdin = b"some bytes\n" * 1000
        for up in (0, 1, 20, 120, 200, 260):
            proxy = self.proxy(up=up)
            process = self.start(proxy, "cat; exit 5", stdin=subprocess.PIPE)
            proxy.is_connected.wait(PATIENCE)
            with self.running(process):
                process.stdin.write(stdin)
                process.stdin.flush()
                proxy.cut_far()
                proxy.cut_near()
                out, err = process.communicate(timeout=PATIENCE)
            self.assertEqual((5, len(stdin)), (process.returncode, len(out)), (up, err))
            self.assertEqual(stdin, out)

    # A shell has ended, and the report of it may be lost.

    def resume(self, session):
        wire = Wire(self.server.socket)
        wire.send({"type": "resume", "session": session, "runs": []})
        return wire

    def test_the_end_of_a_shell_that_was_lost_with_the_connection_is_reported_again(self):
        for name, has_read in (("shellsend0000000", True), ("shellsend0000001", False)):
            first = Wire(self.server.socket, name)
            first.send({"type": "shell_open", "shell": 1, "env": 0, "on_disconnect": "grace",
                        "grace_ms": 20000})
            pid = first.ready(1)[0]["pid"]
            first.open(1, "exit 55", shell=1, on_disconnect="grace", grace_ms=20000)
            if has_read:
                first.end(1)
                first.shell_ended(1)
            else:
                wait_until(lambda: not is_alive(pid), "the shell to end")
            first.socket.close()
            with self.resume(name) as second:
                kinds = []
                second.next(lambda one: kinds.append(one["type"]) or one["type"] in ("resumed", "error"))
                self.assertEqual(["shell_ended", "resumed"],
                                 [kind for kind in kinds if kind != "hello"], kinds)
                self.assertEqual({"kind": "exited", "code": 55}, second.shell_ended(1))
                second.send({"type": "bye"})

    def test_a_session_whose_shell_has_ended_does_not_outlast_its_client(self):
        begun = time.monotonic()
        for command in (b"exit 3\n", b"echo\n"):
            result = self.unix.run(["--batch", "--one-shell"], stdin=command)
            self.assertIn(result.code, (0, 3), result)
        self.no_strays(10)
        self.assertLess(time.monotonic() - begun, 10)


if __name__ == "__main__":
    main()
