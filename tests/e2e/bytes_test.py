"""Every byte, apart and in order."""

import base64
import binascii
import fcntl
import hashlib
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import (Case, FULL, PATIENCE, WINDOW, descendants, is_alive, main, open_descriptors,  # noqa: E402
                     resident_kib, wait_until)


def noise(size, seed=1):
    return random.Random(seed).randbytes(size)


class Bytes(Case):
    def test_s1_stderr_goes_on_after_stdout_ended_and_the_reverse(self):
        for place in self.everywhere():
            result = place.run([], "echo a; exec >&-; sleep 0.2; echo b >&2")
            self.assertEqual((0, b"a\n", b"b\n"), (result.code, result.out, result.err))
            result = place.run([], "echo a >&2; exec 2>&-; sleep 0.2; echo b")
            self.assertEqual((0, b"b\n", b"a\n"), (result.code, result.out, result.err))

    def test_s1_streams_arrive_as_they_happen(self):
        for place in self.everywhere():
            process = place.popen([], "echo one; read x; echo two >&2; read x; echo three",
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE)
            with self.running(process):
                self.assertEqual(b"one\n", process.stdout.readline())
                process.stdin.write(b"\n")
                process.stdin.flush()
                self.assertEqual(b"two\n", process.stderr.readline())
                process.stdin.write(b"\n")
                process.stdin.flush()
                self.assertEqual(b"three\n", process.stdout.readline())
                self.assertEqual(0, process.wait(20))

    def test_s2_the_command_sees_the_end_of_stdin_after_every_byte(self):
        data = noise(3 * WINDOW + 17)
        for place in self.everywhere():
            result = place.run([], "md5sum; sleep 0.1; echo still here", stdin=data)
            self.assertEqual(0, result.code, result)
            expected = hashlib.md5(data).hexdigest().encode() + b"  -\nstill here\n"
            self.assertEqual(expected, result.out)

    def test_s3_a_command_that_does_not_read_its_stdin_is_no_error(self):
        data = noise(4 * WINDOW)
        for place in self.everywhere():
            for command, expected in (("exec <&-; sleep 0.2; echo fine", b"fine\n"),
                                      ("echo fine", b"fine\n"), ("head -c 3", data[:3]),
                                      ("head -c 2000000 | md5sum | head -c 3",
                                       hashlib.md5(data[:2000000]).hexdigest()[:3].encode())):
                result = place.run([], command, stdin=data, record=True)
                self.assertEqual((0, expected, b""), (result.code, result.out, result.err))
                self.agrees(result)

    def test_s3_the_clients_stdin_may_stay_open_for_ever(self):
        for place in self.everywhere():
            process = place.popen([], "echo out; exit 3", stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE)
            with self.running(process):
                self.assertEqual(3, process.wait(20))

    def test_s4_signals_mask_umask_session_and_descriptors_of_a_command(self):
        script = ("import os,signal\n"
                  "ign=[n for n in range(1,65) if n not in (32,33) "
                  "and signal.getsignal(n)==signal.SIG_IGN]\n"
                  "status=dict(l.split(':',1) for l in open('/proc/self/status'))\n"
                  "print(os.getsid(0)==os.getpid(),os.getpgid(0)==os.getpid(),"
                  "int(status['SigBlk'],16),int(status['SigIgn'],16)&~(1<<12|1<<24),"
                  "sorted(int(f) for f in os.listdir('/proc/self/fd')))\n")
        for place in self.everywhere():
            # Python ignores SIGPIPE and SIGXFSZ itself, and listing a folder takes a descriptor.
            result = place.run(["--argv"], "/usr/bin/python3", "-S", "-c", script)
            self.assertEqual(b"True True 0 0 [0, 1, 2, 3]\n", result.out, result)
            result = place.run(["--argv"], "grep", "-E", "SigBlk|SigIgn", "/proc/self/status")
            self.assertEqual(b"SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n", result.out)
            result = place.run([], "ls -l /proc/self/fd | grep -c ' -> '")
            self.assertEqual(b"4\n", result.out, result)
            self.assertRegex(place.run([], "umask").out, rb"^00[0-9]{2}\n$")

    def test_s4_inherited_descriptors_do_not_reach_a_started_server(self):
        with open("/etc/passwd") as lent:
            result = self.stdio.run(["--argv"], "readlink", "-v", f"/proc/self/fd/{lent.fileno()}",
                                    pass_fds=(lent.fileno(),))
        self.assertNotEqual(0, result.code, result)

    def test_s4_a_signal_ignored_by_the_caller_is_default_in_the_command(self):
        def ignore():
            signal.signal(signal.SIGPIPE, signal.SIG_IGN)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])

        for words in (["/usr/bin/grep", "-E", "SigBlk|SigIgn", "/proc/self/status"],):
            result = self.stdio.run(["--argv"], *words, preexec_fn=ignore)
            self.assertEqual(b"SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n", result.out)

    def test_s4_yes_into_head_ends_at_once_with_2000_lines(self):
        for place in self.everywhere():
            result = place.run([], "yes | head -2000")
            self.assertEqual((0, b"y\n" * 2000), (result.code, result.out))

    def test_s5_a_local_reader_that_goes_away_ends_the_command_and_is_141(self):
        for place in self.everywhere():
            # A shell that goes on after the death of its command is left after two seconds.
            more = ["yes; sleep 30"] if place is self.unix else []
            for command in ["yes", "while echo y; do :; done"] + more:
                process = place.popen([], command, stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                with self.running(process):
                    self.assertEqual(b"y\n", process.stdout.readline())
                    process.stdout.close()
                    self.assertEqual(141, process.wait(20), command)
                self.no_strays()

    def test_s5_a_command_that_ignores_sigpipe_is_left_and_ended(self):
        process = self.unix.popen([], "trap '' PIPE; exec 2>/dev/null; "
                                  "while :; do echo y; sleep 0.01; done",
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE)
        with self.running(process):
            self.assertEqual(b"y\n", process.stdout.readline())
            process.stdout.close()
            self.assertEqual(141, process.wait(20))

    def test_s6_more_than_a_window_on_all_three_streams_at_once(self):
        data = noise(3 * WINDOW + 5)
        for place in self.everywhere():
            result = place.run([], "tee /dev/stderr", stdin=data)
            self.assertEqual(0, result.code)
            self.assertTrue(data == result.out and data == result.err)

    def test_s6_a_reader_that_stops_bounds_memory_and_stops_the_command(self):
        for place in self.everywhere():
            pid_file = self.path(place.name.replace(" ", ""))
            process = place.popen([], f"echo $$ > {pid_file}; exec cat /dev/zero",
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
            with self.running(process):
                pid = self.pid_from(pid_file)
                written = [-1, -2]

                def is_stuck():
                    with open(f"/proc/{pid}/io") as file:
                        written.append(int(file.read().split("wchar: ")[1].split()[0]))
                    time.sleep(0.1)
                    return written[-1] == written[-2] == written[-3]

                wait_until(is_stuck, "the command to be held up")
                self.assertLess(written[-1], 4 * WINDOW)
                most = 400000 if os.environ.get("FRSH_TEST_SANITIZED") == "1" else 16 * 1024
                for stat in descendants(process.pid) + descendants(self.server.pid):
                    if stat.name == "frshd":
                        self.assertLess(resident_kib(stat.pid), most)
                self.assertLess(resident_kib(process.pid), most)
                process.kill()
                process.wait()
            self.no_strays()

    def test_s6_a_command_that_does_not_read_holds_the_writer_up(self):
        for place in self.everywhere():
            process = place.popen([], "sleep 60", stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
            with self.running(process):
                os.set_blocking(process.stdin.fileno(), False)
                written = 0
                # Sends until a window is full and the server takes no more.
                while select.select([], [process.stdin], [], 0.5 if written > WINDOW else PATIENCE)[1]:
                    written += os.write(process.stdin.fileno(), b"x" * 65536)
                self.assertLess(written, 4 * WINDOW)
                self.assertGreater(written, WINDOW)
                process.kill()
                process.wait()
            self.no_strays()

    def test_s7_sizes_around_the_window_and_every_byte_value(self):
        every = bytes(range(256))
        sizes = [0, 1, 65535, 65536, 65537, WINDOW // 4 - 1, WINDOW // 4, WINDOW // 4 + 1,
                 WINDOW - 1, WINDOW, WINDOW + 1, 5 * WINDOW + 3]
        for place in self.everywhere():
            for size in sizes:
                data = (every * (size // 256 + 1))[:size]
                result = place.run([], "tee /dev/stderr", stdin=data, record=True)
                self.assertTrue(result.code == 0 and data == result.out and data == result.err,
                                f"{size} bytes: exit {result.code}")
                summary = {"bytes": size, "crc32": binascii.crc32(data), "eof": True}
                self.assertEqual(summary, result.record["stdout"])
                self.assertEqual(summary, result.record["stderr"])

    def test_s8_the_tail_is_never_lost(self):
        expected = b"".join(b"%d\n" % i for i in range(1, 20001))
        runs = 1000 if FULL else 40
        for place in self.everywhere():
            for i in range(runs if place is self.unix else runs // 2):
                result = place.run([], "seq 1 20000")
                self.assertTrue(result.code == 0 and result.out == expected, f"run {i}: {result}")

    def test_s9_a_silent_holder_is_waited_for_named_and_left_alive(self):
        for place in self.everywhere():
            started = time.monotonic()
            result = place.run(["--linger", "300ms"], "echo x; sleep 61 & exit 4", record=True)
            self.assertLess(time.monotonic() - started, 10)
            self.assertEqual((4, b"x\n"), (result.code, result.out), result)
            self.assertFalse(result.record["stdout"]["eof"])
            self.assertFalse(result.record["stderr"]["eof"])
            holders = result.record["holders"]
            self.assertEqual(["sleep"], [holder["name"] for holder in holders])
            self.assertEqual([], result.record["survivors"])
            pid = holders[0]["pid"]
            self.assertEqual(f"frsh: output still held open by sleep ({pid})\n".encode(), result.err)
            self.assertTrue(is_alive(pid), "holders are left alive")
            os.kill(pid, signal.SIGKILL)

    def test_s9_the_default_linger_is_two_seconds(self):
        started = time.monotonic()
        result = self.unix.run([], "sleep 62 & exit 0", record=True)
        self.assertTrue(1.9 < time.monotonic() - started < 6)
        self.assertEqual(0, result.code)
        os.kill(result.record["holders"][0]["pid"], signal.SIGKILL)

    def test_s9_a_holder_that_writes_is_waited_for(self):
        result = self.unix.run(["--linger", "700ms"],
                               "(for i in 1 2 3 4 5; do sleep 0.3; echo $i; done) & exit 0",
                               record=True)
        self.assertEqual((0, b"1\n2\n3\n4\n5\n"), (result.code, result.out))
        self.assertTrue(result.record["stdout"]["eof"])

    def test_s9_linger_inf_waits_for_the_end_of_both_streams(self):
        result = self.unix.run(["--linger", "inf"], "(sleep 2.5; echo late) & exit 0", record=True)
        self.assertEqual((0, b"late\n"), (result.code, result.out))
        self.assertTrue(result.record["stdout"]["eof"])

    def test_s9_a_tail_through_a_process_substitution_is_not_lost(self):
        expected = b"".join(b"%d\n" % i for i in range(1, 20001))
        for i in range(400 if FULL else 20):
            result = self.unix.run(["--argv"], "bash", "-c",
                                   "exec > >(tee /dev/null); seq 1 20000")
            self.assertTrue(result.out == expected, f"run {i}: {len(result.out)} bytes")

    def test_s11_a_cap_keeps_head_and_tail_and_reports_the_gap(self):
        whole = b"".join(b"%d\n" % i for i in range(1, 200001))
        for place in self.everywhere():
            for cap in (0, 1, 1000, 100000, 1 << 20):
                result = place.run(["--max-output", str(cap)], "seq 1 200000", record=True)
                summary = result.record["stdout"]
                head = cap - cap // 2
                tail = cap // 2
                expected = whole[:head] + (whole[-tail:] if tail else b"")
                self.assertEqual(0, result.code, result)
                self.assertTrue(expected == result.out, f"cap {cap}: {len(result.out)} bytes")
                self.assertEqual({"bytes": len(whole), "crc32": binascii.crc32(whole), "eof": True,
                                  "delivered": cap, "gap_at": head}, summary)
                self.assertEqual(f"frsh: stdout: {len(whole) - cap} bytes left out after the first "
                                 f"{head} (output limit)\n".encode(), result.err)

    def test_s11_what_fits_the_cap_has_no_gap(self):
        for size in (0, 1, 9, 10):
            result = self.unix.run(["--max-output", "10"], f"head -c {size} /dev/zero", record=True)
            self.assertEqual((size, b""), (len(result.out), result.err))
            self.assertEqual({"bytes", "crc32", "eof"}, set(result.record["stdout"]))

    def test_s11_a_cap_lets_a_command_run_on_past_a_reader_that_stopped(self):
        done = self.path("done")
        process = self.unix.popen(["--max-output", "100K"],
                                  f"head -c 50000000 /dev/zero; echo yes > {done}",
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        with self.running(process):
            wait_until(lambda: os.path.exists(done), "the command to get to its end")
            self.assertEqual(102400, len(process.stdout.read()))
            self.assertEqual(0, process.wait(20))

    def test_s12_o_nonblock_is_never_set_on_what_the_caller_lent(self):
        def flags(fd):
            return fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK

        def pair_of_pipes():
            return os.pipe()

        def pair_of_sockets():
            a, b = socket.socketpair()
            return a.detach(), b.detach()

        for place in self.everywhere():
            for make in (pair_of_pipes, pair_of_sockets):
                in_read, in_write = make()
                out_read, out_write = make()
                err_read, err_write = make()
                process = place.popen([], "echo up; cat; echo e >&2", stdin=in_read,
                                      stdout=out_write, stderr=err_write)
                with self.running(process):
                    self.assertEqual(b"up\n", os.read(out_read, 100))
                    self.assertEqual([0, 0, 0], [flags(in_read), flags(out_write),
                                                 flags(err_write)], "while it runs")
                    os.write(in_write, b"data")
                    self.assertEqual(b"data", os.read(out_read, 100))
                    os.close(in_write)
                    self.assertEqual(0, process.wait(20))
                    self.assertEqual([0, 0, 0], [flags(in_read), flags(out_write),
                                                 flags(err_write)], "and afterwards")
                for fd in (in_read, out_read, out_write, err_read, err_write):
                    os.close(fd)

    def test_s12_a_non_blocking_stdin_stays_so_and_is_read(self):
        for make in (os.pipe, lambda: tuple(s.detach() for s in reversed(socket.socketpair()))):
            read_end, write_end = make()
            os.set_blocking(read_end, False)
            process = self.unix.popen([], "cat", stdin=read_end, stdout=subprocess.PIPE)
            with self.running(process):
                os.write(write_end, b"first")
                self.assertEqual(b"first", os.read(process.stdout.fileno(), 100))
                os.write(write_end, b"second")
                os.close(write_end)
                self.assertEqual(b"second", process.stdout.read())
                self.assertEqual(0, process.wait(20))
                self.assertFalse(os.get_blocking(read_end))
            os.close(read_end)

    def test_s12_one_socket_as_stdin_and_stdout(self):
        data = noise(2 * WINDOW)
        for place in self.everywhere():
            ours, theirs = socket.socketpair()
            process = place.popen([], "cat", stdin=theirs, stdout=theirs)
            theirs.close()
            with self.running(process), ours:
                def send():
                    ours.sendall(data)
                    ours.shutdown(socket.SHUT_WR)

                sender = threading.Thread(target=send)
                sender.start()
                got = b""
                while piece := ours.recv(1 << 20):
                    got += piece
                sender.join()
                self.assertTrue(got == data, f"{len(got)} bytes")
                self.assertEqual(0, process.wait(20))

    def test_s12_a_slow_reader_of_every_kind_gets_every_byte(self):
        data = noise(600000)
        source = self.path("source")
        with open(source, "wb") as file:
            file.write(data)
        os.chmod(source, 0o644)
        for make in (os.pipe, lambda: tuple(s.detach() for s in socket.socketpair())):
            read_end, write_end = make()
            process = self.unix.popen([], f"cat {source}", stdin=subprocess.DEVNULL,
                                      stdout=write_end)
            os.close(write_end)
            with self.running(process):
                got = b""
                while piece := os.read(read_end, 7001):
                    got += piece
                self.assertTrue(got == data, f"{len(got)} bytes")
                self.assertEqual(0, process.wait(20))
            os.close(read_end)

    def test_s12_a_named_pipe_without_a_writer_is_an_end_of_file(self):
        fifo = self.path("fifo")
        os.mkfifo(fifo)
        for content in (b"", b"data"):
            keeper = os.open(fifo, os.O_RDWR)
            reader = os.open(fifo, os.O_RDONLY)
            os.write(keeper, content)
            os.close(keeper)
            result = self.unix.run([], "cat", stdin=reader)
            self.assertEqual((0, content), (result.code, result.out), result)
            os.close(reader)

    def test_stdin_may_be_a_file_a_folder_or_closed(self):
        with open("/etc/passwd", "rb") as file:
            content = file.read()
            for place in self.everywhere():
                file.seek(10)
                result = place.run([], "cat", stdin=file)
                self.assertEqual(content[10:], result.out, "read from where it stands")
        folder = os.open("/etc", os.O_RDONLY)
        result = self.unix.run([], "cat; echo $?", stdin=folder)
        os.close(folder)
        self.assertEqual((0, b"0\n"), (result.code, result.out))
        self.assertIn(b"stdin:", result.err)
        result = self.unix.run([], "cat; echo $?", preexec_fn=lambda: os.close(0))
        self.assertEqual((0, b"0\n", b""), (result.code, result.out, result.err))

    def test_a_closed_stdout_or_stderr_fails_only_if_it_is_needed(self):
        for place in self.everywhere():
            result = place.run([], "true", preexec_fn=lambda: os.close(1))
            self.assertEqual(0, result.code, result)
            result = place.run([], "echo x", preexec_fn=lambda: os.close(1))
            self.assertEqual(255, result.code, result)
            result = place.run([], "echo x; exit 5", preexec_fn=lambda: os.close(2))
            self.assertEqual((5, b"x\n"), (result.code, result.out), result)

    def test_stdout_and_stderr_may_be_one_file(self):
        target = self.path("both")
        with open(target, "wb") as file:
            result = self.unix.run([], "echo a; sleep 0.1; echo b >&2; sleep 0.1; echo c",
                                   stdout=file, stderr=file)
        with open(target, "rb") as file:
            self.assertEqual(b"a\nb\nc\n", file.read())
        self.assertEqual(0, result.code)

    def test_n_gives_dev_null_and_leaves_the_callers_stdin_alone(self):
        with open("/etc/passwd", "rb", buffering=0) as file:
            for place in self.everywhere():
                result = place.run(["-n"], "readlink /proc/self/fd/0; cat", stdin=file)
                self.assertEqual(b"/dev/null\n", result.out)
                self.assertEqual(0, file.tell())


if __name__ == "__main__":
    main()
