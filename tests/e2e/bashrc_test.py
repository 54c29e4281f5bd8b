"""Whether a command reads ~/.bashrc: never by default, always under the name ssh, as under sshd."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from fake_server import FakeServer  # noqa: E402
from harness import FRSH, environment, main  # noqa: E402
from tls import TlsCase, TlsServer, make_folder, write  # noqa: E402

BASH = "/bin/bash"


class Bashrc(TlsCase):
    def setUp(self):
        self.client, self.line = self.trusting()
        self.authorize(self.line)
        # The account's own home has the file, so HOME of the command names another one.
        self.place = make_folder(self.folder, "place")
        write(os.path.join(self.place, ".bashrc"), "PATH_OF_TOOLS=found\n")
        self.words = ["--env", f"HOME={self.place}"]

    def bash(self, *options, target=None, **more):
        return self.client.run(*options, *self.words, target or self.target, self.command, **more)

    # The shell of the account may be another one, so the command starts a bash at the same level.
    command = f'exec {BASH} -c \'echo "${{PATH_OF_TOOLS-none}} ${{SSH_CLIENT%% *}}"\''

    def test_c9_a_command_reads_no_start_up_file_unless_asked(self):
        self.assertEqual(self.bash().out, b"none 127.0.0.1\n")
        self.assertEqual(self.bash("--bashrc").out, b"found 127.0.0.1\n")

    def test_c9_config_toml_asks_for_it(self):
        write(os.path.join(self.client.home, ".config/frsh/config.toml"), "[defaults]\nbashrc = true\n")
        self.assertEqual(self.bash().out, b"found 127.0.0.1\n")

    def test_c9_under_the_name_ssh_it_is_as_under_sshd(self):
        link = os.path.join(self.folder, "ssh")
        if not os.path.exists(link):
            os.symlink(FRSH, link)
        result = subprocess.run(
            [link, "-p", str(self.server.port), "-o", f"SetEnv=HOME={self.place}", "127.0.0.1", self.command],
            env=environment(self.client.runtime, HOME=self.client.home), capture_output=True,
            stdin=subprocess.DEVNULL, timeout=60)
        self.assertEqual((result.returncode, result.stdout), (0, b"found 127.0.0.1\n"), result)

    def test_c9_over_a_unix_socket_it_reads_the_file_as_well(self):
        server = TlsServer(make_folder(self.folder, "unix"), "--unix")
        self.addCleanup(server.end)
        for options, out in (([], b"none \n"), (["--bashrc"], b"found UNKNOWN\n")):
            result = subprocess.run(
                [FRSH, *options, *self.words, f"unix:{server.runtime}/frsh/frshd.sock", self.command],
                env=environment(server.runtime, HOME=self.client.home), capture_output=True,
                stdin=subprocess.DEVNULL, timeout=60)
            self.assertEqual((result.returncode, result.stdout), (0, out), result)

    def test_c9_a_key_with_a_command_reads_it_as_under_sshd(self):
        self.authorize(f'command="HOME={self.place} {self.command.replace(chr(34), chr(92) + chr(34))}" {self.line}')
        self.assertEqual(self.client.run(self.target, "ignored").out, b"found 127.0.0.1\n")

    def test_c9_a_server_that_cannot_is_named(self):
        def serve(peer):
            peer.hear("open")

        server = FakeServer(os.path.join(self.folder, "fake"), serve, features=["runs"])
        self.addCleanup(server.close)
        self.one_line(self.client.run("--bashrc", f"unix:{server.path}", "true"), "--bashrc: ")


if __name__ == "__main__":
    main()
