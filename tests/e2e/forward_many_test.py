"""A thousand forwarded connections on one link, and a peer that opens ten thousand."""

import contextlib
import os
import resource
import selectors
import socket
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import forward_test  # noqa: E402
import harness  # noqa: E402

from wire import Wire  # noqa: E402

MANY = 1000
OPENS = 10_000


class Echo:
    """Echoes on any number of connections with one thread."""

    def __init__(self):
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.port = self.listening.getsockname()[1]
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listening, selectors.EVENT_READ)
        self.most = self.now = self.accepted = 0
        self.is_closed = False
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while not self.is_closed:
            for key, _ in self.selector.select(0.2):
                with contextlib.suppress(OSError):
                    self._handle(key.fileobj)

    def _handle(self, stream):
        if stream is self.listening:
            stream, _ = self.listening.accept()
            self.selector.register(stream, selectors.EVENT_READ)
            self.accepted += 1
            self.now += 1
            self.most = max(self.most, self.now)
            return
        try:
            part = stream.recv(65536)
        except OSError:
            part = b""
        if part:
            stream.sendall(part)
            return
        self.selector.unregister(stream)
        self.now -= 1
        stream.close()

    def close(self):
        self.is_closed = True
        self.thread.join()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()


class ForwardMany(harness.Case):
    forward = forward_test.Forward.forward

    @classmethod
    def setUpClass(cls):
        cls.limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        if cls.limits[1] < 8192:
            raise unittest.SkipTest("this machine permits fewer than 8,192 descriptors")
        resource.setrlimit(resource.RLIMIT_NOFILE, (8192, cls.limits[1]))
        cls.addClassCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, cls.limits)
        super().setUpClass()

    def echo(self):
        peer = Echo()
        self.addCleanup(peer.close)
        return peer

    def test_f23_a_thousand_connections_through_one_link_each_get_their_own_bytes(self):
        peer = self.echo()
        with self.forward("-L", f"0:127.0.0.1:{peer.port}") as (_, port), contextlib.ExitStack() as stack:
            streams = [stack.enter_context(forward_test.connect(port)) for _ in range(MANY)]
            for number, stream in enumerate(streams):
                stream.sendall(b"%06d" % number * 20)
            for number, stream in enumerate(streams):
                wanted, got = b"%06d" % number * 20, b""
                while len(got) < len(wanted):
                    part = stream.recv(len(wanted) - len(got))
                    self.assertTrue(part, number)
                    got += part
                self.assertEqual(got, wanted)
            self.assertEqual(peer.now, MANY)

    def test_f23_a_stuck_connection_delays_no_other(self):
        peer = forward_test.Peer(forward_test.echo)  # A thread for each, since one of them blocks.
        self.addCleanup(peer.close)
        with self.forward("-L", f"0:127.0.0.1:{peer.port}") as (_, port):
            with forward_test.connect(port) as stuck, forward_test.connect(port) as other:
                # Its own side reads nothing, so all buffers on its way fill.
                stuck.setblocking(False)
                sent, last = 0, time.monotonic()
                while time.monotonic() - last < 1:
                    with contextlib.suppress(BlockingIOError):
                        sent += stuck.send(bytes(65536))
                        last = time.monotonic()
                self.assertGreater(sent, 0)
                other.sendall(b"through")
                self.assertEqual(other.recv(7), b"through")

    def test_f23_a_peer_that_opens_ten_thousand_gets_no_more_than_its_share(self):
        peer = self.echo()
        place = f"127.0.0.1\0{peer.port}\0".encode()
        with Wire(self.server.socket) as wire:
            with contextlib.suppress(OSError):
                for channel in range(1, OPENS + 1):
                    wire.send({"type": "open", "ch": channel, "run": f"r{channel}", "mode": "connect",
                               "args": 2, "env": 0}, payload=place)
            harness.wait_until(lambda: peer.accepted >= 1, "the first connections")
            # Another client of the same server is served meanwhile.
            self.assertEqual(self.unix.run([], "echo served").out, b"served\n")
        self.assertLessEqual(peer.most, 1024)
        harness.wait_until(lambda: peer.now == 0, "the connections to end")


if __name__ == "__main__":
    unittest.main()
