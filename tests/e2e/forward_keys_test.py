"""What authorized_keys lets a key forward, tried by logins."""

import json
import os
import socket
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import forward_test  # noqa: E402

from harness import main, wait_until  # noqa: E402
from tls import TlsCase, TlsServer, make_folder, write  # noqa: E402


class ForwardKeys(TlsCase):
    def setUp(self):
        self.peer = forward_test.Peer(forward_test.echo)
        self.addCleanup(self.peer.close)
        self.place = f"127.0.0.1:{self.peer.port}"
        self.client, self.line = self.trusting()

    def may_connect(self, target=None):
        result = self.client.run("-W", self.place, target or self.target, stdin=b"there and back")
        self.assertIn((result.code, result.out), ((0, b"there and back"), (255, b"")), result)
        return result.code == 0

    def may_listen(self, target=None):
        result = self.client.run("-R", f"0:{self.place}", "-oExitOnForwardFailure=yes",
                                 target or self.target, "true")
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

    def server_with(self, name, config):
        folder = make_folder(self.folder, name)
        write(os.path.join(folder, "frshd.toml"), config)
        server = TlsServer(folder, "--config", os.path.join(folder, "frshd.toml"))
        self.addCleanup(server.end)
        write(os.path.join(server.home, ".ssh/authorized_keys"), self.line + "\n")
        self.assertEqual(self.client.run("--trust", server.name).code, 0)
        return server

    def test_f10_the_servers_file_says_what_clients_may_forward(self):
        for number, (config, connects, listens) in enumerate((
                ('forwarding = "none"', False, False),
                ('forwarding = "local"', True, False),
                ('forwarding = "remote"', False, True),
                ('forwarding = "all"', True, True),
                (f'permit_open = ["{self.place}"]', True, True),
                ('permit_open = ["127.0.0.1:1", "/run/x"]', False, True),
                ("permit_open = []", False, True),
                ('permit_open = ["127.0.0.1:*"]', True, True),
                ('permit_listen = ["localhost:0"]', True, True),
                ('permit_listen = ["localhost:1"]', True, False))):
            with self.subTest(config):
                server = self.server_with(f"f10-{number}", config + "\n")
                self.assertEqual((self.may_connect(server.name), self.may_listen(server.name)),
                                 (connects, listens))

    def test_f10_a_refusal_names_the_servers_file_and_a_key_opens_nothing(self):
        server = self.server_with("f10-key", 'forwarding = "none"\npermit_open = ["a:1"]\n')
        write(os.path.join(server.home, ".ssh/authorized_keys"), f"port-forwarding {self.line}\n")
        result = self.client.run("-W", self.place, server.name)
        self.one_line(result, self.place, "forwarding in frshd.toml does not allow it")

    def records(self, event):
        with open(os.path.join(self.folder, "audit")) as file:
            lines = [json.loads(line) for line in file if line.endswith("\n")]
        return [line for line in lines if line["event"] == event and
                line["session"] not in self.earlier]

    def test_f11_each_forwarded_connection_is_in_the_audit_with_its_bytes_both_ways(self):
        self.earlier = set()
        self.earlier = {line["session"] for line in self.records("connected")}
        self.authorize(self.line)
        self.assertTrue(self.may_connect())
        [ended] = wait_until(lambda: self.records("forward"), "the record")
        [begun] = self.records("forwarding")
        self.assertEqual(("connect", self.place, {"kind": "exited", "code": 0}, 14, 14),
                         (ended["way"], ended["place"], ended["outcome"], ended["bytes_to_peer"],
                          ended["bytes_to_client"]))
        common = ("session", "from", "user", "key", "run", "way", "place")
        self.assertEqual([begun[key] for key in common], [ended[key] for key in common])
        self.assertRegex(ended["key"], "^SHA256:")

    def test_f11_a_refused_connection_is_in_the_audit(self):
        self.earlier = set()
        self.earlier = {line["session"] for line in self.records("connected")}
        self.authorize(f'permitopen="127.0.0.1:1" {self.line}')
        self.assertFalse(self.may_connect())
        [ended] = wait_until(lambda: self.records("forward"), "the record")
        self.assertEqual(("not_started", self.place, 0),
                         (ended["outcome"]["kind"], ended["place"], ended["bytes_to_peer"]))

    def test_f11_a_connection_that_arrived_is_in_the_audit_with_its_peer(self):
        self.earlier = set()
        self.earlier = {line["session"] for line in self.records("connected")}
        self.authorize(self.line)
        process = self.client.popen("-N", "-R", f"0:{self.place}", self.target)
        try:
            port = int(process.stderr.readline().split()[3])
            with socket.create_connection(("127.0.0.1", port)) as stream:
                own = "127.0.0.1:%d" % stream.getsockname()[1]
                stream.sendall(b"abc")
                stream.shutdown(socket.SHUT_WR)
                self.assertEqual(forward_test.read_to_end(stream), b"abc")
            [ended] = wait_until(lambda: self.records("forward"), "the record")
        finally:
            process.terminate()
            process.communicate()
        self.assertEqual(("accept", f"localhost:{port}", own, 3, 3),
                         (ended["way"], ended["place"], ended["peer"], ended["bytes_to_peer"],
                          ended["bytes_to_client"]))

    def test_f11_a_session_that_dies_leaves_the_end_of_its_connections(self):
        self.earlier = set()
        self.earlier = {line["session"] for line in self.records("connected")}
        self.authorize(self.line)
        process = self.client.popen("-oServerAliveInterval=0", "--on-disconnect=kill", "-L",
                                    f"0:{self.place}", self.target, "read x; kill -9 $PPID",
                                    stdin=-1)
        port = int(process.stderr.readline().split()[3])
        with socket.create_connection(("127.0.0.1", port)) as stream:
            stream.sendall(b"x")
            self.assertEqual(stream.recv(1), b"x")
            process.communicate(b"now\n")
        [ended] = wait_until(lambda: self.records("forward"), "the record")
        self.assertEqual("lost", ended["outcome"]["kind"])


if __name__ == "__main__":
    main()
