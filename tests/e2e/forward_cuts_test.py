"""100 MB each way through -L while the link is cut 20 times at random: one TCP connection."""

import contextlib
import hashlib
import os
import random
import socket
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import cutting_proxy  # noqa: E402
import forward_test  # noqa: E402
import harness  # noqa: E402

CUTS = 20
MEGABYTES = 10 if harness.SANITIZED else 100


def blocks(seed, count):
    """Yields pseudo-random megabytes, so that neither side holds all of them."""
    source = random.Random(seed)
    for _ in range(count):
        yield source.randbytes(1_000_000)


def send_all(stream, seed, count, sums):
    digest = hashlib.sha256()
    for block in blocks(seed, count):
        digest.update(block)
        stream.sendall(block)
    stream.shutdown(socket.SHUT_WR)
    sums.append(digest.hexdigest())


def hash_all(stream, sums):
    digest = hashlib.sha256()
    while part := stream.recv(1 << 18):
        digest.update(part)
    sums.append(digest.hexdigest())


class ForwardCuts(harness.Case):
    # Not the class itself: its own cases run in its own area.
    peer, forward = forward_test.Forward.peer, forward_test.Forward.forward

    def test_f21_a_hundred_megabytes_each_way_survive_20_cuts_as_one_connection(self):
        seed = int.from_bytes(os.urandom(4), "big")
        chance = random.Random(seed)
        there = {"sent": [], "received": []}

        def exchange(stream):
            sender = threading.Thread(target=send_all, args=(stream, seed + 1, MEGABYTES, there["sent"]))
            sender.start()
            hash_all(stream, there["received"])
            sender.join()

        peer = self.peer(exchange)
        total = MEGABYTES * 1_000_000
        # Each connection is cut after its share, so that the last one carries the rest.
        share = total // (CUTS + 5)
        fates = [cutting_proxy.Fate(chance.choice(("close", "reset", "half-far")),
                                    up=chance.randrange(share // 8, share),
                                    down=chance.randrange(share // 8, share)) for _ in range(CUTS)]
        proxy = cutting_proxy.CuttingProxy(self.server.port,
                                           lambda n: fates[n] if n < len(fates) else None)
        here = {"sent": [], "received": []}
        with contextlib.closing(proxy):
            place = harness.Place("cut", self.unix.runtime,
                                  ["--plaintext", "--on-disconnect=grace:60s", f"127.0.0.1:{proxy.port}"])
            with self.forward("-L", f"0:127.0.0.1:{peer.port}", place=place) as (_, port), \
                    forward_test.connect(port) as stream:
                stream.settimeout(None)
                sender = threading.Thread(target=send_all, args=(stream, seed, MEGABYTES, here["sent"]))
                sender.start()
                hash_all(stream, here["received"])
                sender.join()
                harness.wait_until(lambda: there["received"], f"the peer's end (seed {seed})")
            self.assertEqual(proxy.count, CUTS + 1, f"seed {seed}")
        self.assertEqual(here["sent"], there["received"], f"seed {seed}")
        self.assertEqual(there["sent"], here["received"], f"seed {seed}")
        self.assertEqual(peer.accepted, 1)


if __name__ == "__main__":
    unittest.main()
