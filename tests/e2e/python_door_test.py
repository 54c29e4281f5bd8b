"""The door for programs: `frsh --link`, and the Python package that speaks through it."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGE = os.path.join(HERE, "../../client/python")
sys.path[:0] = [os.path.join(HERE, "../support"), PACKAGE]
from harness import FRSH, PATIENCE, Case, descendants, environment, main, resident_kib, wait_until  # noqa: E402,E501

import frsh  # noqa: E402
from frsh.link import encode  # noqa: E402


def take_frame(stream):
    size = int.from_bytes(stream.read(4), "big")
    header = json.loads(stream.read(size))
    return header, stream.read(header.get("len", 0))


class Door(Case):
    def host(self, place=None, **options):
        place = place or self.unix
        return frsh.Host(place.words[-1], options=place.words[:-1], program=FRSH,
                         env=environment(place.runtime, HOME=self.folder), **options)

    def async_host(self, **options):
        return frsh.AsyncHost("local", program=FRSH, env=environment(self.unix.runtime,
                                                                     HOME=self.folder), **options)


class LinkFrames(Door):
    def test_d1_a_program_speaks_the_protocol_through_stdin_and_stdout(self):
        for place in self.everywhere():
            process = place.popen(["--link"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE)
            with self.running(process):
                process.stdin.write(encode({"type": "hello", "proto": 1, "software": "t",
                                            "features": []}))
                process.stdin.write(encode({"type": "open", "ch": 1, "run": "door", "args": 1,
                                            "mode": "command", "stdin_null": True}, b"exit 9\0"))
                process.stdin.flush()
                self.assertEqual("hello", take_frame(process.stdout)[0]["type"])
                header = {"type": ""}
                while header["type"] != "end":
                    header, _ = take_frame(process.stdout)
                self.assertEqual({"kind": "exited", "code": 9}, header["outcome"])
                process.stdin.close()
                self.assertEqual(0, process.wait(PATIENCE))
                self.assertEqual(b"", process.stderr.read())

    def test_the_end_of_stdin_is_a_bye_which_ends_the_runs(self):
        process = self.unix.popen(["--link"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        with self.running(process):
            pid_file = self.path("pid")
            command = f"echo $$ > {pid_file}; exec sleep 600".encode()
            process.stdin.write(encode({"type": "hello", "proto": 1, "software": "t",
                                        "features": []}))
            process.stdin.write(encode({"type": "open", "ch": 1, "run": "left", "args": 1,
                                        "on_disconnect": "grace", "grace_ms": 600_000,
                                        "mode": "command", "stdin_null": True}, command + b"\0"))
            process.stdin.flush()
            self.pid_from(pid_file)
            process.stdin.close()
            self.assertEqual(0, process.wait(PATIENCE))
        self.no_strays()

    def test_it_goes_with_no_command(self):
        result = self.unix.run(["--link"], "true")
        self.assertEqual((255, b""), (result.code, result.out))
        self.assertIn(b"--link: not with a command", result.err)


class Package(Door):
    def test_a_record_has_the_bytes_and_the_end(self):
        for place in self.everywhere():
            with self.host(place) as host:
                record = host.run("printf 'a\\0b'; echo err >&2; exit 255")
                self.assertEqual(("exited", 255, b"a\0b", b"err\n"),
                                 (record.kind, record.code, record.stdout, record.stderr))
                record = host.run("kill -9 $$")
                self.assertEqual(("signaled", None, "KILL"),
                                 (record.kind, record.code, record.signal))
                data = bytes(range(256)) * 8000
                self.assertEqual(data, host.run(["cat"], stdin=data).stdout)
                record = host.run("pwd; echo $A; cat", cwd="/", env={"A": "b c"}, stdin=b"x")
                self.assertEqual(b"/\nb c\nx", record.stdout)
                self.assertEqual("timed_out", host.run("sleep 60", timeout=0.1).kind)

    def test_what_did_not_run_is_an_exception(self):
        with self.host() as host:
            with self.assertRaises(frsh.NotStarted) as caught:
                host.run(["/no/such/program"])
            self.assertEqual(("exec", 2), (caught.exception.stage, caught.exception.errno))
        with self.host() as host, self.assertRaises(frsh.Refused):
            host.attach("nothing")
        place = type(self.unix)("none", self.unix.runtime, ["--plaintext", "127.0.0.1:1"])
        with self.host(place) as host, self.assertRaises(frsh.Refused):
            host.run("true")

    def test_a_session_that_dies_makes_the_run_lost(self):
        with self.host(grace=0.3) as host:
            run = host.start("echo here; exec sleep 600")
            self.assertEqual(("stdout", b"here\n"), next(run.chunks()))
            for session in self.server.sessions():
                os.kill(session.pid, signal.SIGKILL)
            with self.assertRaises(frsh.Lost) as caught:
                run.wait()
            self.assertEqual(run.id, caught.exception.run)

    def test_d2_a_cut_link_resumes_byte_for_byte(self):
        with self.host() as host:
            run = host.start("for i in 1 2 3 4; do seq 60000; sleep 0.05; done; cat >&2",
                             stdin=b"in" * 500_000)
            parts = {"stdout": b"", "stderr": b""}
            cuts = 0
            for name, data in run.chunks():
                parts[name] += data
                if cuts < 3 and len(parts["stdout"]) > (cuts + 1) * 300_000:
                    cuts += 1
                    for stat in descendants():
                        if stat.name == "frsh" and stat.parent == os.getpid():
                            os.kill(stat.pid, signal.SIGKILL)
            once = b"".join(b"%d\n" % i for i in range(1, 60001))
            self.assertEqual((3, 0, True, b"in" * 500_000),
                             (cuts, run.wait().code, parts["stdout"] == once * 4, parts["stderr"]))

    def test_200_runs_side_by_side_on_one_link(self):
        async def all_of_them():
            async with self.async_host() as host:
                return await asyncio.gather(*[host.run(f"echo {i}; exit {i}")
                                              for i in range(200)])

        records = asyncio.run(all_of_them())
        self.assertEqual([(i, b"%d\n" % i) for i in range(200)],
                         [(one.code, one.stdout) for one in records])

    def test_a_cancelled_task_cancels_its_run(self):
        async def cancel_one():
            async with self.async_host() as host:
                path = self.path("pid")
                task = asyncio.ensure_future(host.run(f"echo $$ > {path}; exec sleep 600"))
                pid = await asyncio.get_running_loop().run_in_executor(None, self.pid_from, path)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                self.assertTrue(task.cancelled())
                await asyncio.get_running_loop().run_in_executor(
                    None, wait_until, lambda: not os.path.exists(f"/proc/{pid}"), "the end")
                self.assertEqual(0, (await host.run("exit 0")).code)

        asyncio.run(cancel_one())

    def test_64_mib_pass_within_10_mib(self):
        program = ("import frsh, sys, re\n"
                   "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', "
                   "open('/proc/self/status').read())[1])\n"
                   f"with frsh.Host('local', program={FRSH!r}) as host:\n"
                   "    host.run('true'); before = peak()\n"
                   "    run = host.start('head -c 67108864 /dev/zero')\n"
                   "    size = sum(len(data) for _, data in run.chunks())\n"
                   "    print(size, run.wait().code, peak() - before)\n")
        result = subprocess.run([sys.executable, "-c", program], capture_output=True,
                                timeout=PATIENCE * 2, env=environment(
                                    self.unix.runtime, PYTHONPATH=PACKAGE, HOME=self.folder))
        size, code, grown = map(int, result.stdout.split() or self.fail(result.stderr))
        self.assertEqual((67108864, 0), (size, code))
        self.assertLess(grown, 10 * 1024)

    def test_a_kept_run_is_followed_listed_killed_and_forgotten(self):
        with self.host() as host:
            record = host.run("echo one; exec sleep 600", soft=0.5, run_id="py-kept")
            self.assertEqual(("running", b"one\n"), (record.kind, record.stdout))
            self.assertIn("py-kept", [kept.run for kept in host.runs()])
            host.kill("py-kept")
            with self.host() as other:
                run = other.attach("py-kept", (1, 0))
                self.assertEqual([("stdout", b"ne\n")], list(run.chunks()))
            host.forget("py-kept")
            self.assertNotIn("py-kept", [kept.run for kept in host.runs()])
            path = self.path("count")
            for _ in range(3):  # The same id runs once.
                again = host.run(f"echo x >> {path}; wc -l < {path}", run_id="py-once")
                self.assertEqual(b"1\n", again.stdout)
            host.forget("py-once")

    def test_a_shell_keeps_its_state_and_a_terminal_is_one(self):
        with self.host() as host:
            shell = host.shell("py-shell")
            shell.run("cd /; A=1")
            self.assertEqual(b"/ 1\n", shell.run("echo $PWD $A").stdout)
            host.kill("py-shell")
            run = host.terminal(77, 11, "stty size; read line; echo got $line")
            run.write(b"typed\n")
            self.assertRegex(run.wait().stdout, rb"11 77\r\n(?s:.*)got typed\r\n")

    def test_max_output_keeps_head_and_tail_and_names_the_gap(self):
        with self.host() as host:
            record = host.run("seq 100000; echo err >&2", max_output=1000)
            self.assertEqual((588895, 1000, {"stdout": (500, 588395)}),
                             (record.stdout_bytes, len(record.stdout), record.gaps))
            self.assertTrue(record.stdout.startswith(b"1\n2\n"))
            self.assertTrue(record.stdout.endswith(b"\n99999\n100000\n"))
            self.assertEqual((0, b"err\n"), (record.code, record.stderr))

    def test_a_signal_and_a_new_size_reach_the_command(self):
        with self.host() as host:
            run = host.start("echo up; exec sleep 600")
            self.assertEqual(("stdout", b"up\n"), next(run.chunks()))
            run.signal("USR1")
            self.assertEqual(("signaled", "USR1"), (run.wait().kind, run.wait().signal))
            run = host.terminal(80, 24, "trap 'stty size; exit 7' WINCH; echo up; "
                                        "while :; do sleep 0.05; done")
            self.assertEqual(("stdout", b"up\r\n"), next(run.chunks()))
            run.resize(101, 33)
            record = run.wait()
            self.assertEqual((7, b"33 101\r\n"), (record.code, record.stdout))

    def test_the_example_runs(self):
        folder = tempfile.mkdtemp(dir=self.folder)
        os.symlink(FRSH, os.path.join(folder, "frsh"))
        env = environment(self.unix.runtime, PYTHONPATH=PACKAGE, HOME=self.folder)
        env["PATH"] = folder + ":" + env["PATH"]
        result = subprocess.run([sys.executable, os.path.join(PACKAGE, "example.py"), "local"],
                                capture_output=True, text=True, timeout=PATIENCE, env=env)
        self.assertEqual(
            "exited 3 b'out\\n' b'err\\n'\nb'a  b|*|'\nb'in\\n/\\n3\\n'\n588895 0\n"
            "not started: exec\n", result.stdout, result.stderr)


class Forwards(Door):
    """Ports and sockets of this side that lead to the server's side."""

    def echo(self, *, family=socket.AF_INET, reset_after=None):
        """Returns where a server listens that sends back what it gets, in capitals."""
        path = self.short_path() if family == socket.AF_UNIX else ("127.0.0.1", 0)
        listening = socket.socket(family)
        listening.bind(path)
        listening.listen(64)
        self.addCleanup(listening.close)

        def serve(connection):
            got = 0
            with connection, contextlib.suppress(ConnectionResetError):
                while piece := connection.recv(65536):
                    got += len(piece)
                    if reset_after is not None and got >= reset_after:
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                              struct.pack("ii", 1, 0))
                        return
                    connection.sendall(piece.upper())

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=serve, args=[listening.accept()[0]], daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        return listening.getsockname()

    @staticmethod
    def exchange(connection, data):
        """Sends all, ends its side, and returns what comes back."""
        connection.settimeout(PATIENCE)
        sender = threading.Thread(target=lambda: (connection.sendall(data),
                                                  connection.shutdown(socket.SHUT_WR)))
        sender.start()
        parts = []
        while piece := connection.recv(65536):
            parts.append(piece)
        sender.join()
        return b"".join(parts)

    def test_d4_a_forward_carries_every_byte_and_each_end(self):
        data = b"abcdefgh" * 250_000
        for place in self.everywhere():
            with self.host(place) as host, host.forward(self.echo()) as forward:
                for text in (data, b"", b"x"):
                    with socket.create_connection(("127.0.0.1", forward.port)) as connection:
                        self.assertEqual(text.upper(), self.exchange(connection, text))
                self.assertEqual(0, host.run("true").code)

    def test_d4_a_path_leads_to_a_path(self):
        here = self.short_path()
        with self.host() as host, host.forward(self.echo(family=socket.AF_UNIX), here):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(here)
                self.assertEqual(b"HELLO", self.exchange(connection, b"hello"))

    def test_d4_a_connection_that_cannot_be_made_ends_alone_with_its_reason(self):
        with self.host() as host, host.forward(("127.0.0.1", 1)) as forward:
            with socket.create_connection(("127.0.0.1", forward.port)) as connection:
                connection.settimeout(PATIENCE)
                self.assertEqual(b"", connection.recv(1))
            wait_until(lambda: forward.problems, "the reason")
            self.assertIn("refused", forward.problems[0])
            self.assertEqual(0, host.run("true").code)

    def test_d4_a_reset_is_a_reset_on_both_sides(self):
        with self.host() as host, host.forward(self.echo(reset_after=3)) as forward:
            with socket.create_connection(("127.0.0.1", forward.port)) as connection:
                connection.settimeout(PATIENCE)
                connection.sendall(b"abc")
                with self.assertRaises(ConnectionResetError):
                    connection.recv(1)

    def test_d4_a_forward_outlasts_a_cut_link(self):
        data = os.urandom(3_000_000).lower()
        with self.host() as host, host.forward(self.echo()) as forward:
            with socket.create_connection(("127.0.0.1", forward.port)) as connection:
                connection.settimeout(PATIENCE)
                sender = threading.Thread(target=lambda: (connection.sendall(data),
                                                          connection.shutdown(socket.SHUT_WR)))
                sender.start()
                got, cuts = b"", 0
                while piece := connection.recv(65536):
                    got += piece
                    if len(got) > (cuts + 1) * 700_000 and cuts < 3:
                        cuts += 1
                        for stat in descendants():
                            if stat.name == "frsh" and stat.parent == os.getpid():
                                os.kill(stat.pid, signal.SIGKILL)
                sender.join()
                self.assertEqual((3, True), (cuts, got == data.upper()))

    def test_d4_the_end_of_a_forward_frees_its_port(self):
        with self.host() as host:
            forward = host.forward(self.echo())
            connection = socket.create_connection(("127.0.0.1", forward.port))
            self.addCleanup(connection.close)
            connection.settimeout(PATIENCE)
            connection.sendall(b"x")
            self.assertEqual(b"X", connection.recv(1))
            forward.close()
            with self.assertRaises(ConnectionResetError):
                connection.recv(1)
            with self.assertRaises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", forward.port))
            self.assertEqual(0, host.run("true").code)


if __name__ == "__main__":
    main()
