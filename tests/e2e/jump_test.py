"""Jump hosts: hops that have a frshd, hops that have an sshd, and what fails on the way."""

import getpass
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from cutting_proxy import CuttingProxy, Fate  # noqa: E402
from harness import FRSH, environment, main, wait_until  # noqa: E402
from tls import TlsCase, TlsServer, make_folder, make_key, write  # noqa: E402

SSHD = "/usr/sbin/sshd"


class Sshd:
    """An sshd of this user on loopback, which lets one key in."""

    def __init__(self, folder, line):
        if not os.path.exists(SSHD):
            raise unittest.SkipTest("no sshd here")
        make_key(os.path.join(folder, "host_key"))
        keys = os.path.join(folder, "authorized_keys")
        write(keys, line + "\n")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)
        config = os.path.join(folder, "sshd_config")
        write(config, f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {folder}/host_key\nPidFile none\n"
                      f"AuthorizedKeysFile {keys}\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n")
        self.process = subprocess.Popen([SSHD, "-D", "-e", "-f", config], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self._answers, "sshd to answer")

    def _answers(self):
        if self.process.poll() is not None:
            raise unittest.SkipTest("sshd does not start for this user")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def end(self):
        self.process.terminate()
        self.process.wait()


class Hops(TlsCase):
    """The class's server is the target; two more of them are hops."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.hops = [TlsServer(make_folder(cls.folder, f"hop{n}")) for n in (1, 2)]
        for hop in cls.hops:
            cls.addClassCleanup(hop.end)
        cls.first, cls.second = (hop.name for hop in cls.hops)

    def traveller(self):
        """Returns a client that knows all servers, and that all let in."""
        client, line = self.trusting()
        for hop in self.hops:
            self.assertEqual(client.run("--trust", hop.name).code, 0)
            write(os.path.join(hop.home, ".ssh/authorized_keys"), line + "\n")
        self.authorize(line)
        client.line = line
        client.fingerprint = subprocess.run(["ssh-keygen", "-lf", os.path.join(client.home, ".ssh/id_ed25519.pub")],
                                            check=True, capture_output=True, text=True).stdout.split()[1]
        return client

    def sshd(self, client):
        sshd = Sshd(make_folder(client.home, "sshd"), client.line)
        self.addCleanup(sshd.end)
        with open(os.path.join(client.home, "sshd/host_key.pub")) as file:
            key = file.read()
        write(os.path.join(client.home, "ssh_known"), f"* {key}")
        # ssh looks for its file in the home of the database, so it gets a name.
        client.ssh_config = os.path.join(client.home, ".ssh/config")
        write(client.ssh_config,
              f"Host bastion\n HostName 127.0.0.1\n Port {sshd.port}\n"
              f" UserKnownHostsFile {client.home}/ssh_known\n IdentityFile {client.home}/.ssh/id_ed25519\n")
        return sshd

    def test_j1_two_hops_with_frshd_lead_to_the_target(self):
        client = self.traveller()
        result = client.run("-J", f"{self.first},{self.second}", self.target, "echo out; echo err >&2; exit 3")
        self.assertEqual((result.code, result.out, result.err), (3, b"out\n", "err\n"), result)
        for number in (0, 1):
            self.assertIn(client.fingerprint, self.audit(number))

    def audit(self, number):
        with open(os.path.join(self.folder, f"hop{number + 1}", "audit")) as file:
            return file.read()

    def test_j1_the_targets_own_key_is_not_used_for_the_hop(self):
        client = self.traveller()
        other = make_key(os.path.join(client.home, "keys/other"))
        self.authorize(other)
        key = os.path.join(client.home, "keys/other")
        result = client.run("-i", key, "-J", self.first, self.target, "echo hi")
        self.assertEqual((result.code, result.out), (0, b"hi\n"), result)

    def test_settings_of_a_hop_come_from_config_toml(self):
        client = self.traveller()
        write(os.path.join(client.home, ".config/frsh/config.toml"),
              f'[hosts.hop]\naddress = "127.0.0.1"\nport = {self.hops[0].port}\n'
              f'[hosts.box]\naddress = "127.0.0.1"\nport = {self.server.port}\njump = "hop"\n')
        self.assertEqual(client.run("box", "echo hi").out, b"hi\n")
        self.assertIn("(through nowhere.invalid)",
                      client.run("-J", "nowhere.invalid", "box", "true").err)
        self.assertEqual(client.run("-J", "none", "box", "echo hi").out, b"hi\n")

    def test_big_streams_pass_two_hops_whole(self):
        client = self.traveller()
        data = os.urandom(3 << 20)
        result = client.run("-J", f"{self.first},{self.second}", self.target, "cat", stdin=data)
        self.assertEqual(hashlib.sha256(result.out).digest(), hashlib.sha256(data).digest(), result)

    def test_j2_a_hop_that_refuses_is_named(self):
        client = self.traveller()
        with socket.create_server(("127.0.0.1", 0)) as gone:
            port = gone.getsockname()[1]
        closed = f"127.0.0.1:{port}"
        self.one_line(client.run("-J", closed, self.target, "true"), f"(through {closed})",
                      f"{closed}: Connection refused")
        self.one_line(client.run("-J", f"{self.first},{closed}", self.target, "true"),
                      f"{self.first} cannot connect to {closed}: Connection refused")
        self.one_line(client.run("-J", f"{closed},{self.first}", self.target, "true"),
                      f"{closed}: Connection refused")

    def test_j2_a_target_behind_a_hop_that_refuses_is_named(self):
        client = self.traveller()
        with socket.create_server(("127.0.0.1", 0)) as gone:
            port = gone.getsockname()[1]
        self.one_line(client.run("-J", f"{self.first},{self.second}", f"127.0.0.1:{port}", "true"),
                      f"{self.second} cannot connect to 127.0.0.1:{port}: Connection refused")

    def test_j2_names_that_cannot_be_resolved_are_named(self):
        client = self.traveller()
        self.one_line(client.run("-J", "nowhere.invalid", self.target, "true"),
                      "(through nowhere.invalid)", "Could not resolve hostname nowhere.invalid")
        self.one_line(client.run("-J", self.first, "nowhere.invalid", "true"),
                      f"{self.first} cannot connect to nowhere.invalid:7722: ")

    def test_j2_a_silent_hop_or_target_ends_in_time_and_is_named(self):
        client = self.traveller()
        with socket.create_server(("127.0.0.1", 0)) as silent:
            name = "127.0.0.1:%d" % silent.getsockname()[1]
            # The reason is the client's, or that of the hop before, whichever comes first.
            for jump, target in ((name, self.target), (f"{self.first},{name}", self.target),
                                 (self.first, name)):
                began = time.monotonic()
                result = client.run("--connect-timeout", "1s", "-J", jump, target, "true")
                self.one_line(result, f"(through {jump})", name, " in time")
                self.assertLess(time.monotonic() - began, 3)

    def test_a_hop_whose_key_may_not_forward_says_so(self):
        client = self.traveller()
        write(os.path.join(self.hops[0].home, ".ssh/authorized_keys"), "restrict " + client.line + "\n")
        self.one_line(client.run("-J", self.first, self.target, "true"),
                      f"{self.first} cannot connect to {self.target}: this key may not forward ports")

    def test_a_hop_that_refuses_the_login_is_named(self):
        client = self.traveller()
        write(os.path.join(self.hops[0].home, ".ssh/authorized_keys"), "\n")
        self.one_line(client.run("-J", self.first, self.target, "true"), self.first, "Permission denied")

    def test_an_unknown_hop_is_refused_by_name(self):
        client = self.traveller()
        write(os.path.join(client.home, ".config/frsh/known_hosts"), "")
        self.one_line(client.run("-J", self.first, self.target, "true"),
                      f"{self.first}: Host key verification failed")

    def test_a_circle_of_hops_ends(self):
        client = self.traveller()
        write(os.path.join(client.home, ".config/frsh/config.toml"),
              '[hosts.a]\naddress = "127.0.0.1"\njump = "b"\n[hosts.b]\naddress = "127.0.0.1"\njump = "a"\n')
        self.one_line(client.run("a", "true"), "circle")

    def test_a_hop_is_not_reached_through_itself(self):
        client = self.traveller()
        write(os.path.join(client.home, ".config/frsh/config.toml"),
              f'[defaults]\njump = "hop"\n[hosts.hop]\naddress = "127.0.0.1"\nport = {self.hops[0].port}\n')
        self.assertEqual(client.run(self.target, "echo hi").out, b"hi\n")

    def test_j3_a_cut_at_the_first_hop_loses_no_byte(self):
        client = self.traveller()
        proxy = CuttingProxy(self.hops[0].port, lambda n: Fate(up=5 << 20) if n == 0 else None)
        write(os.path.join(client.home, ".config/frsh/config.toml"),
              f'[hosts.hop]\naddress = "127.0.0.1"\nport = {proxy.port}\naccept_new = true\n')
        data = os.urandom(10 << 20)
        result = client.run("-J", f"hop,{self.second}", self.target, "cat", stdin=data)
        self.assertEqual(result.code, 0, result)
        self.assertEqual(hashlib.sha256(result.out).digest(), hashlib.sha256(data).digest(), result)
        self.assertGreaterEqual(proxy.count, 2)

    def test_no_process_of_a_hop_outlives_the_client(self):
        client = self.traveller()
        with client.popen("-J", f"{self.first},{self.second}", self.target, "echo up; sleep 60") as process:
            self.assertEqual(process.stdout.readline(), b"up\n")
            mark = f"HOME={client.home}".encode()

            def left():
                found = []
                for pid in filter(str.isdigit, os.listdir("/proc")):
                    try:
                        with open(f"/proc/{pid}/environ", "rb") as file:
                            has_mark = mark in file.read().split(b"\0")
                        if has_mark and os.readlink(f"/proc/{pid}/exe") == os.path.realpath(FRSH):
                            found.append(pid)
                    except OSError:
                        continue
                return found

            self.assertEqual(len(left()), 3)
            process.kill()
            process.wait()
            wait_until(lambda: not left(), "the hops' processes to end")

    def test_j1_hops_with_frshd_and_sshd_mix(self):
        client = self.traveller()
        self.sshd(client)
        for jump in (f"{self.first},sshd:bastion,{self.second}", f"sshd:bastion,{self.first},sshd:bastion"):
            result = client.run("-F", client.ssh_config, "-J", jump, self.target, "echo hi")
            self.assertEqual((result.code, result.out, result.err), (0, b"hi\n", ""), (jump, result))

    def test_j4_proxyjump_without_frshd_uses_sshd_and_remembers_it(self):
        client = self.traveller()
        sshd = self.sshd(client)
        with open(os.path.join(client.home, ".ssh/config"), "a") as file:
            file.write(f"Host box\n HostName 127.0.0.1\n ProxyJump {getpass.getuser()}@bastion:{sshd.port}\n")
        with socket.create_server(("127.0.0.1", 0)) as gone:
            port = gone.getsockname()[1]
        write(os.path.join(client.home, ".config/frsh/config.toml"), f"[hosts.bastion]\nport = {port}\n")
        first = client.run("-F", client.ssh_config, "-p", str(self.server.port), "box", "echo hi")
        self.assertEqual((first.code, first.out), (0, b"hi\n"), first)
        self.assertEqual(first.err, "frsh: bastion: no frshd answers there; from now on its sshd is used (ssh -W)\n")
        second = client.run("-F", client.ssh_config, "-p", str(self.server.port), "box", "echo hi")
        self.assertEqual((second.code, second.out, second.err), (0, b"hi\n", ""), second)

    def test_proxyjump_with_frshd_uses_it(self):
        client = self.traveller()
        write(os.path.join(client.home, ".config/frsh/config.toml"),
              f'[hosts.bastion]\naddress = "127.0.0.1"\nport = {self.hops[0].port}\n')
        client.ssh_config = os.path.join(client.home, ".ssh/config")
        write(client.ssh_config, "Host box\n HostName 127.0.0.1\n ProxyJump bastion:22\n")
        result = client.run("-F", client.ssh_config, "-p", str(self.server.port), "box", "echo hi")
        self.assertEqual((result.code, result.out, result.err), (0, b"hi\n", ""), result)

    def test_git_and_rsync_pass_two_hops(self):
        client = self.traveller()
        jump = f"{self.first},{self.second}"
        env = environment(client.runtime, HOME=client.home)
        tree = make_folder(client.home, "tree")
        write(os.path.join(tree, "file"), "content\n")
        ran = []
        if shutil.which("rsync"):
            copy = os.path.join(client.home, "copy")
            subprocess.run(["rsync", "-a", "-e", f"{FRSH} -p {self.server.port} -J {jump}", tree + "/",
                            f"127.0.0.1:{copy}/"], env=env, check=True, timeout=60)
            with open(os.path.join(copy, "file")) as file:
                self.assertEqual(file.read(), "content\n")
            ran.append("rsync")
        if shutil.which("git"):
            identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
            subprocess.run(["git", "init", "-q", tree], env=env, check=True)
            subprocess.run(["git", "-C", tree, "add", "file"], env=env, check=True)
            subprocess.run(["git", "-C", tree, *identity, "commit", "-q", "-m", "one"], env=env, check=True)
            clone = os.path.join(client.home, "clone")
            env["GIT_SSH_COMMAND"] = f"{FRSH} -J {jump}"
            subprocess.run(["git", "clone", "-q", f"ssh://127.0.0.1:{self.server.port}{tree}", clone],
                           env=dict(env, GIT_SSH_VARIANT="ssh"), check=True, timeout=60)
            self.assertTrue(os.path.exists(os.path.join(clone, "file")))
            ran.append("git")
        if not ran:
            self.skipTest("neither git nor rsync is here")


if __name__ == "__main__":
    main()
