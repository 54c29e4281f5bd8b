"""Forwarded connections: -L and -D, their ends, their refusals, and a connection that is cut."""

import contextlib
import hashlib
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

import cutting_proxy  # noqa: E402
import harness  # noqa: E402

LIMIT = harness.PATIENCE


def read_to_end(stream):
    parts = []
    while True:
        part = stream.recv(65536)
        if not part:
            return b"".join(parts)
        parts.append(part)


def echo(stream):
    """Sends everything back; ends its direction when the peer has ended."""
    while True:
        part = stream.recv(65536)
        if not part:
            break
        stream.sendall(part)
    stream.shutdown(socket.SHUT_WR)


class Peer:
    """A server that handles each connection in a thread of its own."""

    def __init__(self, handle, path=None):
        if path:
            self.listening = socket.socket(socket.AF_UNIX)
            self.listening.bind(path)
            self.listening.listen(128)
        else:
            self.listening = socket.create_server(("127.0.0.1", 0), backlog=128)
            self.port = self.listening.getsockname()[1]
        self.handle = handle
        self.accepted = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                stream, _ = self.listening.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._handle, args=(stream,), daemon=True).start()

    def _handle(self, stream):
        with stream, contextlib.suppress(OSError):
            self.handle(stream)

    def close(self):
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()


def connect(port, host="127.0.0.1"):
    return socket.create_connection((host, port), timeout=LIMIT)


class Forward(harness.Case):
    def peer(self, handle=echo, path=None):
        peer = Peer(handle, path)
        self.addCleanup(peer.close)
        return peer

    @contextlib.contextmanager
    def forward(self, *options, place=None):
        """Runs `frsh -N` with these options; yields the process and the port that it chose."""
        process = (place or self.unix).popen(["-N", *options], stdin=subprocess.DEVNULL,
                                             stderr=subprocess.PIPE)
        try:
            line = process.stderr.readline().decode()
            found = re.search(r"Allocated port (\d+) for ", line)
            self.assertTrue(found, line)
            yield process, int(found.group(1))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(LIMIT)
            process.stderr.close()

    def test_f1_a_tcp_port_is_reached_on_both_loopbacks(self):
        peer = self.peer()
        for place in self.places:
            with self.subTest(place.name), \
                    self.forward("-L", f"0:127.0.0.1:{peer.port}", place=place) as (_, port):
                hosts = ["127.0.0.1"]
                if os.path.exists("/proc/net/if_inet6") and "00000001 01" in open(
                        "/proc/net/if_inet6").read():
                    hosts.append("::1")
                for host in hosts:
                    with connect(port, host) as stream:
                        stream.sendall(b"to and fro")
                        stream.shutdown(socket.SHUT_WR)
                        self.assertEqual(read_to_end(stream), b"to and fro")

    def test_f1_a_unix_socket_is_reached_from_a_unix_socket(self):
        there = os.path.join(self.folder, "there.sock")
        here = os.path.join(self.folder, "here.sock")
        self.peer(path=there)
        with self.forward("-L", f"{here}:{there}", "-L", f"0:{there}") as (_, port):
            with socket.socket(socket.AF_UNIX) as stream, connect(port) as other:
                stream.settimeout(LIMIT)
                stream.connect(here)
                for each in (stream, other):
                    each.sendall(b"x" * 1000)
                    each.shutdown(socket.SHUT_WR)
                    self.assertEqual(read_to_end(each), b"x" * 1000)
        self.assertFalse(os.path.exists(here))

    def test_f1_a_half_close_travels_both_ways(self):
        def answer_at_the_end(stream):
            stream.sendall(hashlib.sha256(read_to_end(stream)).digest())

        def speak_first(stream):
            stream.sendall(b"hello")
            stream.shutdown(socket.SHUT_WR)
            heard.append(read_to_end(stream))
            done.set()

        heard, done = [], threading.Event()
        sent = os.urandom(300000)
        peer = self.peer(answer_at_the_end)
        with self.forward("-L", f"0:127.0.0.1:{peer.port}") as (_, port), connect(port) as stream:
            stream.sendall(sent)
            stream.shutdown(socket.SHUT_WR)
            self.assertEqual(read_to_end(stream), hashlib.sha256(sent).digest())
        peer = self.peer(speak_first)
        with self.forward("-L", f"0:127.0.0.1:{peer.port}") as (_, port), connect(port) as stream:
            self.assertEqual(read_to_end(stream), b"hello")
            stream.sendall(b"after the end")
            stream.shutdown(socket.SHUT_WR)
            self.assertTrue(done.wait(LIMIT))
        self.assertEqual(heard, [b"after the end"])

    def test_f1_a_reset_travels_both_ways(self):
        def reset(stream):
            stream.recv(1)
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        def wait_for_reset(stream):
            try:
                ends.append(read_to_end(stream))
            except ConnectionResetError:
                ends.append("reset")
            done.set()

        ends, done = [], threading.Event()
        peer = self.peer(reset)
        with self.forward("-L", f"0:127.0.0.1:{peer.port}") as (_, port), connect(port) as stream:
            stream.sendall(b"x")
            with self.assertRaises(ConnectionResetError):
                read_to_end(stream)
        peer = self.peer(wait_for_reset)
        with self.forward("-L", f"0:127.0.0.1:{peer.port}") as (_, port):
            stream = connect(port)
            harness.wait_until(lambda: peer.accepted == 1, "the peer to accept")
            reset_by = struct.pack("ii", 1, 0)
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset_by)
            stream.close()
            self.assertTrue(done.wait(LIMIT))
        self.assertEqual(ends, ["reset"])

    def test_f2_a_refused_connection_ends_alone_with_one_line(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            closed = taken.getsockname()[1]
        peer = self.peer()
        with self.forward("-L", f"0:127.0.0.1:{closed}") as (process, port):
            with connect(port) as stream:
                self.assertEqual(read_to_end(stream), b"")
            self.assertEqual(process.stderr.readline().decode(),
                             f"frsh: forwarding to 127.0.0.1:{closed}: Connection refused\n")
            self.assertIsNone(process.poll())
        with self.forward("-D", "0") as (_, port):
            with connect(port) as stream:
                stream.sendall(b"\5\1\0")
                self.assertEqual(stream.recv(2), b"\5\0")
                stream.sendall(b"\5\1\0\1\x7f\0\0\1" + struct.pack(">H", closed))
                self.assertEqual(stream.recv(10)[1], 5)
            with connect(port) as stream:
                stream.sendall(b"\5\1\0")
                self.assertEqual(stream.recv(2), b"\5\0")
                stream.sendall(b"\5\1\0\3\x09localhost" + struct.pack(">H", peer.port))
                self.assertEqual(stream.recv(10), b"\5\0\0\1" + bytes(6))
                stream.sendall(b"by name")
                stream.shutdown(socket.SHUT_WR)
                self.assertEqual(read_to_end(stream), b"by name")

    def test_f1_a_hundred_connections_at_once(self):
        peer = self.peer()
        with self.forward("-L", f"0:127.0.0.1:{peer.port}") as (_, port), \
                contextlib.ExitStack() as stack:
            streams = [stack.enter_context(connect(port)) for _ in range(100)]
            for number, stream in enumerate(streams):
                stream.sendall(b"%d" % number * 500)
                stream.shutdown(socket.SHUT_WR)
            for number, stream in enumerate(streams):
                self.assertEqual(read_to_end(stream), b"%d" % number * 500)

    def test_f3_a_connection_goes_on_after_cuts(self):
        peer = self.peer()
        sent = os.urandom(10_000_000)
        fates = [cutting_proxy.Fate(way, up=2_000_000, down=2_500_000)
                 for way in ("close", "reset", "half-far")]
        proxy = cutting_proxy.CuttingProxy(
            self.server.port, lambda n: fates[n] if n < len(fates) else None)
        with contextlib.closing(proxy):
            place = harness.Place("cut", self.unix.runtime,
                                  ["--plaintext", "--on-disconnect=grace:30s",
                                   f"127.0.0.1:{proxy.port}"])
            with self.forward("-L", f"0:127.0.0.1:{peer.port}", place=place) as (_, port), \
                    connect(port) as stream:
                sender = threading.Thread(target=lambda: (stream.sendall(sent),
                                                          stream.shutdown(socket.SHUT_WR)))
                sender.start()
                received = read_to_end(stream)
                sender.join()
            self.assertEqual(proxy.count, len(fates) + 1)
        self.assertEqual(hashlib.sha256(received).digest(), hashlib.sha256(sent).digest())
        self.assertEqual(peer.accepted, 1)

    def test_the_client_stays_until_its_connections_have_ended(self):
        peer = self.peer()
        process = self.unix.popen(["-L", f"0:127.0.0.1:{peer.port}"], "read line; echo $line",
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE)
        with process:
            port = int(re.search(rb"port (\d+)", process.stderr.readline()).group(1))
            with connect(port) as stream:
                stream.sendall(b"1")
                self.assertEqual(stream.recv(1), b"1")
                process.stdin.write(b"done\n")
                process.stdin.flush()
                self.assertEqual(process.stdout.readline(), b"done\n")
                stream.sendall(b"2")
                self.assertEqual(stream.recv(1), b"2")
                self.assertIsNone(process.poll())
            self.assertEqual(process.wait(LIMIT), 0)

    def test_f2_a_taken_port_and_a_bad_text_are_named(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            result = self.unix.run(["-N", "-L", f"{port}:127.0.0.1:1"])
            self.assertEqual(result.code, 255)
            self.assertIn(b"frsh: -L: ", result.err)
            self.assertIn(f":{port}: Address already in use".encode(), result.err)
            result = self.unix.run(["-oExitOnForwardFailure=no", "-L", f"{port}:127.0.0.1:1"],
                                   "echo still")
            self.assertEqual((result.code, result.out), (0, b"still\n"))
            self.assertIn(f":{port}: Address already in use".encode(), result.err)
        result = self.unix.run(["-L", "8080:db"], "true")
        self.assertEqual(result.code, 255)
        self.assertIn(b"Bad local forwarding specification '8080:db'", result.err)
        result = self.unix.run(["-oClearAllForwardings=yes", "-L", "0:db:1"], "true")
        self.assertEqual((result.code, result.err), (0, b""))


if __name__ == "__main__":
    unittest.main()
