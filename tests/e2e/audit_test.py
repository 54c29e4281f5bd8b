"""The audit file has every connection, also those that ended before a login."""

import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import FRSHD, environment, main, wait_until  # noqa: E402
from tls import TlsCase, TlsServer, make_folder, make_key, write  # noqa: E402


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

    def test_y1_a_run_is_recorded_when_it_begins_and_when_it_ends(self):
        process = self.own.popen(self.target, "read line; exit 3", stdin=subprocess.PIPE)
        [begun] = wait_until(lambda: [line for line in self.new_lines() if line["event"] == "started"], "the run")
        self.assertEqual(("read line; exit 3", False),
                         (begun["command"], any(line["event"] == "run" for line in self.new_lines())))
        process.communicate(b"go\n")
        [ended] = wait_until(lambda: [line for line in self.new_lines() if line["event"] == "run"], "its end")
        self.assertEqual({"kind": "exited", "code": 3}, ended["outcome"])
        common = ("session", "from", "user", "key", "run", "command")
        self.assertEqual([begun[key] for key in common], [ended[key] for key in common])

    def test_y1_a_run_that_kills_its_session_has_a_beginning_and_ends_in_the_audit(self):
        for options in ([], ["--run-id", "killer"]):
            seen = len(self.all_lines())
            command = "kill -9 $PPID; exit 7"
            self.own.run(*options, self.target, command)

            def lines(event):
                return [line for line in self.all_lines()[seen:] if line["event"] == event]

            [gone] = wait_until(lambda: [line for line in lines("disconnected") if "reason" in line],
                                "the end of the session")
            self.assertIn("signal KILL", gone["reason"])
            [begun], [ended] = lines("started"), lines("run")
            self.assertEqual((command, command), (begun["command"], ended["command"]))
            self.assertEqual("lost", ended["outcome"]["kind"])
            self.assertRegex(ended["key"], "^SHA256:")
            self.assertEqual([begun["session"]] * 2, [ended["session"], gone["session"]])

    def test_y1_a_command_of_any_bytes_is_one_line_with_the_users_name(self):
        forged = 'x\n{"event": "run", "user": "root"}\udcff'
        self.own.run(self.target, ": '" + forged + "'")
        [ended] = wait_until(lambda: [line for line in self.new_lines() if line["event"] == "run"], "the run")
        self.assertNotEqual("root", ended["user"] if os.geteuid() else "")
        self.assertIn("command_b64", ended)


class FullDisk(TlsCase):
    """A limit for the size of files (setrlimit(2)) cuts a line as a full disk does."""

    def start(self, name, *, limit=None, config="", before=b""):
        folder = make_folder(self.folder, name)
        path = os.path.join(folder, "audit")
        with open(path, "wb") as file:
            file.write(before)
        write(os.path.join(folder, "frshd.toml"), config)
        server = TlsServer(folder, "--config", os.path.join(folder, "frshd.toml"))
        self.addCleanup(server.end)
        client, line = self.trusting()
        write(os.path.join(server.home, ".ssh/authorized_keys"), line + "\n")
        self.assertEqual(0, client.run("--trust", server.name).code)
        if limit is not None:
            self.limit(server, limit + os.path.getsize(path))
        return server, client, path

    def limit(self, server, size):
        _, hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size, hard))

    def test_y2_a_torn_line_is_never_followed_on_its_line(self):
        server, client, path = self.start("torn", limit=100, before=b"of an earlier server")
        self.assertEqual(0, client.run(server.name, "true").code)
        wait_until(lambda: os.path.getsize(path) >= 100, "the disk to fill")
        self.limit(server, resource.RLIM_INFINITY)
        seen = os.path.getsize(path)
        self.assertEqual(0, client.run(server.name, "echo after").code)

        def lines():
            with open(path, "rb") as file:
                return file.read()[seen:].decode().split("\n")

        wait_until(lambda: any('"disconnected"' in line for line in lines()), "the later lines")
        torn, *whole, last = lines()
        self.assertEqual(("", ""), (torn, last))
        commands = [line["command"] for line in map(json.loads, whole) if line["event"] == "started"]
        self.assertEqual(["echo after"], commands)
        with open(path, "rb") as file:
            self.assertEqual(b"of an earlier server", file.readline().strip())

    def test_y2_write_errors_are_reported_once_a_minute(self):
        server, client, _ = self.start("errors", limit=0, before=b"x" * 65536 + b"\n")
        for _ in range(3):
            self.assertEqual(0, client.run(server.name, "true").code)
        self.assertEqual(1, server.text().count("audit: write:"), server.text())

    def test_y3_no_login_goes_on_unrecorded_where_the_audit_is_required(self):
        server, client, path = self.start("required", limit=100, config="audit_required = true\n")
        proof = os.path.join(self.folder, "proof")
        for _ in range(3):
            self.one_line(client.run(server.name, f"touch {proof}"), "audit")
        self.assertFalse(os.path.exists(proof))
        self.limit(server, resource.RLIM_INFINITY)
        self.assertEqual(0, client.run(server.name, "true").code)
        with open(path) as file:
            self.assertIn('"connected"', file.read())

    def test_y3_a_fifo_that_nothing_reads_is_no_required_audit(self):
        folder = make_folder(self.folder, "unread")
        fifo, proof = os.path.join(folder, "audit"), os.path.join(folder, "proof")
        os.mkfifo(fifo, 0o600)
        write(os.path.join(folder, "frshd.toml"), "audit_required = true\n")
        server = TlsServer(folder, "--config", os.path.join(folder, "frshd.toml"))
        self.addCleanup(server.end)
        client, line = self.trusting()
        write(os.path.join(server.home, ".ssh/authorized_keys"), line + "\n")
        self.assertEqual(0, client.run("--trust", server.name).code)
        for reload in (False, True):
            if reload:
                os.kill(server.pid, signal.SIGHUP)
                wait_until(lambda: "reloaded the configuration" in server.text(), "the reload")
            self.one_line(client.run(server.name, f"touch {proof}"), "audit")
            with open(os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)) as reader:
                self.assertEqual(0, client.run(server.name, "true").code)
                self.assertIn('"connected"', reader.read())
            self.one_line(client.run(server.name, f"touch {proof}"), "audit")
        self.assertFalse(os.path.exists(proof))

    def test_y3_a_required_audit_needs_a_file(self):
        folder = make_folder(self.folder, "none")
        write(os.path.join(folder, "frshd.toml"), "audit_required = true\n")
        result = subprocess.run([FRSHD, "--unix", "--config", folder + "/frshd.toml"], capture_output=True,
                                text=True, env=environment(folder))
        self.assertEqual(255, result.returncode)
        self.assertRegex(result.stderr, r"\Afrshd: audit_required: [^\n]+\n\Z")


if __name__ == "__main__":
    main()
