"""--connect-timeout holds on every way to a server, and no process is left behind."""

import contextlib
import os
import shlex
import signal
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import descendants, main, wait_until  # noqa: E402
from tls import TlsCase  # noqa: E402

LIMIT = ("--connect-timeout", "300ms")


def is_alive(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as file:
        return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    return False


def is_interruptible(pid):
    """Returns whether the process has blocked SIGINT, to read it in its own time."""
    with open(f"/proc/{pid}/status") as file:
        [mask] = [line.split()[1] for line in file if line.startswith("SigBlk:")]
    return int(mask, 16) & 1 << (signal.SIGINT - 1)


class ConnectTimeout(TlsCase):
    def fails_in_time(self, client, *words):
        began = time.monotonic()
        result = client.run(*LIMIT, *words, "true")
        self.assertLess(time.monotonic() - began, 4, result)
        self.assertEqual((result.code, result.out), (255, b""), result)
        self.assertEqual(result.err.count("\n"), 1, result)
        return result.err

    def test_a_silent_server_on_a_unix_socket(self):
        client = self.stranger()
        path = os.path.join(client.home, "s")
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path)
            listening.listen()
            self.assertIn("--connect-timeout", self.fails_in_time(client, "unix:" + path))

    def test_a_unix_socket_whose_queue_is_full(self):
        client = self.stranger()
        path = os.path.join(client.home, "s")
        with socket.socket(socket.AF_UNIX) as listening, contextlib.ExitStack() as held:
            listening.bind(path)
            listening.listen(0)
            for _ in range(10):
                one = held.enter_context(socket.socket(socket.AF_UNIX))
                one.setblocking(False)
                if one.connect_ex(path) != 0:
                    break
            self.assertIn("timed out", self.fails_in_time(client, "unix:" + path))

    def test_a_silent_server_without_tls(self):
        with socket.create_server(("127.0.0.1", 0)) as listening:
            where = f"127.0.0.1:{listening.getsockname()[1]}"
            said = self.fails_in_time(self.stranger(), "--plaintext", where)
            self.assertIn("--connect-timeout", said)

    def test_f25_ctrl_c_while_connecting_ends_the_client_with_130(self):
        client, _ = self.trusting()
        with socket.create_server(("127.0.0.1", 0)) as silent:
            where = f"127.0.0.1:{silent.getsockname()[1]}"
            for words in (["--via", "sleep 600", "h", "true"], [where, "true"], ["-N", where], ["-W", "h:1", where],
                          ["-N", "-L", "0:h:1", where], ["--batch", where], ["-J", where, "h", "true"],
                          ["-o", "ProxyCommand=sleep 600", "h", "true"],
                          ["--plaintext", where, "true"], ["--plaintext", "-N", where]):
                with self.subTest(words):
                    process = client.popen("-v", "--connect-timeout", "100s", *words)
                    if where in words:
                        silent.settimeout(60)
                        connection, _ = silent.accept()
                    else:
                        connection = contextlib.nullcontext()
                        # The command of --via is a child of the client.
                        wait_until(lambda: any(stat.name == "sleep" for stat in descendants(process.pid)),
                                   "the command")
                    with connection:
                        wait_until(lambda: is_interruptible(process.pid), "its handler of SIGINT")
                        began = time.monotonic()
                        process.send_signal(signal.SIGINT)
                        _, err = process.communicate(timeout=60)
                    # A shell shows 130 as well for a process that the signal ended.
                    self.assertIn(process.returncode, (130, -signal.SIGINT), err)
                    self.assertLess(time.monotonic() - began, 20)

    def commands(self, folder):
        """Commands that neither answer nor end with their stdin, and the files of their pids."""
        first, second = os.path.join(folder, "first"), os.path.join(folder, "second")
        script = (f"echo $$ >{shlex.quote(first)}; "
                  f"sh -c 'trap \"\" TERM; echo $$ >{shlex.quote(second)}; sleep 600; :' & wait")
        return f"sh -c {shlex.quote(script)}", (first, second)

    def orphaning(self, folder):
        """A command that leaves a child, and itself ends as soon as its stdin does."""
        files = [os.path.join(folder, name) for name in ("left", "left-below")]
        inner = f"sleep 8003 & echo $! >{shlex.quote(files[1])}; wait"
        script = (f"sleep 8002 & echo $! >{shlex.quote(files[0])}; "
                  f"sh -c {shlex.quote(inner)} & cat >/dev/null")
        return f"sh -c {shlex.quote(script)}", files

    def test_what_a_command_has_started_is_ended_if_it_ends_itself(self):
        for number, way in enumerate((lambda command: ("--via", command), lambda command: ("-o", f"ProxyCommand={command}"))):
            client = self.stranger()
            command, files = self.orphaning(client.home)
            with self.subTest(number):
                self.assertIn("--connect-timeout", self.fails_in_time(client, *way(command), "x"))
                self.all_ended(files)

    def test_a_daemon_that_has_left_the_session_stays(self):
        client = self.stranger()
        name = os.path.join(client.home, "daemon")
        daemon = f"echo $$ >{name}; exec sleep 60 <&- >&- 2>&-"
        script = f"setsid sh -c {shlex.quote(daemon)} & cat >/dev/null"
        self.fails_in_time(client, "--via", f"sh -c {shlex.quote(script)}", "x")
        with open(name) as file:
            pid = int(file.read())
        self.assertTrue(is_alive(pid))
        os.kill(pid, signal.SIGKILL)

    def all_ended(self, files):
        for name in files:
            with open(name) as file:
                pid = int(file.read())
            wait_until(lambda pid=pid: not is_alive(pid), f"the end of {name}")

    def test_the_command_of_via_is_ended_with_its_children(self):
        client = self.stranger()
        command, files = self.commands(client.home)
        self.assertIn("--connect-timeout", self.fails_in_time(client, "--via", command, "x"))
        self.all_ended(files)

    def test_a_proxy_command_is_ended_with_its_children(self):
        client = self.stranger()
        command, files = self.commands(client.home)
        said = self.fails_in_time(client, "-o", f"ProxyCommand={command}", "x")
        self.assertIn("--connect-timeout", said)
        self.all_ended(files)


if __name__ == "__main__":
    main()
