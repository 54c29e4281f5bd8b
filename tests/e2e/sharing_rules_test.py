#!/usr/bin/env python3
"""What users of ControlMaster complain about, each as a rule that a link holder keeps."""

import contextlib
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import FRSH, FULL, PATIENCE, environment, is_alive, main, wait_until  # noqa: E402
from sharing import SharingCase  # noqa: E402
from terminal import Terminal  # noqa: E402
from tls import Client, make_folder, make_key  # noqa: E402

SIZE = 3 << 20
CHANNELS = 256  # One link carries so many runs at a time.


class FreezingProxy:
    """Passes bytes on. freeze() makes the open connections pass nothing, without an end.

    `pieces` has the direction and the time of each piece that was passed on."""

    def __init__(self, port):
        self.port_behind = port
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.count, self.pieces, self.frozen = 0, [], set()
        self.sockets = []
        self.gate = threading.Event()  # Bytes wait for it.
        self.gate.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listening.accept()
                self.count += 1
                far = socket.create_connection(("127.0.0.1", self.port_behind))
                self.sockets += [near, far]
                for source, sink, way in ((near, far, "up"), (far, near, "down")):
                    threading.Thread(target=self._pump, args=(source, sink, way, self.count),
                                     daemon=True).start()

    def _pump(self, source, sink, way, number):
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                self.gate.wait()
                if number in self.frozen:
                    continue
                sink.sendall(piece)
                self.pieces.append((way, time.monotonic()))
            if number not in self.frozen:
                sink.shutdown(socket.SHUT_WR)

    def has_just_answered(self):
        """Returns whether the second of two pings, a second apart, was answered just now."""
        last = self.pieces[-4:]
        if [way for way, _ in last] != ["up", "down", "up", "down"]:
            return False
        (_, first), (_, between), (_, second), (_, answered) = last
        return between - first < 0.3 and second - first > 0.8 and time.monotonic() - answered < 0.2

    def freeze(self):
        self.frozen |= set(range(1, self.count + 1))

    def close(self):
        with contextlib.suppress(OSError):
            self.listening.shutdown(socket.SHUT_RDWR)
        for one in [self.listening, *self.sockets]:
            one.close()


class Rules(SharingCase):
    def one_line_of_a_lost_run(self, code, err):
        self.assertEqual((255, 1), (code, err.count(b"\n")), err)

    def test_h2_no_code_is_reported_before_all_bytes_have_arrived(self):
        """A holder is killed while it passes on the output of a command that has ended."""
        choose = random.Random(21)
        whole = 0
        for number in range(30):
            self.shared("true")
            holder, = self.holders()
            size = 150_000 if number % 2 else SIZE  # The smaller one waits in the windows.
            process = self.client.popen("--share", self.target,
                                        f"head -c {size} /dev/zero; echo x >&2", bufsize=0)
            if number % 2:
                process.stderr.read(1)
            got = len(process.stdout.read(choose.randrange(1, size)))
            os.kill(holder, signal.SIGKILL)
            out, err = process.communicate(timeout=PATIENCE)
            if process.returncode == 0:
                self.assertEqual(size, got + len(out))
                whole += 1
            else:
                self.one_line_of_a_lost_run(process.returncode, err[err.find(b"frsh:"):])
        self.assertLess(whole, 30, "no holder was killed in time")

    def amid_200_commands(self, disturb):
        """Disturbs holders meanwhile. Returns the seconds that the slowest command took."""
        path = os.path.join(self.server.home, self.id().rsplit(".", 1)[1])
        numbers, results = iter(range(200)), {}
        lock = threading.Lock()

        def work():
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                begun = time.monotonic()
                result = self.shared(f"echo {number} >>{path}; echo {number}")
                results[number] = result, time.monotonic() - begun

        threads = [threading.Thread(target=work) for _ in range(4)]
        self.shared("true")
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            time.sleep(0.15)
            for pid in self.holders():
                with contextlib.suppress(ProcessLookupError):
                    disturb(pid)
        for thread in threads:
            thread.join()
        with open(path) as file:
            begun = file.read().split()
        self.assertEqual(200, len(results))
        for number, (result, _) in results.items():
            times = begun.count(str(number))
            if result.code == 0:
                self.assertEqual((f"{number}\n".encode(), 1), (result.out, times), result)
            else:
                self.assertLessEqual(times, 1, "run twice")
                self.one_line_of_a_lost_run(result.code, result.err.encode())
        slowest = max(taken for _, taken in results.values())
        lost = sum(result.code != 0 for result, _ in results.values())
        if os.environ.get("FRSH_TEST_VERBOSE"):
            print(f"slowest {slowest:.3f} s, {lost} lost", file=sys.stderr)
        return slowest

    def test_h2_killed_holders_amid_200_commands_leave_true_outcomes(self):
        self.assertLess(self.amid_200_commands(lambda pid: os.kill(pid, signal.SIGKILL)), 15)

    def test_h2_stopped_holders_amid_200_commands_leave_true_outcomes(self):
        def stop(pid):
            os.kill(pid, signal.SIGSTOP)
            self.addCleanup(self.kill, pid)
            wait = threading.Timer(0.6, self.kill, [pid])
            wait.start()
            self.addCleanup(wait.cancel)
        self.assertLess(self.amid_200_commands(stop), 15)

    @staticmethod
    def kill(pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def test_h2_nothing_that_a_stopped_holder_was_asked_begins_later(self):
        self.shared("true")
        holder, = self.holders()
        os.kill(holder, signal.SIGSTOP)
        path = os.path.join(self.server.home, "later")
        for number in range(5):
            self.assertEqual(0, self.shared(f"echo {number} >>{path}").code)
        os.kill(holder, signal.SIGCONT)
        # The answer to this one shows that the holder has read all that came before.
        self.assertEqual(b"on\n", self.shared("echo on").out)
        self.assertEqual([holder], self.holders())
        with open(path) as file:
            self.assertEqual("0\n1\n2\n3\n4\n", file.read())

    def test_h3_a_shell_pipeline_ends_with_its_command(self):
        begun = time.monotonic()
        result = subprocess.run(["sh", "-c", f"{FRSH} --share=60s {self.target} echo x | cat; echo end"],
                                capture_output=True, timeout=PATIENCE, stdin=subprocess.DEVNULL,
                                env=environment(self.client.runtime, HOME=self.client.home))
        self.assertEqual((0, b"x\nend\n", b""), (result.returncode, result.stdout, result.stderr))
        self.assertLess(time.monotonic() - begun, 15)
        self.assertEqual(1, len(self.holders()))

    def test_h3_a_holder_has_nothing_of_the_client_that_started_it(self):
        folder = make_folder(self.folder, "start")
        for words in ([], ["-v"]):
            self.assertEqual(0, self.client.run(*words, "--share", self.target, "true", cwd=folder,
                                                preexec_fn=lambda: os.umask(0o007)).code)
            holder, = self.holders()
            self.assertEqual("/", os.readlink(f"/proc/{holder}/cwd"))
            with open(f"/proc/{holder}/status") as file:
                self.assertIn("\nUmask:\t0077\n", file.read())
            self.assertEqual(holder, os.getsid(holder))
            for fd in (0, 1, 2):
                self.assertEqual("/dev/null", os.readlink(f"/proc/{holder}/fd/{fd}"))
            self.client.run("--unshare", self.target)
            wait_until(lambda: not is_alive(holder), "the holder to end")

    def test_h4_folder_umask_and_variables_are_each_callers_own(self):
        self.client.run("--share", "--env", "CALLER=first", "--cwd", "/", self.target, "umask 022")
        before = self.logins()
        text = "echo $CALLER ${OTHER-none}; pwd; umask"
        result = self.client.run("--share", "--env", "CALLER=second", "--cwd", "/usr", self.target, text)
        self.assertEqual(["second none", "/usr"], result.out.decode().splitlines()[:2], result)
        result = self.client.run("--share", "--env", "OTHER=third", self.target, text)
        home = pwd.getpwuid(os.geteuid()).pw_dir
        self.assertEqual(["third", home], result.out.decode().splitlines()[:2], result)
        self.assertEqual(before, self.logins(), "not shared")
        plain = self.client.run(self.target, "umask").out
        self.assertEqual(plain, self.client.run("--share", self.target, "umask").out)

    def test_h4_another_identity_never_shares(self):
        self.shared("true")
        other = os.path.join(self.client.home, "other")
        make_key(other)
        before = self.logins()
        result = self.client.run("--share", "-i", other, "-oIdentitiesOnly=yes", self.target, "true")
        self.assertEqual(255, result.code, result)
        self.assertIn("Permission denied", result.err)
        # The key of the link, named by -i, is another way to log in.
        own = os.path.join(self.client.home, ".ssh/id_ed25519")
        self.assertEqual(0, self.client.run("--share", "-i", own, self.target, "true").code)
        self.assertEqual(before + 1, self.logins())

    def test_h4_another_home_never_shares(self):
        self.shared("true")
        home = make_folder(self.folder, "other-home")
        shutil.copytree(os.path.join(self.client.home, ".ssh"), os.path.join(home, ".ssh"))
        with contextlib.suppress(FileNotFoundError):
            shutil.copytree(os.path.join(self.client.home, ".config"), os.path.join(home, ".config"))
        before = self.logins()
        other = Client(home, self.client.runtime)
        self.assertEqual(0, other.run("--share", "--accept-new", self.target, "true").code)
        self.assertEqual((before + 1, 2), (self.logins(), len(self.holders())))

    def test_h4_after_an_upgrade_the_holder_of_the_old_program_is_not_used(self):
        program = os.path.join(make_folder(self.folder, "programs"), "frsh")
        env = environment(self.client.runtime, HOME=self.client.home)
        words = [program, "--share", self.target, "echo x"]
        for count in (1, 2):
            shutil.copy(FRSH, program + ".new")
            os.rename(program + ".new", program)
            for _ in range(2):
                result = subprocess.run(words, capture_output=True, env=env, timeout=PATIENCE,
                                        stdin=subprocess.DEVNULL)
                self.assertEqual((0, b"x\n", b""), (result.returncode, result.stdout, result.stderr))
            self.assertEqual(count, len(self.holders()))

    def test_many_first_commands_at_once_start_one_holder_silently(self):
        count = 500 if FULL else 60
        before = self.logins()
        processes = [self.client.popen("--share", self.target, f"echo {n}") for n in range(count)]
        failed = 0
        for number, process in enumerate(processes):
            out, err = process.communicate(timeout=4 * PATIENCE)
            if count > CHANNELS and err:
                # More than the holder carries log in by themselves, and meet the server's limits.
                self.assertIn((process.returncode, out), [(0, f"{number}\n".encode()), (255, b"")], err)
                failed += process.returncode != 0
                continue
            self.assertEqual((0, f"{number}\n".encode(), b""), (process.returncode, out, err))
        self.assertEqual(1, len(self.holders()))
        self.assertGreater(self.logins(), before)
        self.assertLessEqual(failed, max(0, count - CHANNELS))

    def test_commands_that_begin_during_the_first_login_wait_for_its_link(self):
        proxy = FreezingProxy(self.server.port)
        self.addCleanup(proxy.close)
        target = f"127.0.0.1:{proxy.port}"
        self.assertEqual(0, self.client.run("--trust", target).code)
        dials = proxy.count
        proxy.gate.clear()
        processes = [self.client.popen("--share", target, f"echo {n}") for n in range(20)]
        wait_until(lambda: proxy.count > dials, "the first login to begin")
        time.sleep(0.5)  # Those that do not wait have dialled by then.
        proxy.gate.set()
        for number, process in enumerate(processes):
            out, err = process.communicate(timeout=PATIENCE)
            self.assertEqual((0, f"{number}\n".encode(), b""), (process.returncode, out, err))
        self.assertEqual(1, len(self.holders()))
        self.assertLess(proxy.count - dials, 10)

    def test_h2_a_link_that_passes_nothing_is_replaced_within_3_s(self):
        proxy = FreezingProxy(self.server.port)
        self.addCleanup(proxy.close)
        target = f"127.0.0.1:{proxy.port}"
        self.assertEqual(0, self.client.run("--trust", target).code)
        process = self.client.popen("--share", target, "echo up; cat; exit 4",
                                    stdin=subprocess.PIPE)
        self.assertEqual(b"up\n", process.stdout.readline())
        # Right after the answer to a ping, the next one is a second away.
        wait_until(proxy.has_just_answered, "a ping and its answer")
        begun, dials = time.monotonic(), proxy.count
        proxy.freeze()
        wait_until(lambda: proxy.count > dials, "a new connection")
        taken = time.monotonic() - begun
        out, err = process.communicate(b"in", timeout=PATIENCE)
        self.assertEqual((4, b"in", b""), (process.returncode, out, err))
        self.assertLess(taken, 3.7)

    def test_h2_what_a_killed_holder_left_is_replaced_without_a_word(self):
        self.shared("true")
        for _ in range(3):
            holder, = self.holders()
            os.kill(holder, signal.SIGKILL)
            wait_until(lambda: not is_alive(holder), "the holder to end")
            folder = os.path.join(self.client.runtime, "frsh/links")
            self.assertEqual([".ctl", ".link", ".sock"],
                             sorted(os.path.splitext(name)[1] for name in os.listdir(folder)))
            result = self.shared("echo on")
            self.assertEqual((0, b"on\n", ""), (result.code, result.out, result.err))
            self.assertNotEqual([holder], self.holders())

    def test_a_question_about_the_key_is_asked_once(self):
        """ssh-agent asks for each use of the key: as often as a touch key would."""
        home, asked = self.client.home, os.path.join(self.folder, "asked")
        askpass = os.path.join(self.folder, "askpass")
        with open(askpass, "w") as file:
            file.write(f"#!/bin/sh\necho x >>{asked}\n")
        os.chmod(askpass, 0o755)
        env = environment(self.client.runtime, HOME=home, SSH_ASKPASS=askpass, DISPLAY=":0")
        agent = subprocess.Popen(["ssh-agent", "-D", "-a", os.path.join(self.folder, "agent")],
                                 env=env, stdout=subprocess.DEVNULL)
        self.addCleanup(agent.wait)
        self.addCleanup(agent.terminate)
        env["SSH_AUTH_SOCK"] = os.path.join(self.folder, "agent")
        wait_until(lambda: os.path.exists(env["SSH_AUTH_SOCK"]), "ssh-agent")
        key = os.path.join(home, ".ssh/id_ed25519")
        subprocess.run(["ssh-add", "-q", "-c", key], env=env, check=True, capture_output=True)
        os.unlink(key)
        for _ in range(3):
            result = subprocess.run([FRSH, "--share", self.target, "echo x"], env=env,
                                    capture_output=True, timeout=PATIENCE, stdin=subprocess.DEVNULL)
            self.assertEqual((0, b"x\n"), (result.returncode, result.stdout), result.stderr)
        with open(asked) as file:
            self.assertEqual("x\n", file.read())


class Logins(SharingCase):
    """A login session is one of processes with a terminal: here, a shell in a pseudo-terminal."""

    def login(self):
        env = environment(self.client.runtime, HOME=self.client.home, PS1="ready ")
        terminal = Terminal(self, ["sh", "-i"], env)
        self.addCleanup(terminal.__exit__)
        return terminal

    def enter(self, terminal, *words):
        """Runs frsh in the session, to its end."""
        terminal.keys(" ".join([FRSH, *words, "; echo ended-$((6*7))\r"]))
        terminal.wait_for_text("ended-42")

    def logout(self, terminal):
        terminal.keys("exit\r")
        while terminal.process.poll() is None:
            terminal.read(0.05)

    def test_h7_a_holder_ends_with_the_last_login_session_that_used_it(self):
        one, other = self.login(), self.login()
        for terminal in (one, other):
            self.enter(terminal, "--share=10m", self.target, "true")
        holder, = self.holders()
        self.logout(one)
        self.enter(other, "--share=10m", self.target, "true")
        self.assertEqual([holder], self.holders())
        self.logout(other)
        wait_until(lambda: not is_alive(holder), "the holder to end")
        self.assertEqual([], os.listdir(os.path.join(self.client.runtime, "frsh/links")))

    def test_h7_after_the_logout_commands_of_others_go_on_to_their_end(self):
        session = self.login()
        self.enter(session, "--share=10m", self.target, "true")
        holder, = self.holders()
        process = self.client.popen("--share=10m", self.target, "echo up; cat; exit 5",
                                    stdin=subprocess.PIPE)
        self.assertEqual(b"up\n", process.stdout.readline())
        self.logout(session)
        wait_until(lambda: not self.links(), "the link to be given up")
        out, err = process.communicate(b"in", timeout=PATIENCE)
        self.assertEqual((5, b"in", b""), (process.returncode, out, err))
        wait_until(lambda: not is_alive(holder), "the holder to end")

    def test_h7_a_holder_that_is_told_to_stay_outlasts_the_login(self):
        session = self.login()
        self.enter(session, "--share=stay:10m", self.target, "true")
        holder, = self.holders()
        self.logout(session)
        before = self.logins()
        self.assertEqual(b"on\n", self.client.run("--share=10m", self.target, "echo on").out)
        self.assertEqual(([holder], before), (self.holders(), self.logins()))

    def test_h7_a_holder_ends_with_the_runtime_folder(self):
        self.client.run("--share=stay:10m", self.target, "true")
        holder, = self.holders()
        # The holder removes its files meanwhile.
        shutil.rmtree(os.path.join(self.client.runtime, "frsh"), ignore_errors=True)
        wait_until(lambda: not is_alive(holder), "the holder to end")

    def test_h7_sessions_without_a_terminal_do_not_count(self):
        result = self.client.run("--share=10m", self.target, "true", start_new_session=True)
        self.assertEqual(0, result.code)
        before = self.logins()
        self.assertEqual(b"on\n", self.shared("echo on").out)
        self.assertEqual(before, self.logins())


if __name__ == "__main__":
    main()
