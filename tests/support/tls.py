"""A frshd on TCP with TLS, and clients with a home of their own."""

import contextlib
import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import FRSH, FRSHD, PATIENCE, SANITIZED, Daemon, environment, wait_until  # noqa: E402

ROOT = os.geteuid() == 0


class Result:
    def __init__(self, process, out, err):
        self.code, self.out, self.err = process.returncode, out, err.decode(errors="replace")

    def __repr__(self):
        return f"exit {self.code}, stdout {self.out[:300]!r}, stderr {self.err[:900]!r}"


class TlsServer(Daemon):
    """`home` has the server's files; a client with the same home and runtime is the same user's."""

    def __init__(self, folder, *arguments, home=None, runtime=None, prefix=()):
        self.home = home or make_folder(folder, "home")
        self.runtime = runtime or make_folder(folder, "run")
        self.host_key = os.path.join(folder, "host_key")
        command = [FRSHD, "-v", "--audit", os.path.join(folder, "audit"), "--listen", "127.0.0.1:0", "--host-key", self.host_key]
        command += ["--permit-root-login"] if ROOT else []
        command += ["--no-sandbox"] if SANITIZED else []
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [*prefix, *command, *arguments], env=environment(self.runtime, HOME=self.home),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.log)
        self.pid = self.process.pid
        self.port = int(wait_until(self._listening, "frshd to listen").group(1))
        self.name = f"127.0.0.1:{self.port}"

    def _listening(self):
        if self.process.poll() is not None:
            raise AssertionError(f"frshd ended: {self.text()}")
        return "host key SHA256" in self.text() and re.search(
            r"listening on 127\.0\.0\.1:(\d+) \(TLS\)", self.text())

    def fingerprint(self):
        return re.search(r"host key (SHA256:\S+)", self.text()).group(1)


class Client:
    def __init__(self, home, runtime, **env):
        self.home, self.runtime, self.env = home, runtime, env

    def popen(self, *words, **popen):
        popen.setdefault("stdin", subprocess.DEVNULL)
        popen.setdefault("stdout", subprocess.PIPE)
        popen.setdefault("stderr", subprocess.PIPE)
        return subprocess.Popen([FRSH] + list(words),
                                env=environment(self.runtime, HOME=self.home, **self.env), **popen)

    def run(self, *words, stdin=None, patience=PATIENCE, **popen):
        if stdin is not None:
            popen["stdin"] = subprocess.PIPE
        process = self.popen(*words, **popen)
        try:
            out, err = process.communicate(stdin, timeout=patience)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"hung: {words}, {len(out)} bytes, {out[:300]!r}, {err[:900]!r}")
        return Result(process, out, err)


class Users:
    """Users for tests that run as root: a process started with `prefix` sees them.

    The machine's own files are not changed, since other tests do the same at the same time."""

    def __init__(self, folder, shells=(), folders=None):
        """`folders` maps folders of the machine to those that take their place."""
        make_folder(folder)
        os.chmod(folder, 0o755)
        self.files = {name: os.path.join(folder, name) for name in ("passwd", "group", "shadow", "shells")}
        self.texts, self.added = {}, {name: {} for name in self.files}
        for name in self.files:
            with open("/etc/" + name) as file:
                self.texts[name] = file.read()
        self.added["shells"] = {shell: shell + "\n" for shell in shells}
        self._write()
        binds = "".join(f'mount --bind "{path}" /etc/{name} && ' for name, path in self.files.items())
        binds += "".join(f'mount --bind "{path}" {name} && ' for name, path in (folders or {}).items())
        self.prefix = ["unshare", "--mount", "sh", "-c", binds + 'exec "$@"', "sh"]

    def add(self, name, uid, home, shell="/bin/sh", *, password="*", expires="", aging="20000:0:99999:7:", group=None):
        """Adds a user, or changes the one of this name."""
        self.added["passwd"][name] = f"{name}:x:{uid}:{uid}::{home}:{shell}\n"
        self.added["shadow"][name] = f"{name}:{password}:{aging}:{expires}:\n"
        self.added["group"][name] = f"{name}:x:{uid}:\n"
        if group:
            self.texts["group"] = re.sub(rf"(?m)^({group}:.*:.*)$", rf"\1{name}", self.texts["group"])
        self._write()

    def remove_from_shadow(self, name):
        self.added["shadow"].pop(name, None)
        self._write()

    def _write(self):
        for name, path in self.files.items():
            with open(path, "w") as file:  # In place: it may be mounted already.
                os.chmod(path, 0o600 if name == "shadow" else 0o644)
                file.write(self.texts[name] + "".join(self.added[name].values()))


def make_folder(*parts):
    path = os.path.join(*parts)
    os.makedirs(path, 0o700, exist_ok=True)
    os.chmod(path, 0o700)
    return path


def make_key(path, *, kind="ed25519", passphrase=""):
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        raise unittest.SkipTest("ssh-keygen makes no keys for a user without a name") from None
    make_folder(os.path.dirname(path))
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "test", "-f", path],
                   check=True, stdin=subprocess.DEVNULL)
    with open(path + ".pub") as file:
        return file.read().strip()


@contextlib.contextmanager
def ssh_agent(path, key, **env):
    """Starts an agent that listens at this path and holds this key."""
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    try:
        # Its socket is there a moment before it listens.
        wait_until(lambda: subprocess.run(["ssh-add", "-q", key], env=dict(os.environ, SSH_AUTH_SOCK=path, **env),
                                          stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0,
                   "the agent")
        yield
    finally:
        agent.terminate()
        agent.wait()


def write(path, text, mode=0o600):
    make_folder(os.path.dirname(path))
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, mode)


class TlsCase(unittest.TestCase):
    """A server for the class. `own` is a client of the server's user, stranger() one that shares
    nothing with it but the uid."""

    arguments = ()

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="frsh-tls-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        cls.server = TlsServer(cls.folder, *cls.arguments)
        cls.addClassCleanup(cls.server.end)
        cls.own = Client(cls.server.home, cls.server.runtime)
        cls.target = cls.server.name
        cls.count = 0

    def stranger(self, **env):
        type(self).count += 1
        base = os.path.join(self.folder, f"stranger-{self.count}")
        return Client(make_folder(base, "home"), make_folder(base, "run"), **env)

    def authorize(self, *lines):
        """Replaces the authorized_keys of the server's user by these lines."""
        write(os.path.join(self.server.home, ".ssh/authorized_keys"), "\n".join(lines) + "\n")

    def trusting(self, **env):
        """Returns a client that knows the host and has a key of its own, and this key's line."""
        client = self.stranger(**env)
        line = make_key(os.path.join(client.home, ".ssh/id_ed25519"))
        result = client.run("--trust", self.target)
        self.assertEqual(result.code, 0, result)
        return client, line

    def one_line(self, result, *parts):
        self.assertEqual(result.code, 255, result)
        self.assertEqual(result.err.count("\n"), 1, result)
        self.assertEqual(result.out, b"", result)
        for part in parts:
            self.assertIn(part, result.err)


class Relay:
    """Passes bytes on between clients and a server, and calls `see` for each piece."""

    def __init__(self, port, see):
        self.port_behind, self.see = port, see
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.count = 0
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listening.accept()
                self.count += 1
                far = socket.create_connection(("127.0.0.1", self.port_behind))
                for source, sink, way in ((near, far, "up"), (far, near, "down")):
                    thread = threading.Thread(target=self._pump, args=(source, sink, way, self.count),
                                              daemon=True)
                    thread.start()
                    self.threads.append(thread)

    def _pump(self, source, sink, way, number):
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                self.see(way, piece, number)
                sink.sendall(piece)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
        if way == "down":
            source.close()
            sink.close()

    def close(self):
        """Stops listening. Open connections end with their threads."""
        with contextlib.suppress(OSError):
            self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
