"""Forwardings of ssh's configuration and of config.toml, and the options that concern them all."""

import contextlib
import getpass
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import forward_test  # noqa: E402
import harness  # noqa: E402

from harness import main, wait_until  # noqa: E402
from tls import TlsCase, write  # noqa: E402


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


class ForwardConfig(TlsCase):
    def setUp(self):
        if not os.path.exists("/usr/bin/ssh"):
            self.skipTest("no ssh here")
        self.peer = forward_test.Peer(forward_test.echo)
        self.addCleanup(self.peer.close)
        self.client, line = self.trusting()
        self.authorize(line)
        self.box = f"box:{self.server.port}"

    def configure(self, *lines, toml=""):
        """Writes these lines for the host `box` into ssh's file."""
        write(os.path.join(self.client.home, ".ssh/config"),
              f"Host box\n HostName 127.0.0.1\n User {getpass.getuser()}\n"
              f" IdentityFile {self.client.home}/.ssh/id_ed25519\n" +
              "".join(f" {line}\n" for line in lines))
        write(os.path.join(self.client.home, ".config/frsh/config.toml"), toml)

    @contextlib.contextmanager
    def staying(self, *words):
        """A client that stays until the block is left; its stderr goes to a file."""
        log = os.path.join(self.client.home, "log")
        with open(log, "w") as file:
            process = self.client.popen("-N", *words, self.box, stderr=file)
        try:
            yield lambda: open(log).read()
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate()

    def echoes(self, port, host="127.0.0.1", family=socket.AF_INET):
        def attempt():
            with contextlib.suppress(ConnectionRefusedError, FileNotFoundError), \
                    socket.socket(family) as stream:
                stream.settimeout(harness.PATIENCE)
                stream.connect((host, port) if family == socket.AF_INET else port)
                stream.sendall(b"to and fro")
                stream.shutdown(socket.SHUT_WR)
                return forward_test.read_to_end(stream)

        self.assertEqual(wait_until(attempt, "the port"), b"to and fro")

    def test_f12_local_forwards_of_sshs_file_are_acted_on(self):
        local, other = free_port(), free_port()
        path = os.path.join(self.client.home, "here.sock")
        self.configure(f"LocalForward {local} 127.0.0.1:{self.peer.port}",
                       f"LocalForward 127.0.0.1:{other} localhost:{self.peer.port}",
                       f"LocalForward {path} 127.0.0.1:{self.peer.port}")
        with self.staying() as log:
            self.echoes(local)
            self.echoes(other)
            self.echoes(path, family=socket.AF_UNIX)
            self.assertEqual(log(), "")

    def test_f12_remote_and_dynamic_forwards_of_sshs_file_are_acted_on(self):
        dynamic = free_port()
        self.configure(f"RemoteForward 0 127.0.0.1:{self.peer.port}", f"DynamicForward {dynamic}")
        with self.staying() as log:
            found = wait_until(lambda: re.search(r"Allocated port (\d+) for remote forward to "
                                                 rf"127\.0\.0\.1:{self.peer.port}", log()), log)
            self.echoes(int(found.group(1)))
            with socket.create_connection(("127.0.0.1", dynamic)) as stream:
                stream.sendall(b"\5\1\0")
                self.assertEqual(stream.recv(2), b"\5\0")

    def test_f12_forwards_of_the_command_line_are_added_to_those_of_the_file(self):
        local, other = free_port(), free_port()
        spec = f"{local}:127.0.0.1:{self.peer.port}"
        self.configure(f"LocalForward {local} 127.0.0.1:{self.peer.port}")
        # One that both name is bound once.
        with self.staying("-L", f"{other}:127.0.0.1:{self.peer.port}", "-L", spec) as log:
            self.echoes(local)
            self.echoes(other)
            self.assertEqual(log(), "")

    def test_f12_a_taken_port_of_a_file_is_reported_and_the_command_runs(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            self.configure(f"LocalForward 127.0.0.1:{port} 127.0.0.1:1")
            result = self.client.run(self.box, "echo still")
            self.assertEqual((result.code, result.out), (0, b"still\n"), result)
            self.assertIn(f":{port}: Address already in use", result.err)
            self.configure(f"LocalForward 127.0.0.1:{port} 127.0.0.1:1", "ExitOnForwardFailure yes")
            result = self.client.run(self.box, "echo never")
            self.assertEqual((result.code, result.out), (255, b""), result)
            self.assertIn(f":{port}: Address already in use", result.err)
            self.configure(f"LocalForward 127.0.0.1:{port} 127.0.0.1:1", "ClearAllForwardings yes")
            result = self.client.run(self.box, "echo cleared")
            self.assertEqual((result.code, result.out, result.err), (0, b"cleared\n", ""), result)
            result = self.client.run("-oClearAllForwardings=yes", self.box, "echo cleared")
            self.assertEqual((result.code, result.out, result.err), (0, b"cleared\n", ""), result)

    def test_f12_clients_that_forward_nothing_leave_the_files_ports_alone(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            self.configure(f"LocalForward 127.0.0.1:{port} 127.0.0.1:1",
                           f"RemoteForward 127.0.0.1:{port} 127.0.0.1:1")
            to = f"127.0.0.1:{self.peer.port}"
            for words, stdin, out in ((["--runs", self.box], None, b""),
                                      (["--batch", self.box], b"echo line\n", b"line\n"),
                                      (["-W", to, self.box], b"through", b"through")):
                with self.subTest(words[0]):
                    result = self.client.run(*words, stdin=stdin)
                    self.assertEqual((result.code, result.out, result.err), (0, out, ""), result)

    def test_f12_gateway_ports_and_the_mode_of_a_socket_come_from_sshs_file(self):
        local = free_port()
        path = os.path.join(self.client.home, "here.sock")
        with socket.socket(socket.AF_UNIX) as before:
            before.bind(path)
            before.listen(1)
            self.configure("GatewayPorts yes", f"LocalForward {local} 127.0.0.1:{self.peer.port}",
                           f"LocalForward {path} 127.0.0.1:{self.peer.port}",
                           "StreamLocalBindUnlink yes", "StreamLocalBindMask 0117")
            with self.staying() as log:
                self.echoes(local, host="127.0.0.2")
                self.echoes(path, family=socket.AF_UNIX)
                self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o660)
                self.assertEqual(log(), "")

    def test_f12_config_toml_forwards_for_each_host_and_by_default(self):
        local, other = free_port(), free_port()
        place = f"127.0.0.1:{self.peer.port}"
        self.configure(toml=f'[defaults]\nforward = ["L {other}:{place}"]\n'
                            f'[hosts.box]\nforward = ["L {local}:{place}", "D 0"]\n')
        with self.staying() as log:
            self.echoes(local)
            wait_until(lambda: re.search(r"Allocated port \d+ for dynamic forward", log()), log)
        self.configure(toml=f'[defaults]\nforward = ["L {other}:{place}"]\n')
        with self.staying():
            self.echoes(other)

    def audit(self):
        """Returns the events of the audit file."""
        with open(os.path.join(self.folder, "audit")) as file:
            return [json.loads(line)["event"] for line in file if line.endswith("\n")]

    def test_f13_a_command_begins_only_after_each_port_that_must_be_open_is_open(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            self.configure()
            seen = len(self.audit())
            result = self.client.run("-R", f"127.0.0.1:{port}:127.0.0.1:1", self.box, "sleep 1")
            self.assertEqual(result.code, 255, result)
            self.assertIn(f"port {port}", result.err)
        wait_until(lambda: "disconnected" in self.audit()[seen:], "the end of the session")
        self.assertNotIn("started", self.audit()[seen:])
        port = free_port()
        look = f"python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", {port}))'"
        self.assertEqual(self.client.run("-R", f"127.0.0.1:{port}:127.0.0.1:1", self.box, look).code, 0)

    def test_f13_f_returns_when_the_forwards_stand(self):
        local, remote = free_port(), free_port()
        self.configure()
        words = [harness.FRSH, "-f", "-N", "-L", f"{local}:127.0.0.1:{self.peer.port}", "-R",
                 f"127.0.0.1:{remote}:127.0.0.1:{self.peer.port}", "-v", self.box]
        started = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=False,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                 env=harness.environment(self.client.runtime, HOME=self.client.home))
        self.assertEqual(started.returncode, 0)
        children = [stat for stat in harness.descendants() if stat.name == "frsh"]
        try:
            for port in (local, remote):
                with socket.create_connection(("127.0.0.1", port)) as stream:
                    stream.sendall(b"x")
                    self.assertEqual(stream.recv(1), b"x")
        finally:
            for one in children:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one.pid, signal.SIGTERM)
                    os.waitpid(one.pid, 0)

    def test_f14_q_leaves_the_reason_of_a_255(self):
        self.configure()
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            result = self.client.run("-q", "-L", f"{port}:127.0.0.1:1", self.box, "true")
            self.one_line(result, f":{port}: Address already in use")
        self.one_line(self.client.run("-q", "-W", f"127.0.0.1:{free_port()}", self.box),
                      "Connection refused")
        self.one_line(self.client.run("-q", "--cwd", "/none", self.box, "true"), "/none")
        result = self.client.run("-q", self.box, "exit 255")
        self.assertEqual((result.code, result.err), (255, ""), result)


if __name__ == "__main__":
    main()
