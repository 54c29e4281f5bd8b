"""How a run ended, and that record and exit code never disagree."""

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import Case, FRSHD, FULL, Place, SANITIZED, is_alive, main, wait_until  # noqa: E402


class Outcomes(Case):
    def test_e1_every_code_round_trips(self):
        codes = range(256) if FULL else [0, 1, 2, 42, 100, 124, 125, 126, 127, 128, 130, 137, 141,
                                         200, 254, 255]
        for place in self.everywhere():
            for code in codes if place is self.unix else codes[::5]:
                result = place.run([], f"exit {code}", record=True)
                self.assertEqual(code, result.code, result)
                self.assertEqual({"kind": "exited", "code": code}, result.record["outcome"])
                self.assertEqual((b"", b""), (result.out, result.err), "a code is no diagnostic")

    def test_e2_the_status_is_right_long_after_both_streams_were_closed(self):
        for place in self.everywhere():
            result = place.run([], "echo x; exec >&- 2>&-; sleep 0.5; exit 7", record=True)
            self.assertEqual((7, b"x\n"), (result.code, result.out), result)
            self.assertTrue(result.record["stdout"]["eof"])

    def test_e3_death_by_signal_has_name_number_and_core_flag(self):
        for place in self.everywhere():
            for name in ("TERM", "KILL", "HUP", "USR1", "PIPE", "ALRM"):
                number = getattr(signal, "SIG" + name).value
                result = place.run([], f"kill -{name} $$", record=True)
                self.assertEqual(128 + number, result.code, result)
                self.assertEqual({"kind": "signaled", "signal": name, "number": number,
                                  "core": False}, result.record["outcome"])
                self.assertIn(name.encode(), result.err)

    def test_e3_death_by_a_real_time_signal_has_its_number(self):
        result = self.unix.run([], "kill -40 $$", record=True)
        self.assertEqual(168, result.code, result)
        self.assertEqual(40, result.record["outcome"]["number"])

    def test_e3_a_code_above_128_is_no_signal(self):
        result = self.unix.run([], "exit 137", record=True)
        self.assertEqual("exited", result.record["outcome"]["kind"])

    def test_e4_a_client_killed_by_a_signal_never_exits_0(self):
        for place in self.everywhere():
            for number, expected in ((signal.SIGTERM, 143), (signal.SIGHUP, 129),
                                     (signal.SIGKILL, -9)):
                process = place.popen([], "echo up; exec sleep 60", stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                with self.running(process):
                    self.assertEqual(b"up\n", process.stdout.readline())
                    process.send_signal(number)
                    self.assertEqual(expected, process.wait(20))

    def test_e4_a_full_disk_on_stdout_is_never_success(self):
        for place in self.everywhere():
            for command in ("echo x", "yes | head -c 3000000", "printf x; sleep 0.1; exit 0"):
                with open("/dev/full", "wb") as full:
                    result = place.run([], command, stdout=full)
                self.assertEqual(255, result.code, result)
                self.assertIn(b"No space left", result.err)

    def test_e4_a_full_disk_on_stderr_is_never_success(self):
        with open("/dev/full", "wb") as full:
            self.assertEqual(255, self.unix.run([], "echo x >&2", stderr=full).code)

    def test_e4_a_record_that_cannot_be_written_is_never_success(self):
        with open("/dev/full", "wb") as full:
            result = self.unix.run(["--status-fd", "2"], "true", stderr=full)
            self.assertEqual(255, result.code)
            result = self.unix.run(["--json"], "true", stdout=full)
            self.assertEqual(255, result.code, result)

    def test_e5_a_missing_program_is_127_and_a_forbidden_one_126(self):
        plain_file = self.path("file")
        with open(plain_file, "w") as file:
            file.write("no program")
        os.chmod(plain_file, 0o644)
        for place in self.everywhere():
            result = place.run(["--argv"], "no-such-program-of-ours", record=True)
            self.assertEqual(127, result.code, result)
            self.agrees(result)
            self.assertEqual(("not_started", "exec", 2),
                             tuple(result.record["outcome"][key] for key in ("kind", "stage",
                                                                            "errno")))
            self.assertIn(b"no-such-program-of-ours: No such file or directory", result.err)
            for bad in (plain_file, "/", "/etc"):
                result = place.run(["--argv"], bad, record=True)
                self.assertEqual(126, result.code, result)
                self.agrees(result)
            self.assertEqual(127, place.run(["--argv"], "/etc/passwd/x").code)

    def test_e5_an_exec_that_fails_for_another_reason_is_255(self):
        for place in self.everywhere():

            # ELOOP is one of several reasons; all take the same way.
            loop = self.path("loop" + place.name.replace(" ", ""))
            os.symlink(loop, loop)
            result = place.run(["--argv"], loop, record=True)
            self.assertEqual(255, result.code, result)
            self.assertEqual(40, result.record["outcome"]["errno"])
            self.agrees(result)

    def test_e5_a_shells_own_127_is_an_exit_code(self):
        result = self.unix.run([], "no-such-program-of-ours", record=True)
        self.assertEqual({"kind": "exited", "code": 127}, result.record["outcome"])

    def test_e6_a_killed_session_is_lost_with_what_did_arrive(self):
        for place in (self.unix, self.plain):
            with self.subTest(place.name):
                pid_file = self.path(place.name.replace(" ", ""))
                read_end, write_end = os.pipe()
                process = place.popen(["--status-fd", str(write_end)],
                                      f"echo 12345; echo err >&2; echo $PPID > {pid_file}; "
                                      "exec sleep 60", stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                      pass_fds=(write_end,))
                os.close(write_end)
                with self.running(process):
                    self.assertEqual(b"12345\n", process.stdout.readline())
                    self.assertEqual(b"err\n", process.stderr.readline())
                    os.kill(self.pid_from(pid_file), signal.SIGKILL)
                    self.assertEqual(255, process.wait(20))
                    err = process.stderr.read()
                self.assertIn(b"frsh: lost:", err)
                self.assertIn(b"stdout 6, stderr 4 bytes arrived", err)
                with os.fdopen(read_end) as file:
                    record = json.loads(file.read())
                self.assertEqual("lost", record["outcome"]["kind"])
                self.assertEqual((6, False), (record["stdout"]["bytes"], record["stdout"]["eof"]))
                self.assertIsNone(record["usage"])

    def test_e7_a_wall_timeout_is_124_and_keeps_all_output_until_then(self):
        for place in self.everywhere():
            result = place.run(["--timeout", "300ms"], "echo before; sleep 60", record=True)
            self.assertEqual((124, b"before\n"), (result.code, result.out), result)
            outcome = result.record["outcome"]
            self.assertEqual(("timed_out", "wall", "TERM"),
                             (outcome["kind"], outcome["limit"], outcome["signal"]))
            self.assertIn(b"time limit passed", result.err)

    def test_e7_the_real_end_of_a_run_that_timed_out_is_in_the_record(self):
        result = self.unix.run(["--timeout", "200ms"], "trap 'exit 3' TERM; sleep 60 & wait",
                               record=True)
        self.assertEqual(124, result.code)
        self.assertEqual(3, result.record["outcome"]["code"], result)

    def test_e7_a_command_that_ignores_term_is_killed_after_a_grace(self):
        started = time.monotonic()
        result = self.unix.run(["--timeout", "200ms"],
                               "trap '' TERM; while :; do sleep 0.05; done", record=True)
        self.assertEqual(124, result.code)
        self.assertEqual("KILL", result.record["outcome"]["signal"])
        self.assertLess(time.monotonic() - started, 10)
        self.assertEqual([], result.record["survivors"])

    def test_e7_an_idle_timeout_counts_silence_only(self):
        for place in self.everywhere():
            result = place.run(["--idle-timeout", "600ms"],
                               "for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.15; done; sleep 60",
                               record=True)
            self.assertEqual(124, result.code, result)
            self.assertEqual("idle", result.record["outcome"]["limit"])
            self.assertEqual(b"1\n2\n3\n4\n5\n6\n7\n8\n", result.out)

    def test_e7_a_command_that_waits_for_its_reader_is_not_idle(self):
        process = self.unix.popen(["--idle-timeout", "300ms"], "head -c 8000000 /dev/zero",
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        with self.running(process):
            time.sleep(1.0)  # This test is the slow reader, so it need not wait for one.
            self.assertEqual(8000000, len(process.stdout.read()))
            self.assertEqual(0, process.wait(20))

    def test_e7_a_timeout_ends_the_whole_tree(self):
        pid_file = self.path("pid")
        result = self.unix.run(["--timeout", "400ms"],
                               f"setsid sh -c 'echo $$ > {pid_file}; exec sleep 60' & sleep 60")
        self.assertEqual(124, result.code, result)
        pid = self.pid_from(pid_file)
        wait_until(lambda: not is_alive(pid), "the escaped process to end")

    def small_group(self):
        """A command's first words that put it into a control group of 64 MiB."""
        folder = None
        for top in ("/sys/fs/cgroup/memory", "/sys/fs/cgroup"):
            path = os.path.join(top, f"frsh-test-{os.getpid()}")
            try:
                os.mkdir(path)
            except OSError:
                continue
            self.addCleanup(os.rmdir, path)
            for name in ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.max"):
                with contextlib.suppress(OSError), open(os.path.join(path, name), "w") as file:
                    file.write(str(64 << 20))
                    folder = path
            if folder:
                return ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', folder]
        self.skipTest("no control group of our own that limits memory")

    @unittest.skipIf(SANITIZED, "a sanitizer itself needs more memory than that")
    def test_e8_a_kill_for_lack_of_memory_is_reported(self):
        words = shlex.join([*self.small_group(), FRSHD, "--stdio"])
        place = Place("small", self.folder, ["--via", words, "x"])
        eat = "head -c 300000000 /dev/zero | tail"
        told = b"frsh: for want of memory the kernel killed 1 process meanwhile\n"
        for options, command, outcome in (
                ([], eat, {"kind": "exited", "code": 137}),
                (["--argv"], "tail", {"kind": "signaled", "signal": "KILL", "number": 9,
                                      "core": False})):
            with open("/dev/zero", "rb") as zeros:
                result = place.run(options, command, stdin=zeros, record=True)
            self.agrees(result)
            self.assertEqual(outcome, result.record["outcome"])
            self.assertEqual(1, result.record["usage"].get("oom_kills"), result)
            self.assertIn(told, result.err)
        # With enough memory, and after a kill by another process, there is no `oom_kills`.
        for command in ("true", "kill -9 $$"):
            result = place.run(["-n"], command, record=True)
            self.assertNotIn("oom_kills", result.record["usage"])
            self.assertNotIn(b"memory", result.err)

    @unittest.skipIf(SANITIZED, "UBSan looks at memory through a pipe(2), which is not to be had")
    def test_e8_a_server_without_descriptors_reports_it_for_the_run(self):
        # A limit that allows the start and not everything after it.
        kinds = set()
        for most in range(4, 26):
            server = Place("few", self.folder,
                           ["--via", f"sh -c 'ulimit -n {most}; exec {FRSHD} --stdio'", "x"])
            result = server.run(["-n"], "true", record=True)
            self.agrees(result)
            outcome = result.record["outcome"]
            kinds.add(outcome["kind"])
            if outcome["kind"] == "not_started":
                self.assertEqual(("fork", 24), (outcome["stage"], outcome["errno"]))
                self.assertTrue(b"Too many open files" in result.err, result)
        self.assertEqual({"lost", "not_started", "exited"}, kinds)


if __name__ == "__main__":
    main()
