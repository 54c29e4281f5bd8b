"""Pings on request: a server or a proxy that passes nothing on is noticed over any connection, and
without a request a stopped server is waited for."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import FRSH, FRSHD, PATIENCE, Case, environment, main  # noqa: E402
from wire import Wire  # noqa: E402

PINGS = ["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=1"]


class SwallowingProxy:
    """Passes all bytes until swallow(); then it still reads, and passes nothing on."""

    def __init__(self, far, near):
        self.far, self.near, self.is_swallowing, self.ends = far, near, threading.Event(), []
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(near)
        self.listening.listen(8)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        try:
            while True:
                near, _ = self.listening.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(self.far)
                self.ends += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._move, args=(source, sink), daemon=True).start()
        except OSError:
            pass

    def _move(self, source, sink):
        try:
            while piece := source.recv(65536):
                if not self.is_swallowing.is_set():
                    sink.sendall(piece)
            sink.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def close(self):
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        for end in self.ends:
            end.close()
        os.unlink(self.near)


class Pings(Case):
    def start(self, *arguments, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE):
        return subprocess.Popen([FRSH, *arguments], env=environment(self.unix.runtime), stdin=stdin,
                                stdout=subprocess.PIPE, stderr=stderr)

    def test_n2_a_proxy_that_passes_nothing_on_is_noticed(self):
        proxy = SwallowingProxy(self.server.socket, self.short_path())
        self.addCleanup(proxy.close)
        process = self.start(*PINGS, "--on-disconnect=kill", f"unix:{proxy.near}",
                             "echo begun; exec sleep 60")
        with self.running(process):
            self.assertEqual(b"begun\n", process.stdout.readline())
            proxy.is_swallowing.set()
            _, err = process.communicate(timeout=PATIENCE)
        self.assertEqual(255, process.returncode, err)
        self.assertIn(b"has not answered 1 pings (ServerAliveInterval)", err)
        self.end_sessions()  # The proxy keeps the server's end open.

    def test_n2_a_stopped_server_behind_a_command_is_noticed_on_request_only(self):
        pids = [self.path("asking"), self.path("waiting")]
        log = open(self.path("stderr"), "w+b")  # The stopped servers hold it open, too.
        self.addCleanup(log.close)
        asking, waiting = (
            self.start("--on-disconnect=kill", *options, "--via", f"{FRSHD} --stdio", "there",
                       f"echo $PPID > {pid}; exec sleep 60", stderr=log)
            for options, pid in ((PINGS, pids[0]), ([], pids[1])))
        with self.running(asking), self.running(waiting):
            sessions = [self.pid_from(pid) for pid in pids]
            for session in sessions:
                os.kill(session, signal.SIGSTOP)
            try:
                code = asking.wait(PATIENCE)
                time.sleep(1.5)  # Longer than the other client took.
                self.assertIsNone(waiting.poll())
            finally:
                for session in sessions:
                    os.kill(session, signal.SIGCONT)
            waiting.terminate()
        log.seek(0)
        self.assertEqual(255, code)
        self.assertIn(b"pings", log.read())

    def test_n2_a_server_that_answers_is_kept_while_nothing_else_happens(self):
        process = self.start(*PINGS, f"unix:{self.server.socket}", "sleep 4.5; exit 6")
        with self.running(process):
            _, err = process.communicate(timeout=PATIENCE)
        self.assertEqual((6, b""), (process.returncode, err))

    def test_n2_a_client_that_was_stopped_takes_no_server_for_dead(self):
        # Pings are a second apart. The clients begin and go on at other phases of that second.
        with contextlib.ExitStack() as running:
            clients = []
            for phase in range(5):
                process = self.start(*PINGS, f"unix:{self.server.socket}", "echo; read line; exit 6",
                                     stdin=subprocess.PIPE)
                running.enter_context(self.running(process))
                self.assertEqual(process.stdout.readline(), b"\n")
                clients.append((process, time.monotonic(), phase / 5 + 0.15))

            def send_each(number, after):
                for process, begun, phase in clients:
                    time.sleep(max(0.0, begun + after + phase - time.monotonic()))
                    process.send_signal(number)

            send_each(signal.SIGSTOP, 1)
            send_each(signal.SIGCONT, 4.8)
            time.sleep(1.5)  # A ping of before the end has its time.
            for process, _, phase in clients:
                _, err = process.communicate(b"end\n", timeout=PATIENCE)
                self.assertEqual((6, b""), (process.returncode, err), phase)

    def test_a_pong_answers_each_ping_before_data(self):
        with Wire(self.server.socket) as wire:
            wire.open(1, "yes")
            wire.next(lambda one: one["type"] == "data")
            wire.send(*[{"type": "ping"}] * 3)
            for _ in range(3):
                wire.next(lambda one: one["type"] == "pong")

    def test_pings_without_a_reader_do_not_fill_the_memory(self):
        with Wire(self.server.socket) as wire:
            wire.next(lambda one: one["type"] == "hello")
            wire.socket.settimeout(1)
            try:
                for _ in range(400):
                    wire.send(*[{"type": "ping"}] * 1000)
            except TimeoutError:
                pass
            for stat in self.server.sessions():
                with open(f"/proc/{stat.pid}/status") as file:
                    rss = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
                self.assertLess(rss, 200_000 if "FRSH_TEST_SANITIZED" in os.environ else 30_000)

    def test_a_pong_from_a_client_is_refused(self):
        with Wire(self.server.socket) as wire:
            wire.send({"type": "pong"})
            error, _ = wire.next(lambda one: one["type"] == "error")
        self.assertEqual("protocol", error["reason"])


if __name__ == "__main__":
    main()
