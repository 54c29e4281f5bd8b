#!/usr/bin/env python3
"""Shared links: one login, lent to further commands by a link holder."""

import hashlib
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from cutting_proxy import CuttingProxy, Fate  # noqa: E402
from harness import is_alive, main, wait_until  # noqa: E402
from sharing import SharingCase  # noqa: E402


class Sharing(SharingCase):
    def test_a_second_command_borrows_the_link_of_the_first(self):
        self.assertEqual([], self.links())
        self.assertEqual(b"one\n", self.shared("echo one").out)
        self.assertRegex("\n".join(self.links()), rf"^{self.target}  \d+s  0 channels  1 so far  4 bytes$")
        before = self.server.text().count("key of")
        result = self.shared("cat; echo two >&2; exit 7", stdin=b"in")
        self.assertEqual((7, b"in", "two\n"), (result.code, result.out, result.err))
        self.assertEqual(before, self.server.text().count("key of"), "a second login")
        self.assertRegex("\n".join(self.links()), r"  0 channels  2 so far  12 bytes$")

    def test_h1_bytes_and_ends_are_those_of_a_direct_connection(self):
        self.shared("true")
        data = os.urandom(3 << 20)
        result = self.shared("cat", stdin=data)
        self.assertEqual(hashlib.sha256(data).digest(), hashlib.sha256(result.out).digest())
        self.assertEqual(128 + signal.SIGKILL, self.shared("kill -9 $$").code)
        result = self.client.run("--share", "--timeout", "300ms", self.target, "sleep 9")
        self.assertEqual(124, result.code, result)
        result = self.client.run("--share", "--max-output", "1k", self.target, "seq 1000")
        self.assertEqual(0, result.code, result)
        self.assertEqual(1024, len(result.out))
        self.assertIn("bytes left out", result.err)

    def test_h3_a_pipe_ends_with_its_command_and_not_with_the_holder(self):
        started = time.monotonic()
        read_end, write_end = os.pipe()
        process = self.client.popen("--share", self.target, "echo x", stdout=write_end,
                                    stderr=write_end, pass_fds=(write_end,))
        os.close(write_end)
        with os.fdopen(read_end, "rb") as reader:
            self.assertEqual(b"x\n", reader.read())
        self.assertEqual(0, process.wait(20))
        self.assertLess(time.monotonic() - started, 15)

    def test_many_first_commands_start_one_holder(self):
        processes = [self.client.popen("--share", self.target, f"echo {number}")
                     for number in range(20)]
        for number, process in enumerate(processes):
            out, err = process.communicate(timeout=60)
            self.assertEqual((0, f"{number}\n".encode(), b""), (process.returncode, out, err))
        self.assertEqual(1, len(self.links()))

    def test_h2_a_killed_holder_costs_its_runs_and_no_others(self):
        self.shared("true")
        process = self.client.popen("--share", self.target, "echo up; sleep 60")
        self.assertEqual(b"up\n", process.stdout.readline())
        for pid in self.holders():
            os.kill(pid, signal.SIGKILL)
        _, err = process.communicate(timeout=20)
        self.assertEqual(255, process.returncode, err)
        self.assertEqual(1, err.count(b"\n"), err)
        self.assertEqual(b"on\n", self.shared("echo on").out)
        self.assertEqual(1, len(self.links()))

    def test_h2_a_stopped_holder_is_not_used(self):
        self.shared("true")
        holder, = self.holders()
        os.kill(holder, signal.SIGSTOP)
        started = time.monotonic()
        self.assertEqual(b"direct\n", self.shared("echo direct").out)
        self.assertLess(time.monotonic() - started, 10)
        os.kill(holder, signal.SIGCONT)
        self.assertEqual(1, len(self.links()))

    def test_h2_a_command_in_a_stopped_holder_is_lost_and_never_begins_later(self):
        self.shared("true")
        holder, = self.holders()
        process = self.client.popen("--share", self.target, "echo up; exec sleep 63")
        self.assertEqual(b"up\n", process.stdout.readline())
        os.kill(holder, signal.SIGSTOP)
        _, err = process.communicate(timeout=5)
        self.assertEqual(255, process.returncode)
        self.assertIn(b"is stopped", err)
        os.kill(holder, signal.SIGCONT)
        self.assertEqual(b"on\n", self.shared("echo on").out)

    def test_unshare_lets_running_commands_finish(self):
        result = self.client.run("--unshare", self.target)
        self.assertEqual(1, result.code)
        self.assertIn("no link is shared", result.err)
        self.shared("true")
        holder, = self.holders()
        process = self.client.popen("--share", self.target, "echo up; sleep 1; echo done")
        self.assertEqual(b"up\n", process.stdout.readline())
        self.assertEqual(0, self.client.run("--unshare", self.target).code)
        out, err = process.communicate(timeout=20)
        self.assertEqual((0, b"done\n", b""), (process.returncode, out, err))
        wait_until(lambda: not is_alive(holder), "the holder to end")
        self.assertEqual([], self.links())

    def test_h3_a_holder_ends_after_its_time_and_leaves_nothing(self):
        self.shared("true", time="300ms")
        holder = self.holders()
        wait_until(lambda: not any(is_alive(pid) for pid in holder), "the holder to end")
        self.assertEqual([], os.listdir(os.path.join(self.client.runtime, "frsh/links")))

    def test_a_killed_client_ends_its_command_and_not_the_holder(self):
        self.shared("true")
        process = self.client.popen("--share", self.target, "echo $$; exec sleep 61")
        pid = int(process.stdout.readline())
        process.kill()
        process.communicate()
        wait_until(lambda: not is_alive(pid), "the command to end")
        self.assertEqual(b"on\n", self.shared("echo on").out)
        self.assertRegex("\n".join(self.links()), r"  0 channels  3 so far  \d+ bytes$")

    def test_another_key_or_home_is_another_link(self):
        self.shared("true")
        other, line = self.trusting()
        self.authorize(line)
        other.runtime = self.client.runtime
        self.assertEqual(0, other.run("--share", self.target, "true").code)
        self.assertEqual(2, len(self.links()))

    def test_a_failed_login_is_reported_as_without_sharing(self):
        stranger = self.stranger()
        self.one_line(stranger.run("--share", "-oBatchMode=yes", self.target, "true"), "host")

    def test_h1_a_cut_link_resumes_and_its_borrowers_lose_nothing(self):
        proxy = CuttingProxy(self.server.port,
                             lambda n: Fate("reset", down=300_000) if n < 4 else None)
        self.addCleanup(proxy.close)
        target = f"127.0.0.1:{proxy.port}"
        self.assertEqual(0, self.client.run("--accept-new", "--share", target, "true").code)
        processes = [self.client.popen("--share", target, f"seq {n} 100000; exit {n}")
                     for n in (1, 2)]
        for n, process in zip((1, 2), processes):
            out, err = process.communicate(timeout=60)
            wanted = "".join(f"{i}\n" for i in range(n, 100001)).encode()
            self.assertEqual(n, process.returncode, err)
            self.assertEqual(hashlib.sha256(wanted).digest(), hashlib.sha256(out).digest())
        self.assertGreater(proxy.count, 3)

    def test_h2_input_that_a_command_does_not_read_ends_no_holder(self):
        self.shared("true")
        holder, = self.holders()
        for _ in range(20):
            process = self.client.popen("--share", self.target, "echo up; read word; exit 1",
                                        stdin=subprocess.PIPE)
            self.assertEqual(b"up\n", process.stdout.readline())
            # The stop from the server crosses the second half of this on its way.
            _, err = process.communicate(b"word\n" + b"x" * 100_000, timeout=20)
            self.assertEqual((1, b""), (process.returncode, err))
        self.assertEqual([holder], self.holders())

    def test_the_interrupt_ends_the_command_and_leaves_the_holder(self):
        self.shared("true")
        process = self.client.popen("--share", self.target, "echo up; exec sleep 62")
        self.assertEqual(b"up\n", process.stdout.readline())
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
        self.assertEqual(130, process.returncode)
        self.assertEqual(b"on\n", self.shared("echo on").out)


if __name__ == "__main__":
    main()
