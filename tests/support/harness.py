"""What every end-to-end test needs: the real binaries, a server of its own, and an eye on leftovers.

Nothing here has a fixed port, a fixed path or a sleep for luck: servers listen where the kernel
lets them, conditions are waited for with a deadline, and whatever a test starts is ended by pid.
"""

import contextlib
import ctypes
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
# Whoever loses its parent below us becomes our child, so that no stray can hide.
ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def environment(runtime, **more):
    """A small environment of our own, so that nothing of the caller's leaks into a test."""
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "XDG_RUNTIME_DIR": runtime,
           "XDG_STATE_HOME": os.path.join(runtime, "state")}
    for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TMPDIR"):
        if name in os.environ:
            env[name] = os.environ[name]
    env.update(more)
    return env


def wait_until(condition, what, patience=None):
    """The condition's first true value; a failed test when it never comes. `what` may be a function, to
    say what there is in the end."""
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
    """Until somebody waits to write more into this pipe, whose read end it is."""

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


def is_alive(pid):
    """Still running: neither gone nor a zombie."""
    try:
        return Stat(pid).state not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def below(root, table):
    """What this process started, and what those did."""
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
    return [stat for stat in below(root or os.getpid(), table) if not is_spare(stat, table)]


def is_spare(stat, table):
    """What a listener has ready: its zygote, a session that was forked ahead, or the gate of one."""
    above = table.get(stat.parent)
    return stat.name == "frshd-zygote" or "frshd-spare" in (stat.name, above and above.name)


def spares_below(pid):
    return [stat for stat in below(pid, process_table()) if stat.name == "frshd-spare"]


def resident_kib(pid, key="VmHWM"):
    """VmHWM: the most that it ever was."""
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
    """A server that was started with `process` and writes to `log`; both are set by who starts it."""

    def text(self):
        size = os.fstat(self.log.fileno()).st_size
        return os.pread(self.log.fileno(), size, 0).decode(errors="replace")

    def spares(self):
        """Sessions that were forked ahead: one of each door, once all is quiet."""
        return [stat for stat in spares_below(self.pid) if stat.parent == self.pid]

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
    """A frshd of our own, on a unix socket in a private folder and, if asked, on plain TCP."""

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
    """One way to reach a server: the words that come before the command."""

    def __init__(self, name, runtime, words, server=None):
        self.name, self.runtime, self.words, self.server = name, runtime, words, server

    def command(self, options, words):
        return [FRSH] + list(options) + self.words + list(words)

    def popen(self, options, *words, env=None, **popen):
        return subprocess.Popen(self.command(options, words),
                                env=environment(self.runtime, **(env or {})), **popen)

    def run(self, options, *words, stdin=b"", env=None, record=False, timeout=None, **popen):
        """Runs to its end. With `record` the line of --status-fd is read, checked and returned."""
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
            # A record has the command in it, and may be longer than a pipe takes.
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
    """The exit code that a record calls for."""
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


class Case(unittest.TestCase):
    """A server for the class, three places to reach one, and no stray after any test."""

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
        """A client that was killed has its place held for half a minute, and its session with it."""
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
        """Whatever happens in the test, this one process of ours ends."""
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
        """A pid that a command wrote into a file, once it has."""

        def look():
            try:
                with open(path) as file:
                    text = file.read()
            except FileNotFoundError:
                return None
            return int(text) if text.endswith("\n") else None

        return wait_until(look, "a pid in " + path)

    def as_root_at_home(self, *words):
        """In a mount namespace: these words, where root's home is one that anybody may enter."""
        users = self.path("passwd")
        with open(users, "w") as file:
            file.write("root:x:0:0::/:/bin/sh\n")
        return ["sh", "-c", 'mount --bind "$0" /etc/passwd && exec "$@"', users, *words]

    def short_path(self):
        """For sockets: unix(7) has room for 107 bytes."""
        return tempfile.mktemp(dir=self.folder)

    def path(self, name):
        return os.path.join(self.folder, f"{self.id().rsplit('.', 1)[1][:60]}-{name}")


def main():
    sys.stdout.flush()
    unittest.main(verbosity=2 if os.environ.get("FRSH_TEST_VERBOSE") else 1)
