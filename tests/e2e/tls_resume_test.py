"""Runs that outlive their connection over TLS, where that is the default."""

import os
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from cutting_proxy import CuttingProxy, Fate  # noqa: E402
from harness import PATIENCE, descendants, is_alive, wait_until  # noqa: E402
from tls import TlsCase  # noqa: E402


class TlsResume(TlsCase):
    def through(self, fate):
        proxy = CuttingProxy(self.server.port, fate)
        self.addCleanup(proxy.close)
        return proxy

    def gates(self):
        return [stat.pid for stat in descendants() if stat.name == "frshd-gate"
                and stat.state not in "ZX"]

    def test_a_killed_gate_is_a_lost_connection_that_resumes(self):
        process = self.own.popen(self.target, "echo up; read x; seq 1 200000; echo $x; exit 6",
                                 stdin=subprocess.PIPE)
        self.assertEqual(b"up\n", process.stdout.readline())
        gate, = self.gates()
        os.kill(gate, signal.SIGKILL)
        self.assertIn(b"the connection was lost", process.stderr.readline())
        out, err = process.communicate(b"hello\n", timeout=PATIENCE)
        self.assertEqual((6, b""), (process.returncode, err))
        self.assertEqual(b"".join(b"%d\n" % i for i in range(1, 200001)) + b"hello\n", out)
        wait_until(lambda: not self.gates(), "gates to end")

    def test_eight_cuts_in_a_row_at_full_speed_with_stdin_lose_nothing(self):
        proxy = self.through(
            lambda n: Fate("reset", down=300_000, up=300_000) if n < 8 else None)
        stdin = os.urandom(3_000_000)
        result = self.own.run("-q", "--accept-new", f"127.0.0.1:{proxy.port}",
                              "tee /dev/stderr; exit 9", stdin=stdin)
        self.assertEqual(9, result.code)
        self.assertEqual(stdin, result.out)
        self.assertGreaterEqual(proxy.count, 8)

    def test_on_disconnect_kill_ends_the_run_at_once(self):
        proxy = self.through(lambda n: Fate(down=20_000) if n == 0 else None)
        result = self.own.run("--on-disconnect=kill", "--accept-new", f"127.0.0.1:{proxy.port}",
                              "yes")
        self.assertEqual(255, result.code, result)
        self.assertRegex(result.err, r"\nfrsh: lost: [^\n]*\n\Z")
        self.assertNotIn("trying", result.err)
        self.assertEqual(1, proxy.count)

    def test_a_key_with_a_command_resumes_its_own_session(self):
        client, line = self.trusting()
        self.authorize(f'command="sleep 0.1; cat; echo forced" {line}')
        seen = []

        def fate(n):
            seen.append(n)
            return Fate(down=7000) if n == 0 else None

        proxy = self.through(fate)
        result = client.run("-q", "--accept-new", f"127.0.0.1:{proxy.port}", "x",
                            stdin=b"y" * 20_000)
        self.assertEqual((0, b"y" * 20_000 + b"forced\n"), (result.code, result.out), result)
        self.assertGreaterEqual(len(seen), 2)

    def test_after_a_resume_the_old_session_serves(self):
        process = self.own.popen(self.target, "echo $PPID; read x; echo $PPID",
                                 stdin=subprocess.PIPE)
        session = int(process.stdout.readline())
        os.kill(self.gates()[0], signal.SIGKILL)
        process.stderr.readline()
        out, _ = process.communicate(b"\n", timeout=PATIENCE)
        self.assertEqual(b"%d\n" % session, out)
        wait_until(lambda: not is_alive(session), "the session to end")
        wait_until(lambda: not [stat for stat in descendants(self.server.pid)],
                   "all of the server's children to be reaped")


if __name__ == "__main__":
    unittest.main(verbosity=2 if os.environ.get("FRSH_TEST_VERBOSE") else 1)
