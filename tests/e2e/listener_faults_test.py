"""Faults around the listener: its end, a log or audit without a reader, dead gates, low limits."""

import contextlib
import fcntl
import json
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import (FRSHD, PATIENCE, SANITIZED, Case, Place, below, environment,  # noqa: E402
                     is_listening, main, process_table, wait_until)
from tls import ROOT, Client, TlsCase, TlsServer, make_folder  # noqa: E402


class Ending(TlsCase):
    def server_of_its_own(self):
        server = TlsServer(make_folder(tempfile.mkdtemp(dir=self.folder)))
        self.addCleanup(server.end)
        return server

    @staticmethod
    def backlog(port):
        """Returns how many connections the listening socket holds that were not accepted."""
        with open("/proc/net/tcp") as file:
            for line in file:
                fields = line.split()
                if fields[1].endswith(f":{port:04X}") and fields[3] == "0A":
                    return int(fields[4].split(":")[1], 16)
        return None

    @staticmethod
    def last_words(connection):
        """Returns the frame that a refused client gets. After it comes a clean end."""
        connection.settimeout(PATIENCE)
        size = struct.unpack(">I", connection.recv(4, socket.MSG_WAITALL))[0]
        header = json.loads(connection.recv(size, socket.MSG_WAITALL))
        assert connection.recv(1) == b"", "bytes after the error"
        return header

    def test_clients_that_wait_when_the_server_is_told_to_end_get_the_reason(self):
        server = self.server_of_its_own()
        waiting = []
        for data in (b"", b"\x16", b"\x16\x03\x01") * 30:
            connection = socket.create_connection(("127.0.0.1", server.port))
            self.addCleanup(connection.close)
            connection.sendall(data)
            waiting.append(connection)
        os.kill(server.pid, signal.SIGTERM)
        for connection in waiting:
            header = self.last_words(connection)
            self.assertEqual(("error", "shutdown"), (header["type"], header["reason"]))

    def test_clients_in_the_kernels_queue_get_the_reason(self):
        server = self.server_of_its_own()
        os.kill(server.pid, signal.SIGSTOP)
        client = Client(server.home, server.runtime).popen(server.name, "true")
        late = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(100)]
        wait_until(lambda: self.backlog(server.port) == 101, "all of them to wait in the kernel")
        os.kill(server.pid, signal.SIGTERM)
        os.kill(server.pid, signal.SIGCONT)
        for connection in late:
            with connection:
                self.assertEqual("shutdown", self.last_words(connection)["reason"])
        _, err = client.communicate(timeout=PATIENCE)
        self.assertEqual((255, 1), (client.returncode, err.count(b"\n")), err)
        self.assertIn(b"this server is being ended; try again", err)


class Readers(Case):
    def tearDown(self):
        self.process.terminate()
        code = self.process.wait(PATIENCE)
        super().tearDown()
        self.assertEqual(0, code)

    def start(self, *arguments, stderr):
        runtime = tempfile.mkdtemp(dir=self.folder)
        process = subprocess.Popen([FRSHD, "--unix", *arguments], env=environment(runtime),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr)
        place = Place("own", runtime, [f"unix:{runtime}/frsh/frshd.sock"])

        self.process = process
        wait_until(lambda: is_listening(f"{runtime}/frsh/frshd.sock"), "the server to listen")
        return place

    def serves(self, place, count=3):
        for number in range(count):
            result = place.run([], f"echo {number}; exit 3", timeout=PATIENCE)
            self.assertEqual((3, f"{number}\n".encode()), (result.code, result.out), result)

    def test_a_log_that_nothing_reads_stops_no_client_and_counts_what_was_dropped(self):
        read_end, write_end = os.pipe()
        self.addCleanup(os.close, read_end)
        fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, 4096)
        place = self.start("-vv", stderr=write_end)
        self.serves(place, 12)
        is_blocking = fcntl.fcntl(write_end, fcntl.F_GETFL) & os.O_NONBLOCK == 0
        self.assertTrue(is_blocking, "the pipe of the parent is as it was")
        os.close(write_end)
        os.set_blocking(read_end, False)
        text = b""

        def counted():
            nonlocal text
            self.serves(place, 1)
            with contextlib.suppress(BlockingIOError):
                text += os.read(read_end, 65536)
            return b"nothing read it in time: " in text

        wait_until(counted, "the number of dropped lines")
        for line in text.split(b"\n")[:-1]:
            self.assertTrue(line.startswith(b"frshd: "), line)

    def test_a_log_whose_reader_is_gone_ends_nothing(self):
        read_end, write_end = os.pipe()
        place = self.start("-vv", stderr=write_end)
        os.close(write_end)
        os.close(read_end)
        self.serves(place)

    def test_an_audit_fifo_without_a_reader_stops_no_client(self):
        fifo = self.path("fifo")
        os.mkfifo(fifo, 0o600)
        log = tempfile.TemporaryFile()
        self.addCleanup(log.close)
        place = self.start("--audit", fifo, stderr=log)
        self.serves(place)
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
        # More than fits: two lines or more of 4 KB each.
        for _ in range(3):
            result = place.run([], "true " + "x" * 5000)
            self.assertEqual(0, result.code, result)
        text = os.read(reader, 1 << 20)
        os.close(reader)  # The reader is gone, and the server goes on.
        self.serves(place)
        lines = text.split(b"\n")[:-1]
        self.assertGreater(len(lines), 3)
        for line in lines:
            json.loads(line)
        log.seek(0)
        self.assertIn(b"audit: its reader is slow or gone; ", log.read())


class Gates(TlsCase):
    def waiting_gate(self):
        """Returns the gate of the preforked session, and that session."""
        table = process_table()
        for stat in below(self.server.pid, table):
            above = table.get(stat.parent)
            if stat.name == "frshd-prefork" and above and above.name == "frshd-prefork" and stat.state not in "ZX":
                return stat.pid, above.pid
        return None

    def test_a_session_whose_gate_died_before_its_client_came_ends(self):
        self.assertEqual(0, self.own.run(self.target, "true").code)
        gate, session = wait_until(self.waiting_gate, "a gate that waits")
        os.kill(gate, signal.SIGKILL)
        wait_until(lambda: not os.path.exists(f"/proc/{session}"), "the session without a gate to end")
        for number in range(3):
            result = self.own.run(self.target, f"exit {number}")
            self.assertEqual((number, ""), (result.code, result.err), result)

    def test_no_gate_stays_a_zombie_where_init_reaps_nothing(self):
        # This process adopts orphans, as an init that reaps nothing.
        before = {stat.pid for stat in process_table().values() if stat.name == "frshd-gate"}
        for _ in range(10):
            self.assertEqual(0, self.own.run(self.target, "true").code)

        def left():
            return [stat for stat in process_table().values()
                    if stat.name == "frshd-gate" and stat.pid not in before]

        wait_until(lambda: not left(), lambda: f"the gates to go: {left()}")

    @unittest.skipIf(SANITIZED, "a sanitizer needs descriptors of its own")
    def test_a_low_limit_of_descriptors_is_one_clear_line(self):
        for most in (8, 9, 12, 16, 17, 20, 26):
            folder = make_folder(tempfile.mkdtemp(dir=self.folder))
            limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # noqa: E731
            with tempfile.TemporaryFile() as log, self.subTest(most):
                process = subprocess.Popen(
                    [FRSHD, "--listen", "127.0.0.1:0", "--host-key", folder + "/key",
                     *(["--permit-root-login"] if ROOT else [])],
                    env=environment(make_folder(folder, "run"), HOME=make_folder(folder, "home")),
                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, preexec_fn=limit)

                def text():
                    return os.pread(log.fileno(), 100_000, 0).decode()

                wait_until(lambda: process.poll() is not None or "(TLS)" in text(), "a start or an end")
                if process.poll() is not None:
                    self.assertRegex(text(), "^frshd: .*Too many open files.*\n$")
                    continue
                name = "127.0.0.1:" + text().split(" (TLS)")[0].rsplit(":", 1)[1]
                try:
                    result = Client(folder + "/home", folder + "/run").run(name, "echo hi")
                    if result.code != 0:
                        self.one_line(result, "Too many open files")
                        self.assertLess(most, 20, result)
                    self.assertNotIn("gate", result.err)
                finally:
                    process.terminate()
                    process.wait(PATIENCE)


if __name__ == "__main__":
    main()
