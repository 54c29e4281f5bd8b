"""-W: stdin and stdout of the client are one connection that the server makes."""

import hashlib
import os
import socket
import struct
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import forward_test  # noqa: E402
import harness  # noqa: E402

from forward_test import echo, read_to_end  # noqa: E402

LIMIT = harness.PATIENCE


class StdioForward(harness.Case):
    def peer(self, handle=echo, path=None):
        peer = forward_test.Peer(handle, path)
        self.addCleanup(peer.close)
        return peer

    def test_f7_bytes_and_ends_travel_both_ways(self):
        def answer_at_the_end(stream):
            stream.sendall(hashlib.sha256(read_to_end(stream)).digest())

        sent = os.urandom(2_000_000)
        port = self.peer(answer_at_the_end).port
        path = os.path.join(self.folder, "there.sock")
        self.peer(path=path)
        for place in self.places:
            with self.subTest(place.name):
                result = place.run(["-W", f"127.0.0.1:{port}"], stdin=sent)
                self.assertEqual((result.code, result.out, result.err),
                                 (0, hashlib.sha256(sent).digest(), b""))
                result = place.run(["-W", path, "-oClearAllForwardings=yes"], stdin=b"to and fro")
                self.assertEqual((result.code, result.out, result.err), (0, b"to and fro", b""))

    def test_f7_the_end_of_the_peer_arrives_while_stdin_is_open(self):
        def speak_first(stream):
            stream.sendall(b"hello")
            stream.shutdown(socket.SHUT_WR)
            heard.append(read_to_end(stream))

        heard = []
        port = self.peer(speak_first).port
        process = self.unix.popen(["-W", f"127.0.0.1:{port}"], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE)
        with process:
            self.assertEqual(process.stdout.read(), b"hello")
            process.stdin.write(b"after the end")
            process.stdin.close()
            self.assertEqual(process.wait(LIMIT), 0)
        harness.wait_until(lambda: heard == [b"after the end"], "the peer to read all")

    def test_f7_a_failure_is_255_and_named(self):
        def reset(stream):
            stream.recv(1)
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        with socket.create_server(("127.0.0.1", 0)) as taken:
            closed = taken.getsockname()[1]
        result = self.unix.run(["-W", f"127.0.0.1:{closed}"])
        self.assertEqual((result.code, result.out, result.err),
                         (255, b"", f"frsh: -W 127.0.0.1:{closed}: Connection refused\n".encode()))
        result = self.unix.run(["-W", f"127.0.0.1:{self.peer(reset).port}"], stdin=b"x")
        self.assertEqual(result.code, 255)
        self.assertIn(b"the connection was reset", result.err)
        result = self.unix.run(["-W", "no-port"])
        self.assertEqual(result.code, 255)
        self.assertIn(b"Bad stdio forwarding specification 'no-port'", result.err)


if __name__ == "__main__":
    unittest.main()
