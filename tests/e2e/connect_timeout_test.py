"""--connect-timeout holds on every way to a server, and no process is left behind."""

import contextlib
import os
import shlex
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import main, wait_until  # noqa: E402
from tls import TlsCase  # noqa: E402

LIMIT = ("--connect-timeout", "300ms")


def is_alive(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as file:
        return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    return False


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

    def commands(self, folder):
        """Commands that neither answer nor end with their stdin, and the files of their pids."""
        first, second = os.path.join(folder, "first"), os.path.join(folder, "second")
        script = (f"echo $$ >{shlex.quote(first)}; "
                  f"sh -c 'trap \"\" TERM; echo $$ >{shlex.quote(second)}; sleep 600; :' & wait")
        return f"sh -c {shlex.quote(script)}", (first, second)

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
