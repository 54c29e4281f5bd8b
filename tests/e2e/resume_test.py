"""Runs that outlive their connection: every byte once, the right end, and never run twice, however
the connection fails.

FRSH_TEST_FULL=1: a cut at every byte of the exchange, in every way, and 10,000 cut runs. The table
shows how they were cut."""

import collections
import concurrent.futures
import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from cutting_proxy import WAYS, CuttingProxy, Fate  # noqa: E402
from harness import (FRSH, FULL, PATIENCE, SANITIZED, Case, environment, is_alive, main,  # noqa: E402
                     open_descriptors, resident_kib, wait_until)

GRACE = "grace:20s"


def abstract_names():
    """(inode, name) of every session that can be found."""
    with open("/proc/net/unix") as file:
        fields = [line.split() for line in file]
    return {(one[6], one[7]) for one in fields if len(one) > 7 and one[7].startswith("@frsh/")}


def names_of(pid):
    sockets = set(open_descriptors(pid).values())
    return {name for inode, name in abstract_names() if f"socket:[{inode}]" in sockets}


class Resume(Case):
    def tearDown(self):
        self.no_strays(40)  # An acknowledgement that was cut off costs a grace.

    def through(self, fate):
        proxy = CuttingProxy(self.server.socket, fate, near=self.short_path())
        self.addCleanup(proxy.close)
        return proxy

    def popen(self, proxy, command, *options, grace=GRACE, **popen):
        popen.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen(
            [FRSH, f"--on-disconnect={grace}", *options, f"unix:{proxy.near}", command],
            env=environment(self.unix.runtime), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            **popen)

    def run_through(self, proxy, command, *options, stdin=b"", **popen):
        process = self.popen(proxy, command, *options, stdin=subprocess.PIPE, **popen)
        with self.running(process):
            try:
                out, err = process.communicate(stdin, timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                raise AssertionError(f"hung: {process.communicate()}") from None
        return process.returncode, out, err

    @staticmethod
    def counted(count, errors, code):
        return f"echo once >> {count}; cat; yes error | head -c {errors} >&2; exit {code}"

    # Runs one command over a connection that is cut as `fates` tell, and checks all of its bytes.
    def check_run(self, fates, stdin, errors, code, name, grace=GRACE):
        proxy = CuttingProxy(self.server.socket, lambda n: fates[n] if n < len(fates) else None,
                             near=self.short_path())
        count = self.short_path()
        try:
            got, out, err = self.run_through(proxy, self.counted(count, errors, code), "-q",
                                             stdin=stdin, grace=grace)
            said = err
            expected = b"error\n" * (errors // 6 + 1)
            self.assertEqual((code, len(stdin), errors), (got, len(out), len(said)), (name, fates))
            self.assertTrue(out == stdin and said == expected[:errors], (name, fates))
            with open(count) as file:
                self.assertEqual("once\n", file.read(), (name, fates))
            return min(proxy.count, len(fates))
        finally:
            proxy.close()
            if os.path.exists(count):
                os.unlink(count)

    def test_cut_at_every_byte_of_an_exchange(self):
        stdin, errors = b"abc\n" * 100, 60

        def sizes(*options, grace):  # Bytes of the exchange without a cut.
            whole = self.through(lambda n: None)
            command = self.counted(self.short_path(), errors, 3)
            self.assertEqual(3, self.run_through(whole, command, *options, stdin=stdin, grace=grace)[0])
            wait_until(lambda: whole.up > 0 and whole.down > 0, "the proxy to have counted")
            return whole.up, whole.down

        cases = []
        # Clients that attach to a kept run resume by another way.
        for grace in (GRACE, "keep"):
            up, down = sizes(grace=grace)
            step = 1 if FULL else 97 if grace == GRACE else 389
            for number, way in enumerate(WAYS):
                first = 1 if FULL else 1 + number * 37 % step
                cases += [(way, {"up": at}, grace) for at in range(first, up + 1, step)]
                cases += [(way, {"down": at}, grace) for at in range(first, down + 1, step)]
        done = collections.Counter()

        def one(case):
            way, at, grace = case
            self.check_run([Fate(way, stall=0.01, **at)], stdin, errors, 3, case, grace)
            return (way, *at)

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for way in pool.map(one, cases):
                done[way] += 1
        for kind in itertools.product(WAYS, ("up", "down")):
            self.assertGreater(done[kind], 0, kind)
        if FULL:
            print("\ncut at every byte:", dict(done))

    def test_cut_at_random_with_random_sizes(self):
        runs = 10_000 if FULL else 60 if SANITIZED else 150
        print_lock = threading.Lock()
        table = collections.defaultdict(lambda: [0, 0, 0])

        def one(seed):
            pick = random.Random(seed)
            sizes = [0, 1, 100, 65536, 262144, 262145, 1048576, 1048577, 3_000_000]
            stdin = pick.randbytes(1) * pick.choice(sizes) if pick.random() < 0.5 else \
                pick.randbytes(pick.randrange(400_000))
            errors = pick.choice(sizes) if pick.random() < 0.3 else pick.randrange(200_000)
            way = pick.choice(WAYS)
            fates = []
            for n in range(pick.choice([1, 1, 2, 3, 20])):
                most = 2 * (len(stdin) + errors) + 2000
                at = {pick.choice(["up", "down"]): pick.randrange(1, most)}
                if pick.random() < 0.5:
                    at = {side: min(value, 5000) for side, value in at.items()}
                fates.append(Fate(way, stall=pick.choice([0.01, 0.05]), **at))
            grace = pick.choice([GRACE, GRACE, "keep"])
            cuts = self.check_run(fates, stdin, errors, pick.randrange(256), seed, grace)
            with print_lock:
                row = table[f"{way}{', kept' if grace == 'keep' else ''}"]
                row[0] += 1
                row[1] += cuts
                row[2] += len(stdin) + errors

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(one, range(runs)))
        if FULL:
            print(f"\n{'how':<16}{'runs':>8}{'cuts':>8}{'MiB':>8}   all byte-exact, none run twice")
            for way, (count, cuts, size) in sorted(table.items()):
                print(f"{way:<16}{count:>8}{cuts:>8}{size / 2**20:>8.0f}")

    def test_the_loss_is_reported_once_and_the_run_goes_on(self):
        proxy = self.through(lambda n: Fate(down=600) if n == 0 else None)
        code, out, err = self.run_through(proxy, "echo one; sleep 0.3; echo two; exit 4")
        self.assertEqual((4, b"one\ntwo\n"), (code, out), err)
        self.assertRegex(err, rb"\Afrsh: the connection was lost[^\n]*; trying to get it back for "
                         rb"20 s\n\Z")

    def test_an_unreachable_server_makes_the_run_lost(self):
        pid_file = self.path("pid")
        proxy = self.through(lambda n: Fate(down=600, stall=0))
        process = self.popen(proxy, f"echo $$ > {pid_file}; yes", grace="grace:1s")
        with self.running(process):
            pid = self.pid_from(pid_file)
            proxy.fate = lambda n: Fate(up=0)
            _, err = process.communicate(timeout=PATIENCE)
            self.assertEqual(255, process.returncode)
            self.assertRegex(err, rb"\nfrsh: lost: [^\n]*not restored within 1 s[^\n]*run [0-9a-z]"
                             rb"{16}, stdout \d+, stderr 0 bytes arrived\)\n\Z")
            wait_until(lambda: not is_alive(pid), "the grace to end the run")

    def test_a_disconnected_run_holds_bounded_memory(self):
        proxy = self.through(lambda n: Fate(down=100_000) if n == 0 else Fate(up=0))
        session_file = self.path("session")
        process = self.popen(proxy, f"echo $PPID > {session_file}; yes", grace="grace:3s")
        with self.running(process):
            session = self.pid_from(session_file)
            most = 0
            begin = time.monotonic()
            while is_alive(session) and time.monotonic() - begin < PATIENCE:
                if time.monotonic() - begin > 1.5:
                    process.kill()
                try:
                    most = max(most, resident_kib(session, "VmRSS"))
                except (FileNotFoundError, ProcessLookupError):
                    break
                time.sleep(0.05)
            self.assertFalse(is_alive(session), "it ends with its grace")
            if not SANITIZED:
                self.assertLess(most, 16 * 1024)

    def test_a_killed_client_costs_one_grace_a_leaving_one_none(self):
        for number, grace, least, most in ((signal.SIGKILL, 1, 0.9, 30), (signal.SIGTERM, 20, 0, 15)):
            pid_file = self.path(f"pid{number}")
            proxy = self.through(lambda n: None)
            process = self.popen(proxy, f"echo $$ > {pid_file}; exec sleep 60", grace=f"grace:{grace}s")
            with self.running(process):
                pid = self.pid_from(pid_file)
                process.send_signal(number)
                process.wait()
                begin = time.monotonic()
                wait_until(lambda: not is_alive(pid), "the run to end")
                self.assertGreaterEqual(time.monotonic() - begin, least)
                self.assertLess(time.monotonic() - begin, most)

    def test_a_session_killed_while_disconnected_is_lost(self):
        session_file = self.path("session")
        proxy = self.through(lambda n: None)
        process = self.popen(proxy, f"echo $PPID > {session_file}; exec sleep 60")
        with self.running(process):
            session = self.pid_from(session_file)
            names = wait_until(lambda: names_of(session), "the session to have a name")
            os.kill(session, signal.SIGKILL)
            _, err = process.communicate(timeout=PATIENCE)
            self.assertEqual(255, process.returncode)
            self.assertIn(b"frsh: lost: ", err)
            self.assertIn(b"no such session any more", err)
        self.assertFalse(names & {name for _, name in abstract_names()})

    def test_a_signal_while_the_connection_is_away_arrives(self):
        ready, up = self.path("ready"), threading.Event()

        def fate(n):
            if n == 0:
                return Fate(down=600)
            up.wait(PATIENCE)
            return None

        proxy = self.through(fate)
        process = self.popen(proxy, f"trap 'echo int; exit 9' INT; yes | head -c 400; echo > {ready}; "
                             "while :; do sleep 0.02; done")
        with self.running(process):
            wait_until(lambda: os.path.exists(ready), "the command to be there")
            line = process.stderr.readline()
            self.assertIn(b"the connection was lost", line)
            process.send_signal(signal.SIGINT)
            time.sleep(0.1)
            up.set()
            out, _ = process.communicate(timeout=PATIENCE)
            self.assertEqual(9, process.returncode)
            self.assertTrue(out.endswith(b"int\n"))

    def test_output_limits_and_their_gap_survive_every_cut(self):
        def fate(n):
            return Fate(down=300 + 400 * n) if n < 20 else None

        proxy = self.through(fate)
        code, out, err = self.run_through(
            proxy, "seq 1 20000; exit 2", "--max-output", "4K", "-q")
        whole = b"".join(b"%d\n" % i for i in range(1, 20001))
        self.assertEqual((2, whole[:2048] + whole[-2048:]), (code, out), err)
        self.assertGreater(proxy.count, 3)

    def test_a_batch_goes_on_line_by_line(self):
        lines = [f"echo line {i}; echo again {i} >&2" for i in range(30)]
        for options in ([], ["--jobs", "4"], ["--one-shell"]):
            proxy = self.through(lambda n: Fate(down=900) if 0 < n < 8 or n == 0 else None)
            process = subprocess.Popen(
                [FRSH, "-q", f"--on-disconnect={GRACE}", "--batch", *options, f"unix:{proxy.near}"],
                env=environment(self.unix.runtime, HOME=self.folder), stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            with self.running(process):
                out, err = process.communicate("\n".join(lines).encode(), timeout=PATIENCE)
            self.assertEqual("".join(f"line {i}\n" for i in range(30)).encode(), out, err)
            self.assertEqual("".join(f"again {i}\n" for i in range(30)).encode(), err)
            self.assertEqual(0, process.returncode)
            self.assertGreater(proxy.count, 3, options)


if __name__ == "__main__":
    main()
