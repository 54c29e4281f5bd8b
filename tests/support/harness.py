"""The base of every end-to-end test: real programs, a server for the class, a check for leftovers.

Nothing here has a fixed port, path or sleep. Servers listen on a free port, each wait has a
condition and a deadline, and each process that a test starts is ended by its pid.
"""

import contextlib
import ctypes
import faulthandler
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import threading
import time
import unittest

BIN = os.environ.get("FRSH_BIN") or os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "../../build/release/bin")
FRSH = os.path.join(BIN, "frsh")
FRSHD = os.path.join(BIN, "frshd")
FULL = os.environ.get("FRSH_TEST_FULL") == "1"
SANITIZED = os.environ.get("FRSH_TEST_SANITIZED") == "1"
WINDOW = 1024 * 1024
PATIENCE = 60.0 if SANITIZED else 30.0

PR_SET_CHILD_SUBREAPER = 36
# An orphaned descendant becomes a child of this process, so that every leftover is found.
ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def environment(runtime, **more):
    """Returns a small environment, so that the caller's environment does not affect a test."""
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "XDG_RUNTIME_DIR": runtime,
           "XDG_STATE_HOME": os.path.join(runtime, "state")}
    for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TMPDIR"):
        if name in os.environ:
            env[name] = os.environ[name]
    env.update(more)
    return env


def wait_until(condition, what, patience=None):
    """Returns the first true value of `condition`, or fails the test after `patience` seconds.

    `what` is the text for the failure, or a function that returns it."""
    deadline = time.monotonic() + (patience or PATIENCE)
    pause = 0.001
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError("waited in vain for " + (what() if callable(what) else what))
        time.sleep(pause)
        pause = min(pause * 2, 0.05)


def wait_until_full(pipe):
    """Waits until a writer of this pipe (its read end) is blocked."""

    def is_full():
        waiting = fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4)
        return int.from_bytes(waiting, sys.byteorder) > 60000

    wait_until(is_full, "a pipe to be full")


class Stat:
    """One line of /proc/PID/stat."""

    def __init__(self, pid):
        self.pid = pid
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read().decode(errors="replace")
        self.name = text[text.index("(") + 1:text.rindex(")")]
        fields = text[text.rindex(")") + 2:].split()
        self.state = fields[0]
        self.parent = int(fields[1])
        self.session = int(fields[3])

    def __repr__(self):
        return f"{self.name}({self.pid}, {self.state}, parent {self.parent})"


def process_table():
    table = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                table[int(entry)] = Stat(int(entry))
            except (FileNotFoundError, ProcessLookupError):
                pass
    return table


def is_listening(path):
    """Returns whether a process listens on this unix socket. The path is there a moment before:
    bind(2) makes it, and listen(2) comes after. Makes no connection."""
    with open("/proc/net/unix") as file:
        for line in file:
            fields = line.split(maxsplit=7)
            # __SO_ACCEPTCON
            if len(fields) == 8 and fields[7].rstrip("\n") == path and fields[3] == "00010000":
                return True
    return False


def is_alive(pid):
    """Returns whether the process exists and is not a zombie."""
    try:
        return Stat(pid).state not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def below(root, table):
    """Returns all descendants of the process."""
    found = {root}
    grew = True
    while grew:
        grew = False
        for pid, stat in table.items():
            if pid not in found and stat.parent in found:
                found.add(pid)
                grew = True
    return [table[pid] for pid in found if pid != root and pid in table]


def descendants(root=None):
    table = process_table()
    return [stat for stat in below(root or os.getpid(), table) if not is_preforked(stat, table)]


def is_preforked(stat, table):
    """Returns whether it is a listener's fork server, a preforked session, or the gate of one."""
    above = table.get(stat.parent)
    return stat.name == "frshd-forker" or "frshd-prefork" in (stat.name, above and above.name)


def preforked_below(pid):
    return [stat for stat in below(pid, process_table()) if stat.name == "frshd-prefork"]


def resident_kib(pid, key="VmHWM"):
    """Returns a line of /proc/PID/status in KiB. VmHWM is the peak of the resident memory."""
    with open(f"/proc/{pid}/status") as file:
        for line in file:
            if line.startswith(key + ":"):
                return int(line.split()[1])
    return 0


def open_descriptors(pid):
    found = {}
    for number in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            found[int(number)] = os.readlink(f"/proc/{pid}/fd/{number}")
    return found


class Daemon:
    """A running server. The derived class sets `process` and the file `log` that it writes to."""

    def text(self):
        size = os.fstat(self.log.fileno()).st_size
        return os.pread(self.log.fileno(), size, 0).decode(errors="replace")

    def preforked(self):
        """Returns the preforked sessions: one for each door, once the server is idle."""
        return [stat for stat in preforked_below(self.pid) if stat.parent == self.pid]

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError("frshd did not end when told to: " + self.text())
        self.log.close()
        return self.process.returncode


class Server(Daemon):
    """A frshd on a unix socket in a private folder and, with `tcp`, on plain TCP."""

    def __init__(self, runtime, tcp=True, arguments=(), **popen):
        self.runtime = runtime
        self.port = None
        command = [FRSHD, "--unix"] + list(arguments)
        if tcp:
            command += ["--listen", "127.0.0.1:0", "--plaintext"]
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(command, env=environment(runtime), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=self.log, **popen)
        self.pid = self.process.pid
        wait_until(self._is_listening, "frshd to listen")
        self.socket = os.path.join(runtime, "frsh", "frshd.sock")

    def _is_listening(self):
        lines = self.lines()
        for line in lines:
            if "(plain TCP)" in line:
                self.port = int(line.split(" (plain TCP)")[0].rsplit(":", 1)[1])
        if self.process.poll() is not None:
            raise AssertionError(f"frshd ended: {lines}")
        return any(line.endswith("frshd.sock") for line in lines)

    def lines(self):
        return self.text().splitlines()

    def sessions(self):
        return [stat for stat in descendants(self.pid) if stat.name == "frshd"]


class Result:
    def __init__(self, code, out, err, record):
        self.code, self.out, self.err, self.record = code, out, err, record

    def __repr__(self):
        return f"exit {self.code}, stdout {self.out[:300]!r}, stderr {self.err[:600]!r}"


def read_all(fd):
    with os.fdopen(fd, "rb") as file:
        return file.read()


class Place:
    """A way to reach a server: the words before the command."""

    def __init__(self, name, runtime, words, server=None):
        self.name, self.runtime, self.words, self.server = name, runtime, words, server

    def command(self, options, words):
        return [FRSH] + list(options) + self.words + list(words)

    def popen(self, options, *words, env=None, **popen):
        return subprocess.Popen(self.command(options, words),
                                env=environment(self.runtime, **(env or {})), **popen)

    def run(self, options, *words, stdin=b"", env=None, record=False, timeout=None, **popen):
        """Runs a client to its end. With `record`, also reads the line of --status-fd."""
        read_end = write_end = None
        if record:
            read_end, write_end = os.pipe()
            options = ["--status-fd", str(write_end)] + list(options)
            popen["pass_fds"] = tuple(popen.get("pass_fds", ())) + (write_end,)
        popen.setdefault("stdout", subprocess.PIPE)
        popen.setdefault("stderr", subprocess.PIPE)
        if "stdin" not in popen:
            popen["stdin"] = subprocess.PIPE if isinstance(stdin, bytes) else stdin
        process = self.popen(options, *words, env=env, **popen)
        texts = []
        if write_end is not None:
            os.close(write_end)
            # A record contains the command, and may be longer than the pipe's buffer.
            reader = threading.Thread(target=lambda: texts.append(read_all(read_end)))
            reader.start()
        try:
            out, err = process.communicate(stdin if isinstance(stdin, bytes) else None,
                                           timeout=timeout or PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"hung on {self.name}: {repr(words)[:300]}, "
                                 f"stdout {out[:200]!r}, stderr {err[:500]!r}")
        found = None
        if record:
            reader.join()
            text = texts[0]
            if text.count(b"\n") == 1 and text.endswith(b"\n"):
                found = json.loads(text)
            elif text:
                raise AssertionError(f"not one line: {text!r}")
        return Result(process.returncode, out, err, found)


def code_of(outcome):
    """Returns the exit code that belongs to the outcome of a record."""
    kind = outcome["kind"]
    if kind == "exited":
        return outcome["code"]
    if kind == "signaled":
        return 128 + outcome["number"]
    if kind == "timed_out":
        return 124
    if kind == "canceled":
        return 130
    if kind == "not_started" and outcome["stage"] == "exec":
        return {2: 127, 20: 127, 13: 126, 21: 126, 8: 126}.get(outcome["errno"], 255)
    return 255


def needs_root(test):
    """Skips `test` where the caller is not root. Its name must contain as_root: the run as root
    chooses its tests by that."""
    assert "as_root" in test.id(), f"{test.id()}: needs_root() needs a name with as_root"
    if os.geteuid() != 0:
        test.skipTest("needs root")


def programs_for_others(test):
    """Returns a folder with copies of frsh and frshd that every user may run, and that is not in
    /tmp. The folder of the build may be closed to other users."""
    folder = tempfile.mkdtemp(prefix="frsh-programs-", dir="/var/tmp")
    test.addCleanup(shutil.rmtree, folder, True)
    os.chmod(folder, 0o755)
    for program in (FRSH, FRSHD):
        shutil.copy(program, folder)
    return folder


class Case(unittest.TestCase):
    """Has a server for the class and three places to reach one. Fails if a process is left over."""

    longMessage = True
    maxDiff = 2000

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="frsh-test-")
        with_server = os.path.join(cls.folder, "server")
        without = os.path.join(cls.folder, "none")
        os.mkdir(with_server, 0o700)
        os.mkdir(without, 0o700)
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        cls.server = Server(with_server)
        cls.addClassCleanup(cls.server.end)
        cls.stdio = Place("stdio", without, ["local"])
        cls.unix = Place("unix", with_server, ["local"], cls.server)
        cls.plain = Place("plain TCP", with_server,
                          ["--plaintext", f"127.0.0.1:{cls.server.port}"], cls.server)
        cls.places = [cls.stdio, cls.unix, cls.plain]

    def tearDown(self):
        self.no_strays()

    def end_sessions(self):
        """Ends all sessions. After a client was killed, its session would wait 30 s for it."""
        for stat in self.server.sessions():
            with contextlib.suppress(ProcessLookupError):
                os.kill(stat.pid, signal.SIGTERM)

    def strays(self):
        found = []
        for stat in descendants():
            if stat.pid == self.server.pid:
                continue
            if stat.state == "Z" and stat.parent == os.getpid():
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(stat.pid, os.WNOHANG)
                continue
            found.append(stat)
        return found

    def no_strays(self, patience=15):
        try:
            wait_until(lambda: not self.strays(), "leftovers to go", patience)
        except AssertionError:
            left = self.strays()
            for stat in left:
                with contextlib.suppress(OSError):
                    os.kill(stat.pid, signal.SIGKILL)
            if left:
                self.fail(f"left behind: {left}")

    @contextlib.contextmanager
    def running(self, process):
        """Ends this process when the block is left, also after a failure."""
        try:
            yield process
        finally:
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()
            if process.poll() is None:
                process.kill()
            process.wait()

    def everywhere(self):
        for place in self.places:
            self.at = place.name
            yield place
        self.at = None

    at = None

    def _formatMessage(self, msg, standardMsg):
        text = super()._formatMessage(msg, standardMsg)
        return text if self.at is None else f"{text} [{self.at}]"

    def agrees(self, result):
        self.assertIsNotNone(result.record, result)
        self.assertEqual(code_of(result.record["outcome"]), result.code, result)

    def pid_from(self, path):
        """Waits until a command has written its pid into the file, and returns it."""

        def look():
            try:
                with open(path) as file:
                    text = file.read()
            except FileNotFoundError:
                return None
            return int(text) if text.endswith("\n") else None

        return wait_until(look, "a pid in " + path)

    def as_root_at_home(self, *words):
        """Returns the words to run `words` in a mount namespace where root's home is `/`."""
        users = self.path("passwd")
        with open(users, "w") as file:
            file.write("root:x:0:0::/:/bin/sh\n")
        return ["sh", "-c", 'mount --bind "$0" /etc/passwd && exec "$@"', users, *words]

    def short_path(self):
        """Returns a path that is short enough for a socket: unix(7) allows 107 bytes."""
        return tempfile.mktemp(dir=self.folder)

    def path(self, name):
        return os.path.join(self.folder, f"{self.id().rsplit('.', 1)[1][:60]}-{name}")


def main():
    sys.stdout.flush()
    # ctest ends a test after ten minutes. This shows where it hung.
    faulthandler.dump_traceback_later(float(os.environ.get("FRSH_TEST_HANGS_AFTER", "540")))
    unittest.main(verbosity=2 if os.environ.get("FRSH_TEST_VERBOSE") else 1)
