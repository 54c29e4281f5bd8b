"""Peers on another machine: penalties, and machines that vanish.

Three network namespaces: client, router, server. A router that stops forwarding is a cut cable, and
neither end is notified. Needs root for the namespaces; the long tests need FRSH_TEST_FULL=1.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import FRSH, FRSHD, FULL, SANITIZED, Daemon, environment, main, wait_until  # noqa: E402
from tls import ROOT, Result, make_folder, make_key, write  # noqa: E402

SERVER = "10.77.1.2"


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Network:
    def __init__(self):
        tag = f"f{os.getpid() % 1000000}"
        self.server, self.router, self.client = (f"{tag}{end}" for end in "src")
        self.made = []
        for name in (self.server, self.router, self.client):
            ip("netns", "add", name)
            self.made.append(name)
            ip("-n", name, "link", "set", "lo", "up")
        for number, end in ((1, self.server), (2, self.client)):
            ip("link", "add", "e0", "netns", end, "type", "veth", "peer", "name", f"r{number}",
               "netns", self.router)
            ip("-n", end, "addr", "add", f"10.77.{number}.2/24", "dev", "e0")
            ip("-n", self.router, "addr", "add", f"10.77.{number}.1/24", "dev", f"r{number}")
            ip("-n", end, "link", "set", "e0", "up")
            ip("-n", self.router, "link", "set", f"r{number}", "up")
            ip("-n", end, "route", "add", "default", "via", f"10.77.{number}.1")
        self.forward("1")

    def forward(self, value):
        subprocess.run(["ip", "netns", "exec", self.router, "sh", "-c",
                        f"echo {value} > /proc/sys/net/ipv4/ip_forward"], check=True, capture_output=True)

    def close(self):
        for name in self.made:
            ip("netns", "del", name)


class Server(Daemon):
    def __init__(self, network, folder):
        self.home, self.runtime = make_folder(folder, "home"), make_folder(folder, "run")
        self.log = tempfile.TemporaryFile()
        self.audit = os.path.join(folder, "audit")
        self.config = os.path.join(folder, "frshd.toml")
        write(self.config, "")
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", network.server, FRSHD, "-v", "--listen", "0.0.0.0:7722",
             "--audit", self.audit, "--config", self.config, "--permit-root-login", "--host-key", os.path.join(folder, "host_key")] +
            (["--no-sandbox"] if SANITIZED else []),
            env=environment(self.runtime, HOME=self.home), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=self.log)
        self.pid = self.process.pid
        wait_until(lambda: "host key SHA256" in self.text(), "frshd to listen")


@unittest.skipUnless(ROOT, "SKIP: not root, who alone may make network namespaces")
class OverANetwork(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="frsh-net-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        try:
            cls.network = Network()
        except (OSError, subprocess.CalledProcessError) as error:
            raise unittest.SkipTest(f"SKIP: no network namespaces here: {error}") from None
        cls.addClassCleanup(cls.network.close)
        cls.home, cls.runtime = make_folder(cls.folder, "client"), make_folder(cls.folder, "client-run")
        cls.line = make_key(os.path.join(cls.home, ".ssh/id_ed25519"))
        make_key(os.path.join(cls.home, "wrong"))

    def setUp(self):
        self.server = Server(self.network, make_folder(self.folder, self.id().rsplit(".", 1)[1]))
        self.addCleanup(self.server.end)
        write(os.path.join(self.server.home, ".ssh/authorized_keys"), self.line + "\n")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.home, ".config/frsh/known_hosts"))
        result = self.run_client("--accept-new", SERVER, "echo in")
        self.assertEqual((result.code, result.out), (0, b"in\n"), result)

    def popen(self, *words, where=None):
        return subprocess.Popen(["ip", "netns", "exec", where or self.network.client, FRSH, *words],
                                env=environment(self.runtime, HOME=self.home), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run_client(self, *words, where=None):
        process = self.popen(*words, where=where)
        out, err = process.communicate(timeout=30)
        return Result(process, out, err)

    def fail_until_kept_out(self):
        """Returns how many logins with a wrong key were judged, and the first that was not."""
        for tries in range(20):
            result = self.run_client("-i", os.path.join(self.home, "wrong"), SERVER, "true")
            self.assertEqual(result.code, 255)
            if "login refused" not in result.err:
                return tries, result
        self.fail("for ever")

    def fail_at_once(self, count=12):
        """Makes many failures, which are judged side by side as far as there is room."""
        failing = [self.popen("-i", os.path.join(self.home, "wrong"), SERVER, "true") for _ in range(count)]
        for process in failing:
            process.communicate(timeout=60)
            self.assertEqual(process.returncode, 255)

    def audit(self):
        with open(self.server.audit) as file:
            return [json.loads(line) for line in file]

    def test_only_a_source_that_keeps_failing_is_refused_for_a_while(self):
        tries, result = self.fail_until_kept_out()
        # Each adds a penalty of five seconds, and penalties count from fifteen seconds.
        self.assertGreaterEqual(tries, 3)
        self.assertRegex(result.err, r"failed too often of late \(try again in \d+ s\)\n\Z")
        wait = int(re.search(r"again in (\d+) s", result.err).group(1))
        self.assertLessEqual(wait, 5 * tries)
        self.assertIn("10.77.2.2 has failed too often", self.server.text())
        lines = self.audit()
        penalties = [line for line in lines if line["event"] == "penalty"]
        self.assertEqual([(line["source"], line["seconds"]) for line in penalties], [("10.77.2.2", 5)] * tries)
        kept_out = [line["kept_out"] > 0 for line in penalties]
        self.assertEqual(kept_out, sorted(kept_out))
        self.assertEqual((kept_out[0], kept_out[-1]), (False, True))
        [refused] = [line for line in lines if "failed too often" in line.get("reason", "")][:1]
        self.assertRegex(refused["from"], r"^10\.77\.2\.2:\d+$")
        # Another source is not affected.
        result = self.run_client("--accept-new", SERVER, "echo in", where=self.network.server)
        self.assertEqual(result.out, b"in\n", result)

    def test_b1_an_authorized_key_gets_in_beside_the_penalty_of_its_source(self):
        self.fail_at_once()
        self.assertGreater(max(line.get("kept_out", 0) for line in self.audit()), 20)
        got_in = 0
        for _ in range(4):
            time.sleep(1.1)  # One login a second.
            got_in += self.run_client(SERVER, "echo in").out == b"in\n"
        self.assertEqual(got_in, 4, self.server.text()[-2000:])
        # They have lifted nothing: what fails is not judged more often than once a second.
        before = self.server.text().count("failed too often")
        self.fail_at_once()
        self.assertGreater(self.server.text().count("failed too often"), before + 5)

    def test_b1_an_exempt_network_gets_no_penalty(self):
        write(self.server.config, 'penalty_exempt = ["192.0.2.7", "10.77.2.0/24"]\n')
        before = self.server.text().count("reloaded the configuration")
        os.kill(self.server.pid, signal.SIGHUP)
        wait_until(lambda: self.server.text().count("reloaded the configuration") > before, "the reload")
        self.fail_at_once()
        self.assertEqual(self.run_client(SERVER, "echo in").out, b"in\n")
        self.assertNotIn("penalty", [line["event"] for line in self.audit()])
        write(self.server.config, 'penalty_exempt = ["10.77.3.0/24"]\n')
        os.kill(self.server.pid, signal.SIGHUP)
        wait_until(lambda: self.server.text().count("reloaded the configuration") > before + 1, "the reload")
        self.fail_at_once()
        self.assertIn("penalty", [line["event"] for line in self.audit()])

    def test_a_laptop_with_a_new_address_resumes_its_run(self):
        tick = os.path.join(self.folder, "tick")
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.network.client, FRSH, "-o", "ServerAliveInterval=1",
             "-o", "ServerAliveCountMax=2", SERVER,
             f"seq 1 1000; until test -e {tick}; do sleep 0.1; echo; done | wc -c >&2; cat; exit 7"],
            env=environment(self.runtime, HOME=self.home), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
        try:
            self.assertEqual(b"1\n", process.stdout.readline())
            client = self.network.client
            ip("-n", client, "link", "set", "e0", "down")
            self.assertIn(b"the connection was lost", process.stderr.readline())
            ip("-n", client, "addr", "flush", "dev", "e0")
            ip("-n", client, "addr", "add", "10.77.2.9/24", "dev", "e0")
            ip("-n", client, "link", "set", "e0", "up")
            ip("-n", client, "route", "add", "default", "via", "10.77.2.1")
            open(tick, "w").close()
            out, err = process.communicate(b"x" * 300_000, timeout=60)
            self.assertEqual(process.returncode, 7, err)
            self.assertTrue(out == b"".join(b"%d\n" % i for i in range(2, 1001)) + b"x" * 300_000)
            self.assertRegex(err, rb"\A\d+\n\Z")
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()
            ip("-n", client, "addr", "flush", "dev", "e0")
            ip("-n", client, "addr", "add", "10.77.2.2/24", "dev", "e0")
            ip("-n", client, "route", "replace", "default", "via", "10.77.2.1")

    @unittest.skipUnless(FULL, "SKIP: takes two minutes; FRSH_TEST_FULL=1")
    def test_a_vanished_machine_is_dead_a_stopped_client_is_not(self):
        def pid_of(name):
            path = os.path.join(self.folder, name)
            def look():
                with contextlib.suppress(FileNotFoundError):
                    with open(path) as file:
                        return file.read().strip()
                return ""
            return wait_until(look, name)

        commands = {"idle": "exec sleep 1000", "much": "exec yes",
                    "little": "while echo x; do sleep 1; done", "silent": "exec sleep 1000"}
        processes, pids = {}, {}
        for name, command in commands.items():
            path = os.path.join(self.folder, name)
            processes[name] = self.popen("--on-disconnect=kill", SERVER,
                                         f"echo $$ > {path}; {command}")
            # Their output is read until the cable is cut, except that of "much".
            pids[name] = pid_of(name)
        # On the same machine as the server, and so not cut off: stopped in the middle of much data.
        stopped = self.popen("--accept-new", SERVER, "seq 1 5000000", where=self.network.server)
        time.sleep(0.5)
        os.kill(stopped.pid, signal.SIGSTOP)
        self.network.forward("0")
        cut = time.monotonic()
        found = {}
        os.kill(processes["silent"].pid, signal.SIGSTOP)  # The machine's kernel still answers.
        # The output of "much" is not read, so it waits for a reader; "silent" is stopped.
        while len(found) < 2 * len(commands) - 2 and time.monotonic() < cut + 150:
            for name in commands:
                if f"server, {name}" not in found and not os.path.exists(f"/proc/{pids[name]}"):
                    found[f"server, {name}"] = time.monotonic() - cut
                if f"client, {name}" not in found and name in ("idle", "little") and \
                        processes[name].poll() is not None:
                    found[f"client, {name}"] = time.monotonic() - cut
            time.sleep(0.1)
        try:
            print({name: round(took, 1) for name, took in sorted(found.items())}, file=sys.stderr)
            for name in commands:
                with self.subTest(name):
                    self.assertGreater(found[f"server, {name}"], 40)
                    self.assertLess(found[f"server, {name}"], 90)
            for name in ("idle", "little"):
                self.assertGreater(found[f"client, {name}"], 40)
                self.assertLess(found[f"client, {name}"], 90)
                err = processes[name].stderr.read().decode()
                self.assertEqual(processes[name].returncode, 255)
                self.assertRegex(err, r"\Afrsh: [^\n]*lost[^\n]*\n\Z")
            # Stopped for longer than any of these, and still connected.
            self.assertGreater(time.monotonic() - cut, 60)
            os.kill(stopped.pid, signal.SIGCONT)
            out, err = stopped.communicate(timeout=60)
            self.assertEqual((stopped.returncode, err), (0, b""))
            self.assertTrue(out == b"".join(b"%d\n" % i for i in range(1, 5000001)))
        finally:
            for process in [*processes.values(), stopped]:
                process.kill()
                process.communicate()
            self.network.forward("1")


if __name__ == "__main__":
    main()
