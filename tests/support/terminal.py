"""A person at a terminal: a program in a pseudo-terminal, keys to it, and what its screen shows.

Prompts are told apart from output by bracketed paste: the editor switches it on before it reads a
line and off after, so what lies between "off" and the next "on" is what a command wrote.
"""

import contextlib
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios
import time
import unicodedata

from harness import PATIENCE, wait_until

EDITING = b"\x1b[?2004h"
DONE = b"\x1b[?2004l"
ESCAPES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z@]|\x1b[=>78]|\x1b\][^\x07]*\x07|\x0f")


class Screen:
    """The little of a terminal that a line editor uses: cells, a cursor, erasing."""

    def __init__(self, columns):
        self.columns = columns
        self.rows = [[]]
        self.row = self.column = 0
        self.saved = (0, 0)

    def _line(self):
        while len(self.rows) <= self.row:
            self.rows.append([])
        return self.rows[self.row]

    def _put(self, character):
        width = 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if unicodedata.combining(character):
            width = 0
        if self.column + width > self.columns:
            self.row, self.column = self.row + 1, 0
        line = self._line()
        while len(line) < self.column + width:
            line.append(" ")
        if width == 0:
            if line:
                line[self.column - 1] += character
            return
        line[self.column] = character
        if width == 2:
            line[self.column + 1] = ""
        self.column += width

    def _sequence(self, parameters, final):
        number = int(parameters) if parameters.isdigit() else 1
        line = self._line()
        if final == "A":
            self.row = max(0, self.row - number)
        elif final == "B":
            self.row += number
        elif final == "C":
            self.column = min(self.columns - 1, self.column + number)
        elif final == "D":
            self.column = max(0, self.column - number)
        elif final == "G":
            self.column = number - 1
        elif final == "K":
            del line[self.column:]
        elif final == "J":
            del line[self.column:]
            del self.rows[self.row + 1:]
        elif final == "P":
            del line[self.column:self.column + number]
        elif final == "@":
            line[self.column:self.column] = [" "] * number

    def feed(self, text):
        at = 0
        while at < len(text):
            found = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z@])|\x1b\][^\x07]*\x07|\x1b.").match(text, at)
            if found:
                if found.group(2):
                    self._sequence(found.group(1), found.group(2))
                elif found.group() == "\x1b7":
                    self.saved = (self.row, self.column)
                elif found.group() == "\x1b8":
                    self.row, self.column = self.saved
                at = found.end()
                continue
            character = text[at]
            at += 1
            if character == "\r":
                self.column = 0
            elif character == "\n":
                self.row += 1
            elif character == "\b":
                self.column = max(0, self.column - 1)
            elif character >= " ":
                self._put(character)
        return self

    def lines(self):
        return ["".join(row).rstrip() for row in self.rows]


class Terminal:
    COLUMNS = 250  # A folder's name fits.

    def __init__(self, case, command, env, columns=COLUMNS, **popen):
        self.case = case
        self.columns = columns
        self.master, self.slave = os.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
        self.modes = termios.tcgetattr(self.slave)
        environment = {"TERM": "xterm", "LANG": "C.UTF-8", **env}
        streams = {"stdin": self.slave, "stdout": self.slave, "stderr": self.slave, **popen}
        self.process = subprocess.Popen(
            command, env=environment, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0), **streams)
        self.pid = self.process.pid
        self.raw = bytearray()
        self.mark = 0  # The text before this position has been checked.

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for fd in (self.master, self.slave):
            with contextlib.suppress(OSError):
                os.close(fd)

    def read(self, timeout=0.0):
        """Returns the output that has arrived; waits for some, at most that long."""
        if not select.select([self.master], [], [], timeout)[0]:
            return False
        try:
            piece = os.read(self.master, 65536)
        except OSError:
            return False
        self.raw += piece
        return bool(piece)

    def keys(self, text):
        data = text if isinstance(text, bytes) else text.encode()
        deadline = time.monotonic() + PATIENCE
        while data:
            # A terminal holds 4 KiB of input; what is echoed must be read, or nothing moves.
            _, ready, _ = select.select([], [self.master], [], 0.05)
            if ready:
                data = data[os.write(self.master, data[:512]):]
            self.read()
            if time.monotonic() > deadline:
                raise AssertionError("the terminal takes no more keys")

    def wait_for(self, pattern, what=None, patience=PATIENCE):
        """Returns the match of a regular expression in the output behind the mark. Moves the mark
    behind the match."""
        pattern = re.compile(pattern if isinstance(pattern, bytes) else pattern.encode(), re.DOTALL)
        deadline = time.monotonic() + patience
        while True:
            found = pattern.search(self.raw, self.mark)
            if found:
                self.mark = found.end()
                return found
            if not self.read(0.2) and self.process.poll() is not None and not self.read(0):
                break
            if time.monotonic() > deadline:
                break
        raise AssertionError(f"waited in vain for {what or pattern.pattern!r}; exit code "
                             f"{self.process.poll()}; seen {self.raw[-1500:]!r}")

    def wait_for_text(self, text, patience=PATIENCE):
        return self.wait_for(re.escape(text.encode() if isinstance(text, str) else text),
                             patience=patience)

    def prompt(self):
        """Waits until the editor reads a line. Returns its prompt, without colours."""
        self.wait_for(re.escape(EDITING), "a prompt")
        start = self.mark
        found = self.wait_for(rb"(?:[#$]|\n?>) (?:\x1b\]133;B\x07)?(?:\x1b7)?(?:\x1b\[K)?", "a prompt")
        return self.plain(self.raw[start:found.end()]).strip()

    def enter(self, text):
        """Types a line and Enter. Returns when the editor has taken it."""
        self.keys(text)
        self.keys("\r")
        self.wait_for(re.escape(DONE), "the line to be taken")

    def run(self, text):
        """Runs a command line up to the next prompt. Returns its output, as it would be printed."""
        self.enter(text)
        start = self.mark
        self.last_prompt = self.prompt()
        end = self.raw.index(EDITING, start)
        return self.plain(self.raw[start:end])

    def run_all(self, lines):
        for line in lines:
            written = self.run(line)
        return written

    @staticmethod
    def plain(raw):
        text = ESCAPES.sub(b"", raw).replace(b"\r\n", b"\n").replace(b"\r", b"")
        return text.decode(errors="surrogateescape")

    def screen(self, since=0):
        return Screen(self.columns).feed(self.raw[since:].decode(errors="replace")).lines()

    def wait_for_line(self, text):
        """Waits until this is the last line on the screen that is not empty."""
        def look():
            self.read(0.02)
            lines = [line for line in self.screen() if line]
            return bool(lines) and lines[-1] == text

        try:
            wait_until(look, f"the screen's last line to be {text!r}")
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {self.screen()[-4:]!r}") from None

    def interrupt(self):
        self.keys(b"\x03")

    def leave(self, keys=b"\x04"):
        """Types Ctrl-D. Returns the exit code."""
        self.keys(keys)
        return self.ended()

    def ended(self):
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            self.read(0.02)
            if time.monotonic() > deadline:
                raise AssertionError(f"it does not end; seen {self.raw[-1000:]!r}")
        while self.read(0):
            pass
        return self.process.returncode

    def hang_up(self):
        os.close(self.master)
        self.master = os.open("/dev/null", os.O_RDWR)

    def send_signal(self, name):
        os.kill(self.pid, getattr(signal, "SIG" + name))

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def modes_now(self):
        return termios.tcgetattr(self.slave)
