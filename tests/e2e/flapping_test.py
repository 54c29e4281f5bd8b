"""A network that breaks again right after each reconnect: it is dialled ever less often, reported
once, and given up when the time is over."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import FRSH, PATIENCE, Case, environment, main  # noqa: E402

GRACE = 2  # Seconds.


class FlappingProxy:
    """Cuts each connection when the server has sent `words` on it, until steady() is called.

    The first connection is cut by cut() only."""

    def __init__(self, far, near, words):
        self.far, self.near, self.words = far, near, words
        self.dials = []  # The times.
        self.is_steady = False
        self.first = None
        self.has_output = threading.Event()
        self.ends = []
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(near)
        self.listening.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listening.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(self.far)
                self.dials.append(time.monotonic())
                self.first = self.first or near
                self.ends += [near, far]
                threading.Thread(target=self._move, args=(near, far, None), daemon=True).start()
                words = None if near is self.first or self.is_steady else self.words
                threading.Thread(target=self._move, args=(far, near, words), daemon=True).start()

    def _move(self, source, sink, words):
        seen = b""
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                sink.sendall(piece)
                seen = (seen + piece)[-100_000:]
                if b'"data"' in seen:
                    self.has_output.set()
                if words is not None and words in seen:
                    break
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self):
        self.first.shutdown(socket.SHUT_RDWR)

    def steady(self):
        self.is_steady = True

    def close(self):
        with contextlib.suppress(OSError):
            self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        for end in self.ends:
            end.close()
        os.unlink(self.near)


class Flapping(Case):
    def tearDown(self):
        self.no_strays(40)

    def start(self, words, *arguments, stdin=subprocess.DEVNULL):
        proxy = FlappingProxy(self.server.socket, self.short_path(), words)
        self.addCleanup(proxy.close)
        process = subprocess.Popen(
            [FRSH, f"--on-disconnect=grace:{GRACE}s", f"unix:{proxy.near}", *arguments],
            env=environment(self.unix.runtime), stdin=stdin, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)
        return proxy, process

    def test_n1_a_link_that_breaks_after_each_resume_is_given_up(self):
        proxy, process = self.start(b'"resumed"', "echo begun; exec sleep 60")
        with self.running(process):
            self.assertTrue(proxy.has_output.wait(PATIENCE))
            proxy.cut()
            begin = time.monotonic()
            out, err = process.communicate(timeout=PATIENCE)
            took = time.monotonic() - begin
        self.assertEqual((255, b"begun\n", 2), (process.returncode, out, err.count(b"\n")), err)
        self.assertRegex(err, rb"\Afrsh: the connection was lost[^\n]*; trying to get it back for 2 s\n"
                         rb"frsh: lost: [^\n]*lost again right after it was restored: \d+")
        self.assertLess(took, GRACE + 10)
        # Pauses of 50, 100, 200, ... ms: six of them fill two seconds.
        self.assertLess(len(proxy.dials), 12)

    def test_n1_a_link_that_becomes_steady_goes_on_and_is_reported_once(self):
        proxy, process = self.start(b'"resumed"', "echo begun; read line; echo $line; exit 7",
                                    stdin=subprocess.PIPE)
        with self.running(process):
            self.assertTrue(proxy.has_output.wait(PATIENCE))
            proxy.cut()
            while len(proxy.dials) < 5 and process.poll() is None:
                time.sleep(0.01)
            proxy.steady()
            out, err = process.communicate(b"end\n", timeout=PATIENCE)
        self.assertEqual((7, b"begun\nend\n", 1), (process.returncode, out, err.count(b"\n")), err)

    def test_n1_sessions_of_a_batch_that_break_after_hello_are_given_up(self):
        proxy, process = self.start(b'"hello"', "--batch", "--jobs", "1", stdin=subprocess.PIPE)
        with self.running(process):
            process.stdin.write(b"echo one\n")
            process.stdin.flush()
            self.assertEqual(b"one\n", process.stdout.readline())
            proxy.cut()
            process.stdin.write(b"echo two\necho three\n")
            _, err = process.communicate(timeout=PATIENCE)
        self.assertEqual(255, process.returncode, err)
        # Line 2, the new session and line 3 have two seconds each.
        self.assertLess(len(proxy.dials), 3 * 12, err)
        self.assertLess(err.count(b"\n"), 8, err)


if __name__ == "__main__":
    main()
