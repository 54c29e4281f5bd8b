"""Admission: which peers may connect, and what a refused peer is sent."""

import json
import os
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import (Case, FRSH, FRSHD, PATIENCE, Place, SANITIZED, Server, descendants, environment,  # noqa: E402
                     main, needs_root, wait_until)

STRANGER = 65534


def frame(header, payload=b""):
    if payload:
        header = dict(header, len=len(payload))
    text = json.dumps(header).encode()
    return struct.pack(">I", len(text)) + text + payload


HELLO = frame({"type": "hello", "proto": 1, "software": "test", "features": []})


def open_run(command, channel=1, run="r1", **more):
    return frame(dict({"type": "open", "ch": channel, "run": run, "mode": "command", "args": 1,
                       "env": 0}, **more), command.encode() + b"\0")


def read_frames(connection):
    """Every frame until the peer closes, or resets."""
    data = b""
    try:
        while piece := connection.recv(65536):
            data += piece
    except ConnectionResetError:
        pass
    frames = []
    while len(data) >= 4:
        size = struct.unpack(">I", data[:4])[0]
        header = json.loads(data[4:4 + size])
        end = 4 + size + header.get("len", 0)
        frames.append((header, data[4 + size:end]))
        data = data[end:]
    return frames


def as_stranger(function):
    """Runs it in a child with another uid; its exit code is what the function returns."""
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            os.setgroups([])
            os.setgid(STRANGER)
            os.setuid(STRANGER)
            code = function()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class Admission(Case):
    def connect(self, kind):
        if kind == "unix":
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(self.server.socket)
        else:
            connection = socket.create_connection(("127.0.0.1", self.server.port))
        connection.settimeout(PATIENCE)
        return connection

    def test_another_user_is_refused_on_plain_tcp_with_a_reason_as_root(self):
        needs_root(self)
        proof = self.path("proof")

        def politely():
            with self.connect("tcp") as connection:
                connection.sendall(HELLO + open_run(f"touch {proof}"))
                frames = read_frames(connection)
                errors = [header for header, _ in frames if header["type"] == "error"]
                return 0 if len(errors) == 1 and errors[0]["reason"] == "denied" and \
                    "only the user" in errors[0]["message"] else 1

        def send_and_close():
            for _ in range(50):
                connection = self.connect("tcp")
                connection.sendall(HELLO + open_run(f"touch {proof}"))
                connection.close()
            return 0

        def send_and_reset():
            for _ in range(50):
                connection = self.connect("tcp")
                connection.sendall(HELLO + open_run(f"touch {proof}"))
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                      struct.pack("ii", 1, 0))
                connection.close()
            return 0

        def send_and_half_close():
            for _ in range(20):
                with self.connect("tcp") as connection:
                    connection.sendall(HELLO + open_run(f"touch {proof}"))
                    connection.shutdown(socket.SHUT_WR)
                    read_frames(connection)
            return 0

        for attempt in (politely, send_and_close, send_and_reset, send_and_half_close):
            self.assertEqual(0, as_stranger(attempt), attempt.__name__)
        wait_until(lambda: not self.server.sessions(), "the refused sessions to end")
        self.assertFalse(os.path.exists(proof), "a stranger ran something")

    def test_a_connection_closed_before_the_check_runs_nothing(self):
        # Its owner is unknown now, so even a connection of our own is refused.
        proof = self.path("proof")
        for _ in range(50):
            connection = self.connect("tcp")
            connection.sendall(HELLO)
            connection.close()
        wait_until(lambda: not self.server.sessions(), "the sessions to end")
        self.assertFalse(os.path.exists(proof))

    def test_another_user_is_refused_on_the_unix_socket_as_root(self):
        needs_root(self)
        proof = self.path("proof")

        def cannot_reach():
            try:
                with socket.socket(socket.AF_UNIX) as connection:
                    connection.connect(self.server.socket)
            except PermissionError:
                return 0
            return 1

        def through_an_open_door():
            with self.connect("unix") as connection:
                connection.sendall(HELLO + open_run(f"touch {proof}"))
                frames = read_frames(connection)
                return 0 if [header["type"] for header, _ in frames] == ["error"] and \
                    frames[0][0]["reason"] == "denied" else 1

        self.assertEqual(0, as_stranger(cannot_reach))
        # Even if the folders are opened by mistake, the peer's uid from the kernel is checked.
        folder = os.path.dirname(self.server.socket)
        for path in (self.folder, os.path.dirname(folder), folder):
            os.chmod(path, 0o755)
        os.chmod(self.server.socket, 0o666)
        try:
            self.assertEqual(0, as_stranger(through_an_open_door))
        finally:
            for path in (self.folder, os.path.dirname(folder), folder):
                os.chmod(path, 0o700)
            os.chmod(self.server.socket, 0o600)
        self.assertFalse(os.path.exists(proof))

    def test_a_client_refuses_another_users_server_as_root(self):
        needs_root(self)
        runtime = self.short_path()
        os.mkdir(runtime, 0o755)
        os.chown(runtime, STRANGER, STRANGER)
        os.chmod(self.folder, 0o755)
        self.addCleanup(os.chmod, self.folder, 0o700)
        listening = os.path.join(runtime, "trap.sock")
        # The other user's listener: a child of this test that only waits.
        ready, told = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.setgid(STRANGER)
            os.setuid(STRANGER)
            trap = socket.socket(socket.AF_UNIX)
            trap.bind(listening)
            os.chmod(listening, 0o777)
            trap.listen()
            os.write(told, b"+")
            signal.pause()
            os._exit(0)
        try:
            os.read(ready, 1)
            result = Place("trap", self.folder, ["unix:" + listening]).run([], "true")
            self.assertEqual(255, result.code)
            self.assertIn(b"belongs to another user", result.err)
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(ready)
            os.close(told)

    def test_a_runtime_folder_that_is_open_to_others_is_not_trusted(self):
        runtime = self.short_path()
        os.makedirs(os.path.join(runtime, "frsh"))
        os.chmod(os.path.join(runtime, "frsh"), 0o777)
        result = Place("open", runtime, ["local"]).run([], "true")
        self.assertEqual(255, result.code)
        self.assertIn(b"open to other users", result.err)
        server = subprocess.run([FRSHD, "--unix"], env=environment(runtime), capture_output=True,
                                timeout=PATIENCE)
        self.assertEqual(255, server.returncode)
        self.assertRegex(server.stderr, rb"\Afrshd: [^\n]+\n\Z")

    def test_plain_tcp_is_for_loopback_only(self):
        for where in ("0.0.0.0:0", "[::]:0", "192.0.2.1:0"):
            server = subprocess.run([FRSHD, "--listen", where, "--plaintext"], capture_output=True,
                                    env=environment(self.folder), timeout=PATIENCE)
            self.assertEqual(255, server.returncode, where)
            self.assertRegex(server.stderr, rb"\Afrshd: [^\n]+\n\Z")
        place = Place("far", self.folder, ["--plaintext", "192.0.2.1:1"])
        self.assertIn(b"loopback only", place.run([], "true").err)
        for words in (["127.0.0.1:1"], ["localhost"]):
            result = Place("tls", self.folder, words).run([], "true")
            self.assertEqual(255, result.code, result)

    def test_a_server_that_cannot_listen_reports_the_reason(self):
        def attempt(*arguments):
            result = subprocess.run([FRSHD, *arguments], capture_output=True,
                                    env=environment(self.folder), timeout=PATIENCE)
            self.assertEqual(255, result.returncode, arguments)
            self.assertRegex(result.stderr, rb"\Afrshd: [^\n]+\n\Z")
            return result.stderr

        port = str(self.server.port)
        self.assertIn(b"Address already in use", attempt("--listen", port, "--plaintext"))
        for bad in ("70000", "127.0.0.1:x", "[::1", "no.such.host.invalid:1", ""):
            attempt("--listen", bad, "--plaintext")
        attempt("--listen", port)
        attempt("--plaintext")
        attempt("--stdio", "--unix")
        if os.geteuid() != 0:
            with open("/proc/sys/net/ipv4/ip_unprivileged_port_start") as file:
                if int(file.read()) > 80:
                    self.assertIn(b"below 1024", attempt("--listen", "80", "--plaintext"))

    def test_a1_silent_strangers_do_not_keep_others_out(self):
        # More connections than may be unknown at a time: each is closed after ten seconds.
        silent = [self.connect("tcp") for _ in range(70)]
        try:
            wait_until(lambda: len(self.server.sessions()) == 64, "the unknown to fill up")
            started = time.monotonic()
            result = self.plain.run([], "echo in", timeout=60)
            self.assertEqual((0, b"in\n"), (result.code, result.out), result)
            self.assertLess(time.monotonic() - started, 25)
            frames = read_frames(silent[0])
            self.assertEqual(["hello", "error"], [header["type"] for header, _ in frames])
            self.assertEqual("timeout", frames[1][0]["reason"])
        finally:
            for connection in silent:
                connection.close()

    @unittest.skipIf(SANITIZED, "UBSan looks at memory through a pipe(2), which is not to be had")
    def test_a2_no_descriptors_left_neither_ends_nor_spins_the_listener(self):
        runtime = self.short_path()
        os.mkdir(runtime, 0o700)
        for most in (23, 24, 31):
            server = Server(runtime, preexec_fn=lambda: resource.setrlimit(
                resource.RLIMIT_NOFILE, (most, most)))
            held = []
            try:
                for _ in range(40):
                    connection = socket.create_connection(("127.0.0.1", server.port))
                    held.append(connection)
                wait_until(lambda: "Too many open files" in server.text() or
                           server.process.poll() is not None, "the descriptors to run out")
                before = _cpu(server.pid)
                time.sleep(0.5)
                self.assertIsNone(server.process.poll(), server.text())
                self.assertLess(_cpu(server.pid) - before, 0.2, "it spins")
                for connection in held:
                    connection.close()
                held = []
                place = Place("plain", runtime, ["--plaintext", f"127.0.0.1:{server.port}"])
                wait_until(lambda: place.run([], "true").code == 0, "the server to recover")
            finally:
                for connection in held:
                    connection.close()
                server.end()

    def test_the_listener_survives_a_peer_that_resets_while_it_waits(self):
        for _ in range(100):
            connection = self.connect("tcp")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        self.assertEqual(0, self.plain.run([], "true").code)


def _cpu(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
