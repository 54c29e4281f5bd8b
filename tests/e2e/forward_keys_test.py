"""What authorized_keys lets a key forward, tried by logins."""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import forward_test  # noqa: E402

from harness import main  # noqa: E402
from tls import TlsCase  # noqa: E402


class ForwardKeys(TlsCase):
    def setUp(self):
        self.peer = forward_test.Peer(forward_test.echo)
        self.addCleanup(self.peer.close)
        self.place = f"127.0.0.1:{self.peer.port}"
        self.client, self.line = self.trusting()

    def may_connect(self):
        result = self.client.run("-W", self.place, self.target, stdin=b"there and back")
        self.assertIn((result.code, result.out), ((0, b"there and back"), (255, b"")), result)
        return result.code == 0

    def may_listen(self):
        result = self.client.run("-R", f"0:{self.place}", "-oExitOnForwardFailure=yes", self.target,
                                 "true")
        self.assertIn(result.code, (0, 255), result)
        return result.code == 0

    def test_f9_each_way_of_forwarding_needs_its_own_word(self):
        bound = 'command="true"'
        for options, connects, listens in (
                ("", True, True),
                ("restrict", False, False),
                ("restrict,port-forwarding", True, True),
                ("no-port-forwarding", False, False),
                (f'permitopen="{self.place}"', True, True),
                ('permitopen="127.0.0.1:1"', False, True),
                ('permitlisten="1"', True, False),
                ('permitlisten="localhost:0"', True, True),
                (bound, False, False),
                (bound + ",port-forwarding", True, True),
                (bound + f',permitopen="{self.place}"', True, False),
                (bound + ',permitlisten="localhost:0"', False, True)):
            with self.subTest(options):
                self.authorize(f"{options} {self.line}" if options else self.line)
                self.assertEqual((self.may_connect(), self.may_listen()), (connects, listens))


if __name__ == "__main__":
    main()
