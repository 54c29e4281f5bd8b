#!/usr/bin/env python3
"""A thousand hosts on one machine: what clush, GNU parallel and ansible get from them.

The hosts are 127.1.0.1 to 127.1.3.232, each with a host key and a folder of its own. A server is
started by the first connection to its address, as systemd would start it. Of 1,000 hosts 940 are
good, 20 refuse, 20 have a full backlog, 10 are silent and 10 cut the connection half-way; of fewer
hosts the same shares. Each good host must give its own line and the exit code 0, each other host a
reason. It runs as root or as a plain user, needs a free
loopback, and ends what it started.

    tests/bench/thousand_hosts.py                      10, 100 and 1,000 hosts with clush
    tests/bench/thousand_hosts.py --engine parallel --hosts 1000
    tests/bench/thousand_hosts.py --server sshd --hosts 10 100
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import peers  # noqa: E402

SHARES = {"refusing": 0.02, "full": 0.02, "silent": 0.01, "cut": 0.01}
CONNECT_TIMEOUT = 5
AT_ONCE = 32
COMMAND = "set -- $SSH_CONNECTION; echo here-$3"


class Host:
    def __init__(self, number, kind, folder, port):
        self.kind, self.port = kind, port
        self.address = f"127.1.{number >> 8}.{number & 255}"
        self.home = os.path.join(folder, self.address)
        self.key = os.path.join(self.home, "host_key")
        self.socket, self.process, self.fillers = None, None, []

    def prepare(self, public_key):
        os.makedirs(os.path.join(self.home, ".ssh"), 0o700)
        with open(os.path.join(self.home, ".ssh/authorized_keys"), "w") as file:
            file.write(public_key)
        if self.kind == "good":
            make_key(self.key)

    def known(self):
        with open(self.key + ".pub") as file:
            return f"[{self.address}]:{self.port} {file.read()}"

    def listen(self):
        if self.kind == "refusing":
            return
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((self.address, self.port))
        self.socket.listen(0 if self.kind == "full" else 16)
        if self.kind == "full":
            for _ in range(3):  # The queue has room for one more than its length.
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex((self.address, self.port))
                self.fillers.append(filler)


def make_key(path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path], check=True)


class Hosts:
    """All hosts, and the loop that starts their servers."""

    def __init__(self, count, server, folder):
        self.server, self.folder, self.ended, self.cut = server, folder, False, []
        port = peers.free_port("127.0.0.1")
        kinds = [kind for kind, share in SHARES.items() for _ in range(round(count * share))]
        kinds += ["good"] * (count - len(kinds))
        self.all = [Host(number, kind, folder, port) for number, kind in enumerate(kinds, 1)]
        self.port = port
        self.home = os.path.join(folder, "client")
        os.makedirs(os.path.join(self.home, ".ssh"), 0o700)
        key = os.path.join(self.home, ".ssh/id_ed25519")
        make_key(key)
        with open(key + ".pub") as file:
            public_key = file.read()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda host: host.prepare(public_key), self.all))
        with open(os.path.join(self.home, ".ssh/known_hosts"), "w") as file:
            file.writelines(host.known() for host in self.all if host.kind == "good")
        for host in self.all:
            host.listen()
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        poll = select.poll()
        waiting = {}
        for host in self.all:
            if host.kind in ("good", "silent", "cut"):
                waiting[host.socket.fileno()] = host
                poll.register(host.socket, select.POLLIN)
        while not self.ended:
            for fd, _ in poll.poll(100):
                host = waiting[fd]
                if host.kind == "good" and self.server == "frshd":
                    host.process = self.start_frshd(host)
                    poll.unregister(fd)  # From now on it accepts by itself.
                    continue
                connection, _ = host.socket.accept()
                if host.kind == "good":
                    with connection:
                        host.process = self.start_sshd(host, connection)
                elif host.kind == "cut":
                    self.cut.append(threading.Thread(target=cut_half_way, args=[connection]))
                    self.cut[-1].start()
                else:
                    host.fillers.append(connection)

    def start_frshd(self, host):
        fd = host.socket.fileno()
        words = [str(peers.BIN / "frshd"), "--host-key", host.key]
        if os.geteuid() == 0:
            words.append("--permit-root-login")
        # systemd's protocol: the socket is descriptor 3, and LISTEN_PID the process itself.
        script = f'exec 3<&{fd}; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"'
        return subprocess.Popen(["bash", "-c", script, "bash", *words], pass_fds=[fd],
                                env={"HOME": host.home, "PATH": os.environ["PATH"],
                                     "XDG_RUNTIME_DIR": host.home,
                                     "XDG_STATE_HOME": os.path.join(host.home, "state")},
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL, start_new_session=True)

    def start_sshd(self, host, connection):
        words = [shutil.which("sshd", path=os.environ["PATH"] + ":/usr/sbin"), "-i", "-f", "/dev/null"]
        for option in (f"HostKey={host.key}", "PidFile=none", "UsePAM=no", "StrictModes=no",
                       f"AuthorizedKeysFile={host.home}/.ssh/authorized_keys",
                       "PermitRootLogin=yes"):
            words += ["-o", option]
        return subprocess.Popen(words, stdin=connection, stdout=connection,
                                stderr=subprocess.DEVNULL, start_new_session=True)

    def memory_mib(self):
        """Returns the memory of all servers and of the processes below them."""
        ours = {host.process.pid for host in self.all if host.process}
        parents = {}
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                parents[int(folder.name)] = int(fields[1])
            except OSError:
                continue  # It has ended.
        found, more = set(), ours & parents.keys()
        while more:
            found |= more
            more = {pid for pid, parent in parents.items() if parent in found} - found
        total = 0
        for pid in found:
            try:
                rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            pss = re.search(r"^Pss: +(\d+)", rollup, re.M)
            total += int(pss[1]) if pss else 0
        return total / 1024

    def end(self):
        """Ends the servers, and returns the seconds of CPU that they took."""
        self.ended = True
        self.thread.join()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        for host in self.all:
            if host.process:
                try:
                    os.killpg(host.process.pid, signal.SIGTERM)
                except ProcessLookupError:
                    pass  # sshd -i has ended with its connection.
                host.process.wait()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        for host in self.all:
            for one in [host.socket, *host.fillers]:
                if one:
                    one.close()
        for thread in self.cut:
            thread.join()
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def cut_half_way(connection):
    """Reads the greeting, begins a record of TLS, and goes away."""
    with connection:
        connection.settimeout(CONNECT_TIMEOUT)
        try:
            connection.recv(4096)
            connection.sendall(b"\x16\x03\x03\x01\x00")
        except OSError:
            pass


def client_words(hosts, server):
    own = ["-p", str(hosts.port), "-o", f"ConnectTimeout={CONNECT_TIMEOUT}", "-o", "BatchMode=yes"]
    if server == "frshd":
        return [str(peers.BIN / "frsh"), *own]
    return ["ssh", "-F", "none", "-i", f"{hosts.home}/.ssh/id_ed25519", *own,
            "-o", f"UserKnownHostsFile={hosts.home}/.ssh/known_hosts", "-o", "GlobalKnownHostsFile=none"]


def engine_words(engine, hosts, server):
    client = " ".join(client_words(hosts, server))
    addresses = [host.address for host in hosts.all]
    if engine == "clush":
        return ["clush", "-R", "exec", "-f", str(AT_ONCE), "-w", ",".join(addresses),
                f"{client} %h '{COMMAND}'"]
    if engine == "parallel":
        return ["parallel", "--will-cite", "-j", str(AT_ONCE), "--tag", client, "{}",
                f"'{COMMAND}'", ":::", *addresses]
    # One command a host, so a link that lasts would only cost. ssh finds its files by the home
    # folder of passwd(5), not by HOME. A host that cannot be reached is tried once.
    words = client_words(hosts, server)[1:]
    settings = (f"ansible_frsh_args='{' '.join(words)}'\nansible_frsh_share=0s\nansible_frsh_retries=0\n"
                if server == "frshd" else
                f"ansible_ssh_args='{' '.join(words)}'\nansible_ssh_retries=0\nansible_ssh_use_tty=false\n"
                f"ansible_ssh_timeout={CONNECT_TIMEOUT}\nansible_port={hosts.port}\n")
    inventory = os.path.join(hosts.folder, "inventory")
    with open(inventory, "w") as file:
        file.write("\n".join(addresses) + "\n[all:vars]\nansible_connection="
                   + ("frsh" if server == "frshd" else "ssh") + "\n" + settings)
    return ["ansible", "-i", inventory, "-f", str(AT_ONCE), "all", "-o", "-m", "raw", "-a", COMMAND]


def texts_by_host(text):
    """Returns what each host's lines have behind the host's name."""
    found = {}
    for line in text.splitlines():
        match = re.match(r"(?:clush: )?(127\.1\.\d+\.\d+)[:\t |]+(.*)", line)
        if match:
            found.setdefault(match[1], []).append(match[2])
    return found


def judge(hosts, out, err):
    """Returns how many hosts gave exactly what they must, and the addresses of the others."""
    said, wrong = texts_by_host(out), []
    reasons = texts_by_host(err)
    for host in hosts.all:
        lines = said.get(host.address, [])
        if host.kind == "good":
            is_right = f"here-{host.address}" in " ".join(lines).replace(r"\n", " ").split()
            is_right = is_right and not reasons.get(host.address)
        else:
            text = " ".join(reasons.get(host.address, []) + lines) + err
            is_right = host.address in text and not any("here-" in line for line in lines)
        if not is_right:
            wrong.append(f"{host.kind} {host.address}: {lines} {reasons.get(host.address)}")
    return len(hosts.all) - len(wrong), wrong


def run(count, engine, server):
    # Descriptors for the sockets; ansible and clush inherit the limit.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16384), hard))
    with tempfile.TemporaryDirectory(prefix="frsh-thousand-") as folder:
        hosts = Hosts(count, server, folder)
        try:
            env = dict(os.environ, HOME=hosts.home, LC_ALL="C.UTF-8", ANSIBLE_HOST_KEY_CHECKING="1",
                       PARALLEL_HOME=hosts.home, ANSIBLE_HOME=hosts.home, ANSIBLE_NOCOLOR="1",
                       FRSH_BIN=str(peers.BIN), ANSIBLE_CONNECTION_PLUGINS=str(
                           pathlib.Path(__file__).resolve().parents[2] / "client/ansible"),
                       PATH=str(peers.BIN) + ":" + os.environ["PATH"])
            env["XDG_RUNTIME_DIR"] = os.path.join(hosts.home, "run")
            os.mkdir(env["XDG_RUNTIME_DIR"], 0o700)
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            begun = time.monotonic()
            done = subprocess.run(engine_words(engine, hosts, server), env=env, text=True,
                                  stdin=subprocess.DEVNULL, capture_output=True, check=False)
            wall = time.monotonic() - begun
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            memory = hosts.memory_mib()
        finally:
            served = hosts.end()
        asked = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        right, wrong = judge(hosts, done.stdout, done.stderr)
        # Connections to a full or silent host last as long as they may, AT_ONCE at a time.
        print(f"| {count:,} | {engine} | {server} | {right:,} of {count:,} | {wall:.1f} "
              f"| {1000 * asked / count:.0f} | {1000 * served / count:.0f} | {memory:.0f} |", flush=True)
        for line in wrong[:10]:
            print(f"wrong: {line}", file=sys.stderr)
        return not wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--engine", choices=["clush", "parallel", "ansible"], default="clush")
    parser.add_argument("--server", choices=["frshd", "sshd"], default="frshd")
    options = parser.parse_args()
    if os.geteuid() == 0 and options.server == "sshd":
        os.makedirs("/run/sshd", exist_ok=True)  # sshd wants an empty folder there.
    if not shutil.which(options.engine):
        sys.exit(f"thousand_hosts: {options.engine}: not installed")
    print("| hosts | engine | server | exact | wall s | client CPU ms a host | server CPU ms a host "
          "| servers MiB |\n|---:|---|---|---:|---:|---:|---:|---:|")
    good = [run(count, options.engine, options.server) for count in options.hosts]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
