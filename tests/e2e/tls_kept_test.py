"""Kept runs over TLS: which user owns them, and that a failed connection does not affect them."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from cutting_proxy import CuttingProxy, Fate  # noqa: E402
from harness import PATIENCE, descendants, needs_root, wait_until  # noqa: E402
from tls import TlsCase, TlsServer, Users, make_folder, write  # noqa: E402


class TlsKept(TlsCase):
    def runs(self, client, target=None):
        result = client.run("--runs", "--json", target or self.target)
        self.assertEqual(0, result.code, result)
        return {one["run"]: one["outcome"]["kind"] for one in map(json.loads, result.out.splitlines())}

    def gates(self):
        return [one.pid for one in descendants() if one.name == "frshd-gate" and one.state not in "ZX"]

    def test_a_detached_run_is_found_by_the_next_connection(self):
        go = os.path.join(self.folder, "go")
        result = self.own.run("--detach", self.target, f"echo a; while ! test -e {go}; do sleep 0.02; done; exit 3")
        self.assertEqual(0, result.code, result)
        run = result.out.decode().strip()
        wait_until(lambda: not self.gates(), "the gate to go")
        self.assertEqual("running", self.runs(self.own)[run])
        process = self.own.popen("--attach", run, self.target, bufsize=0)
        self.assertEqual(b"a\n", process.stdout.readline())
        open(go, "w").close()
        process.communicate(timeout=PATIENCE)
        self.assertEqual(3, process.returncode)

    def test_killed_gates_cost_a_follower_nothing(self):
        command = "seq 1 300000; read x; seq 1 300000 >&2; echo $x; exit 6"
        process = self.own.popen("--run-id", "gates", self.target, command, stdin=subprocess.PIPE,
                                 bufsize=0)
        self.assertEqual(b"1\n", process.stdout.readline())
        gate, = self.gates()
        os.kill(gate, signal.SIGKILL)
        self.assertIn(b"the connection was lost", process.stderr.readline())
        out, err = process.communicate(b"word\n", timeout=PATIENCE)
        sequence = b"".join(b"%d\n" % i for i in range(1, 300001))
        self.assertEqual(6, process.returncode, err[-500:])
        self.assertTrue(out == sequence[2:] + b"word\n")
        self.assertTrue(err == sequence)

    def test_many_cuts_and_retries_lose_nothing(self):
        proxy = CuttingProxy(self.server.port, lambda n: Fate("reset", down=200_000) if n < 12 else None)
        self.addCleanup(proxy.close)
        result = self.own.run("-q", "--accept-new", "--run-id", "again", f"127.0.0.1:{proxy.port}",
                              "head -c 2000000 /dev/zero | tee /dev/stderr; exit 5")
        self.assertEqual((5, 2_000_000, 2_000_000), (result.code, len(result.out), len(result.err)))
        self.assertGreater(proxy.count, 5)

    def test_a_key_with_a_command_sees_only_its_own_runs(self):
        self.assertEqual(0, self.own.run("--run-id", "free", self.target, "echo secret").code)
        client, line = self.trusting()
        self.authorize(f'command="echo bound; exit 4" {line}')
        self.assertEqual({}, self.runs(client))
        for options in (("--attach", "free"), ("--logs", "fr"), ("--kill", "free"), ("--forget", "free")):
            result = client.run(*options, self.target)
            self.one_line(result, "there is no run")
        # No answer depends on the runs of its owner: the id is free here.
        for run in ("free", "mine"):
            result = client.run("--run-id", run, self.target, "echo secret")
            self.assertEqual((4, b"bound\n"), (result.code, result.out), result)
        self.assertEqual({"free": "exited", "mine": "exited"}, self.runs(client))
        self.assertEqual(b"secret\n", self.own.run("--logs", "free", self.target).out)
        result = client.run("--shell", "mine-too", self.target, "true")
        self.assertEqual(255, result.code)
        self.assertIn("may only run its own command", result.err)

    def bound(self, command, *options):
        """Returns a client whose key runs this command only, and the line for it."""
        client, line = self.trusting()
        return client, ",".join([f'command="{command}"', *options]) + " " + line

    def test_k7_keys_with_one_command_share_nothing(self):
        one, first = self.bound("echo $0")
        other, second = self.bound("echo $0")
        self.authorize(first, second)
        for client in (one, other):
            self.assertEqual(0, client.run("--run-id", "k7-same", self.target, "x").code)
        self.assertEqual(0, one.run("--run-id", "k7-one", self.target, "x").code)
        self.assertEqual({"k7-same", "k7-one"}, set(self.runs(one)))
        self.assertEqual({"k7-same"}, set(self.runs(other)))
        for options in (("--attach", "k7-one"), ("--logs", "k7-o"), ("--kill", "k7-one"), ("--forget", "k7-one")):
            self.one_line(other.run(*options, self.target), "there is no run")
        self.assertEqual(0, other.run("--forget", "k7-same", self.target).code)
        self.assertEqual({"k7-same", "k7-one"}, set(self.runs(one)))
        # With other options, the same key is another client.
        for options in ("no-pty,", 'from="127.0.0.1",'):
            self.authorize(options + first)
            self.assertEqual({}, self.runs(one), options)
        self.authorize(first)
        self.assertEqual({"k7-same", "k7-one"}, set(self.runs(one)))

    def test_k7_no_session_takes_a_client_of_another_key(self):
        one, first = self.bound("cat")
        other, second = self.bound("cat")
        self.authorize(first, second)
        process = one.popen("--run-id", "k7-cat", self.target, "x", stdin=subprocess.PIPE, bufsize=0)
        process.stdin.write(b"begun\n")
        self.assertEqual(b"begun\n", process.stdout.readline())
        self.one_line(other.run("--attach", "k7-cat", self.target), "there is no run")
        # The same id is another run for the other key, and its stdin is another one.
        result = other.run("--run-id", "k7-cat", self.target, "x", stdin=b"mine\n")
        self.assertEqual((0, b"mine\n"), (result.code, result.out), result)
        out, _ = process.communicate(b"end\n", timeout=PATIENCE)
        self.assertEqual((0, b"end\n"), (process.returncode, out))

    def test_k7_the_owner_sees_and_ends_all_that_bound_keys_leave_running(self):
        clients = []
        lines = []
        for _ in range(2):
            client, line = self.bound("echo begun; exec sleep 1000")
            clients.append(client)
            lines.append(line)
        self.authorize(*lines)
        for client in clients:
            self.assertEqual(0, client.run("--detach", "--run-id", "k7-left", self.target, "x").code)
        self.assertEqual(0, clients[0].run("--detach", "--run-id", "k7-alone", self.target, "x").code)
        listed = self.own.run("--runs", "--json", self.target).out.decode()
        self.assertEqual((2, 1), (listed.count('"k7-left"'), listed.count('"k7-alone"')), listed)
        process = self.own.popen("--attach", "k7-alone", self.target, bufsize=0)
        self.assertEqual(b"begun\n", process.stdout.readline())
        self.assertEqual(0, self.own.run("--kill", "k7-alo", self.target).code)
        process.communicate(timeout=PATIENCE)
        # If two runs have one id, each request reaches one that runs, until none does.
        for _ in clients:
            self.assertEqual(0, self.own.run("--kill", "k7-left", self.target).code)
        for client in clients:
            self.assertNotIn("running", self.runs(client).values())
        for run in ("k7-alone", "k7-left", "k7-left"):
            self.assertEqual(0, self.own.run("--forget", run, self.target).code, run)
        for client in clients:
            self.assertEqual({}, self.runs(client))
        self.one_line(self.own.run("--kill", "k7-left", self.target), "there is no run")

    def test_kept_runs_are_visible_to_their_user_only_as_root(self):
        needs_root(self)
        place = tempfile.mkdtemp(prefix="frsh-home-")
        self.addCleanup(shutil.rmtree, place, True)
        os.chmod(place, 0o755)
        users = Users(os.path.join(self.folder, "etc"))
        client, line = self.trusting()
        for number, name in enumerate(("frsh-a", "frsh-b")):
            home = make_folder(place, name)
            users.add(name, 54200 + number, home)
            write(os.path.join(home, ".ssh/authorized_keys"), line + "\n")
            for path in (".", ".ssh", ".ssh/authorized_keys"):
                os.chown(os.path.join(home, path), 54200 + number, 54200 + number)
        server = TlsServer(make_folder(self.folder, "users"), prefix=users.prefix)
        try:
            self.assertEqual(0, client.run("--trust", server.name).code)
            one, other = f"frsh-a@{server.name}", f"frsh-b@{server.name}"
            # Two servers with the same id: each has a run of its own.
            self.assertEqual(b"1\n", client.run("--run-id", "same", one, "echo 1").out)
            self.assertEqual({}, self.runs(client, other))
            self.one_line(client.run("--attach", "same", other), "there is no run")
            self.assertEqual(b"2\n", client.run("--run-id", "same", other, "echo 2").out)
            self.assertEqual(b"1\n", client.run("--logs", "same", one).out)
            result = client.run(other, f"ls {place}/frsh-a/.local; cat /proc/net/unix")
            self.assertIn("Permission denied", result.err)
        finally:
            server.end()


if __name__ == "__main__":
    unittest.main(verbosity=2 if os.environ.get("FRSH_TEST_VERBOSE") else 1)
