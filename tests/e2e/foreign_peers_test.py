"""What answers is no frshd: the message names the place and what is probably there, at once."""

import json
import os
import re
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import FRSH, PATIENCE, Case, environment, main  # noqa: E402


def frame(**header):
    text = json.dumps(header).encode()
    return struct.pack(">I", len(text)) + text


def http(status):
    return f"HTTP/1.1 {status} Words\r\nContent-Length: 0\r\n\r\n".encode()


HELLO = {"type": "hello", "software": "frsh/0.1", "features": [], "user": "u", "host": "h"}
# What each peer sends at once, what it sends after the client's first bytes, and its name.
PEERS = {
    "ssh": (b"SSH-2.0-OpenSSH_9.2p1\r\n", b"", "an SSH server"),
    "web": (b"", http(400), "a web server"),
    "page": (b"", b"<!DOCTYPE html><p>Bad request", "a web server"),
    "proxy": (b"", http(407), r"an HTTP proxy that wants a login \(HTTP 407\)"),
    "gateway": (b"", http(502), r"a web server or proxy \(HTTP 502\)"),
    "unavailable": (http(503), b"", r"a web server or proxy \(HTTP 503\)"),
    "smtp": (b"220 mx.example.org ESMTP Postfix\r\n", b"", r"a mail \(SMTP\) server"),
    "ftp": (b"220 (vsFTPd 3.0.3)\r\n", b"", "an FTP server"),
    "pop3": (b"+OK ready\r\n", b"", r"a mail \(POP3\) server"),
    "imap": (b"* OK [CAPABILITY IMAP4rev1] ready\r\n", b"", r"a mail \(IMAP\) server"),
    "redis": (b"", b"-ERR unknown command\r\n", "a Redis server"),
    "vnc": (b"RFB 003.008\n", b"", "a VNC server"),
    "telnet": (b"\xff\xfd\x18\xff\xfd\x20", b"", "a telnet server"),
    "mysql": (b"\x4a\0\0\0\x0a8.0.36\0", b"", "a MySQL server"),
    "postgresql": (b"", b"E\0\0\0\x8fSFATAL\0", "a PostgreSQL server"),
    "rsync": (b"@RSYNCD: 31.0\n", b"", "an rsync server"),
    "amqp": (b"", b"AMQP\0\0\x09\x01", "an AMQP server"),
    "socks": (b"", b"\x05\xff", "a SOCKS proxy"),
    "banner": (b"Welcome to this machine!\n", b"", r'not frsh; it sent "Welcome to this machine!\\x0a"'),
    "binary": (b"\x80\x81\x82\x83\x84", b"", "not frsh; it sent"),
    "older": (frame(**HELLO, proto=0), b"", "protocol 0|another version"),
    "newer": (frame(**HELLO, proto=2), b"", "protocol 2|another version"),
}
# A peer of TLS, for the ways that have none.
TLS_ALERT = (b"", b"\x15\x03\x03\0\x02\x02\x0a", "a TLS server")


class Peer:
    """Listens on TCP and on a path. Sends `first`, then `second` after some bytes, and closes."""

    def __init__(self, path, first, second):
        self.first, self.second, self.count = first, second, 0
        unix = socket.socket(socket.AF_UNIX)
        unix.bind(path)
        unix.listen()
        tcp = socket.create_server(("127.0.0.1", 0))
        self.port = tcp.getsockname()[1]
        self.listening = [unix, tcp]
        for one in self.listening:
            threading.Thread(target=self._accept, args=(one,), daemon=True).start()

    def _accept(self, listening):
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            self.count += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection:
            try:
                connection.sendall(self.first)
                if self.second is not None and connection.recv(1):
                    connection.sendall(self.second)
                while connection.recv(4096):
                    if self.second:
                        connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass

    def close(self):
        for one in self.listening:
            one.shutdown(socket.SHUT_RDWR)
            one.close()


class ForeignPeers(Case):
    def peer(self, *what):
        path = self.short_path()
        peer = Peer(path, *what)
        self.addCleanup(peer.close)
        connect = ("import os, socket, sys, threading\n"
                   "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
                   "def up():\n"
                   "    while data := os.read(0, 4096): s.sendall(data)\n"
                   "threading.Thread(target=up, daemon=True).start()\n"
                   "while data := s.recv(4096): os.write(1, data)\n")
        script = self.short_path()
        with open(script, "w") as file:
            file.write(connect)
        command = f"/usr/bin/python3 {script} {path}"
        here = f"127.0.0.1:{peer.port}"
        ways = {"plaintext": (["--plaintext", here], here), "unix": ([f"unix:{path}"], path),
                "via": (["--via", command, "somewhere"], "the command that leads to the server"), "tcp": ([here], here),
                "proxy": (["-o", f"ProxyCommand={command}", "somewhere"], "somewhere")}
        return peer, ways

    def run_client(self, *words):
        begun = time.monotonic()
        result = subprocess.run([FRSH, "--json", *words, "true"], capture_output=True,
                                env=environment(self.unix.runtime, HOME=self.folder),
                                stdin=subprocess.DEVNULL, timeout=PATIENCE)
        return result, time.monotonic() - begun

    def names(self, what, words, place, expected):
        result, time_taken = self.run_client(*words)
        err = result.stderr.decode()
        lines = [line for line in err.splitlines() if line.startswith("frsh:")]
        self.assertEqual(255, result.returncode, (what, err))
        self.assertEqual(1, len(lines), (what, err))
        self.assertIn(place, lines[0], what)
        self.assertRegex(lines[0], expected, what)
        self.assertNotIn("OpenSSL error", err, what)
        self.assertLess(time_taken, 10, (what, err))
        outcome = json.loads(result.stdout)["outcome"]
        self.assertEqual(("not_started", "connect"), (outcome["kind"], outcome.get("stage")), (what, outcome))

    def test_x1_a_foreign_peer_is_named_by_its_first_bytes(self):
        for name, (first, second, expected) in PEERS.items():
            _, ways = self.peer(first, second)
            for way, (words, place) in ways.items():
                with self.subTest(peer=name, way=way):
                    self.names((name, way), words, place, expected)
        _, ways = self.peer(*TLS_ALERT[:2])
        for way in ("plaintext", "unix", "via"):
            with self.subTest(peer="tls", way=way):
                self.names(("tls", way), *ways[way], TLS_ALERT[2])

    def test_x1_a_peer_that_is_silent_is_named_in_time(self):
        _, ways = self.peer(b"", b"")
        for way, (words, place) in ways.items():
            with self.subTest(way):
                result, _ = self.run_client("--connect-timeout", "1s", *words)
                err = result.stderr.decode()
                self.assertEqual((255, 1), (result.returncode, err.count("\n")), err)
                self.assertIn(place, err)
                self.assertRegex(err, "no answer in time")

    def test_x1_a_peer_that_closes_is_named_and_asked_again(self):
        path = self.short_path()
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(path)
        listening.listen()
        self.addCleanup(listening.close)

        def close_all():
            while True:
                try:
                    listening.accept()[0].close()
                except OSError:
                    return

        threading.Thread(target=close_all, daemon=True).start()
        self.addCleanup(listening.shutdown, socket.SHUT_RDWR)
        result, _ = self.run_client("--on-disconnect=grace:1s", f"unix:{path}")
        err = result.stderr.decode()
        self.assertEqual(255, result.returncode, err)
        self.assertRegex(err, re.escape(path) + ": the connection ended before a greeting of frshd")
        self.assertRegex(err, "trying to get it back for 1 s")


if __name__ == "__main__":
    main()
