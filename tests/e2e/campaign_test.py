"""A campaign of random faults: connections cut in every phase, each role killed, damaged state.

Counts wrong bytes, commands run twice, ends told wrongly, hangs, and processes that spin or are
left over; all of these must be 0. In a test run it is short. As a campaign:

    FRSH_BIN=build/release/bin FRSH_CAMPAIGN=10000 python3 tests/e2e/campaign_test.py

FRSH_CAMPAIGN is the number of cut runs; a tenth of it is the number of kills of each role, and a
twentieth the number of damaged state folders, and of killed gates. FRSH_CAMPAIGN_SEED repeats
one. A result may be `lost` only where the session, or the shell of a batch, is gone."""

import collections
import concurrent.futures
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from cutting_proxy import WAYS, CuttingProxy, Fate  # noqa: E402
from harness import (FRSH, PATIENCE, Case, Server, Stat, below, environment, main,  # noqa: E402
                     process_table, wait_until)
from lopsided_proxy import LopsidedProxy  # noqa: E402
from tls import TlsCase  # noqa: E402

ROUNDS = int(os.environ.get("FRSH_CAMPAIGN", "12"))
SEED = int(os.environ.get("FRSH_CAMPAIGN_SEED", str(random.SystemRandom().randrange(1 << 32))))
FAULTS = ("wrong bytes", "run twice", "told wrongly", "hung", "spinning", "left over")
GRACE = 8  # Seconds. The network of a run is whole again long before.
JOBS = 6


class Fault(Exception):
    def __init__(self, kind, what):
        super().__init__(f"{kind}: {what}")
        self.kind = kind


class Campaign(Case):
    def setUp(self):
        print(f"seed {SEED}, {ROUNDS} rounds")
        self.faults = collections.Counter()
        self.kinds = collections.Counter()
        self.shown = []

    def tearDown(self):
        self.end_sessions()
        try:
            self.no_strays(40)
        except AssertionError:
            self.faults["left over"] += 1
            raise

    def short(self):
        return tempfile.mktemp(dir=self.folder)

    def rounds(self, what, count, act):
        """Calls act(random) for each round, and fails if any round has found a fault."""

        def one(number):
            pick = random.Random(f"{SEED}-{what}-{number}")
            try:
                return act(pick), None
            except Fault as fault:
                return fault.kind, f"{what} {number}: {fault}"

        with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
            for kind, fault in pool.map(one, range(count)):
                self.kinds[kind] += 1
                if fault:
                    self.faults[kind] += 1
                    self.shown.append(fault)
        print(f"{what}: {count} rounds: " + ", ".join(f"{n} {k}" for k, n in sorted(self.kinds.items())))
        self.assertEqual([], self.shown, f"seed {SEED}")

    def end_of(self, process, stdin=None):
        with self.running(process):
            try:
                out, err = process.communicate(stdin, timeout=PATIENCE + GRACE)
            except subprocess.TimeoutExpired:
                ticks = [self.ticks(process.pid)]
                time.sleep(1)
                ticks.append(self.ticks(process.pid))
                kind = "spinning" if ticks[1] - ticks[0] > 50 else "hung"
                raise Fault(kind, process.args) from None
        return process.returncode, out, err

    @staticmethod
    def ticks(pid):
        with open(f"/proc/{pid}/stat") as file:
            return sum(map(int, file.read().rsplit(")", 1)[1].split()[11:13]))

    def client(self, target, *words, runtime=None, **popen):
        """Starts a client. The last word is the command; None: there is none."""
        popen.setdefault("stdin", subprocess.DEVNULL)
        command = [] if words[-1] is None else [words[-1]]
        is_run = command or "--batch" in words
        grace = [f"--on-disconnect=grace:{GRACE}s"] if is_run else []
        return subprocess.Popen([FRSH, "-q", *grace, *words[:-1], target, *command],
                                env=environment(runtime or self.unix.runtime),
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, **popen)

    @staticmethod
    def count(path):
        if not os.path.exists(path):
            return 0
        size = os.path.getsize(path)
        os.unlink(path)
        return size

    @staticmethod
    def fates(pick, size):
        def at():
            # Half of the cuts fall on the first flight and the answers to it.
            return pick.randrange(1, 700) if pick.random() < 0.5 else pick.randrange(1, size + 900)

        return [Fate(pick.choice(WAYS), stall=pick.random() / 10, **{pick.choice(["up", "down"]): at()})
                for _ in range(pick.choice((1, 1, 1, 2, 3)))]

    def check(self, ran, code, out, wanted_code, wanted_out, what):
        """The rule for every end: what is reported as done was done once, with all of its bytes."""
        if ran > 1:
            raise Fault("run twice", what)
        if code == wanted_code:
            if ran != 1:
                raise Fault("told wrongly", f"{what}: it never ran")
            if out != wanted_out:
                raise Fault("wrong bytes", f"{what}: {len(out)} of {len(wanted_out)}")
            return "exact"
        if code != 255:
            raise Fault("told wrongly", f"{what}: exit {code}, not {wanted_code}")
        if not wanted_out.startswith(out):
            raise Fault("wrong bytes", f"{what}: {out[:80]!r}")
        return "lost"

    # Runs that are cut.

    def cut_run(self, pick):
        kind = pick.choice(("plain", "plain", "kept", "shell", "batch", "lopsided"))
        return kind + " " + getattr(self, "cut_" + kind)(pick)

    @contextlib.contextmanager
    def through(self, pick, size):
        fates = self.fates(pick, size)
        proxy = CuttingProxy(self.server.socket, lambda n: fates[n] if n < len(fates) else None,
                             near=self.short())
        try:
            yield f"unix:{proxy.near}", fates
        finally:
            proxy.close()

    def cut_plain(self, pick, *options):
        stdin = pick.randbytes(pick.choice((0, 10, 5000, 300_000)))
        marks, code = self.short(), pick.randrange(1, 120)
        with self.through(pick, len(stdin)) as (target, fates):
            process = self.client(target, *options, f"echo >> {marks}; cat; exit {code}",
                                  stdin=subprocess.PIPE)
            got, out, err = self.end_of(process, stdin)
        end = self.check(self.count(marks), got, out, code, stdin, (fates, options, err))
        if end != "exact":  # The session lives, and the way is whole again in time.
            raise Fault("told wrongly", f"lost, though the server was there: {fates} {options} {err}")
        return end

    def cut_kept(self, pick):
        return self.cut_plain(pick, "--run-id", f"kept-{pick.randrange(1 << 60)}")

    def cut_shell(self, pick):
        name = f"shell-{pick.randrange(1 << 60)}"
        direct = f"unix:{self.server.socket}"
        value = str(pick.randrange(1 << 30))
        first = self.client(direct, "--shell", name, f"v={value}")
        if self.end_of(first)[0] != 0:
            raise Fault("told wrongly", "the first call in a shell")
        marks, code = self.short(), pick.randrange(1, 120)
        with self.through(pick, 0) as (target, fates):
            process = self.client(target, "--shell", name,
                                  f"echo >> {marks}; echo $v; (exit {code})")
            got, out, err = self.end_of(process)
        end = self.check(self.count(marks), got, out, code, value.encode() + b"\n", (fates, err))
        again = self.end_of(self.client(direct, "--shell", name, "echo $v"))
        if again[:2] != (0, value.encode() + b"\n"):
            raise Fault("told wrongly", f"the shell's state is lost: {fates} {again}")
        self.end_of(self.client(direct, "--kill", name, None))
        if end != "exact":  # The shell lives.
            raise Fault("told wrongly", f"lost, though the shell was there: {fates} {err}")
        return end

    def cut_batch(self, pick):
        lines = pick.randrange(2, 6)
        marks = [self.short() for _ in range(lines)]
        text = "".join(f"echo >> {mark}; echo line{number}\n" for number, mark in enumerate(marks))
        one_shell = ["--one-shell"] if pick.random() < 0.3 else []
        with self.through(pick, 300 * lines) as (target, fates):
            process = self.client(target, "--batch", "--jobs", "1", *one_shell, None,
                                  stdin=subprocess.PIPE)
            code, out, err = self.end_of(process, text.encode())
        counts = [self.count(mark) for mark in marks]
        if max(counts) > 1:
            raise Fault("run twice", (fates, counts, err))
        wanted = "".join(f"line{number}\n" for number in range(lines)).encode()
        if code == 0:
            if out != wanted or min(counts) != 1:
                raise Fault("wrong bytes", (fates, counts, out, err))
            return "exact"
        if code != 255:
            raise Fault("told wrongly", f"exit {code}: {fates} {err}")
        if not one_shell:  # A shell may be gone with its session. Other lines need none.
            raise Fault("told wrongly", f"lost, though the server was there: {fates} {counts} {err}")
        return "lost"

    def cut_lopsided(self, pick):
        """One side gets the loss before the other, before or after `started` has arrived."""
        proxy = LopsidedProxy(self.server.socket, self.short(), frames=pick.choice((1, 1, 2)))
        marks, code = self.short(), pick.randrange(1, 120)
        try:
            process = self.client(f"unix:{proxy.near}", f"echo >> {marks}; sleep 0.2; exit {code}")
            proxy.is_connected.wait(PATIENCE)
            time.sleep(pick.random() / 4)
            cuts = [proxy.cut_far, proxy.cut_near]
            pick.shuffle(cuts)
            cuts[0]()
            time.sleep(pick.random() / 2)
            cuts[1]()
            got, out, err = self.end_of(process)
        finally:
            proxy.close()
        end = self.check(self.count(marks), got, out, code, b"", err)
        if end != "exact":
            raise Fault("told wrongly", f"lost within its grace: {err}")
        return end

    def test_runs_cut_in_every_phase(self):
        self.rounds("cuts", ROUNDS, self.cut_run)

    # Roles that are killed.

    def kill_role(self, pick):
        """Kills one role of a running command. The client reports the truth, and nothing stays."""
        role = pick.choice(("session", "command", "client"))
        marks, pid_file, code = self.short(), self.short(), pick.randrange(1, 120)
        kept = ["--run-id", f"killed-{pick.randrange(1 << 60)}"] if pick.random() < 0.4 else []
        process = self.client(f"unix:{self.server.socket}", *kept,
                              f"echo >> {marks}; echo $$ > {pid_file}; sleep 0.{pick.randrange(10)};"
                              f" exit {code}")
        if pick.random() < 0.7:
            command = self.pid_from(pid_file)
        else:
            time.sleep(pick.random() / 10)
            command = None
        with contextlib.suppress(OSError):
            if role == "client":
                process.kill()
            elif command is not None:
                os.kill(command if role == "command" else Stat(command).parent, signal.SIGKILL)
        got, out, err = self.end_of(process)
        if role == "client" and got == -signal.SIGKILL:
            return "client killed"
        if role == "command" and got == 128 + signal.SIGKILL:
            return "command killed"
        end = self.check(self.count(marks), got, out, code, b"", (role, err))
        if end == "lost" and role != "session":
            raise Fault("told wrongly", f"lost, though its session lives: {role} {err}")
        return f"{role}: {end}"

    def test_roles_that_are_killed(self):
        self.rounds("kills", max(8, ROUNDS * 3 // 10), self.kill_role)

    def test_a_server_whose_processes_are_killed_serves_on(self):
        """Kills the fork server and the sessions that were forked ahead."""
        folder = os.path.join(self.folder, "killed")
        os.makedirs(folder, 0o700, exist_ok=True)
        server = Server(folder, tcp=False)
        pick = random.Random(f"{SEED}-server")
        try:
            for _ in range(max(4, ROUNDS // 10)):
                helpers = [stat for stat in below(server.pid, process_table())
                           if stat.name in ("frshd-forker", "frshd-prefork")]
                if helpers:
                    with contextlib.suppress(OSError):
                        os.kill(pick.choice(helpers).pid, signal.SIGKILL)
                got = self.end_of(self.client(f"unix:{server.socket}", "echo here; exit 9",
                                              runtime=folder))
                self.assertEqual((9, b"here\n"), got[:2], (got, f"seed {SEED}"))
        finally:
            server.end()

    # Damaged state.

    @staticmethod
    def damage(pick, folder):
        """Changes one thing in the folder of a kept run."""
        names = sorted(os.listdir(folder))
        path = os.path.join(folder, pick.choice(names))
        way = pick.choice(("flip", "cut", "remove", "folder", "empty", "grow"))
        if way == "remove":
            os.unlink(path)
        elif way == "folder":
            os.unlink(path)
            os.mkdir(path)
        else:
            with open(path, "r+b") as file:
                data = bytearray(file.read())
                if way == "flip" and data:
                    data[pick.randrange(len(data))] ^= 1 << pick.randrange(8)
                elif way == "cut":
                    del data[pick.randrange(len(data) + 1):]
                elif way == "empty":
                    data.clear()
                else:
                    data += pick.randbytes(20)
                file.seek(0)
                file.write(data)
                file.truncate()
        return f"{way} {os.path.basename(path)}"

    def damaged_state(self, pick):
        run = f"damaged-{pick.randrange(1 << 60)}"
        target = f"unix:{self.server.socket}"
        marks = self.short()
        size = pick.choice((0, 100, 70_000))
        words = ["--run-id", run, f"echo >> {marks}; head -c {size} /dev/zero"]
        if self.end_of(self.client(target, *words))[0] != 0:
            raise Fault("told wrongly", "a whole run")
        folder = os.path.join(self.unix.runtime, "state/frsh/runs", run)
        what = self.damage(pick, folder)
        code, out, err = self.end_of(self.client(target, "--logs", run, None))
        if code == 0 and len(out) != size:
            raise Fault("wrong bytes", f"{what}: {len(out)} of {size} bytes and exit 0")
        if out.strip(b"\0"):
            raise Fault("wrong bytes", what)
        code, out, err = self.end_of(self.client(target, *words))
        if self.count(marks) != 1:
            raise Fault("run twice", f"{what}: {err}")
        if code == 0 and len(out) != size:
            raise Fault("wrong bytes", f"{what}: again {len(out)} of {size} bytes and exit 0")
        code, out, err = self.end_of(self.client(target, "--json", "--runs", None))
        if code != 0 or run not in [json.loads(line)["run"] for line in out.splitlines()]:
            raise Fault("told wrongly", f"{what}: it is not listed: {code} {err}")
        if self.end_of(self.client(target, "--forget", run, None))[0] != 0 or os.path.exists(folder):
            raise Fault("left over", f"{what}: it cannot be forgotten")
        return what.split()[0]

    def test_damaged_state_folders(self):
        self.rounds("damage", max(8, ROUNDS // 20), self.damaged_state)
        shutil.rmtree(os.path.join(self.unix.runtime, "state"), True)


class Gates(TlsCase):
    """Kills gates: those that wait for a client, and those of a run."""

    def gates(self, name):
        table = process_table()
        return [stat for stat in below(self.server.pid, table)
                if stat.name == name and stat.state not in "ZX" and stat.parent in table
                and stat.parent != self.server.pid]

    def test_gates_that_are_killed(self):
        pick = random.Random(f"{SEED}-gates")
        for number in range(max(3, ROUNDS // 20)):
            marks, code = os.path.join(self.folder, f"marks-{number}"), pick.randrange(1, 120)
            with contextlib.suppress(OSError):
                for gate in self.gates("frshd-prefork") if pick.random() < 0.5 else []:
                    os.kill(gate.pid, signal.SIGKILL)
                    wait_until(lambda pid=gate.parent: not os.path.exists(f"/proc/{pid}"), "its session to end")
            process = self.own.popen("-q", f"--on-disconnect=grace:{GRACE}s", self.target,
                                     f"echo >> {marks}; sleep 0.{pick.randrange(1, 6)}; echo out; exit {code}")
            wait_until(lambda path=marks: os.path.exists(path), "the run to begin")
            for gate in self.gates("frshd-gate"):
                with contextlib.suppress(OSError):
                    os.kill(gate.pid, signal.SIGKILL)
            out, err = process.communicate(timeout=PATIENCE)
            self.assertEqual((code, b"out\n"), (process.returncode, out), (f"seed {SEED}, round {number}", err))
            self.assertEqual(1, os.path.getsize(marks), "run twice")


if __name__ == "__main__":
    main()
