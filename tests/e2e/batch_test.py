"""Many commands over one link (--batch)."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import (Case, Place, SANITIZED, code_of, is_alive, main, resident_kib,  # noqa: E402
                     wait_until_full)


class Batch(Case):
    def batch(self, lines, *options, place=None, **more):
        text = lines if isinstance(lines, bytes) else "".join(one + "\n" for one in lines).encode()
        return (place or self.stdio).run(["--batch", *options], stdin=text, **more)

    def start(self, lines, *options, place=None, **popen):
        """Still running, its stdin open."""
        process = (place or self.stdio).popen(["--batch", *options], stdin=subprocess.PIPE,
                                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                              **popen)
        process.stdin.write("".join(one + "\n" for one in lines).encode())
        process.stdin.flush()
        return process

    def test_each_line_is_a_run_and_output_is_in_the_order_of_the_lines(self):
        for place in self.everywhere():
            for jobs in ("1", "3", "50"):
                lines = [f"sleep 0.0{9 - i}; echo start {i}; echo err {i} >&2; echo end {i}"
                         for i in range(10)]
                result = self.batch(lines, "--jobs", jobs, place=place)
                self.assertEqual(0, result.code, result)
                expected = "".join(f"start {i}\nend {i}\n" for i in range(10))
                self.assertEqual(expected, result.out.decode())
                self.assertEqual("".join(f"err {i}\n" for i in range(10)), result.err.decode())

    def test_large_outputs_are_stored_whole_until_their_turn(self):
        sizes = [3 << 20, 5 << 20, 1, 0, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 2 << 20]
        lines = [f"head -c {size} /dev/zero | tr '\\0' {chr(97 + i)}; sleep 0.{8 - i}"
                 for i, size in enumerate(sizes)]
        result = self.batch(lines, "--jobs", "8", place=self.unix)
        expected = b"".join(bytes([97 + i]) * size for i, size in enumerate(sizes))
        self.assertEqual((0, b""), (result.code, result.err))
        self.assertEqual(hashlib.md5(expected).digest(), hashlib.md5(result.out).digest())

    def test_a_slow_reader_gets_stored_output_in_bounded_memory(self):
        size = 48 << 20
        lines = ["sleep 0.3", f"head -c {size} /dev/zero; sleep 0.5; echo end"]
        process = self.start(lines, "--jobs", "2", place=self.unix)
        with self.running(process):
            process.stdin.close()
            process.stdin = None
            time.sleep(1)
            if not SANITIZED:
                self.assertLess(resident_kib(process.pid), 24 * 1024)
            count = 0
            tail = b""
            while piece := process.stdout.read(1 << 18):
                count += len(piece)
                tail = piece[-4:]
            self.assertEqual(b"", process.stderr.read())
            self.assertEqual((0, size + 4, b"end\n"), (process.wait(20), count, tail))
            if not SANITIZED:
                self.assertLess(resident_kib(process.pid) if is_alive(process.pid) else 0,
                                24 * 1024)

    def test_the_first_run_streams_live(self):
        process = self.start(["echo one; sleep 60", "echo two"], "--jobs", "2")
        with self.running(process):
            self.assertEqual(b"one\n", process.stdout.readline())
            process.send_signal(signal.SIGTERM)
            self.assertEqual(143, process.wait(20))

    def test_each_line_runs_as_soon_as_it_arrives(self):
        process = self.start(["echo one"])
        with self.running(process):
            self.assertEqual(b"one\n", process.stdout.readline())
            process.stdin.write(b"echo two\n")
            process.stdin.flush()
            self.assertEqual(b"two\n", process.stdout.readline())
            process.stdin.close()
            process.stdin = None
            self.assertEqual(0, process.wait(20))

    def test_the_exit_code_is_that_of_the_first_failed_line(self):
        for jobs in ("1", "4"):
            for lines, code in ((["true", "true"], 0), (["true", "exit 3", "exit 4", "true"], 3),
                                (["sleep 0.2; exit 5", "exit 6"], 5), (["kill -9 $$"], 137),
                                (["true", "/no/such"], 127), ([], 0)):
                result = self.batch(lines, "--jobs", jobs)
                self.assertEqual(code, result.code, result)
        result = self.batch(["true", "", "exit 3", "kill $$"])
        self.assertEqual(["frsh: line 3: exited with 3"],
                         [line for line in result.err.decode().splitlines() if "line 3" in line])
        self.assertRegex(result.err.decode(), "line 4: .*TERM")
        result = self.batch(["exit 3"], "-q")
        self.assertEqual((3, b""), (result.code, result.err))

    def test_json_prints_one_record_for_each_line(self):
        lines = ["echo out; echo err >&2", "exit 3", "kill -9 $$", "printf '\\377'",
                 "head -c 3000000 /dev/zero"]
        for place in self.everywhere():
            result = self.batch(lines, "--json", "--jobs", "3", place=place)
            records = [json.loads(line) for line in result.out.splitlines()]
            self.assertEqual(lines, [one["command"] for one in records])
            self.assertEqual([0, 3, 137, 0, 0], [code_of(one["outcome"]) for one in records])
            self.assertEqual(3, result.code)
            self.assertEqual(("out\n", "err\n"),
                             (records[0]["stdout"]["text"], records[0]["stderr"]["text"]))
            self.assertEqual("/w==", records[3]["stdout"]["base64"])
            self.assertEqual(3000000, len(records[4]["stdout"]["text"]))
            self.assertEqual(5, len({one["run"] for one in records}))

    def test_runs_share_nothing_unless_they_are_in_one_shell(self):
        lines = ["cd /usr/lib; x=1; f() { echo f$1; }", "echo $x$PWD; type f 2>/dev/null || echo none"]
        result = self.batch(lines)
        self.assertNotIn(b"/usr/lib", result.out)
        self.assertIn(b"none", result.out)
        for place in self.everywhere():
            result = self.batch(lines + ["f 2; false", "echo $?"], "--one-shell", "--env",
                                "HOME=/nonexistent", place=place)
            self.assertTrue(result.out.startswith(b"1/usr/lib\nf is a function"), result)
            self.assertTrue(result.out.endswith(b"f2\n1\n"), result)
            self.assertEqual(1, result.code)

    def test_a_dead_shell_is_reported_and_replaced_in_its_folder(self):
        result = self.batch(["cd /tmp; x=1", "exit 3", "echo $x$PWD", "kill -9 $$", "echo $PWD",
                             "cd /; trap 'echo bye' EXIT"], "--one-shell", place=self.unix)
        self.assertEqual(3, result.code)
        self.assertEqual(b"/tmp\n/tmp\n", result.out)
        self.assertEqual(2, result.err.count(b"the shell ended"), result)
        folder = self.path("gone")
        result = self.batch([f"mkdir {folder}; cd {folder}; rmdir {folder}", "exit 0", "true",
                             "echo on"], "--one-shell")
        self.assertEqual(b"on\n", result.out, result)

    def test_blank_lines_are_skipped_and_the_last_needs_no_newline(self):
        result = self.batch(b"\n  \n\t\necho a\n\n \necho b")
        self.assertEqual((0, b"a\nb\n", b""), (result.code, result.out, result.err))
        for text in (b"", b"\n", b" "):
            result = self.batch(text)
            self.assertEqual((0, b"", b""), (result.code, result.out, result.err))
        result = self.batch(b"# comment\necho a # b\n")
        self.assertEqual((0, b"a\n"), (result.code, result.out))

    def test_stdin_that_ends_without_a_line_ends_the_batch(self):
        for text in (b"", b" ", b"\n"):
            process = self.start([])
            with self.running(process):
                # The server's greeting has arrived by now, and nothing else would wake the client.
                time.sleep(0.2)
                process.stdin.write(text)
                process.stdin.flush()
                time.sleep(0.05)
                process.stdin.close()
                process.stdin = None
                self.assertEqual(0, process.wait(10), text)

    def test_a_nul_in_a_line_is_refused_and_other_lines_run(self):
        result = self.batch(b"echo a\necho b\0c\necho d\n")
        self.assertEqual((255, b"a\nd\n"), (result.code, result.out))
        self.assertRegex(result.err, rb"frsh: line 2: .*NUL")

    def test_every_byte_of_a_line_reaches_the_shell(self):
        result = self.batch(b"printf %s x\r\nprintf %s '\xff\xfe'\n")
        self.assertEqual(b"x\r\xff\xfe", result.out, result)

    def test_a_line_of_3_mib_runs_and_one_of_9_mib_is_refused(self):
        text = "x" * (3 << 20)
        result = self.batch([f": {text}; echo long",
                             "echo short"])
        self.assertEqual((0, b"long\nshort\n"), (result.code, result.out), result)
        result = self.batch([": " + "x" * (9 << 20), "echo short"])
        self.assertEqual((255, b"short\n"), (result.code, result.out))
        self.assertIn(b"line 1", result.err[:200])

    def test_a_thousand_lines_run_in_order(self):
        count = 1000 if not SANITIZED else 200
        lines = [f"echo {i}" for i in range(count)]
        expected = "".join(f"{i}\n" for i in range(count)).encode()
        for options in (["--jobs", "8"], ["--one-shell"]):
            result = self.batch(lines, *options, place=self.unix)
            self.assertEqual((0, b""), (result.code, result.err))
            self.assertEqual(expected, result.out)

    def test_stdin_of_each_run_is_empty(self):
        for options in ([], ["--one-shell"]):
            result = self.batch(["cat; readlink /proc/self/fd/0", "echo next"], *options)
            self.assertEqual(b"/dev/null\nnext\n", result.out, result)

    def test_limits_apply_to_each_line(self):
        for options in ([], ["--one-shell", "--env", "HOME=/nonexistent"]):
            begun = time.monotonic()
            result = self.batch(["echo a; sleep 60", "echo b", "while :; do :; done", "echo c"],
                                "--timeout", "0.4", *options)
            self.assertEqual((124, b"a\nb\nc\n"), (result.code, result.out), result)
            self.assertLess(time.monotonic() - begun, 10)
            self.assertNotIn(b"the shell ended", result.err)
        result = self.batch(["seq 1 100000", "echo b"], "--max-output", "10")
        self.assertEqual(b"1\n2\n39\n100000"[:5] + b"0000\nb\n", result.out, result)
        self.assertIn(b"left out", result.err)

    def test_ctrl_c_interrupts_the_runs_and_starts_no_more(self):
        for options in (["--jobs", "2"], ["--one-shell"]):
            process = self.start(["echo up; sleep 60", "sleep 61", "echo no", "echo no"], *options,
                                 place=self.unix)
            with self.running(process):
                self.assertEqual(b"up\n", process.stdout.readline())
                time.sleep(0.1)
                process.send_signal(signal.SIGINT)
                self.assertEqual(130, process.wait(20))
                self.assertEqual(b"", process.stdout.read())
            self.no_strays()

    def test_ctrl_c_ends_the_wait_for_a_reader_that_has_stopped(self):
        for options in ([], ["--json"]):
            process = self.start(["head -c 100000000 /dev/zero | tr '\\0' x"] if not options else
                                 ["head -c 1000000 /dev/zero"], *options, place=self.unix)
            with self.running(process):
                process.stdin.close()
                process.stdin = None
                wait_until_full(process.stdout)
                # Only a record is left, or the command, which waits for the reader too.
                for _ in range(1 if options else 3):
                    process.send_signal(signal.SIGINT)
                    time.sleep(0.3)  # Without the pause the kernel merges three signals into one.
                self.assertEqual(130, process.wait(10))

    def test_the_third_ctrl_c_kills_a_run_that_ignores_signals(self):
        process = self.start(["trap '' INT TERM; echo up; while :; do sleep 0.05; done"])
        with self.running(process):
            self.assertEqual(b"up\n", process.stdout.readline())
            for _ in range(3):
                process.send_signal(signal.SIGINT)
                time.sleep(0.1)
            self.assertIn(process.wait(20), (130, 137))
        self.no_strays()

    def test_a_signal_to_the_client_ends_every_run(self):
        for name in ("TERM", "HUP"):
            process = self.start(["echo up; sleep 60", "sleep 61"], "--jobs", "2")
            with self.running(process):
                self.assertEqual(b"up\n", process.stdout.readline())
                process.send_signal(getattr(signal, "SIG" + name))
                self.assertEqual(128 + getattr(signal, "SIG" + name), process.wait(20))
            self.no_strays()

    def test_a_reader_that_goes_away_leaves_nothing_running(self):
        for options in (["--jobs", "3"], ["--one-shell"]):
            process = self.start(["yes", "sleep 60", "yes"], *options, place=self.unix)
            with self.running(process):
                self.assertEqual(b"y\n", process.stdout.readline())
                process.stdout.close()
                self.assertEqual(141, process.wait(20))
            self.no_strays()

    def test_a_lost_server_is_reported_with_the_lines_not_run(self):
        process = self.start(["echo one", "echo up; sleep 60", "echo no", "echo no"],
                             place=self.unix)
        with self.running(process):
            self.assertEqual(b"one\n", process.stdout.readline())
            self.assertEqual(b"up\n", process.stdout.readline())
            for session in self.server.sessions():
                os.kill(session.pid, signal.SIGKILL)
            process.stdin.close()
            process.stdin = None
            out, err = process.stdout.read(), process.stderr.read()
            self.assertEqual((255, b""), (process.wait(20), out))
            self.assertRegex(err, rb"line 2: .*lost|line 2: .*before the end")
            self.assertRegex(err, rb"lines after 2 were not run")
        self.no_strays()

    def test_a_server_that_is_lost_between_two_lines_is_no_success(self):
        process = self.start(["echo one"], place=self.unix)
        with self.running(process):
            self.assertEqual(b"one\n", process.stdout.readline())
            for session in self.server.sessions():
                os.kill(session.pid, signal.SIGKILL)
            self.assertEqual(255, process.wait(20))
            self.assertIn(b"were not run", process.stderr.read())
        self.no_strays()

    def test_without_a_server_it_is_255_and_nothing_runs(self):
        nowhere = Place("nowhere", self.stdio.runtime, ["unix:/nonexistent/socket"])
        result = self.batch(["echo no"], place=nowhere)
        self.assertEqual((255, b""), (result.code, result.out))

    def test_contradictions_are_refused(self):
        for options, words in ((["--argv"], []), (["--one-shell", "--jobs", "2"], []), ([], ["x"])):
            result = self.stdio.run(["--batch", *options], *words)
            self.assertEqual(255, result.code)
            self.assertIn(b"frsh: --", result.err)


if __name__ == "__main__":
    main()
