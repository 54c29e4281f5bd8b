"""As a service: the test acts as systemd, which opens sockets, gets READY, and restarts."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import FRSHD, PATIENCE, SANITIZED, descendants, environment, is_alive, main, wait_until  # noqa: E402
from tls import ROOT, Client, make_folder, write  # noqa: E402

UNITS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../server/systemd")


class Service(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="frsh-service-")
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.home, self.runtime = make_folder(self.folder, "home"), make_folder(self.folder, "run")
        self.config = os.path.join(self.folder, "frshd.toml")
        write(self.config, f'host_key = "{self.folder}/key"\nlog_level = "info"\n'
                           + ("permit_root_login = true\n" if ROOT else ""))
        self.client = Client(self.home, self.runtime)
        self.log = open(os.path.join(self.folder, "log"), "a+b")
        self.addCleanup(self.log.close)

    def hear(self, name="notify"):
        """Where the manager hears from the service."""
        path = name if name.startswith("\0") else os.path.join(self.folder, name)
        ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        ear.bind(path)
        ear.settimeout(PATIENCE)
        self.addCleanup(ear.close)
        return ear, path.replace("\0", "@")

    def start(self, sockets=(), notify=None, pid="$$", config=None, listens_on=3):
        """As systemd starts it: the sockets from 3 on, and in the environment whose they are."""
        env = environment(self.runtime, HOME=self.home)
        if sockets:
            env["LISTEN_FDS"] = str(len(sockets))
        if notify:
            env["NOTIFY_SOCKET"] = notify
        lent = [os.dup(one.fileno()) for one in sockets]

        def place():
            high = [os.dup2(fd, 100 + at) for at, fd in enumerate(lent)]
            for at, fd in enumerate(high):
                os.dup2(fd, listens_on + at)

        words = [FRSHD, "--config", config or self.config] + (["--no-sandbox"] if SANITIZED else [])
        process = subprocess.Popen(
            ["/bin/sh", "-c", f'LISTEN_PID={pid} exec "$@"', "sh", *words], env=env, preexec_fn=place,
            pass_fds=range(listens_on, listens_on + len(lent)), stdin=subprocess.DEVNULL, stderr=self.log)
        for fd in lent:
            os.close(fd)
        self.addCleanup(self.end, process)
        return process

    @staticmethod
    def end(process):
        if process.poll() is None:
            process.kill()
        process.wait()

    def text(self):
        return os.pread(self.log.fileno(), 1 << 20, 0).decode(errors="replace")

    @staticmethod
    def listening():
        return socket.create_server(("127.0.0.1", 0))

    def run_on(self, port, *words):
        return self.client.run("--accept-new", f"127.0.0.1:{port}", *words)

    def test_given_sockets_are_served_and_the_manager_is_notified(self):
        ear, path = self.hear()
        local = socket.socket(socket.AF_UNIX)
        local.bind(os.path.join(self.folder, "s"))
        local.listen()
        with self.listening() as given, local:
            service = self.start([given, local], path)
            self.assertEqual(ear.recv(100), b"READY=1")
            result = self.run_on(given.getsockname()[1], "echo hi; env | grep -E 'LISTEN|NOTIFY'")
            self.assertEqual(result.out, b"hi\n", result)
            self.assertEqual(self.client.run(f"unix:{self.folder}/s", "echo hi").out, b"hi\n")
            service.terminate()
            self.assertEqual(ear.recv(100), b"STOPPING=1")
            self.assertEqual(service.wait(PATIENCE), 0)
        self.assertTrue(os.path.exists(os.path.join(self.folder, "s")), "it is the manager's")

    def test_a_restart_ends_no_run(self):
        ear, path = self.hear()
        go = os.path.join(self.folder, "go")
        with self.listening() as given:
            port = given.getsockname()[1]
            first = self.start([given], path)
            self.assertEqual(ear.recv(100), b"READY=1")
            self.assertEqual(self.run_on(port, "true").code, 0)
            running = self.client.popen(f"127.0.0.1:{port}",
                                        f"echo before; while [ ! -e {go} ]; do sleep 0.05; done; echo after; exit 7")
            self.assertEqual(running.stdout.readline(), b"before\n")
            first.terminate()
            self.assertEqual(ear.recv(100), b"STOPPING=1")
            # The manager waits for its process, and for no session.
            self.assertEqual(first.wait(PATIENCE), 0)
            second = self.start([given], path)
            self.assertEqual(ear.recv(100), b"READY=1")
            self.assertEqual(self.run_on(port, "echo new").out, b"new\n")
            open(go, "w").close()
            out, err = running.communicate(timeout=PATIENCE)
            self.assertEqual((running.returncode, out, err), (7, b"after\n", b""))
            second.terminate()
            self.assertEqual(second.wait(PATIENCE), 0)
        wait_until(lambda: not [one for one in descendants() if one.state != "Z"], "all of them to end")

    def test_a_server_restarts_at_once_on_a_port_of_its_own(self):
        ear, path = self.hear()
        with self.listening() as free:
            port = free.getsockname()[1]
        with open(self.config, "a") as file:
            file.write(f'listen = "127.0.0.1:{port}"\n')
        for _ in range(3):
            service = self.start(notify=path)
            self.assertEqual(ear.recv(100), b"READY=1", self.text())
            self.assertEqual(self.run_on(port, "true").code, 0)
            service.terminate()
            self.assertEqual(ear.recv(100), b"STOPPING=1")
            self.assertEqual(service.wait(PATIENCE), 0)

    def test_sockets_for_another_process_are_not_used(self):
        with self.listening() as given:
            service = self.start([given], pid="1")
            wait_until(lambda: "listening on" in self.text(), "frshd to listen")
            self.assertIn("frshd.sock", self.text())
            self.assertNotIn(str(given.getsockname()[1]), self.text())
            service.terminate()
            self.assertEqual(service.wait(PATIENCE), 0)

    def test_a_descriptor_that_does_not_listen_is_refused(self):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(socket.AF_INET, kind) as given:
                self.assertEqual(self.start([given]).wait(PATIENCE), 255)
        self.assertEqual(self.text(), "frshd: LISTEN_FDS: descriptor 3 is no listening socket\n" * 2)

    def test_a_service_that_cannot_start_ends_with_the_code_for_that(self):
        ear, path = self.hear()
        write(self.config, "nonsense = 1\n")
        self.assertEqual(self.start(notify=path).wait(PATIENCE), 255)
        self.assertIn("unknown key: nonsense", self.text())
        ear.setblocking(False)
        with self.assertRaises(BlockingIOError):
            ear.recv(100)

    def test_a_manager_with_an_abstract_name(self):
        ear, path = self.hear("\0frsh-test-%d" % os.getpid())
        service = self.start(notify=path)
        self.assertEqual(ear.recv(100), b"READY=1", self.text())
        service.terminate()
        self.assertEqual(ear.recv(100), b"STOPPING=1")
        self.assertEqual(service.wait(PATIENCE), 0)

    def test_killing_supervisor_or_listener_leaves_no_listener(self):
        ear, path = self.hear()
        for behind in (False, True):
            with self.listening() as given:
                service = self.start([given], path)
                self.assertEqual(ear.recv(100), b"READY=1")
                # A preforked session gets its name a moment later.
                [listener] = wait_until(lambda: len(found := descendants(service.pid)) == 1 and found,
                                        "the listener alone")
                os.kill(listener.pid if behind else service.pid, signal.SIGKILL)
                self.assertEqual(service.wait(PATIENCE), 128 + 9 if behind else -9)
                wait_until(lambda: not is_alive(listener.pid), "the listener to end")

    def test_the_units_are_well_formed(self):
        if not shutil.which("systemd-analyze") or not os.path.isdir(UNITS):
            self.skipTest("no systemd-analyze here, or no sources")
        for folder, names in (("system", ("frshd.service", "frshd.socket")), ("user", ("frshd.service",))):
            place = make_folder(self.folder, folder)
            shutil.copytree(os.path.join(UNITS, folder), place, dirs_exist_ok=True)
            with open(os.path.join(place, "frshd.service.in")) as file:
                text = file.read()
            for line in ("KillMode=process", "OOMPolicy=continue", "TasksMax=infinity", "Type=notify"):
                self.assertIn(line + "\n", text)
            write(os.path.join(place, "frshd.service"), text.replace("@CMAKE_INSTALL_FULL_BINDIR@/frshd", FRSHD))
            units = [os.path.join(place, name) for name in names]
            result = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True,
                                    text=True, timeout=PATIENCE, env=environment(self.runtime, HOME=self.home))
            said = [line for line in result.stderr.splitlines() if "frshd" in line]
            self.assertEqual((result.returncode, said), (0, []), result)


if __name__ == "__main__":
    main()
