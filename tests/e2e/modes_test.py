"""What the modes of the client do when the connection, the disk or the terminal fails them."""

import json
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from cutting_proxy import CuttingProxy, Fate  # noqa: E402
from harness import Case, FRSH, PATIENCE, environment, main  # noqa: E402
from terminal import Terminal  # noqa: E402


class Modes(Case):
    def proxy(self, fate=lambda n: None):
        proxy = CuttingProxy(self.server.socket, fate, near=self.short_path())
        self.addCleanup(proxy.close)
        return proxy

    def environment(self, **more):
        return environment(self.unix.runtime, HOME=self.folder, **more)

    def start(self, target, *options, command=(), **popen):
        popen = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
                 "env": self.environment(), **popen}
        return subprocess.Popen([FRSH, *options, target, *command], **popen)

    def test_a_signal_that_the_parent_ignores_stays_ignored(self):
        for name in ("HUP", "INT", "TERM"):
            trap = ["sh", "-c", f"trap '' {name}; exec \"$@\"", "sh"]
            process = subprocess.Popen(
                trap + [FRSH, f"unix:{self.server.socket}", "echo up; read line; echo $line"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self.environment())
            with self.running(process):
                self.assertEqual(b"up\n", process.stdout.readline())
                process.send_signal(getattr(signal, "SIG" + name))
                out, _ = process.communicate(b"alive\n", timeout=PATIENCE)
                self.assertEqual((0, b"alive\n"), (process.returncode, out), name)

    def test_after_an_interrupt_an_endless_linger_is_finite(self):
        # A background process ignores SIGINT and holds stdout; as `ssh`, the linger is endless.
        command = "trap '' INT; sleep 600 & trap - INT; echo $!; exec sleep 600"
        process = self.start(f"unix:{self.server.socket}", "--linger=inf", command=[command],
                             stdin=subprocess.DEVNULL)
        with self.running(process):
            child = int(process.stdout.readline())
            process.send_signal(signal.SIGINT)
            self.assertEqual(130, process.wait(PATIENCE))
            os.kill(child, signal.SIGKILL)

    def test_no_escape_is_sent_to_a_dumb_terminal(self):
        for term in ("dumb", ""):
            words = [FRSH, f"unix:{self.server.socket}"]
            with Terminal(self, words, self.environment(TERM=term)) as t:
                t.wait_for(rb"[$#] ", "a prompt")
                t.keys("echo out; echo err >&2\r")
                t.wait_for(rb"\nerr", "the output")
                t.wait_for(rb"[$#] ", "a prompt")
                t.keys("\x04")
                t.ended()
                self.assertNotIn(b"\x1b", t.raw)

    def test_modes_that_a_program_switched_on_are_off_after_the_client_left(self):
        on = r"\e[?1049h\e[?25l\e[?1000h\e[?1002h\e[?1003h\e[?1006h\e[?1h\e[?2004h\e[4h\e[1;31m"
        off = (b"\x1b[4l", b"\x1b[0m", b"\x1b[?1000l", b"\x1b[?1002l", b"\x1b[?1003l",
               b"\x1b[?1006l", b"\x1b[?2004l", b"\x1b[?1l", b"\x1b[?1049l", b"\x1b[?25h")
        flood = "head -c 99999 /dev/zero | tr '\\0' a"
        command = f"printf '{on}'; echo ready; read x; {flood}; exec sleep 600"
        for end in ("loss", "signal"):
            proxy = self.proxy(lambda n: Fate("close", down=50000))
            words = [FRSH, "-tt", f"unix:{proxy.near}", command]
            with Terminal(self, words, self.environment(TERM="xterm")) as t:
                t.wait_for(rb"ready", "the program")
                if end == "signal":
                    t.process.send_signal(signal.SIGTERM)
                else:
                    t.keys("\r")
                t.ended()
                after = bytes(t.raw)[t.raw.index(b"ready"):]
                for sequence in off:
                    self.assertIn(sequence, after, end)

    def test_a_program_that_ends_by_itself_keeps_its_modes(self):
        words = [FRSH, "-tt", f"unix:{self.server.socket}", r"printf '\e[?1h'; echo done"]
        with Terminal(self, words, self.environment(TERM="xterm")) as t:
            t.ended()
            self.assertNotIn(b"\x1b[?1l", t.raw)

    def test_a_full_disk_is_named_with_a_remedy(self):
        for options, stdin in (([], None), (["--batch"], b"head -c 3000000 /dev/zero\n")):
            words = [] if stdin else ["head -c 3000000 /dev/zero"]
            script = f"mount -t tmpfs -o size=64k none {self.path('full')} && exec \"$@\""
            os.makedirs(self.path("full"), exist_ok=True)
            result = subprocess.run(
                ["unshare", "-rm", "sh", "-c", script, "sh", FRSH, "--json", "--max-output=8M",
                 *options, f"unix:{self.server.socket}", *words],
                env=self.environment(TMPDIR=self.path("full")), input=stdin or b"",
                capture_output=True, timeout=PATIENCE)
            if b"unshare" in result.stderr or b"mount:" in result.stderr:
                self.skipTest(result.stderr.decode())
            self.assertEqual(255, result.returncode, result.stderr)
            self.assertIn(b"No space left on device; set TMPDIR to a folder with more room",
                          result.stderr)
            record = json.loads(result.stdout)
            self.assertGreater(record["stdout"]["bytes"], 0)
            self.assertNotIn("text", record["stdout"])


if __name__ == "__main__":
    main()
