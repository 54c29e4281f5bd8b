"""The field: frsh and its peers, each with keys of its own on a free loopback port, each ended by
pid."""

import contextlib
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import measure

STATIC_BUILD = ("cmake --preset static-client && "
                "cmake --build --preset static-client --target frsh")
BIN = pathlib.Path(os.environ.get("FRSH_BIN") or
                   pathlib.Path(__file__).resolve().parents[2] / "build/release/bin")
STATIC_FRSH = BIN.parent.parent / "static-client/bin/frsh"
QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def free_port(address):
    with socket.socket() as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]


def wait_for_port(address, port, process):
    for _ in range(500):
        if process.poll() is not None:
            raise RuntimeError("it ended at once")
        with contextlib.suppress(OSError), socket.create_connection((address, port), 1):
            return
        time.sleep(0.01)
    raise RuntimeError("it does not listen")


class Way:
    """One way to run a command: the words before it, for a one-shot and for a terminal."""

    def __init__(self, name, words, terminal=None, server=None, batch=None, port=None):
        self.name, self.words, self.terminal = name, words, terminal
        self.server, self.batch, self.port = server, batch, port

    def one_shot(self, command):
        return self.words + [command]

    def to(self, port, options=()):
        """The words for another port, with these options of the client's."""
        words = [re.sub(rf"\b{self.port}\b", str(port), word) for word in self.words]
        return words[:-1] + list(options) + words[-1:]


class User:
    """Whose keys, home and shell everything uses."""

    def __init__(self, name, uid, home):
        self.name, self.uid, self.home = name, uid, home
        self.runtime = os.path.join(home, "run")
        self.env = {"HOME": home, "USER": name, "LOGNAME": name, "SHELL": "/bin/sh",
                    "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
                    "XDG_RUNTIME_DIR": self.runtime, "TERM": "xterm"}

    def popen_as(self):
        return {} if os.geteuid() == self.uid else {"user": self.uid, "group": self.uid,
                                                     "extra_groups": []}

    def call(self, words, **more):
        """Runs a command. Raises RuntimeError with one line that gives the reason."""
        done = subprocess.run(words, env=self.env, check=False, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                              **{**self.popen_as(), **more})
        if done.returncode == 0:
            return
        lines = done.stderr.strip().splitlines() or ["exit code %d" % done.returncode]
        reason = f"{os.path.basename(words[0])}: {lines[-1]}"
        if "Permission denied" in reason and self.is_locked():
            reason += f" (the account {self.name} is locked, and sshd refuses it: passwd -S)"
        raise RuntimeError(reason)

    def is_locked(self):
        status = subprocess.run(["passwd", "-S", self.name], capture_output=True, text=True,
                                check=False, stdin=subprocess.DEVNULL)
        return status.stdout.split()[1:2] == ["L"]

    def write(self, path, text):
        full = pathlib.Path(self.home, path)
        full.write_text(text)
        full.chmod(0o600)
        if os.geteuid() == 0:
            os.chown(full, self.uid, self.uid)


def the_user(folder):
    """As root an account of our own, with /bin/sh; it is there only in our mount namespace."""
    if os.geteuid() != 0:
        account = pwd.getpwuid(os.geteuid())
        return User(account.pw_name, account.pw_uid, folder)
    uid = next(number for number in range(62000, 65000)
               if not any(entry.pw_uid == number for entry in pwd.getpwall()))
    accounts = pathlib.Path(folder, "passwd")
    accounts.write_text(pathlib.Path("/etc/passwd").read_text() +
                        f"frsh-bench:*:{uid}:{uid}::{folder}:/bin/sh\n")
    subprocess.run(["mount", "--bind", accounts, "/etc/passwd"], check=True)
    os.chown(folder, uid, uid)
    return User("frsh-bench", uid, folder)


def forget_the_user():
    if os.geteuid() == 0:
        subprocess.run(["umount", "/etc/passwd"], check=False)


def in_own_namespace():
    """Starts the script anew where what it mounts is its own."""
    if os.geteuid() == 0 and os.environ.get("FRSH_BENCH_NAMESPACE") != "1":
        os.environ["FRSH_BENCH_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "--mount", sys.executable] + sys.argv)


class Field:
    """Starts what is there; `missing` says of the rest why it is not."""

    def __init__(self, user, as_root, address="127.0.0.1", within=()):
        self.user, self.as_root, self.address, self.within = user, as_root, address, list(within)
        self.ways, self.missing, self.processes = [], {}, []
        self.shared_target = None  # The command that ends the link holder.
        for start in (self._frsh, self._openssh, self._dropbear):
            try:
                start()
            except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
                self.missing[start.__name__.strip("_")] = str(error)
        self.ways.append(Way("sh -c", ["/bin/sh", "-c"]))

    def why_not(self, name):
        """Why there is no such way here."""
        if name in self.missing:
            return self.missing[name]
        if name in ("frsh unix", "frsh stdio") and "frsh" not in self.missing:
            return "only with servers of one's own, and near"
        starter = {"ssh": "openssh"}.get(name.split()[0], name.split()[0])
        return self.missing.get(starter, "not measured here")

    def __getitem__(self, name):
        return next((way for way in self.ways if way.name == name), None)

    def _server(self, words, port=None):
        become = ["setpriv", "--pdeathsig", "TERM"]  # Should we be killed, it goes as well.
        if not self.as_root and os.geteuid() != self.user.uid:
            uid = str(self.user.uid)
            become += ["--reuid", uid, "--regid", uid, "--clear-groups"]
        process = subprocess.Popen(self.within + become + words, env=self.user.env, cwd="/",
                                   **QUIET)
        self.processes.append(process)
        if port:
            wait_for_port(self.address, port, process)
        return process.pid

    def _path(self, name):
        return os.path.join(self.user.home, name)

    def _host_key(self):
        path = self._path("host_ed25519")
        if self.as_root:
            path = self._path("host_ed25519_root")
        if not os.path.exists(path):
            make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path]
            if self.as_root:
                subprocess.run(make, check=True, **QUIET)
            else:
                self.user.call(make)
        return path

    def _login_key(self):
        """The one key that every client uses, with the one line that lets it in."""
        key = self._path(".ssh/id_ed25519")
        if not os.path.exists(key):
            self.user.call(["mkdir", "-p", "-m", "700", self._path(".ssh"), self.user.runtime])
            self.user.call(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key])
            self.user.write(".ssh/authorized_keys", pathlib.Path(key + ".pub").read_text())
        return key

    def _frsh(self):
        if not (BIN / "frshd").exists():
            raise RuntimeError("not built: scripts/run builds it")
        key, port = self._login_key(), free_port("127.0.0.1")
        words = [str(BIN / "frshd"), "--listen", f"{self.address}:{port}", "--host-key",
                 self._host_key()]
        unix = self._path("frshd.sock")
        if not self.as_root:
            words += ["--unix", unix]
        pid = self._server(words, port)
        frsh = [str(BIN / "frsh")]
        target = f"{self.user.name}@{self.address}:{port}"
        self.user.call(frsh + ["--accept-new", "-n", "-i", key, target, "true"])
        tls = frsh + ["-i", key]
        self.ways.append(Way("frsh tls", tls + [target], tls + ["-tt", target], pid,
                             tls + ["--batch", target], port))
        shared = tls + ["--share=1h"]
        self.user.call(shared + [target, "true"])  # Starts the link holder.
        self.ways.append(Way("frsh shared", shared + [target], shared + ["-tt", target], None,
                             shared + ["--batch", target]))
        self.shared_target = tls + ["--unshare", target]
        if STATIC_FRSH.exists():
            inside = [str(STATIC_FRSH), "-i", key]
            self.ways.append(Way("frsh static", inside + [target], inside + ["-tt", target], pid,
                                 inside + ["--batch", target], port))
        else:
            self.missing["frsh static"] = "not built: " + STATIC_BUILD
        if not self.as_root and self.address == "127.0.0.1":
            # `local` finds no server where it looks, and starts one as its child.
            for name, target, server in (("frsh unix", "unix:" + unix, pid), ("frsh stdio", "local", None)):
                self.ways.append(Way(name, frsh + [target], frsh + ["-tt", target], server,
                                     frsh + ["--batch", target]))

    def _openssh(self):
        sshd = shutil.which("sshd", path=self.user.env["PATH"])
        if not sshd:
            raise RuntimeError("openssh-server is not installed")
        key, port = self._login_key(), free_port("127.0.0.1")
        config = self._path("sshd_config")
        with open(config, "w") as file:
            file.write(f"ListenAddress {self.address}:{port}\nHostKey {self._host_key()}\n"
                       "PidFile none\nUsePAM no\nPasswordAuthentication no\nStrictModes no\n"
                       "MaxStartups 500:30:1000\nMaxSessions 1000\nPrintMotd no\n"
                       "PrintLastLog no\nUseDNS no\nLogLevel ERROR\n")
        if self.as_root:
            os.makedirs("/run/sshd", exist_ok=True)
        pid = self._server([sshd, "-D", "-f", config], port)
        ssh = [
            "ssh", "-F", "none", "-i", key, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
            "-o", "StrictHostKeyChecking=accept-new", "-o", "LogLevel=ERROR", "-p", str(port), "-o",
            "UserKnownHostsFile=" + self._path("known_hosts_of_ssh")]
        target = f"{self.user.name}@{self.address}"
        self.user.call(ssh + ["-n", target, "true"])
        self.ways.append(Way("ssh", ssh + [target], ssh + ["-tt", target], pid, port=port))
        control = os.path.join(self.user.runtime, f"master-{port}")
        master = subprocess.Popen(ssh + ["-M", "-S", control, "-N", target], env=self.user.env,
                                  **QUIET, **self.user.popen_as())
        self.processes.append(master)
        for _ in range(500):
            if os.path.exists(control):
                break
            time.sleep(0.01)
        shared = ssh + ["-S", control]
        self.ways.append(Way("ssh mux", shared + [target], shared + ["-tt", target]))

    def _dropbear(self):
        search = self.user.env["PATH"]
        server, client = shutil.which("dropbear", path=search), shutil.which("dbclient", path=search)
        if not server or not client:
            raise RuntimeError("dropbear-bin is not installed")
        key, port = self._path("dropbear_key"), free_port("127.0.0.1")
        host_key = self._path(f"dropbear_host_key_{int(self.as_root)}")
        if not os.path.exists(key):
            self.user.call(["dropbearkey", "-t", "ed25519", "-f", key])
        if not os.path.exists(host_key):
            self.user.call(["dropbearkey", "-t", "ed25519", "-f", host_key])
        public = subprocess.run(["dropbearkey", "-y", "-f", key], capture_output=True, check=True,
                                text=True).stdout
        line = next(row for row in public.splitlines() if row.startswith("ssh-"))
        accepted = pathlib.Path(self._path(".ssh/authorized_keys"))
        self.user.write(".ssh/authorized_keys", accepted.read_text() + line + "\n")
        pid = self._server([server, "-F", "-s", "-p", f"{self.address}:{port}", "-r", host_key,
                            "-P", self._path(f"dropbear_{port}.pid")], port)
        words = [client, "-y", "-y", "-i", key, "-p", str(port)]
        target = f"{self.user.name}@{self.address}"
        self.user.call(words + [target, "true"])
        self.ways.append(Way("dropbear", words + [target], words + ["-t", target], pid, port=port))

    def stop(self):
        if self.shared_target:
            with contextlib.suppress(OSError, RuntimeError):
                self.user.call(self.shared_target)
        for process in reversed(self.processes):
            if process.poll() is not None:
                continue
            # A hanging process of a dropbear connection would outlive its server.
            for pid in measure.tree(process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
