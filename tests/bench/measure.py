"""How things are timed: whole processes, bytes a second, and one key's way there and back."""

import json
import os
import pty
import select
import signal
import socket
import statistics
import subprocess
import threading
import time

PATIENCE = 60  # Seconds for one process.
DEVNULL = os.open(os.devnull, os.O_RDWR)


class Failed(Exception):
    """Why a cell has no figure."""


def spawn(words, env, stdin=DEVNULL, stdout=DEVNULL):
    return os.posix_spawnp(words[0], words, env, file_actions=[
        (os.POSIX_SPAWN_DUP2, stdin, 0), (os.POSIX_SPAWN_DUP2, stdout, 1),
        (os.POSIX_SPAWN_DUP2, DEVNULL, 2)])


def seconds_of(words, env, **streams):
    begin = time.perf_counter()
    pid = spawn(words, env, **streams)
    handle = os.pidfd_open(pid)
    in_time = select.select([handle], [], [], PATIENCE)[0]
    took = time.perf_counter() - begin
    os.close(handle)
    if not in_time:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if not in_time:
        raise Failed(f"over {PATIENCE} s")
    if status != 0:
        raise Failed(f"exit {os.waitstatus_to_exitcode(status)}")
    return took


def round_robin(commands, env, rounds):
    """Median milliseconds of each, all run in turn, so that a drifting machine hits all alike."""
    times, failures = {name: [] for name in commands}, {}
    for _ in range(rounds):
        for name, words in commands.items():
            try:
                times[name].append(seconds_of(words, env) * 1000)
            except Failed as failure:
                failures[name] = str(failure)
    return {name: failures.get(name) or statistics.median(taken)
            for name, taken in times.items()}


def burst(words, env, total, at_once):
    """One-shots a second, `at_once` of them living at any time."""
    begin, live, started, failed = time.perf_counter(), 0, 0, 0
    while started < total or live:
        while live < at_once and started < total:
            spawn(words, env)
            started, live = started + 1, live + 1
        _, status = os.waitpid(-1, 0)
        live -= 1
        failed += status != 0
    if failed:
        raise Failed(f"{failed} of {total} failed")
    return total / (time.perf_counter() - begin)


def loop_rate(words, env, total):
    """Runs a second, one after another."""
    begin = time.perf_counter()
    for _ in range(total):
        seconds_of(words, env)
    return total / (time.perf_counter() - begin)


def batch_rate(words, env, total):
    """The same on one link: every line of stdin is a run of its own."""
    with subprocess.Popen(words, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as process:
        # The first answer says that the link is there: what it took to make it is not counted.
        process.stdin.write(b"echo ready\n")
        process.stdin.flush()
        process.stdout.readline()
        begin = time.perf_counter()
        process.stdin.write(b"true\n" * total)
        process.stdin.close()
        process.stdout.read()
        if process.wait() != 0:
            raise Failed(f"exit {process.returncode}")
    return total / (time.perf_counter() - begin)


def down(way, env, size):
    """MB/s of a command's stdout."""
    return size / 1e6 / seconds_of(way.one_shot(f"head -c {size} /dev/zero"), env)


def zeros(env, size):
    read_end, write_end = os.pipe()
    pid = spawn(["head", "-c", str(size), "/dev/zero"], env, stdout=write_end)
    os.close(write_end)
    return pid, read_end


def up(way, env, size, command="cat >/dev/null"):
    """MB/s of a command's stdin; with `cat`, of both at once."""
    pid, source = zeros(env, size)
    try:
        return size / 1e6 / seconds_of(way.one_shot(command), env, stdin=source)
    finally:
        os.close(source)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def lines_per_second(way, env, count):
    return count / seconds_of(way.one_shot(f"yes | head -n {count}"), env)


def bytes_one_by_one(way, env, count):
    """Writes a second of a command that writes single bytes."""
    return count / seconds_of(way.one_shot(f"dd if=/dev/zero bs=1 count={count} status=none"), env)


class Typist:
    """A local terminal with `words` in it, whose command echoes what is typed."""

    def __init__(self, words, env):
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.execvpe(words[0], words, env)
        try:
            self._wait_for(b"READY", 20)
        except Failed:
            self.end()  # Otherwise a later wait for any child would find this one.
            raise

    def _wait_for(self, marker, patience):
        seen, deadline = b"", time.monotonic() + patience
        while marker not in seen:
            ready, _, _ = select.select([self.master], [], [], deadline - time.monotonic())
            if not ready:
                raise Failed("no answer: " + seen[-60:].decode(errors="replace"))
            try:
                seen += os.read(self.master, 65536)
            except OSError as error:
                raise Failed("it ended: " + seen[-60:].decode(errors="replace")) from error

    def press(self, patience=10):
        """Seconds from a key to its echo."""
        begin = time.perf_counter()
        os.write(self.master, b"x")
        if not select.select([self.master], [], [], patience)[0]:
            raise Failed("no echo")
        os.read(self.master, 65536)
        return time.perf_counter() - begin

    def end(self):
        os.kill(self.pid, signal.SIGTERM)
        os.close(self.master)
        os.waitpid(self.pid, 0)


ECHO = "stty -icanon -opost 2>/dev/null; printf READY; exec cat >/dev/null"


def percentiles(values):
    ordered = sorted(values)
    return (ordered[len(ordered) // 2] * 1000, ordered[int(len(ordered) * 0.99)] * 1000)


def echo(words, env, keys, pause=0.002):
    typist = Typist(words + [ECHO], env)
    try:
        for _ in range(10):
            typist.press()
        times = []
        for _ in range(keys):
            times.append(typist.press())
            time.sleep(pause)
        return percentiles(times)
    finally:
        typist.end()


def tree(root):
    """The process and everything below it."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", "rb") as file:
                    parents[int(entry)] = int(file.read().rpartition(b")")[2].split()[1])
            except OSError:
                pass
    found, grew = {root}, True
    while grew:
        grew = False
        for pid, parent in parents.items():
            if pid not in found and parent in found:
                found.add(pid)
                grew = True
    return found


def settle(root, patience=60):
    """Waits until the sessions of earlier clients have ended."""
    deadline, before = time.monotonic() + patience, -1
    while time.monotonic() < deadline and (now := len(tree(root))) != before:
        before = now
        time.sleep(0.5)


def calm(patience=60):
    """Waits until earlier work is done: both processors are idle for nine tenths of a second."""
    def processor_time():
        with open("/proc/stat") as file:
            times = [int(field) for field in file.readline().split()[1:9]]
        return sum(times), times[3] + times[4]

    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        all_before, idle_before = processor_time()
        time.sleep(1)
        all_now, idle_now = processor_time()
        if idle_now - idle_before >= 0.9 * (all_now - all_before):
            return


def resident_kib_of_client(way, env):
    """VmRSS of a client whose command has begun and said something."""
    with subprocess.Popen(way.one_shot("echo x; read y"), env=env, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as client:
        if client.stdout.read(2) != b"x\n":
            raise Failed("no command")
        with open(f"/proc/{client.pid}/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))


def pss_kib(root):
    """Proportional memory of a server with all its processes."""
    total = 0
    for pid in tree(root):
        try:
            with open(f"/proc/{pid}/smaps_rollup") as file:
                total += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
        except OSError:
            pass
    return total


def echo_beside_bulk(way, env, keys):
    """The same through a shared connection that another client keeps full."""
    bulk = spawn(way.one_shot("cat /dev/zero"), env)
    try:
        return echo(way.terminal, env, keys)
    finally:
        os.kill(bulk, signal.SIGTERM)
        os.waitpid(bulk, 0)


def mix(program, words, env, keys):
    """Both channels in one client, which says what it measured (tests/bench/mix.cpp)."""
    try:
        answer = subprocess.run([program, str(keys)] + words, env=env, stdin=subprocess.DEVNULL,
                                capture_output=True, text=True, check=False, timeout=PATIENCE)
    except subprocess.TimeoutExpired as error:
        raise Failed(f"over {PATIENCE} s") from error
    if answer.returncode != 0:
        raise Failed(answer.stderr.strip().removeprefix("frsh: "))
    return json.loads(answer.stdout)


class Throttle:
    """A relay of our own in front of a port, which passes on so many bytes a second each way."""

    def __init__(self, address, port, rate):
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        listening.bind((address, 0))
        listening.listen()
        self.port = listening.getsockname()[1]
        self.pid = os.fork()
        if self.pid == 0:
            try:
                while True:
                    near, _ = listening.accept()
                    far = socket.socket()
                    far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
                    far.connect((address, port))
                    for source, sink in ((near, far), (far, near)):
                        sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                        threading.Thread(target=self._carry, args=(source, sink, rate),
                                         daemon=True).start()
            finally:
                os._exit(0)
        listening.close()

    @staticmethod
    def _carry(source, sink, rate):
        free_at = time.perf_counter()
        try:
            while piece := source.recv(4096):
                time.sleep(max(0.0, free_at - time.perf_counter()))
                free_at = max(free_at, time.perf_counter()) + len(piece) / rate
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
