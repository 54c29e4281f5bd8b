"""The audit file has every connection, also those that ended before a login."""

import contextlib
import json
import os
import resource
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import main, wait_until  # noqa: E402
from tls import TlsCase, make_key  # noqa: E402


def fingerprint(path):
    out = subprocess.run(["ssh-keygen", "-l", "-f", path], capture_output=True, text=True, check=True)
    return out.stdout.split()[1]


class Audited(TlsCase):
    def setUp(self):
        self.seen = len(self.all_lines())

    def all_lines(self):
        with open(os.path.join(self.folder, "audit")) as file:
            return [json.loads(line) for line in file if line.endswith("\n")]

    def new_lines(self):
        return self.all_lines()[self.seen:]

    def line(self, what, accept):
        """The one new line that `accept` takes; the log has its reason as well."""
        [found] = wait_until(lambda: list(filter(accept, self.new_lines())), what)
        self.assertIn(found["reason"], self.server.text())
        self.assertRegex(found["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        return found

    def raw(self, data=b""):
        connection = socket.create_connection(("127.0.0.1", self.server.port))
        self.addCleanup(connection.close)
        connection.sendall(data)
        return connection

    def from_us(self, connection):
        name = "127.0.0.1:%d" % connection.getsockname()[1]
        return lambda line: line["from"] == name

    def test_a_login_that_is_refused_names_the_key(self):
        client, _ = self.trusting()
        client.run("-l", "no-such-user", self.target, "true")
        line = self.line("the refusal", lambda line: line["event"] == "refused")
        self.assertEqual((line["user"], line["key"], line["reason"]),
                         ("no-such-user", fingerprint(client.home + "/.ssh/id_ed25519.pub"),
                          "no such account"))
        self.assertNotIn("tried", line)

    def test_all_refused_keys_of_a_probe_are_logged(self):
        client, _ = self.trusting()
        make_key(os.path.join(client.home, ".ssh/id_ecdsa"), kind="ecdsa")
        client.run("no-such-user@" + self.target, "true")
        line = self.line("the line", lambda line: line.get("tried"))
        self.assertEqual((line["event"], line["user"], line["key"]), ("left", "no-such-user", None))
        self.assertEqual(line["reason"], "no key was acceptable")
        self.assertEqual(line["tried"], [fingerprint(client.home + "/.ssh/id_ed25519.pub"),
                                         fingerprint(client.home + "/.ssh/id_ecdsa.pub")])

    def test_a_client_that_only_connects_is_logged_as_left(self):
        client = self.stranger()
        self.assertEqual(client.run("--trust", self.target).code, 0)
        line = self.line("the line", lambda line: line["event"] == "left")
        self.assertEqual((line["user"], line["key"], line["reason"]), (None, None, "without a login"))

    def test_a_peer_without_tls_is_logged_as_refused(self):
        connection = self.raw(b"GET / HTTP/1.1\r\nHost: " + b"x" * 100 + b"\r\n\r\n")
        line = self.line("the line", self.from_us(connection))
        self.assertEqual(line["event"], "refused")
        self.assertTrue(line["reason"])

    def test_a_silent_or_slow_client_is_logged_as_refused(self):
        silent, gone = self.raw(), self.raw(b"\x16")
        # The start of a ClientHello. The rest of it never arrives.
        slow = self.raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 60)
        accept_gone = self.from_us(gone)
        gone.close()
        for connection, reason in ((silent, "sent nothing"),
                                   (slow, "no login within the time given")):
            line = self.line(reason, self.from_us(connection))
            self.assertEqual((line["event"], line["reason"]), ("refused", reason))
        self.assertEqual(self.line("who hung up", accept_gone)["reason"], "sent nothing")

    def test_a_client_refused_for_load_is_logged(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard < 2000:
            self.skipTest("too few descriptors to keep a server busy")
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        with contextlib.ExitStack() as crowd:
            for _ in range(1100):
                crowd.enter_context(socket.create_connection(("127.0.0.1", self.server.port)))
            busy = wait_until(lambda: [line for line in self.new_lines()
                                       if "too many connections" in line.get("reason", "")], "a busy server")
        self.assertRegex(busy[0]["from"], r"^127\.0\.0\.1:\d+$")
        self.assertEqual(busy[0]["event"], "refused")


if __name__ == "__main__":
    main()
