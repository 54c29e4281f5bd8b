"""Forwarding command lines: ssh's own answer beside that of frsh under the name ssh."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import forward_test  # noqa: E402
import jump_test  # noqa: E402

from harness import FRSH, PATIENCE, environment, main  # noqa: E402
from tls import TlsCase, make_folder, write  # noqa: E402

BAD_LOCAL, BAD_REMOTE, BAD_DYNAMIC, BAD_STDIO = (
    f"bad {kind} forwarding specification" for kind in ("local", "remote", "dynamic", "stdio"))
# Options, the command, and what both must say on stderr (in any case): "" stands for nothing.
# FREE, TAKEN, CLOSED and PEER are ports; FOLDER is a path.
LINES = [
    (["-L", "8080"], "true", BAD_LOCAL),
    (["-L", "8080:host"], "true", BAD_LOCAL),
    (["-L", "::::"], "true", BAD_LOCAL),
    (["-L", "99999:h:1"], "true", BAD_LOCAL),
    (["-L", "1:h:99999"], "true", BAD_LOCAL),
    (["-L", "x:h:1"], "true", BAD_LOCAL),
    (["-L", ""], "true", BAD_LOCAL),
    (["-L", "8080:h:"], "true", BAD_LOCAL),
    (["-L", "[::1:8080:h:1"], "true", BAD_LOCAL),
    (["-L", "8080:h:0"], "true", BAD_LOCAL),
    (["-D", "x"], "true", BAD_DYNAMIC),
    (["-D", "99999"], "true", BAD_DYNAMIC),
    (["-D", ""], "true", BAD_DYNAMIC),
    (["-R", "x:h:1"], "true", BAD_REMOTE),
    (["-R", "1:h"], "true", BAD_REMOTE),
    (["-R", "99999:h:1"], "true", BAD_REMOTE),
    (["-R", "1:h:x"], "true", BAD_REMOTE),
    (["-W", "h"], None, BAD_STDIO),
    (["-W", "h:0"], None, BAD_STDIO),
    (["-W", ""], None, BAD_STDIO),
    (["-o", "LocalForward=8080"], "true", "missing target|bad local"),
    (["-o", "RemoteForward=8080 h"], "true", "forwarding"),
    (["-o", "DynamicForward=x"], "true", "bad [a-z ]*forwarding spec"),
    (["-o", "GatewayPorts=maybe"], "true", "maybe"),
    (["-o", "ExitOnForwardFailure=maybe"], "true", "maybe"),
    (["-o", "ClearAllForwardings=maybe"], "true", "maybe"),
    (["-o", "StreamLocalBindMask=9"], "true", "streamlocalbindmask|bad mask"),
    (["-L"], None, ""),
    (["-L", "FREE:127.0.0.1:PEER"], "exit 7", ""),
    (["-L", "127.0.0.1:FREE:127.0.0.1:PEER"], "true", ""),
    (["-L", "127.0.0.1:TAKEN:127.0.0.1:PEER"], "echo still", "address already in use"),
    (["-o", "ExitOnForwardFailure=yes", "-L", "127.0.0.1:TAKEN:127.0.0.1:PEER"], "echo never", "address already in use"),
    (["-o", "ClearAllForwardings=yes", "-L", "127.0.0.1:TAKEN:127.0.0.1:PEER"], "echo clear", ""),
    (["-L", "FOLDER/here:127.0.0.1:PEER"], "echo path", ""),
    (["-L", "FOLDER/none/here:127.0.0.1:PEER"], "echo path", "no such file"),
    (["-o", "ExitOnForwardFailure=yes", "-L", "FOLDER/none/here:127.0.0.1:PEER"], "echo never", "no such file"),
    (["-R", "127.0.0.1:FREE:127.0.0.1:PEER"], "exit 7", ""),
    (["-R", "127.0.0.1:TAKEN:127.0.0.1:PEER"], "echo still", "remote port forwarding failed for listen port taken"),
    (["-o", "ExitOnForwardFailure=yes", "-R", "127.0.0.1:TAKEN:127.0.0.1:PEER"], "sleep 5; echo never",
     "remote port forwarding failed for listen port taken"),
    (["-R", "127.0.0.1:0:127.0.0.1:PEER"], "true", "allocated port [0-9]+ for remote forward to 127.0.0.1:peer"),
    (["-R", "127.0.0.1:FREE"], "echo socks", ""),
    (["-D", "FREE"], "echo socks", ""),
    (["-D", "127.0.0.1:TAKEN"], "echo still", "address already in use"),
    (["-g", "-L", "FREE:127.0.0.1:PEER"], "echo all", ""),
    (["-W", "127.0.0.1:PEER"], None, ""),
    (["-W", "127.0.0.1:CLOSED"], None, "connection refused|connect failed|open failed"),
    (["-o", "LocalForward=FREE 127.0.0.1:PEER"], "echo key", ""),
    (["-n", "-L", "FREE:127.0.0.1:PEER"], "cat", ""),
]


class Lines(TlsCase):
    def setUp(self):
        if not os.path.exists("/usr/bin/ssh"):
            self.skipTest("no ssh here")
        self.client, line = self.trusting()
        self.authorize(line)
        self.sshd = jump_test.Sshd(make_folder(self.client.home, "sshd"), line)
        self.addCleanup(self.sshd.end)
        with open(os.path.join(self.client.home, "sshd/host_key.pub")) as file:
            write(os.path.join(self.client.home, "ssh_known"), f"* {file.read()}")
        self.peer = forward_test.Peer(forward_test.echo)
        self.addCleanup(self.peer.close)
        self.link = os.path.join(make_folder(self.client.home, "bin"), "ssh")
        os.symlink(FRSH, self.link)

    def ask(self, program, options, command, ports):
        def fill(word):
            for name, value in ports.items():
                word = word.replace(name, str(value))
            return word

        options = [fill(word) for word in options]
        common = ["-o", "BatchMode=yes"]
        if program == "ssh":
            start = ["/usr/bin/ssh", "-F", "none", "-i", os.path.join(self.client.home, ".ssh/id_ed25519"),
                     "-o", f"UserKnownHostsFile={self.client.home}/ssh_known", "-p", str(self.sshd.port)]
        else:
            start = [self.link, "-F", "none", "-p", str(self.server.port)]
        words = start + common + options + (["127.0.0.1"] if options != ["-L"] else [])
        result = subprocess.run(words + ([command] if command else []), input=b"asked", capture_output=True,
                                env=environment(self.client.runtime, HOME=self.client.home),
                                timeout=2 * PATIENCE)
        err = result.stderr.decode(errors="replace").lower()
        for name in ("TAKEN", "PEER"):
            err = re.sub(rf"\b{ports[name]}\b", name.lower(), err)
        return result.returncode, result.stdout, err

    def test_f24_each_line_ends_as_under_ssh_and_says_the_same(self):
        self.assertGreaterEqual(len(LINES), 40)
        for number, (options, command, wanted) in enumerate(LINES):
            with self.subTest(options=options), contextlib.ExitStack() as stack:
                taken = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
                answers = {}
                for program in ("ssh", "frsh"):
                    folder = make_folder(self.client.home, f"{program}-{number}")
                    with socket.create_server(("127.0.0.1", 0)) as free, \
                            socket.create_server(("127.0.0.1", 0)) as closed:
                        ports = {"FREE": free.getsockname()[1], "CLOSED": closed.getsockname()[1],
                                 "TAKEN": taken.getsockname()[1], "PEER": self.peer.port, "FOLDER": folder}
                    answers[program] = self.ask(program, options, command, ports)
                ssh, frsh = answers["ssh"], answers["frsh"]
                self.assertEqual(ssh[:2], frsh[:2], answers)
                for program, answer in answers.items():
                    if wanted:
                        self.assertRegex(answer[2], wanted, program)
                    elif answer[0] != 255:
                        self.assertEqual(answer[2], "", program)


if __name__ == "__main__":
    main()
