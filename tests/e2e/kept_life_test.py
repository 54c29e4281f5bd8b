"""Kept runs on the server: each id runs once, whatever is killed and however often it is requested.
Every byte is in the journal or reported as missing.

FRSH_TEST_FULL=1: 1,000 runs at once, and a thousand sessions that are killed while they write."""

import concurrent.futures
import contextlib
import fcntl
import hashlib
import json
import os
import random
import signal
import resource
import subprocess
import sys
import tempfile
import termios
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import (FULL, PATIENCE, Case, Place, Server, descendants,  # noqa: E402
                     is_alive, main, wait_until)


def counted(count, rest):
    return f"echo once >> {count}; {rest}"


class KeptLife(Case):
    number = 0

    def new_id(self):
        KeptLife.number += 1
        return f"life-{self.number}-{os.getpid()}"

    def tearDown(self):
        self.end_sessions()
        self.no_strays()

    @contextlib.contextmanager
    def another(self, config="", **popen):
        """A server of its own, and a way to it."""
        runtime = tempfile.mkdtemp(dir=self.folder)
        path = self.short_path()
        with open(path, "w") as file:
            file.write("unix = true\n" + config)
        os.chmod(path, 0o600)
        server = Server(runtime, tcp=False, arguments=("--config", path), **popen)
        try:
            yield Place("another", runtime, ["local"], server)
        finally:
            server.end()

    def run_it(self, *words, stdin=b"", **options):
        return self.unix.run(words[:-1], words[-1], stdin=stdin, **options)

    # Requests about kept runs: the words of TARGET come last.
    def ask(self, *options, **more):
        return self.unix.run(options, **more)

    def detach(self, command, *options):
        result = self.run_it("--detach", *options, command)
        self.assertEqual(0, result.code, result)
        return result.out.decode().strip()

    def runs(self):
        result = self.ask("--runs", "--json")
        self.assertEqual(0, result.code, result)
        return {one["run"]: one for one in map(json.loads, result.out.splitlines())}

    def folder_of(self, run):
        return os.path.join(self.unix.runtime, "state/frsh/runs", run)

    def lines(self, path):
        with open(path) as file:
            return file.read().splitlines()

    def killed(self, process, number=signal.SIGKILL):
        process.send_signal(number)
        process.communicate(timeout=PATIENCE)

    def test_a_detached_run_goes_on_and_later_clients_get_every_byte(self):
        go = self.path("go")
        run = self.detach(f"seq 1 50000; while [ ! -e {go} ]; do sleep 0.01; done; seq 1 50000 >&2; exit 7")
        sequence = b"".join(b"%d\n" % i for i in range(1, 50001))
        wait_until(lambda: len(self.ask("--logs", run).out) == len(sequence), "the first half")
        open(go, "w").close()
        for _ in range(2):  # Each repetition has the same answer.
            result = self.ask("--attach", run, record=True)
            self.assertEqual((7, sequence, sequence), (result.code, result.out, result.err))
            self.agrees(result)
        self.assertEqual(0, self.ask("--forget", run).code)
        self.assertFalse(os.path.exists(self.folder_of(run)))

    def test_an_id_runs_once_when_many_clients_request_it(self):
        for _ in range(3):
            run, count = self.new_id(), self.path("count")
            with concurrent.futures.ThreadPoolExecutor(12) as pool:
                results = list(pool.map(
                    lambda _: self.run_it("--run-id", run, counted(count, "seq 1 20000; sleep 0.3; exit 5")),
                    range(12)))
            for result in results:
                self.assertEqual((5, b"".join(b"%d\n" % i for i in range(1, 20001))),
                                 (result.code, result.out), result)
            self.assertEqual(["once"], self.lines(count))
            os.unlink(count)

    def test_an_id_reused_for_another_command_is_refused(self):
        run, count = self.new_id(), self.path("count")
        self.assertEqual(0, self.run_it("--run-id", run, "true").code)
        for words in ((counted(count, "true"),), ("--argv", "true")):
            result = self.run_it("--run-id", run, *words)
            self.assertEqual(255, result.code, result)
            self.assertIn(b"is another command", result.err)
        self.assertFalse(os.path.exists(count))

    def test_reopened_run_resumes_stdin_where_the_killed_client_stopped(self):
        for size in (0, 1, 100_000, 3_000_000):
            run, count = self.new_id(), self.path("count")
            stdin = random.Random(size).randbytes(size)
            command = counted(count, "head -c 1000 | wc -c >&2; sleep 0.1; exec cat")
            for patience in (0.05, 0.15, 0.2):
                process = self.unix.popen(("--run-id", run), command, stdin=subprocess.PIPE,
                                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                with self.running(process):
                    os.set_blocking(process.stdin.fileno(), False)
                    part = stdin[:size // 2]
                    while part:
                        try:
                            part = part[os.write(process.stdin.fileno(), part):]
                        except BlockingIOError:
                            break
                    time.sleep(patience)  # At any moment of its work.
                    process.kill()
            result = self.run_it("--run-id", run, command, stdin=stdin)
            self.assertEqual(0, result.code, result)
            self.assertEqual(hashlib.md5(stdin[1000:]).digest(), hashlib.md5(result.out).digest(), size)
            self.assertEqual(b"%d\n" % min(size, 1000), result.err)
            self.assertEqual(["once"], self.lines(count))
            os.unlink(count)

    def test_runs_of_a_killed_session_are_lost_and_never_run_again(self):
        run, count, pid_file = self.new_id(), self.path("count"), self.path("pid")
        command = counted(count, f"echo out; echo $PPID > {pid_file}; exec sleep 60")
        process = self.unix.popen(("--run-id", run), command, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with self.running(process):
            # The client follows the journal: once it prints a line, the line is in the journal.
            self.assertEqual(b"out\n", process.stdout.readline())
            os.kill(self.pid_from(pid_file), signal.SIGKILL)
            self.assertEqual(255, process.wait(PATIENCE))
        self.assertEqual("lost", self.runs()[run]["outcome"]["kind"])
        for options in (("--run-id", run), ("--attach", run)):
            result = self.unix.run(options, *((command,) if options[0] == "--run-id" else ()))
            self.assertEqual((255, b"out\n"), (result.code, result.out), result)
            self.assertIn(b"its session died before it ended", result.err)
        self.assertEqual(["once"], self.lines(count))
        # And the listener has ended what it had started: see tearDown().

    def test_a_restarted_machine_is_the_reason_of_a_lost_run(self):
        pid_file = self.path("pid")
        run = self.detach(f"echo $PPID > {pid_file}; exec sleep 60")
        session = self.pid_from(pid_file)
        os.kill(session, signal.SIGKILL)
        wait_until(lambda: not is_alive(session), "the session to die")
        path = os.path.join(self.folder_of(run), "asked")
        with open(path) as file:
            text = file.read()
        with open("/proc/sys/kernel/random/boot_id") as file:
            boot = file.read().strip()
        self.assertIn(boot, text)
        with open(path, "w") as file:
            file.write(text.replace(boot, boot[::-1]))
        outcome = self.runs()[run]["outcome"]
        self.assertEqual("lost", outcome["kind"])
        self.assertIn("restarted", outcome["message"])

    def test_sessions_killed_while_writing_leave_a_correct_beginning(self):
        sequence = b"".join(b"%d\n" % i for i in range(1, 400_000))
        pick = random.Random(5)
        for number in range(1000 if FULL else 12):
            pid_file = self.short_path()
            run = self.detach(f"echo $PPID > {pid_file}; exec seq 1 100000000")
            session = self.pid_from(pid_file)
            time.sleep(pick.random() * 0.02)
            os.kill(session, signal.SIGKILL)
            wait_until(lambda pid=session: not is_alive(pid), "the session to die")
            result = self.ask("--logs", run, record=True)
            self.assertEqual("lost", result.record["outcome"]["kind"], result)
            size = min(len(result.out), len(sequence))
            self.assertEqual(sequence[:size], result.out[:size], number)
            self.assertEqual(0, self.ask("--forget", run).code)

    def test_a_killed_listener_ends_no_run_and_the_next_finds_them(self):
        go = self.path("go")
        with self.another() as place:
            run = place.run(("--detach",), f"echo a; while [ ! -e {go} ]; do sleep 0.01; done; "
                            "echo b; exit 3").out.decode().strip()
            place.server.process.kill()
            place.server.process.wait()
            server = Server(place.runtime, tcp=False)
            try:
                process = place.popen(("--attach", run), stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                with self.running(process):
                    self.assertEqual(b"a\n", process.stdout.readline())
                    open(go, "w").close()
                    out, err = process.communicate(timeout=PATIENCE)
                    self.assertEqual((3, b"b\n"), (process.returncode, out), err)
            finally:
                server.end()

    def test_a_killed_command_is_reported_as_killed(self):
        pid_file = self.path("pid")
        run = self.detach(f"echo $$ > {pid_file}; exec sleep 60")
        os.kill(self.pid_from(pid_file), signal.SIGKILL)
        result = self.ask("--wait", run, record=True)
        self.assertEqual((137, "KILL"), (result.code, result.record["outcome"]["signal"]), result)

    def test_a_signal_to_the_client_ends_only_runs_not_kept(self):
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGKILL):
            for wish, stays in (("keep", True), ("kill", False)):
                run, pid_file = self.new_id(), self.short_path()
                process = self.unix.popen(("--run-id", run, f"--on-disconnect={wish}"),
                                          f"echo $$ > {pid_file}; exec sleep 60",
                                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                          stderr=subprocess.PIPE)
                with self.running(process):
                    pid = self.pid_from(pid_file)
                    self.killed(process, number)
                if stays:
                    time.sleep(0.2)
                    self.assertTrue(is_alive(pid), (number, wish))
                    self.assertEqual(0, self.ask("--kill", run).code)
                wait_until(lambda pid=pid: not is_alive(pid), "the run to end")
                kind = wait_until(lambda run=run: self.runs()[run]["outcome"]["kind"], "its end")
                # After SIGTERM the client cancels the run, and waits for its last output.
                is_canceled = stays or number == signal.SIGTERM
                self.assertIn(kind, ("canceled" if is_canceled else "signaled", "running"))

    def test_a_stopped_follower_delays_neither_command_nor_others(self):
        run = self.new_id()
        command = "head -c 20000000 /dev/zero; exit 4"
        stuck = self.unix.popen(("--run-id", run), command, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with self.running(stuck):
            wait_until(lambda: run in self.runs(), "the run to be there")
            other = self.ask("--attach", run, record=True)
            self.assertEqual((4, 20_000_000), (other.code, len(other.out)), other)
            out, err = stuck.communicate(timeout=PATIENCE)
            self.assertEqual((4, 20_000_000, b""), (stuck.returncode, len(out), err))

    def test_past_the_cap_both_ends_are_kept_and_the_gap_is_reported(self):
        with self.another('keep_stream = "256K"\n') as place:
            run = place.run(("--detach",), "seq 1 1000000; echo end >&2").out.decode().strip()
            self.assertEqual(0, place.run(("--wait", run)).code)
            result = place.run(("--logs", run), record=True)
            whole = b"".join(b"%d\n" % i for i in range(1, 1_000_001))
            told = result.record["stdout"]
            self.assertEqual(len(whole), told["bytes"])
            self.assertEqual(len(result.out), told["delivered"])
            self.assertEqual(whole[:told["gap_at"]], result.out[:told["gap_at"]])
            tail = result.out[told["gap_at"]:]
            self.assertGreater(len(tail), 60_000)
            self.assertTrue(whole.endswith(tail))
            self.assertIn(b"end\n", result.err)
            self.assertIn(b"left out", result.err)
            folder = os.path.join(place.runtime, "state/frsh/runs", run)
            size = sum(os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder)
                       if name.startswith("stdout-"))
            self.assertLess(size, 256 * 1024 * 1.3)

    def wait_until_stuck(self, process):
        """Waits until the client's stdout holds more than a few bytes and no longer grows."""
        seen = [0, 0, 0]

        def is_stuck():
            time.sleep(0.1)
            waiting = fcntl.ioctl(process.stdout.fileno(), termios.FIONREAD, b"\0" * 4)
            seen.append(int.from_bytes(waiting, sys.byteorder))
            return seen[-1] > 10_000 and seen[-1] == seen[-3]

        wait_until(is_stuck, "the client's stdout to be full")

    def test_k2_a_live_reader_slower_than_the_cap_gets_every_byte(self):
        whole = b"".join(b"%d\n" % i for i in range(1, 1_000_001))
        with self.another('keep_stream = "256K"\n') as place:
            for options in (("--run-id", "live"), ("--on-disconnect=keep",)):
                process = place.popen(options, "seq 1 1000000; echo end >&2", stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                with self.running(process):
                    self.wait_until_stuck(process)
                    out, err = process.communicate(timeout=PATIENCE)
                self.assertEqual((0, b"end\n", True), (process.returncode, err, out == whole))

    def test_k2_a_client_that_left_does_not_hold_up_the_command(self):
        done = self.path("done")
        with self.another('keep_stream = "256K"\n') as place:
            process = place.popen(("--run-id", "left"), f"seq 1 1000000; echo > {done}",
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
            with self.running(process):
                self.wait_until_stuck(process)
                self.assertFalse(os.path.exists(done))
                process.send_signal(signal.SIGTERM)
                wait_until(lambda: os.path.exists(done), "the command to go on alone")
            late = place.run(("--attach", "left"))
            self.assertEqual((255, True), (late.code, b"no longer in the journal" in late.err), late)

    def test_k2_a_success_whose_bytes_a_full_disk_refused_is_255(self):
        with self.another(preexec_fn=self.limit_files) as place:
            result = place.run(("--run-id", "full"), "head -c 3000000 /dev/zero", record=True)
            self.assertEqual(255, result.code, result)
            self.assertIn(b"File too large", result.err)
            self.assertEqual({"kind": "exited", "code": 0}, result.record["outcome"])
            for option in ("--attach", "--logs"):
                self.assertEqual(255, place.run((option, "full")).code)

    def test_a_full_disk_is_reported_and_stops_no_command(self):
        with self.another(preexec_fn=self.limit_files) as place:
            result = place.run(("--run-id", "full"), "head -c 3000000 /dev/zero; echo still here >&2; exit 6",
                               record=True)
            self.assertEqual(6, result.code, result)
            self.assertIn(b"still here", result.err)
            self.assertIn("File too large", result.record["journal"])
            self.assertEqual(3_000_000, result.record["stdout"]["bytes"])
            self.assertLess(len(result.out), 3_000_000)
            self.assertEqual(len(result.out), result.record["stdout"]["delivered"])
            again = place.run(("--attach", "full"), record=True)
            self.assertEqual(6, again.code)
            self.assertIn("File too large", again.record["journal"])

    @staticmethod
    def limit_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    def test_a_folder_that_cannot_be_written_starts_nothing(self):
        runtime = tempfile.mkdtemp(dir=self.folder)
        os.makedirs(os.path.join(runtime, "state"))
        open(os.path.join(runtime, "state/frsh"), "w").close()
        place = Place("nowhere", runtime, ["local"])
        count = self.path("count")
        result = place.run(("--run-id", "x"), counted(count, "true"), record=True)
        self.assertEqual(("not_started", "journal"),
                         (result.record["outcome"]["kind"], result.record["outcome"]["stage"]))
        self.assertEqual(255, result.code)
        self.assertFalse(os.path.exists(count))

    def test_a_folder_open_to_others_is_refused_for_every_request(self):
        runtime = tempfile.mkdtemp(dir=self.folder)
        folder = os.path.join(runtime, "state/frsh/runs")
        os.makedirs(folder)
        os.chmod(folder, 0o755)
        place = Place("open", runtime, ["local"])
        for options in (("--runs",), ("--attach", "x"), ("--logs", "x"), ("--wait", "x"), ("--kill", "x"),
                        ("--forget", "x")):
            result = place.run(options)
            self.assertEqual((255, b"", 1), (result.code, result.out, result.err.count(b"\n")), result)
            self.assertIn(b"open to other users", result.err)

    def test_a_byte_that_changed_on_disk_is_damage_and_no_output(self):
        run = self.detach("seq 1 100000")
        self.assertEqual(0, self.ask("--wait", run).code)
        path = os.path.join(self.folder_of(run), "stdout-" + "0" * 16)
        with open(path, "r+b") as file:
            file.seek(200_000)
            byte = file.read(1)
            file.seek(200_000)
            file.write(bytes([byte[0] ^ 1]))
        result = self.ask("--attach", run)
        self.assertEqual(255, result.code)
        self.assertIn(b"damage", result.err)
        self.assertTrue(b"".join(b"%d\n" % i for i in range(1, 100_001)).startswith(result.out))
        self.assertLess(len(result.out), 200_000)

    def test_many_runs_are_listed_quickly(self):
        many = 1000 if FULL else 40
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            runs = list(pool.map(lambda _: self.detach("exec sleep 600"), range(many)))
        sessions = [stat.pid for stat in self.server.sessions()]
        self.assertGreaterEqual(len(sessions), many)
        begin = time.monotonic()
        listed = self.runs()
        took = time.monotonic() - begin
        self.assertTrue(set(runs) <= set(listed))
        pss = []
        for pid in sessions[:50]:
            with contextlib.suppress(FileNotFoundError):  # The last one to detach may just end.
                with open(f"/proc/{pid}/smaps_rollup") as file:
                    pss.append(int(next(line for line in file if line.startswith("Pss:")).split()[1]))
        if FULL:
            print(f"\n{many} runs that are kept: listed in {took * 1000:.0f} ms (client's start included), "
                  f"{sum(pss) / len(pss):.0f} KiB a session")
        self.assertLess(took, 5)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for result in pool.map(lambda run: self.ask("--kill", run), runs):
                self.assertEqual(0, result.code, result)
        wait_until(lambda: not self.server.sessions(), "sessions to end")

    def test_runs_beyond_keep_age_or_keep_total_are_removed(self):
        with self.another('keep_age = "1s"\n') as place:
            old = place.run(("--run-id", "old"), "true")
            self.assertEqual(0, old.code, old)
            folder = os.path.join(place.runtime, "state/frsh/runs")
            self.assertEqual(["old"], os.listdir(folder))
            time.sleep(2.1)  # A second has to pass, on a clock of whole seconds.
            self.assertEqual(0, place.run(("--run-id", "new"), "true").code)
            self.assertEqual(["new"], os.listdir(folder))

    def test_a_named_shell_lasts_and_its_callers_take_turns(self):
        name = self.new_id()
        self.assertEqual(0, self.run_it("--shell", name, "cd /tmp; export A=1; f() { echo f $A $PWD; }").code)
        self.assertEqual(b"f 1 /tmp\n", self.run_it("--shell", name, "f").out)
        self.assertEqual("running", self.runs()[name]["outcome"]["kind"])

        def turn(number):
            return self.run_it("--shell", name, f"x={number}; sleep 0.02; echo $x; echo $x >&2; (exit {number})")

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for number, result in enumerate(pool.map(turn, range(24))):
                text = b"%d\n" % number
                self.assertEqual((number, text, text), (result.code, result.out, result.err))
        # A client that is killed during its turn ends only this turn.
        process = self.unix.popen(("--shell", name), "B=2; sleep 60", stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with self.running(process):
            wait_until(lambda: [one for one in descendants() if one.name == "sleep"], "his turn")
            process.kill()
        result = self.run_it("--shell", name, "f; echo $B")
        self.assertEqual((0, b"f 1 /tmp\n2\n"), (result.code, result.out), result)
        self.assertEqual(0, self.ask("--kill", name).code)
        self.assertEqual(b"none\n", self.run_it("--shell", name, 'echo "${A-none}"').out)
        self.assertEqual(3, self.run_it("--shell", name, "exit 3").code)
        self.assertIn(self.runs()[name]["outcome"]["kind"], ("exited",))

    def test_k3_a_named_shell_that_died_is_reported_once_by_its_name(self):
        for how, told in (("set -e; false", "exited with 1"), ("exec true", "exited with 0"),
                          ("kill -9 $$", "killed by signal KILL"), ("exit 7", "exited with 7")):
            with self.subTest(how):
                name = self.new_id()
                first = self.run_it("--shell", name, "A=1; cd /tmp", record=True)
                self.assertEqual((0, 1), (first.code, first.record["shell_generation"]), first)
                self.run_it("--shell", name, how)
                died = self.run_it("--shell", name, "echo ${A-none}; pwd", record=True)
                self.assertEqual((255, b""), (died.code, died.out), died)
                outcome = died.record["outcome"]
                self.assertEqual(("not_started", "shell"), (outcome["kind"], outcome["stage"]))
                self.assertIn(told, died.err.decode())
                self.assertEqual(1, died.record["shell_generation"])
                for _ in range(2):
                    after = self.run_it("--shell", name, "echo ${A-none}", record=True)
                    self.assertEqual((0, b"none\n", 2),
                                     (after.code, after.out, after.record["shell_generation"]))
                # The end of a shell at a client's request is not reported.
                self.assertEqual(0, self.ask("--kill", name).code)
                again = self.run_it("--shell", name, "true", record=True)
                self.assertEqual((0, 3), (again.code, again.record["shell_generation"]), again)
                self.assertEqual(0, self.ask("--kill", name).code)
                self.assertEqual(0, self.ask("--forget", name).code)

    def test_a_stopped_client_delays_no_kept_run_and_gets_it_all_later(self):
        run, done = self.new_id(), self.path("done")
        process = self.unix.popen(("--run-id", run), f"head -c 30000000 /dev/zero; echo > {done}; exit 2",
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with self.running(process):
            self.assertTrue(os.read(process.stdout.fileno(), 1000))
            process.send_signal(signal.SIGSTOP)
            wait_until(lambda: os.path.exists(done), "the command to go on without its client")
            process.send_signal(signal.SIGCONT)
            out, _ = process.communicate(timeout=PATIENCE)
            self.assertEqual((2, True), (process.returncode, 29_999_000 <= len(out) < 30_000_000))

    def test_a_session_told_to_end_during_a_handoff_reports_it(self):
        run = self.detach("sleep 60")
        owner = wait_until(self.server.sessions, "the session of the run")[0]
        os.kill(owner.pid, signal.SIGSTOP)

        def asking_session():
            with open("/proc/net/unix") as file:
                names = [line.split()[-1] for line in file if "@frsh/" in line]
            # The stopped session's socket, and the connection that waits at it.
            is_waiting = any(names.count(name) > 1 for name in names)
            others = [stat.pid for stat in self.server.sessions() if stat.pid != owner.pid]
            return others if is_waiting else []

        try:
            with self.running(self.unix.popen(("--attach", run), stdin=subprocess.DEVNULL,
                                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)) as process:
                os.kill(wait_until(asking_session, "a session that asks the stopped one")[0], signal.SIGTERM)
                _, err = process.communicate(timeout=PATIENCE)
                self.assertEqual(255, process.returncode, err)
                self.assertIn(b"told to end", err)
        finally:
            os.kill(owner.pid, signal.SIGCONT)


if __name__ == "__main__":
    main()
