"""Life and death."""

import contextlib
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import (Case, FRSHD, FULL, Place, Server, descendants, is_alive,  # noqa: E402
                     is_listening, main, open_descriptors, process_table, preforked_below, wait_until)
from wire import Wire  # noqa: E402


class Ahead(Case):
    """One session for each door is forked before a client connects."""

    def setUp(self):
        runtime = self.short_path()
        os.mkdir(runtime, 0o700)
        self.own = Server(runtime)
        self.place = Place("unix", runtime, ["local"], self.own)

    def tearDown(self):
        if self.own.process.poll() is None:
            self.own.end()
        super().tearDown()

    def both(self):
        return wait_until(lambda: len(self.own.preforked()) == 2 and
                          {stat.pid for stat in self.own.preforked()}, "the next of both doors")

    def session_of(self, *more):
        result = self.place.run(["--argv", *more], "sh", "-c", "echo $PPID")
        self.assertEqual(0, result.code, result)
        return int(result.out)

    def test_a_connection_gets_a_preforked_session_and_the_next_is_forked(self):
        seen = set()
        for _ in range(3):
            ready = self.both()
            session = self.session_of()
            self.assertIn(session, ready)
            seen.add(session)
        self.assertEqual(3, len(seen))

    def test_a_connection_without_a_preforked_session_is_served(self):
        ready = self.both()
        sessions = {self.session_of() for _ in range(5)}
        self.assertEqual(5, len(sessions))
        self.assertTrue(sessions - ready)

    def test_a_dead_preforked_session_costs_no_client(self):
        for pid in self.both():
            os.kill(pid, signal.SIGKILL)
        self.session_of()

    def fork_server(self):
        return wait_until(lambda: [stat.pid for stat in process_table().values()
                                   if (stat.parent, stat.name) == (self.own.pid, "frshd-forker")],
                          "the fork server")[0]

    def test_a_killed_fork_server_is_replaced_and_refuses_no_client(self):
        for _ in range(5):
            ready, fork_server = self.both(), self.fork_server()
            os.kill(fork_server, signal.SIGKILL)
            sessions = {self.session_of() for _ in range(3)}
            self.assertEqual(3, len(sessions))
            self.assertTrue(sessions & ready)
            self.assertNotEqual(fork_server, self.fork_server())

    def test_preforked_sessions_end_with_a_killed_listener(self):
        ready = self.both() | {self.fork_server()}
        self.own.process.kill()
        wait_until(lambda: not any(is_alive(pid) for pid in ready), "all to end")
        self.own.process.wait()

    def test_preforked_sessions_end_with_the_listener_and_live_sessions_do_not(self):
        with self.running(self.place.popen([], "echo up; read x", stdin=subprocess.PIPE,
                                           stdout=subprocess.PIPE)) as process:
            self.assertEqual(b"up\n", process.stdout.readline())
            ready = self.both()
            self.own.process.terminate()
            wait_until(lambda: not any(is_alive(pid) for pid in ready), "both to end")
            self.assertIsNone(process.poll())


class Life(Case):
    def start(self, place, command, **popen):
        popen.setdefault("stdin", subprocess.DEVNULL)
        return place.popen([], command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **popen)

    def test_l1_interrupts_send_int_then_term_then_kill(self):
        for place in self.everywhere():
            process = self.start(place, "trap 'echo int' INT; trap 'echo term' TERM; echo up; "
                                 "while :; do sleep 0.02; done")
            with self.running(process):
                for line in (b"up\n", b"int\n", b"term\n"):
                    self.assertEqual(line, process.stdout.readline())
                    process.send_signal(signal.SIGINT)
                self.assertIn(process.wait(20), (130, 137))
            self.no_strays()

    def test_l1_a_command_that_ends_by_the_interrupt_is_130(self):
        for place in self.everywhere():
            process = self.start(place, "echo up; exec sleep 60")
            with self.running(process):
                self.assertEqual(b"up\n", process.stdout.readline())
                process.send_signal(signal.SIGINT)
                self.assertEqual(130, process.wait(20))

    def test_l1_a_command_may_survive_an_interrupt(self):
        process = self.start(self.unix, "trap 'echo no; exit 9' INT; echo up; "
                             "while :; do sleep 0.02; done")
        with self.running(process):
            self.assertEqual(b"up\n", process.stdout.readline())
            process.send_signal(signal.SIGINT)
            self.assertEqual(b"no\n", process.stdout.readline())
            self.assertEqual(9, process.wait(20))

    def test_l1_sigterm_and_sighup_to_the_client_are_passed_on(self):
        for place in self.everywhere():
            for name in ("TERM", "HUP"):
                seen = self.path(name + place.name.replace(" ", ""))
                process = self.start(place, "exec 2>/dev/null; trap '' HUP; "
                                     f"trap 'echo {name} > {seen}; exit' {name}; echo up; "
                                     "while :; do sleep 0.02; done")
                with self.running(process):
                    self.assertEqual(b"up\n", process.stdout.readline())
                    number = getattr(signal, "SIG" + name)
                    process.send_signal(number)
                    self.assertEqual(128 + number, process.wait(20))
                wait_until(lambda: os.path.exists(seen), f"{name} to reach the command")

    def tidied_up(self, place, name, command):
        """Starts a command. Returns it, and a function that reads its descriptor 3.

        Descriptor 3 is a pipe, since a slow disk may take longer than the command has."""
        path = self.path(name + place.name.replace(" ", ""))
        os.mkfifo(path)
        read_end = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, read_end)
        process = self.start(place, f"exec 3>{path}; {command}; echo up; while :; do sleep 0.02; done")
        written = bytearray()

        def content():
            with contextlib.suppress(BlockingIOError):
                written.extend(os.read(read_end, 4096))
            return written.decode()

        return process, content

    def test_l1_the_command_gets_the_clients_signal_and_time_to_clean_up(self):
        for place in self.everywhere():
            for name, other in (("TERM", "HUP"), ("HUP", "TERM")):
                process, content = self.tidied_up(
                    place, name, f"trap 'echo {other} >&3' {other}; trap 'sleep 1.2; echo {name} >&3; "
                    f"sleep 0.1; seq 100000; echo whole >&3; exit' {name}")
                with self.running(process):
                    self.assertEqual(b"up\n", process.stdout.readline())
                    number = getattr(signal, "SIG" + name)
                    process.send_signal(number)
                    self.assertEqual(128 + number, process.wait(20))
                    process.stdout.close()
                    wait_until(lambda: content() == f"{name}\nwhole\n", lambda: "the end of tidying up, "
                               f"not {content()!r} ({place.name}, {name})", 10)
                self.no_strays()

    def test_l1_what_a_command_prints_after_sigterm_to_the_client_is_shown(self):
        command = ("trap 'echo cleaning; echo error >&2; echo whole; exit 7' TERM; echo up; "
                   "while :; do sleep 0.02; done")
        for place in self.everywhere():
            for options in ([], ["--batch"]):
                with self.subTest(place=place.name, options=options):
                    words = [command] if not options else []
                    process = place.popen(options, *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                          stdin=subprocess.PIPE)
                    with self.running(process):
                        process.stdin.write((command + "\n").encode() if options else b"")
                        process.stdin.close()
                        process.stdin = None
                        self.assertEqual(b"up\n", process.stdout.readline())
                        process.send_signal(signal.SIGTERM)
                        out, err = process.communicate(timeout=20)
                        self.assertEqual((143, b"cleaning\nwhole\n"), (process.returncode, out), err)
                        self.assertIn(b"error\n", err)
                    self.no_strays()

    def test_l1_a_command_that_ignores_the_clients_signal_is_killed(self):
        for name in ("TERM", "HUP"):
            process, content = self.tidied_up(self.unix, name, "trap '' TERM HUP; echo $$ >&3")
            with self.running(process):
                self.assertEqual(b"up\n", process.stdout.readline())
                process.send_signal(getattr(signal, "SIG" + name))
                process.wait(20)
                wait_until(lambda: not is_alive(int(content())), "the command to end", 10)
            self.no_strays()

    def test_l2_a_killed_sessions_process_is_ended_even_during_exec(self):
        for place in (self.unix, self.plain):
            for _ in range(5):
                process = self.start(place, "export L='exec sh -c \"$L\"'; echo $PPID; exec sh -c \"$L\"")
                with self.running(process):
                    os.kill(int(process.stdout.readline()), signal.SIGKILL)
                    self.assertEqual(255, process.wait(20))
                self.no_strays()

    def test_l2_cleanup_after_a_killed_client_may_print(self):
        for place in self.everywhere():
            process, content = self.tidied_up(
                place, "marker", "trap 'echo cleaning; sleep 0.1; seq 100000; seq 100000 >&2; "
                "echo whole >&3; exit' HUP TERM")
            with self.running(process):
                self.assertEqual(b"up\n", process.stdout.readline())
                process.kill()
                process.wait()
                wait_until(lambda: content() == "whole\n",
                           lambda: f"the whole marker, not {content()!r} ({place.name})", 10)
            self.no_strays()

    def test_l2_a_holder_that_never_stops_writing_is_ended(self):
        for command in ("yes", "(setsid yes &); sleep 0.1; exit", "trap '' HUP TERM PIPE; yes"):
            process = self.start(self.unix, "echo up; " + command)
            with self.running(process):
                self.assertEqual(b"up\n", process.stdout.readline())
                process.kill()
                process.wait()
            self.no_strays()

    def test_l2_a_killed_client_ends_all_that_it_started(self):
        for place in self.everywhere():
            pids = [self.path(f"{i}-{place.name.replace(' ', '')}") for i in range(4)]
            process = self.start(
                place,
                f"sleep 63 & echo $! > {pids[0]}; "
                f"setsid sh -c 'echo $$ > {pids[1]}; exec sleep 64' & "
                f"(setsid sh -c 'echo $$ > {pids[2]}; exec sleep 65' &) ; "
                f"setsid setsid sh -c '(trap \"\" TERM HUP; echo $$ > {pids[3]}; "
                "while :; do sleep 0.1; done) & wait' & echo up; wait")
            with self.running(process):
                self.assertEqual(b"up\n", process.stdout.readline())
                found = [self.pid_from(path) for path in pids]
                process.kill()
                process.wait()
                for pid in found:
                    wait_until(lambda: not is_alive(pid), "everything it started to end")
            self.no_strays()

    def test_l2_hup_and_term_are_sent_before_kill(self):
        for place in self.everywhere():
            seen = self.path(place.name.replace(" ", ""))
            process = self.start(place, f"exec 2>/dev/null; trap 'echo hup >> {seen}' HUP; "
                                 f"trap 'echo term >> {seen}; exit' TERM; echo up; "
                                 "while :; do sleep 0.02; done")
            with self.running(process):
                self.assertEqual(b"up\n", process.stdout.readline())
                process.kill()
                process.wait()

                def has_both():
                    if not os.path.exists(seen):
                        return False
                    with open(seen) as file:
                        return file.read() == "hup\nterm\n"

                wait_until(has_both, "HUP, then TERM")
            self.no_strays()

    def test_l2_the_listener_ends_what_a_killed_session_started(self):
        pid_file, session_file = self.path("pid"), self.path("session")
        process = self.start(self.unix, f"echo $PPID > {session_file}; "
                             f"setsid sh -c 'echo $$ > {pid_file}; exec sleep 66' & echo up; wait")
        with self.running(process):
            self.assertEqual(b"up\n", process.stdout.readline())
            pid = self.pid_from(pid_file)
            os.kill(self.pid_from(session_file), signal.SIGKILL)
            self.assertEqual(255, process.wait(20))
            wait_until(lambda: not is_alive(pid), "the orphan to end")

    def test_l2_a_stopped_command_ends_too(self):
        pid_file = self.path("pid")
        process = self.start(self.unix, f"echo $$ > {pid_file}; echo up; kill -STOP $$; sleep 60")
        with self.running(process):
            self.assertEqual(b"up\n", process.stdout.readline())
            pid = self.pid_from(pid_file)
            process.kill()
            process.wait()
            wait_until(lambda: not is_alive(pid), "the stopped command to end")

    def test_l3_a_stopped_client_keeps_its_run(self):
        for place in (self.unix, self.plain):
            process = self.start(place, "echo one; read x; echo two", stdin=subprocess.PIPE)
            with self.running(process):
                self.assertEqual(b"one\n", process.stdout.readline())
                process.send_signal(signal.SIGSTOP)
                time.sleep(0.5)  # Waits for the whole time: nothing must happen.
                process.send_signal(signal.SIGCONT)
                process.stdin.write(b"\n")
                process.stdin.close()
                process.stdin = None
                self.assertEqual(b"two\n", process.stdout.readline())
                self.assertEqual(0, process.wait(20))

    def test_l4_a_terminated_server_lets_live_sessions_go_on(self):
        runtime = self.short_path()
        os.mkdir(runtime, 0o700)
        server = Server(runtime)
        try:
            places = [Place("unix", runtime, ["local"]),
                      Place("plain", runtime, ["--plaintext", f"127.0.0.1:{server.port}"])]
            live = [self.start(place, "echo up; read x; echo $x", stdin=subprocess.PIPE)
                    for place in places]
            for process in live:
                self.assertEqual(b"up\n", process.stdout.readline())
            server.process.terminate()
            wait_until(lambda: "no new connections" in server.text(), "the listener to stop")
            self.assertFalse(os.path.exists(server.socket), "the socket file is removed")
            result = places[1].run([], "true")
            self.assertEqual(255, result.code, result)
            self.assertIn(b"refused", result.err)
            # On the same port at once, while a session of the first still lives there.
            again = subprocess.Popen(
                [sys.modules["harness"].FRSHD, "--listen", f"127.0.0.1:{server.port}",
                 "--plaintext"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE)
            with self.running(again):
                line = again.stderr.readline()
                self.assertIn(b"listening on 127.0.0.1:%d" % server.port, line)
                self.assertEqual(b"new\n", places[1].run([], "echo new").out)
                again.terminate()
                self.assertEqual(0, again.wait(20))
            self.assertIsNone(server.process.poll(), "it waits for its sessions")
            for process in live:
                with self.running(process):
                    process.stdin.write(b"still here\n")
                    process.stdin.close()
                    process.stdin = None
                    self.assertEqual(b"still here\n", process.stdout.readline())
                    self.assertEqual(0, process.wait(20))
            self.assertEqual(0, server.process.wait(20))
        finally:
            server.end()

    def test_l4_a_stale_socket_file_is_replaced_a_live_one_is_not(self):
        runtime = self.short_path()
        os.mkdir(runtime, 0o700)
        server = Server(runtime, tcp=False)
        server.process.kill()
        server.process.wait()
        self.assertTrue(os.path.exists(server.socket))
        server.end()
        second = Server(runtime, tcp=False)
        try:
            self.assertEqual(0o600, os.stat(second.socket).st_mode & 0o777)
            third = subprocess.run([sys.modules["harness"].FRSHD, "--unix", second.socket],
                                   capture_output=True, timeout=20)
            self.assertEqual(255, third.returncode)
            self.assertIn(b"another server listens there", third.stderr)
            self.assertEqual(0, Place("unix", runtime, ["local"]).run([], "true").code)
        finally:
            second.end()

    def test_l5_no_descriptor_zombie_or_orphan_after_many_runs(self):
        runs = 10000 if FULL else 150
        for place in (self.unix, self.plain):
            with self.subTest(place.name):
                self.assertEqual(0, place.run([], "true").code)
                before = self.descriptors_at_rest()
                for i in range(runs):
                    words = ("exit 3", "no-such-command", "kill -9 $$")[i % 3]
                    self.assertIn(place.run([], words).code, (3, 127, 137))
                self.assertEqual(before, self.descriptors_at_rest())

    def descriptors_at_rest(self):
        """Returns the kinds of descriptors of an idle server.

        These are a socket for each door and for the fork server, and two for each preforked one:
        one for the connection, one for its steps. While one is being forked, there are more."""
        kinds = []

        def is_at_rest():
            kinds[:] = sorted(name.split(":[")[0] for name in open_descriptors(self.server.pid).values())
            return (not descendants(self.server.pid) and len(self.server.preforked()) == 2 and
                    (kinds.count("socket"), kinds.count("pipe")) == (7, 0))

        wait_until(is_at_rest, lambda: f"the server to be at rest: {kinds}, {descendants(self.server.pid)}")
        return kinds

    def test_l5_orphans_of_a_run_are_reaped_while_its_session_lives(self):
        process = self.start(self.unix, "for i in 1 2 3 4 5 6 7 8 9; do (true & true &) ; done; "
                             "echo up; read x", stdin=subprocess.PIPE)
        with self.running(process):
            self.assertEqual(b"up\n", process.stdout.readline())
            wait_until(lambda: not [stat for stat in descendants(self.server.pid)
                                    if stat.state == "Z"], "zombies to be reaped")

    def test_l5_a_reused_pid_belongs_to_the_new_run(self):
        """Also while the client keeps quiet about the end of the run that had it first."""
        unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        if os.geteuid() != 0:
            unshare += ["--user", "--map-root-user"]
        last = "/proc/sys/kernel/ns_last_pid"
        probe = subprocess.run([*unshare, "sh", "-c", f"echo 99 > {last}; sh -c 'echo $$'"],
                               capture_output=True)
        if probe.stdout != b"100\n":
            self.skipTest(f"no process numbers of our own: {probe.stderr!r}")
        path = self.short_path()
        server = subprocess.Popen([*unshare, *self.as_root_at_home(FRSHD, "--unix", path)],
                                  stderr=subprocess.PIPE)
        with self.running(server):
            wait_until(lambda: is_listening(path), "the server to listen")
            with Wire(path) as wire:
                wire.next(lambda one: one["type"] == "hello", "a hello")
                # A preforked session takes a pid as well.
                wait_until(lambda: preforked_below(server.pid), "the next session")

                def of(channel, what):
                    return wire.next(lambda one: one["type"] == what and one["ch"] == channel, what)[0]

                wire.open(1, "exit 3")
                pid = of(1, "started")["pid"]
                self.assertEqual({"kind": "exited", "code": 3}, of(1, "end")["outcome"])
                # Not acknowledged. The shell itself writes, so that no later process takes a pid.
                wire.open(2, f"echo {pid - 1} > {last}")
                self.assertEqual({"kind": "exited", "code": 0}, of(2, "end")["outcome"])
                wire.open(3, "exit 7")
                self.assertEqual(pid, of(3, "started")["pid"])
                self.assertEqual({"kind": "exited", "code": 7}, of(3, "end")["outcome"])

    def test_l7_nothing_of_its_own_goes_to_stdout_and_q_leaves_the_reason_of_a_255(self):
        failures = [([], ["kill -9 $$"], 137), (["--timeout", "100ms"], ["sleep 60"], 124),
                    (["--cwd", "/none"], ["true"], 255), (["--argv"], ["no-such-program"], 127),
                    (["--max-output", "2"], ["echo abcdef"], 0)]
        for place in self.everywhere():
            for options, words, code in failures:
                result = place.run(options, *words)
                self.assertEqual(code, result.code, result)
                self.assertRegex(result.err, rb"\A(frsh: [^\n]+\n)+\Z")
                quiet = place.run(["-q"] + options, *words)
                # The reason of a 255 is all that tells it from the command's own.
                wanted = result.err if code == 255 else b""
                self.assertEqual((code, wanted, result.out), (quiet.code, quiet.err, quiet.out))
            result = place.run(["-v"], "true")
            self.assertEqual((0, b""), (result.code, result.out))
            self.assertRegex(result.err, rb"\A(frshd?: [^\n]+\n)+\Z")
        for target in ("unix:/no/such/socket", "127.0.0.1:1"):
            place = Place("nowhere", self.folder, ["--plaintext", target])
            result = place.run([], "true")
            self.assertEqual((255, b""), (result.code, result.out))
            self.assertRegex(result.err, rb"\Afrsh: [^\n]+\n\Z")
            self.assertEqual(result.err, place.run(["-q"], "true").err)

    def test_l7_text_of_a_peer_cannot_move_the_cursor(self):
        result = self.unix.run(["--cwd", "/no/\x1b[2Jsuch"], "true")
        self.assertNotIn(b"\x1b", result.err)

    def test_via_ends_with_its_connection_and_leaves_no_zombie(self):
        frshd = sys.modules["harness"].FRSHD
        place = Place("via", self.folder, ["--via", f"{frshd} --stdio", "anything"])
        result = place.run([], "cat; exit 5", stdin=b"over a pipe")
        self.assertEqual((5, b"over a pipe"), (result.code, result.out), result)
        broken = Place("via", self.folder, ["--via", "exit 3", "anything"])
        result = broken.run([], "true", record=True)
        self.assertEqual(255, result.code, result)
        self.assertEqual("lost", result.record["outcome"]["kind"])
        chatty = Place("via", self.folder, ["--via", "echo Welcome to this machine", "x"])
        result = chatty.run([], "true", record=True)
        self.assertEqual(255, result.code, result)
        self.assertEqual(("not_started", "connect"), (result.record["outcome"]["kind"],
                                                      result.record["outcome"]["stage"]), result)
        self.assertRegex(result.err, rb"^frsh: not started: [^\n]*Welcome to this machine[^\n]*\n$")


    def test_a_started_server_that_sends_no_frames_is_not_waited_for(self):
        """A server that sends no frames, and ignores whether a client listens."""
        started = time.monotonic()
        chatter = "sh -c 'echo hello world; while sleep 0.05; do echo and so on; done'"
        result = Place("via", self.folder, ["--via", chatter, "x"]).run(["-n"], "true")
        self.assertEqual(255, result.code, result)
        self.assertLess(time.monotonic() - started, 1.9)

    def test_via_gives_its_command_blocking_streams(self):
        relay = f"sh -c 'cat | {FRSHD} --stdio | cat'"
        place = Place("via", self.folder, ["--via", relay, "x"])
        result = place.run([], "cat; exit 5", stdin=b"x" * 3000000)
        self.assertEqual((5, 3000000), (result.code, len(result.out)), result)


if __name__ == "__main__":
    main()
