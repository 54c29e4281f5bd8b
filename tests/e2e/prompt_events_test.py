"""What comes while a line is typed at the prompt: a lost connection and its return."""

import contextlib
import os
import socket
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import FRSH, Case, environment, main  # noqa: E402
from terminal import Terminal  # noqa: E402


class Way:
    """A way to a server's socket that can be closed and opened again."""

    def __init__(self, far, near):
        self.far, self.near = far, near
        self.ends, self.is_open = [], True
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(near)
        self.listening.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            near, _ = self.listening.accept()
            if not self.is_open:
                near.close()
                continue
            far = socket.socket(socket.AF_UNIX)
            far.connect(self.far)
            self.ends += [near, far]
            for pair in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=pair, daemon=True).start()

    @staticmethod
    def _carry(source, sink):
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                sink.sendall(piece)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.is_open = False
        for end in self.ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self.ends = []

    def open(self):
        self.is_open = True


class PromptEvents(Case):
    def terminal(self, place, words):
        home = os.path.join(self.folder, "home")
        os.makedirs(home, exist_ok=True)
        return Terminal(self, [FRSH, "--env", "HOME=" + home, *words],
                        environment(place.runtime, XDG_STATE_HOME=self.path("state")))

    def test_l15_a_lost_connection_is_a_row_and_the_typed_line_stays(self):
        way = Way(self.server.socket, self.short_path())
        with self.terminal(self.unix, ["--on-disconnect", "grace:30s", "unix:" + way.near]) as t:
            t.prompt()
            t.keys("echo ke''pt")
            t.wait_for_text("ke''pt")
            way.close()
            t.wait_for(rb"\x1b\[[KJ]frsh: the connection was lost[^\n]*\r?\n")
            t.wait_for_text("echo ke''pt")
            t.wait_for_text("no connection: 1 s")
            t.keys("; echo m''ore")  # The line is edited without a connection.
            t.wait_for_text("no connection: 2 s")
            way.open()
            t.wait_for(rb"frsh: the connection is back after \d+\.\d s\r?\n")
            t.keys("\r")
            t.wait_for_text("kept\r\nmore\r\n")
            t.prompt()
            self.assertEqual(0, t.leave())


if __name__ == "__main__":
    main()
