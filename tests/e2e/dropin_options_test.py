"""What programs expect of whatever they call ssh: its options, its words and its silence."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from dropin import ToolCase, need  # noqa: E402
from harness import is_alive, main, wait_until  # noqa: E402
from tls import make_key  # noqa: E402


class Options(ToolCase):
    def frsh(self, *words, **more):
        return self.run_tool("frsh", *words, **more)

    def refused(self, result, *parts):
        """One line, on stderr, and 255."""
        self.assertEqual((result.code, result.out), (255, ""), result)
        self.assertRegex(result.err, r"^frsh: [^\n]+\n$")
        for part in parts:
            self.assertIn(part, result.err)

    def test_options_on_both_sides_of_the_host(self):
        for words in (["-p", self.port, "127.0.0.1", "echo hi"], ["127.0.0.1", f"-p{self.port}", "echo hi"],
                      ["-xaqTn", f"-oPort={self.port}", "--", "localhost", "echo", "hi"],
                      [f"ssh://127.0.0.1:{self.port}", "--", "echo", "hi"],
                      ["-o", f'Port="{self.port}"', "127.0.0.1", "-o", "batchmode yes", "-e", "none", "echo hi"]):
            self.assertEqual(self.good("frsh", *words).out, "hi\n", words)

    def test_error_messages_are_those_of_ssh(self):
        self.refused(self.frsh("-p", "1", "127.0.0.1", "true"), "Connection refused")
        self.refused(self.frsh("no-such-host.invalid", "true"), "Could not resolve hostname no-such-host")
        client = self.stranger()
        result = client.run("-p", self.port, "127.0.0.1", "true")
        self.one_line(result, "Host key verification failed", "unknown host")
        client, _ = self.trusting()
        self.authorize("# nobody")
        self.one_line(client.run("-oBatchMode=yes", "-p", self.port, "127.0.0.1", "true"),
                      "Permission denied (publickey)")
        self.refused(self.frsh("-oNoSuchKey=1", "h"), "NoSuchKey", "Bad configuration option")
        self.refused(self.frsh("-R", "1:h", "h"), "-R: Bad remote forwarding specification '1:h'")
        result = self.frsh("-S", "/no/path", "-O", "check", "h")
        self.assertEqual((255, "Control socket connect(/no/path): No such file or directory\n"),
                         (result.code, result.err))

    def test_the_probe_of_ansible_is_accepted(self):
        result = self.run_tool("ssh", "-o", "ControlPersist")
        self.assertNotIn("Bad configuration option", result.err)
        self.assertNotIn("Usage:", result.err)

    def test_options_V_and_G_need_no_server(self):
        result = self.frsh("-V")
        self.assertEqual((result.code, result.out), (0, ""), result)
        self.assertRegex(result.err, r"^frsh \d")
        result = self.frsh("-G", "-p", "22", "-l", "bob", "-oConnectTimeout=5", "-i", "key", "Host.invalid")
        self.assertEqual((result.code, result.err), (0, ""), result)
        settings = dict(line.split(" ", 1) for line in result.out.splitlines())
        self.assertEqual((settings["user"], settings["hostname"], settings["port"]),
                         ("bob", "host.invalid", "22"))
        self.assertEqual((settings["connecttimeout"], settings["identityfile"]), ("5", "key"))
        self.assertIn("port 7722\n", self.frsh("-G", "host.invalid").out)

    def test_diagnostics_go_to_the_file_of_E(self):
        base = ["-p", "1", "127.0.0.1", "true"]
        for quiet in (["-q"], ["-oLogLevel=QUIET"]):
            result = self.frsh(*quiet, *base)
            self.assertEqual((result.code, result.out), (255, ""))
            self.assertRegex(result.err, r"\Afrsh: [^\n]*Connection refused\n\Z")
        result = self.frsh("-E", self.path("log"), *base)
        self.assertEqual((result.code, result.err), (255, ""))
        self.assertIn(b"Connection refused", self.read("log"))
        result = self.good("frsh", "-E", self.path("log"), "-v", "-p", self.port, "127.0.0.1", "echo e >&2")
        self.assertEqual(result.err, "e\n")
        self.assertIn(b"connected to frshd", self.read("log"))

    def test_a_proxy_command_carries_tls_and_the_login(self):
        self.write("relay.py", (
            "import socket, sys, threading, os\nhost, port, user = sys.argv[1:]\n"
            f"open('{self.path('seen')}', 'w').write(' '.join(sys.argv[1:]))\n"
            f"peer = socket.create_connection(('127.0.0.1', {self.port}))\n"
            "def up():\n    while piece := os.read(0, 65536): peer.sendall(piece)\n"
            "    peer.shutdown(socket.SHUT_WR)\n"
            "threading.Thread(target=up, daemon=True).start()\n"
            "while piece := peer.recv(65536): os.write(1, piece)\n"))
        client, line = self.trusting()
        self.authorize(line)
        data = os.urandom(1_000_000)
        # The name and port are others: only the proxy command reaches the server.
        proxy = f"ProxyCommand=python3 {self.path('relay.py')} %h %p %r"
        words = ["-o", proxy, "-oHostKeyAlias=127.0.0.1", "-oStrictHostKeyChecking=no", "-p", "9",
                 "far.invalid", "cat; exit 3"]
        process = client.popen(*words, stdin=subprocess.PIPE)
        out, err = process.communicate(data, timeout=60)
        self.assertEqual(process.returncode, 3, err)
        self.assertTrue(out == data)
        self.assertRegex(self.read("seen").decode(), r"^far\.invalid 9 \S+$")
        result = client.run("-o", "ProxyCommand=exit 1", "-p", "9", "far.invalid", "true")
        self.assertEqual(result.code, 255, result)

    def test_no_name_is_interpreted_by_a_shell(self):
        for host in ("$(touch x)", "a;touch x", "`touch x`"):
            self.refused(self.frsh("-o", "ProxyCommand=echo %h", host, "true"), "no host has such a name")
        self.refused(self.frsh("-o", "ProxyCommand=echo %r", "-l", "$(touch x)", "h", "true"), "no user")
        self.assertEqual(os.listdir(self.work), [])

    def test_known_hosts_files_and_strictness(self):
        client, line = self.trusting()
        self.authorize(line)
        own = os.path.join(client.home, ".config/frsh/known_hosts")
        os.remove(own)
        base = ["-p", self.port, "127.0.0.1", "echo hi"]
        for strict in ("yes", "ask"):
            self.one_line(client.run(f"-oStrictHostKeyChecking={strict}", *base), "Host key verification failed")
        # Accepted without being written down.
        result = client.run("-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null", *base)
        self.assertEqual((result.code, result.out, result.err), (0, b"hi\n", ""), result)
        self.assertFalse(os.path.exists(own))
        # The key is written to the file that the option names, and is known from then on.
        known = self.path("known")
        result = client.run("-oStrictHostKeyChecking=accept-new", f"-oUserKnownHostsFile={known}",
                            "-oLogLevel=ERROR", *base)
        self.assertEqual((result.code, result.err), (0, ""), result)
        result = client.run("-oStrictHostKeyChecking=yes", f"-oUserKnownHostsFile={known}", *base)
        self.assertEqual((result.code, result.err), (0, ""), result)
        # A changed key is refused with each value of the option.
        make_key(self.path("other"))
        with open(self.path("other.pub")) as file:
            key = " ".join(file.read().split()[:2])
        self.write("known", f"[127.0.0.1]:{self.port} {key}\n")
        self.one_line(client.run("-oStrictHostKeyChecking=no", f"-oUserKnownHostsFile={known}", *base),
                      "Host key verification failed", "CHANGED")
        # Under another name.
        self.write("known", f"box {self.host_key()}\n")
        result = client.run("-oStrictHostKeyChecking=yes", f"-oUserKnownHostsFile={known}",
                            "-oHostKeyAlias=box", *base)
        self.assertEqual((result.code, result.out), (0, b"hi\n"), result)

    def host_key(self):
        with open(self.server.host_key + ".pub") as file:
            return " ".join(file.read().split()[:2])

    def test_send_env_and_set_env_reach_the_command(self):
        script = "echo $LC_X,$GIT_PROTOCOL,$SECRET,$ASKED"
        env = {"LC_X": "lc", "GIT_PROTOCOL": "version=2", "SECRET": "s"}
        base = ["-p", self.port]
        self.assertEqual(self.good("frsh", *base, "127.0.0.1", script, env=env).out, "lc,,,\n")
        # The server decides which variables of a client it accepts.
        result = self.good("frsh", *base, "-oSendEnv=SECRET -LC_*", "-oSetEnv=ASKED=1", "127.0.0.1", script, env=env)
        self.assertEqual(result.out, ",,,1\n")

    def test_a3_the_connect_timeout_covers_a_peer_that_only_greets(self):
        kept = []
        with socket.create_server(("127.0.0.1", 0)) as listening:
            def accept():
                near, _ = listening.accept()
                kept.append(near)
            threading.Thread(target=accept, daemon=True).start()
            started = time.monotonic()
            result = self.frsh("-oConnectTimeout=1", "-p", str(listening.getsockname()[1]), "127.0.0.1", "true")
            self.refused(result, "no answer in time")
            self.assertLess(time.monotonic() - started, 10)
        for near in kept:
            near.close()

    def test_connection_attempts_are_repeated(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        started = time.monotonic()
        self.refused(self.frsh("-oConnectionAttempts=2", "-p", str(port), "127.0.0.1", "true"), "refused")
        self.assertGreater(time.monotonic() - started, 0.9)

    def test_address_family_and_bind_address_are_used(self):
        self.refused(self.frsh("-6", "-p", self.port, "127.0.0.1", "true"), "Could not resolve hostname")
        result = self.good("frsh", "-4", "-b", "127.0.0.9", "-p", self.port, "localhost",
                           "echo ${SSH_CONNECTION%% *}")
        self.assertEqual(result.out, "127.0.0.9\n")

    def test_option_f_goes_to_the_background_after_the_login(self):
        process = self.popen("frsh", "-f", "-p", self.port, "127.0.0.1",
                             f"sleep 2; echo done > {self.path('made')}", stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
        self.assertEqual(process.wait(20), 0)
        self.assertFalse(os.path.exists(self.path("made")))
        wait_until(lambda: os.path.exists(self.path("made")), "the command in the background")
        self.refused(self.frsh("-f", "-p", "1", "127.0.0.1", "true"), "Connection refused")

    def test_option_N_stays_until_a_signal(self):
        process = self.popen("frsh", "-N", "-v", "-p", self.port, "127.0.0.1")
        line = process.stderr.readline()
        while b"connected to" not in line and line:
            line = process.stderr.readline()
        self.assertIn(b"connected to", line)
        self.assertIsNone(process.poll())
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
        self.assertEqual(process.returncode, 128 + signal.SIGTERM)

    def test_called_ssh_a_killed_client_ends_the_command(self):
        process = self.popen("ssh", "-p", self.port, "127.0.0.1", f"echo $$ > {self.path('pid')}; exec sleep 1000")
        pid = self.wait_for_pid()
        process.kill()
        process.communicate()
        wait_until(lambda: not is_alive(pid), "the command to end", 15)

    def wait_for_pid(self):
        def look():
            try:
                text = self.read("pid")
            except FileNotFoundError:
                return None
            return int(text) if text.endswith(b"\n") else None
        return wait_until(look, "a pid")


class Mosh(ToolCase):
    tools = ("mosh", "mosh-server")

    def test_its_server_is_started_and_outlives_the_connection(self):
        # The way mosh calls ssh. Its own client needs a terminal and UDP, and nothing from frsh.
        result = self.good("frsh", "-n", "-p", self.port, "127.0.0.1", "--",
                           "mosh-server new -i 127.0.0.1 -p 60000:61000 -- sleep 1000",
                           env={"LC_ALL": "C.UTF-8"})
        self.assertRegex(result.out, r"MOSH CONNECT \d+ \S+")
        found = re.search(r"detached, pid = (\d+)", result.err + result.out)
        self.assertIsNotNone(found, result)
        pid = int(found.group(1))
        self.assertTrue(is_alive(pid))
        os.kill(pid, signal.SIGKILL)

    def test_mosh_itself(self):
        need("script")
        script = (f"stty rows 24 cols 80; mosh --ssh='frsh -p {self.port}' --experimental-remote-ip=remote 127.0.0.1 -- "
                  "sh -c 'echo it $((40+2)) works; sleep 1'")
        result = self.run_tool("script", "-qec", script, "/dev/null",
                               env={"TERM": "xterm", "LC_ALL": "C.UTF-8"})
        self.assertIn("42 works", result.out)


if __name__ == "__main__":
    main()
