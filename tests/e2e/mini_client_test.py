"""scripts/mini_client.py is written from PROTOCOL.md alone, so these tests check the page too."""

import os
import signal
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import PATIENCE, Case, Server, environment, main, wait_until  # noqa: E402

CLIENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../scripts/mini_client.py")


class MiniClient(Case):
    def setUp(self):
        self.addCleanup(self.no_strays)  # Runs after the test's own cleanup.

    def tearDown(self):
        pass

    def run_mini(self, target, command, stdin=b""):
        result = subprocess.run([sys.executable, CLIENT, target, command], input=stdin,
                                capture_output=True, timeout=PATIENCE,
                                env=environment(self.folder))
        return result.returncode, result.stdout, result.stderr

    def targets(self):
        return ["unix:" + self.server.socket, f"127.0.0.1:{self.server.port}"]

    def test_it_has_at_most_135_lines(self):
        with open(CLIENT) as file:
            self.assertLessEqual(len(file.readlines()), 135)

    def test_streams_stay_apart_and_the_exit_code_is_the_commands(self):
        for target in self.targets():
            self.assertEqual((7, b"out\n", b"err\n"),
                             self.run_mini(target, "echo out; echo err >&2; exit 7"))
            self.assertEqual((128 + signal.SIGKILL, b"", b""),
                             self.run_mini(target, "kill -9 $$"))

    def test_more_than_a_window_goes_through_both_ways_at_once(self):
        data = bytes(range(256)) * 12000
        for target in self.targets():
            code, out, err = self.run_mini(target, "cat", data)
            self.assertEqual((0, True, b""), (code, out == data, err))

    def test_a_command_that_stops_reading_stdin_is_no_error(self):
        for target in self.targets():
            code, out, err = self.run_mini(target, "head -c 1", b"x" * 3_000_000)
            self.assertEqual((0, b"x", b""), (code, out, err))

    def test_a_connection_that_ends_before_the_run_is_lost(self):
        server = Server(os.path.join(self.folder, "none"), tcp=False)
        self.addCleanup(server.end)
        process = subprocess.Popen(
            [sys.executable, CLIENT, "unix:" + server.socket, "echo here; sleep 60"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=environment(self.folder))
        with self.running(process):
            self.assertEqual(b"here\n", process.stdout.readline())
            session = wait_until(server.sessions, "a session")[0]
            os.kill(session.pid, signal.SIGKILL)
            self.assertEqual(255, process.wait(PATIENCE))
            self.assertRegex(process.stderr.read(), rb"\Amini_client: [^\n]+\n\Z")

    def test_a_damaged_checksum_is_not_a_success(self):
        """A server that forwards everything but one byte: the count is right, the sum is not."""
        path = self.short_path()
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(path)
        listening.listen()
        process = subprocess.Popen([sys.executable, CLIENT, "unix:" + path, "echo precious"],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=environment(self.folder))
        with self.running(process):
            near, _ = listening.accept()
            far = socket.socket(socket.AF_UNIX)
            far.connect(self.server.socket)
            near.settimeout(PATIENCE)
            far.settimeout(PATIENCE)
            request = near.recv(65536)
            while b'"type": "eof"' not in request:
                request += near.recv(65536)
            far.sendall(request)
            answer = b""
            while b'"type":"end"' not in answer:
                answer += far.recv(65536)
            near.sendall(answer.replace(b"precious\n", b"precarious"[:8] + b"\n"))
            self.assertEqual(255, process.wait(PATIENCE))
            self.assertIn(b"lost", process.stderr.read())
            near.close()
            far.close()
        listening.close()


if __name__ == "__main__":
    main()
