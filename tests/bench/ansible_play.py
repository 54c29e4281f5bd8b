#!/usr/bin/env python3
"""A play of many tasks on one host: ansible over frsh, beside ansible over ssh and ControlPersist.

Each way has a server of its own on loopback, and begins without a link. The ways take turns, and
the median of the rounds is printed. It ends what it started.

    tests/bench/ansible_play.py --tasks 100 --rounds 3
"""

import argparse
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import peers  # noqa: E402

PLUGINS = str(pathlib.Path(__file__).resolve().parents[2] / "client/ansible")
# Name, server, and the settings of ansible. ssh has ControlPersist=60s of its own.
WAYS = [("frsh", "frshd", {}),
        ("frsh, a login a command", "frshd", {"ANSIBLE_FRSH_SHARE": "0s"}),
        ("ssh, ControlPersist", "sshd", {}),
        ("ssh, ControlPersist, pipelining", "sshd", {"ANSIBLE_PIPELINING": "1"})]


def make_key(path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path], check=True)


class Servers:
    def __init__(self, folder):
        self.home = os.path.join(folder, "home")
        os.makedirs(os.path.join(self.home, ".ssh"), 0o700)
        self.key, host_key = os.path.join(self.home, ".ssh/id_ed25519"), os.path.join(folder, "host")
        make_key(self.key)
        make_key(host_key)
        shutil.copy(self.key + ".pub", os.path.join(self.home, ".ssh/authorized_keys"))
        self.ports = {name: peers.free_port("127.0.0.1") for name in ("frshd", "sshd")}
        self.known = os.path.join(self.home, ".ssh/known_hosts")
        with open(host_key + ".pub") as public, open(self.known, "w") as file:
            line = public.read()
            file.writelines(f"[127.0.0.1]:{port} {line}" for port in self.ports.values())
        self.env = {"HOME": self.home, "XDG_RUNTIME_DIR": os.path.join(folder, "run"),
                    "XDG_STATE_HOME": os.path.join(folder, "state"), "LC_ALL": "C.UTF-8",
                    "PATH": f"{peers.BIN}:{os.environ['PATH']}:/usr/sbin"}
        os.mkdir(self.env["XDG_RUNTIME_DIR"], 0o700)
        frshd = [str(peers.BIN / "frshd"), "--host-key", host_key, "--listen",
                 f"127.0.0.1:{self.ports['frshd']}"]
        sshd = [shutil.which("sshd", path=self.env["PATH"]), "-D", "-f", "/dev/null"]
        for option in (f"Port={self.ports['sshd']}", "ListenAddress=127.0.0.1", "UsePAM=no",
                       f"HostKey={host_key}", "PidFile=none", "StrictModes=no",
                       f"AuthorizedKeysFile={self.home}/.ssh/authorized_keys",
                       "Subsystem=sftp internal-sftp", "PermitRootLogin=yes"):
            sshd += ["-o", option]
        if os.geteuid() == 0:
            frshd.append("--permit-root-login")
            os.makedirs("/run/sshd", exist_ok=True)
        self.processes = []
        for name, words in (("frshd", frshd), ("sshd", sshd)):
            process = subprocess.Popen(words, env=self.env, start_new_session=True, **peers.QUIET)
            self.processes.append(process)
            peers.wait_for_port("127.0.0.1", self.ports[name], process)

    def end(self):
        for process in self.processes:
            process.terminate()
            process.wait()


def play(folder, servers, tasks, server, settings):
    """Returns the seconds that the play took. The link of an earlier play is not used."""
    control = tempfile.mkdtemp(dir=folder)
    os.chmod(control, 0o700)
    inventory = os.path.join(control, "inventory")
    with open(inventory, "w") as file:
        file.write("box ansible_host=127.0.0.1 ansible_python_interpreter=/usr/bin/python3 "
                   f"ansible_port={servers.ports[server]} ansible_connection="
                   + ("frsh" if server == "frshd" else "ssh") + "\n")
    text = "- hosts: box\n  gather_facts: no\n  tasks:\n" + "    - command: 'true'\n" * tasks
    book = os.path.join(control, "play.yml")
    with open(book, "w") as file:
        file.write(text)
    env = {**servers.env, "XDG_RUNTIME_DIR": control, "ANSIBLE_HOME": control, "ANSIBLE_NOCOLOR": "1",
           "ANSIBLE_CONNECTION_PLUGINS": PLUGINS, "ANSIBLE_SSH_CONTROL_PATH_DIR": control,
           "ANSIBLE_SSH_ARGS": "-F none -C -o ControlMaster=auto -o ControlPersist=60s "
           f"-o UserKnownHostsFile={servers.known} -o IdentityFile={servers.key}", **settings}
    begun = time.monotonic()
    done = subprocess.run(["ansible-playbook", "-i", inventory, book], env=env, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, check=False,
                          start_new_session=True)
    taken = time.monotonic() - begun
    if done.returncode != 0 or f"ok={tasks} " not in done.stdout:
        sys.exit(f"ansible_play: {server} {settings}: {done.stdout[-800:]} {done.stderr[-800:]}")
    end_masters(control, env)
    return taken


def end_masters(control, env):
    for name in os.listdir(control):
        path = os.path.join(control, name)
        if name.isalnum() and not os.path.isdir(path):
            subprocess.run(["ssh", "-F", "none", "-O", "exit", "-S", path, "x"], env=env,
                           capture_output=True, check=False)
    links = os.path.join(control, "frsh/links")
    for name in os.listdir(links) if os.path.isdir(links) else ():
        os.unlink(os.path.join(links, name))  # Its holder ends.


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if not shutil.which("ansible-playbook"):
        sys.exit("ansible_play: ansible-playbook: not installed")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="frsh-play-") as folder:
        servers = Servers(folder)
        try:
            seconds = [[] for _ in WAYS]
            for _ in range(options.rounds):
                for taken, (_, server, settings) in zip(seconds, WAYS):
                    taken.append(play(folder, servers, options.tasks, server, settings))
        finally:
            servers.end()
    first = statistics.median(seconds[0])
    print("| way | s a play | ms a task | of frsh |\n|---|---:|---:|---:|")
    for (name, _, _), taken in zip(WAYS, seconds):
        middle = statistics.median(taken)
        print(f"| {name} | {middle:.1f} | {1000 * middle / options.tasks:.0f} | {middle / first:.2f} |")


if __name__ == "__main__":
    main()
