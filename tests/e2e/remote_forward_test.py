"""Connections from the server's side (-R): ports, sockets, SOCKS, failures, and a lost link."""

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
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import cutting_proxy  # noqa: E402
import forward_test  # noqa: E402
import harness  # noqa: E402

from forward_test import connect, echo, read_to_end  # noqa: E402

LIMIT = harness.PATIENCE
RESET = struct.pack("ii", 1, 0)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def children():
    found = set()
    for thread in os.listdir("/proc/self/task"):
        with contextlib.suppress(OSError), open(f"/proc/self/task/{thread}/children") as file:
            found.update(int(pid) for pid in file.read().split())
    return found


def has_ipv6_loopback():
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


def round_trip(stream, sent):
    stream.sendall(sent)
    stream.shutdown(socket.SHUT_WR)
    return read_to_end(stream)


class RemoteForward(harness.Case):
    def peer(self, handle=echo, path=None):
        peer = forward_test.Peer(handle, path)
        self.addCleanup(peer.close)
        return peer

    @contextlib.contextmanager
    def forward(self, *options, place=None, port=None):
        """Runs `frsh -N` with these options; yields the process and the server's port."""
        process = (place or self.unix).popen(["-N", *options], stdin=subprocess.DEVNULL,
                                             stderr=subprocess.PIPE)
        try:
            if port is None:
                line = process.stderr.readline().decode()
                found = re.search(r"Allocated port (\d+) for remote forward to (\S+)", line)
                self.assertTrue(found, line)
                port = int(found.group(1))
            yield process, port
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(LIMIT)
            process.stderr.close()

    def through(self, proxy, grace):
        return harness.Place("cut", self.unix.runtime,
                             ["--plaintext", f"--on-disconnect=grace:{grace}",
                              f"127.0.0.1:{proxy.port}"])

    def test_f4_a_port_of_the_server_leads_here_from_both_loopbacks(self):
        peer = self.peer()
        for place in self.places:
            with self.subTest(place.name), \
                    self.forward("-R", f"0:127.0.0.1:{peer.port}", place=place) as (_, port):
                hosts = ["127.0.0.1"]
                if has_ipv6_loopback():
                    hosts.append("::1")
                for host in hosts:
                    with connect(port, host) as stream:
                        self.assertEqual(round_trip(stream, b"to and fro"), b"to and fro")

    def test_f4_the_port_is_announced_as_ssh_does(self):
        process = self.unix.popen(["-N", "-R", "0:localhost:80"], stdin=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE)
        with process:
            line = process.stderr.readline().decode()
            process.terminate()
        self.assertRegex(line, r"Allocated port [1-9]\d* for remote forward to localhost:80\n$")

    def test_f4_unix_sockets_on_either_side(self):
        there = os.path.join(self.folder, "there.sock")
        here = os.path.join(self.folder, "here.sock")
        self.peer(path=here)
        with socket.socket(socket.AF_UNIX) as left_over:
            left_over.bind(there)  # Its file stays, and no server listens on it.
        with self.forward("-R", f"{there}:{here}", "-R", f"0:{here}") as (_, port):
            with socket.socket(socket.AF_UNIX) as stream, connect(port) as other:
                stream.settimeout(LIMIT)
                stream.connect(there)
                for each in (stream, other):
                    self.assertEqual(round_trip(each, b"x" * 1000), b"x" * 1000)
            result = self.unix.run(["-N", "-R", f"{there}:{here}"])
            self.assertEqual(result.code, 255)
            self.assertIn(f"{there}: another server listens there".encode(), result.err)
        harness.wait_until(lambda: not os.path.exists(there), "the socket to be removed")
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(there)
            other.listen()
            with self.forward("-oStreamLocalBindUnlink=yes", "-R", f"{there}:{here}", "-R",
                              f"0:{here}"), socket.socket(socket.AF_UNIX) as stream:
                stream.settimeout(LIMIT)
                stream.connect(there)
                self.assertEqual(round_trip(stream, b"mine"), b"mine")

    def test_f4_a_port_alone_is_a_socks_proxy_of_the_server(self):
        peer = self.peer()
        closed = free_port()
        with self.forward("-R", "0") as (process, port):
            with connect(port) as stream:
                stream.sendall(b"\5\1\0")
                self.assertEqual(stream.recv(2), b"\5\0")
                stream.sendall(b"\5\1\0\3\x09localhost" + struct.pack(">H", peer.port) + b"early ")
                self.assertEqual(stream.recv(10), b"\5\0\0\1" + bytes(6))
                self.assertEqual(round_trip(stream, b"by name"), b"early by name")
            with connect(port) as stream:
                stream.sendall(b"\5\1\0")
                self.assertEqual(stream.recv(2), b"\5\0")
                stream.sendall(b"\5\1\0\1\x7f\0\0\1" + struct.pack(">H", closed))
                self.assertEqual(stream.recv(10)[1], 5)
                self.assertEqual(read_to_end(stream), b"")
            with connect(port) as stream:
                stream.sendall(b"GET / HTTP/1.0\r\n\r\n")
                self.assertEqual(read_to_end(stream), b"")
            self.assertIn(f"forwarding to 127.0.0.1:{closed}: Connection refused",
                          process.stderr.readline().decode())

    def test_f4_a_half_close_and_a_reset_travel_both_ways(self):
        def answer_at_the_end(stream):
            stream.sendall(hashlib.sha256(read_to_end(stream)).digest())

        def reset(stream):
            stream.recv(1)
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

        def wait_for_reset(stream):
            try:
                ends.append(read_to_end(stream))
            except ConnectionResetError:
                ends.append("reset")
            done.set()

        ends, done = [], threading.Event()
        sent = os.urandom(3_000_000)
        with self.forward("-R", f"0:127.0.0.1:{self.peer(answer_at_the_end).port}") as (_, port), \
                connect(port) as stream:
            self.assertEqual(round_trip(stream, sent), hashlib.sha256(sent).digest())
        with self.forward("-R", f"0:127.0.0.1:{self.peer(reset).port}") as (_, port), \
                connect(port) as stream:
            stream.sendall(b"x")
            with self.assertRaises(ConnectionResetError):
                read_to_end(stream)
        peer = self.peer(wait_for_reset)
        with self.forward("-R", f"0:127.0.0.1:{peer.port}") as (_, port):
            stream = connect(port)
            harness.wait_until(lambda: peer.accepted == 1, "the peer to accept")
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            stream.close()
            self.assertTrue(done.wait(LIMIT))
        self.assertEqual(ends, ["reset"])

    def test_f5_a_port_that_cannot_be_bound_is_named(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            result = self.unix.run(["-N", "-R", f"{port}:127.0.0.1:1"])
            self.assertEqual(result.code, 255)
            self.assertIn(f"remote port forwarding failed for listen port {port}: ".encode(),
                          result.err)
            result = self.unix.run(["-oExitOnForwardFailure=no", "-R", f"{port}:127.0.0.1:1"],
                                   "echo still")
            self.assertEqual((result.code, result.out), (0, b"still\n"))
            self.assertIn(f"listen port {port}: ".encode(), result.err)
        result = self.unix.run(["-N", "-R", f"192.0.2.1:{port}:127.0.0.1:1"])
        self.assertEqual(result.code, 255)
        self.assertIn(f"listen 192.0.2.1:{port}: ".encode(), result.err)
        result = self.unix.run(["-R", "8080:db"], "true")
        self.assertEqual(result.code, 255)
        self.assertIn(b"Bad remote forwarding specification '8080:db'", result.err)

    def test_f5_an_address_is_bound_and_no_other(self):
        peer = self.peer()
        with self.forward("-R", f"127.0.0.2:0:127.0.0.1:{peer.port}") as (_, port):
            with connect(port, "127.0.0.2") as stream:
                self.assertEqual(round_trip(stream, b"there"), b"there")
            with self.assertRaises(ConnectionRefusedError):
                connect(port)

    def test_f5_a_refused_connection_ends_alone_with_one_line(self):
        closed = free_port()
        with self.forward("-R", f"0:127.0.0.1:{closed}") as (process, port):
            for _ in range(2):
                with connect(port) as stream, self.assertRaises(ConnectionResetError):
                    read_to_end(stream)
                self.assertEqual(process.stderr.readline().decode(),
                                 f"frsh: forwarding to 127.0.0.1:{closed}: Connection refused\n")
            self.assertIsNone(process.poll())

    def test_f4_the_command_finds_the_port_bound_and_its_end_frees_it(self):
        peer = self.peer(lambda stream: stream.sendall(b"from here\n"))
        port = free_port()
        for place in self.places:
            with self.subTest(place.name):
                result = place.run(["-R", f"{port}:127.0.0.1:{peer.port}"],
                                   f"bash -c 'cat < /dev/tcp/127.0.0.1/{port}'")
                self.assertEqual((result.code, result.out, result.err), (0, b"from here\n", b""))
                harness.wait_until(lambda: self.is_free(port), "the port to be free", 5)

    def is_free(self, port):
        try:
            connect(port).close()
        except ConnectionRefusedError:
            return True
        return False

    def test_f6_a_connection_from_the_server_goes_on_after_cuts(self):
        peer = self.peer()
        sent = os.urandom(10_000_000)
        fates = [cutting_proxy.Fate(way, up=2_000_000, down=2_500_000)
                 for way in ("close", "reset", "half-far")]
        proxy = cutting_proxy.CuttingProxy(
            self.server.port, lambda n: fates[n] if n < len(fates) else None)
        with contextlib.closing(proxy), \
                self.forward("-R", f"0:127.0.0.1:{peer.port}",
                             place=self.through(proxy, "30s")) as (_, port), \
                connect(port) as stream:
            sender = threading.Thread(target=lambda: (stream.sendall(sent),
                                                      stream.shutdown(socket.SHUT_WR)))
            sender.start()
            received = read_to_end(stream)
            sender.join()
            self.assertEqual(proxy.count, len(fates) + 1)
        self.assertEqual(hashlib.sha256(received).digest(), hashlib.sha256(sent).digest())
        self.assertEqual(peer.accepted, 1)

    def test_f6_a_port_stays_bound_while_the_link_is_lost(self):
        peer = self.peer()
        lost, may_return = threading.Event(), threading.Event()

        def fate(number):
            if number == 0:
                return cutting_proxy.Fate("reset", up=100_000)
            lost.set()
            return None if may_return.is_set() else cutting_proxy.Fate("reset", up=0)

        proxy = cutting_proxy.CuttingProxy(self.server.port, fate)
        with contextlib.closing(proxy), \
                self.forward("-R", f"0:127.0.0.1:{peer.port}",
                             place=self.through(proxy, "60s")) as (process, port):
            with connect(port) as stream:
                answer = []
                reader = threading.Thread(target=lambda: answer.append(read_to_end(stream)))
                reader.start()
                stream.sendall(b"x" * 200_000)
                self.assertTrue(lost.wait(LIMIT))
                with connect(port) as other:  # The kernel accepts it.
                    other.sendall(b"early")
                    may_return.set()
                    other.shutdown(socket.SHUT_WR)
                    self.assertEqual(read_to_end(other), b"early")
                begun = time.monotonic()
                with connect(port) as other:
                    self.assertEqual(round_trip(other, b"late"), b"late")
                self.assertLess(time.monotonic() - begun, 1)
                stream.shutdown(socket.SHUT_WR)
                reader.join(LIMIT)
            self.assertEqual(answer, [b"x" * 200_000])
            self.assertIsNone(process.poll())

    def test_f6_the_end_of_the_grace_period_resets_and_frees_the_port(self):
        ends, held = [], threading.Event()

        def wait_for_end(stream):
            stream.recv(1)
            held.set()
            try:
                ends.append(read_to_end(stream))
            except ConnectionResetError:
                ends.append("reset")

        peer = self.peer(wait_for_end)
        for option in ("-R", "-L"):
            with self.subTest(option):
                held.clear()
                ends.clear()
                proxy = cutting_proxy.CuttingProxy(self.server.port, lambda n: None)
                place = self.through(proxy, "300ms")
                with contextlib.closing(proxy):
                    process = place.popen(["-N", option, f"0:127.0.0.1:{peer.port}"],
                                          stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
                    with process:
                        found = re.search(rb"port (\d+)", process.stderr.readline())
                        port = int(found.group(1))
                        with connect(port) as stream:
                            stream.sendall(b"x")
                            self.assertTrue(held.wait(LIMIT))
                            process.kill()
                            process.wait(LIMIT)
                            with self.assertRaises(ConnectionResetError):
                                read_to_end(stream)
                harness.wait_until(lambda: ends, "the end at the peer")
                self.assertEqual(ends, ["reset"])
                harness.wait_until(lambda: self.is_free(port), "the port to be free")

    def test_f4_f_returns_when_the_port_is_bound(self):
        peer = self.peer()
        port = free_port()
        before = children()
        result = self.unix.run(["-f", "-N", "-R", f"{port}:127.0.0.1:{peer.port}"])
        self.assertEqual(result.code, 0)
        with connect(port) as stream:
            self.assertEqual(round_trip(stream, b"at once"), b"at once")
        for pid in children() - before:  # The harness is the subreaper.
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)
        harness.wait_until(lambda: self.is_free(port), "the port to be free")


if __name__ == "__main__":
    unittest.main()
