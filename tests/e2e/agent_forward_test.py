"""-A: commands of the server use the agent of this side, and each signature is confirmed here."""

import contextlib
import getpass
import os
import stat
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import cutting_proxy  # noqa: E402
import harness  # noqa: E402

from harness import FRSH, environment, main  # noqa: E402
from terminal import Terminal  # noqa: E402
from tls import TlsCase, TlsServer, make_folder, make_key, ssh_agent, write  # noqa: E402

SIGN = "printf data | ssh-keygen -q -Y sign -f $KEY -n git >/dev/null 2>&1 && echo signed || echo refused"


class AgentForward(TlsCase):
    def setUp(self):
        self.client, self.line = self.trusting()
        self.authorize(self.line)
        self.key = os.path.join(self.client.home, "agents/key")
        self.public = make_key(self.key)
        self.fingerprint = subprocess.run(["ssh-keygen", "-lf", self.key + ".pub"], check=True, text=True,
                                          capture_output=True).stdout.split()[1]
        sock = os.path.join(make_folder(self.folder, f"a{self.count}"), "sock")
        agent = ssh_agent(sock, self.key)
        agent.__enter__()
        self.addCleanup(agent.__exit__, None, None, None)
        self.client.env["SSH_AUTH_SOCK"] = sock
        self.sock = sock
        # The command has only the public half.
        self.half = os.path.join(self.client.home, "half.pub")
        write(self.half, self.public + "\n")
        self.sign = SIGN.replace("$KEY", self.half)

    def own_keys(self):
        """Returns what the agent holds, asked for directly."""
        return subprocess.run(["ssh-add", "-L"], env=dict(os.environ, SSH_AUTH_SOCK=self.sock),
                              capture_output=True, text=True).stdout.strip()

    @contextlib.contextmanager
    def terminal(self, *words):
        command = [FRSH, *words]
        env = environment(self.client.runtime, HOME=self.client.home, **self.client.env)
        with Terminal(self, command, env) as t:
            yield t

    def test_f15_without_A_no_agent_is_lent(self):
        command = 'echo "${SSH_AUTH_SOCK-none}"'
        self.assertEqual(self.client.run(self.target, command).out, b"none\n")
        self.assertEqual(self.client.run("-A", "-a", self.target, command).out, b"none\n")

    def test_f15_A_yes_lists_and_signs_without_a_question(self):
        result = self.client.run("-A=yes", self.target, "ssh-add -L")
        self.assertEqual((result.code, result.out.decode().strip(), result.err), (0, self.public, ""), result)
        self.assertEqual(self.client.run("-A=yes", self.target, self.sign).out, b"signed\n")

    def test_f15_only_lists_and_signatures_pass(self):
        other = os.path.join(self.client.home, "agents/other")
        make_key(other)
        for command in (f"ssh-add -q {other}", "ssh-add -D", f"ssh-add -d {self.half}",
                        "ssh-add -q -x </dev/null", "ssh-add -s /usr/lib/none"):
            with self.subTest(command):
                result = self.client.run("-A=yes", self.target, command + " >/dev/null 2>&1; echo $?")
                self.assertNotEqual(result.out, b"0\n", result)
                self.assertEqual(self.own_keys(), self.public)

    def test_f16_each_signature_is_named_on_the_terminal_and_confirmed(self):
        for answer, outcome in (("yes\r", b"signed"), ("no\r", b"refused"), ("\r", b"refused"),
                                ("\x03", b"refused")):
            with self.subTest(answer), self.terminal("-A", self.target, self.sign) as t:
                t.wait_for_text("(yes/no) ")
                shown = t.plain(bytes(t.raw))
                for part in (self.target, self.fingerprint, 'a signature for "git"'):
                    self.assertIn(part, shown)
                t.keys(answer)
                t.wait_for_text(outcome.decode())
                self.assertEqual(t.process.wait(harness.PATIENCE), 0)

    def test_f16_a_remote_program_on_the_terminal_goes_on_below_the_question(self):
        command = f"stty raw -echo; {self.sign}; head -c 1 | od -c"
        with self.terminal("-A", "-t", self.target, command) as t:
            t.wait_for_text("(yes/no) ")
            t.keys("yes\r")
            t.wait_for_text("signed")
            t.keys("\x03")
            t.wait_for_text("003")
            self.assertEqual(t.process.wait(harness.PATIENCE), 0)

    def test_f16_keys_typed_before_the_question_do_not_answer_it(self):
        with self.terminal("-A", self.target, f"echo ready; sleep 1; {self.sign}") as t:
            t.wait_for_text("ready")
            t.keys("yes\r")
            t.wait_for_text("(yes/no) ")
            t.keys("no\r")
            t.wait_for_text("refused")

    def test_f16_without_a_terminal_the_answer_is_no_and_is_explained(self):
        result = self.client.run("-A", self.target, self.sign, start_new_session=True)
        self.assertEqual(result.out, b"refused\n", result)
        self.assertIn("neither a terminal nor SSH_ASKPASS", result.err)
        self.assertIn("-A=yes", result.err)

    def test_f16_SSH_ASKPASS_is_asked_where_there_is_no_terminal(self):
        said = os.path.join(self.client.home, "said")
        ask = os.path.join(self.client.home, "ask")
        for code, outcome in ((0, b"signed\n"), (1, b"refused\n")):
            write(ask, f'#!/bin/sh\necho "$SSH_ASKPASS_PROMPT $1" >{said}\nexit {code}\n', 0o700)
            self.client.env["SSH_ASKPASS"] = ask
            result = self.client.run("-A", self.target, self.sign, start_new_session=True)
            self.assertEqual(result.out, outcome, result)
            with open(said) as file:
                text = file.read()
            self.assertTrue(text.startswith("confirm "), text)
            self.assertIn(self.fingerprint, text)

    def test_f16_several_signatures_are_asked_one_after_the_other(self):
        with self.terminal("-A", self.target, f"({self.sign}) & ({self.sign}) & wait") as t:
            for _ in range(2):
                t.wait_for_text("(yes/no) ")
                t.keys("yes\r")
            t.mark = 0  # The first command may have ended before the second question.
            for _ in range(2):
                t.wait_for_text("signed")

    def test_f16_a_login_by_ssh_is_named_with_the_account(self):
        # The first bytes of what ssh signs: a session, and a request of RFC 4252.
        def string(data):
            return len(data).to_bytes(4, "big") + data

        blob = subprocess.run(["base64", "-d"], input=self.public.split()[1].encode(), check=True,
                              capture_output=True).stdout
        data = string(b"s" * 32) + b"\x32" + string(b"bob\x1b[2J") + string(b"ssh-connection") + \
            string(b"publickey") + b"\1" + string(b"ssh-ed25519") + string(blob)
        message = b"\x0d" + string(blob) + string(data) + bytes(4)
        packet = os.path.join(self.client.home, "packet")
        with open(packet, "wb") as file:
            file.write(string(message))
        talk = ("python3 -c 'import os,socket,sys; s=socket.socket(socket.AF_UNIX);"
                ' s.connect(os.environ["SSH_AUTH_SOCK"]);'
                f' s.sendall(open("{packet}","rb").read()); print("type", s.recv(5)[4])\'')
        with self.terminal("-A", self.target, talk) as t:
            t.wait_for_text("(yes/no) ")
            shown = bytes(t.raw).decode()
            self.assertIn(r"a login as bob\x1b[2J over ssh", shown)
            t.keys("yes\r")
            t.wait_for_text("type 14")

    def test_f17_the_socket_is_private_and_goes_with_its_client(self):
        result = self.client.run("-A=yes", self.target,
                                 'stat -c "%a" "$SSH_AUTH_SOCK" "$(dirname "$SSH_AUTH_SOCK")"; echo "$SSH_AUTH_SOCK"')
        mode, folder, path = result.out.decode().split()
        self.assertEqual((mode, folder), ("600", "700"))
        harness.wait_until(lambda: not os.path.exists(os.path.dirname(path)), "the socket to go")

    def test_f17_a_prompts_login_shell_and_a_forced_command_have_it(self):
        self.authorize(f'command="ssh-add -L",agent-forwarding {self.line}')
        self.assertEqual(self.client.run("-A=yes", self.target, "x").out.decode().strip(), self.public)

    def test_f18_what_a_key_forbids_stays_forbidden(self):
        command = 'echo "${SSH_AUTH_SOCK+lent}"'
        for options, is_lent in (("restrict", False), ("no-agent-forwarding", False),
                                 ("restrict,agent-forwarding", True), ("no-port-forwarding", True),
                                 (f"command='{command}'".replace('"', '\\"').replace("'", '"'), False)):
            with self.subTest(options):
                self.authorize(f"{options} {self.line}")
                result = self.client.run("-A", self.target, command)
                self.assertEqual(result.out, b"lent\n" if is_lent else b"\n", result)
                self.assertEqual("-A: the server takes no agent" in result.err, not is_lent, result)

    def test_f18_a_server_that_forwards_nothing_takes_no_agent(self):
        folder = make_folder(self.folder, f"none-{self.count}")
        write(os.path.join(folder, "frshd.toml"), 'forwarding = "none"\n')
        server = TlsServer(folder, "--config", os.path.join(folder, "frshd.toml"))
        self.addCleanup(server.end)
        write(os.path.join(server.home, ".ssh/authorized_keys"), self.line + "\n")
        self.client.run("--trust", server.name)
        result = self.client.run("-A", server.name, 'echo "${SSH_AUTH_SOCK-none}"')
        self.assertEqual(result.out, b"none\n", result)
        self.assertIn("forwarding in frshd.toml", result.err)

    def test_f19_a_file_lends_the_agent_only_with_a_question(self):
        write(os.path.join(self.client.home, ".ssh/config"),
              f"Host box\n HostName 127.0.0.1\n User {getpass.getuser()}\n ForwardAgent yes\n")
        box = f"box:{self.server.port}"
        if os.path.exists("/usr/bin/ssh"):
            self.assertEqual(self.client.run(box, "ssh-add -L").out.decode().strip(), self.public)
            result = self.client.run(box, self.sign, start_new_session=True)
            self.assertEqual(result.out, b"refused\n", result)
            # The command line's -a wins.
            self.assertEqual(self.client.run("-a", box, 'echo "${SSH_AUTH_SOCK-none}"').out, b"none\n")
        toml = os.path.join(self.client.home, ".config/frsh/config.toml")
        write(toml, '[defaults]\nforward_agent = "ask"\n')
        result = self.client.run(self.target, self.sign, start_new_session=True)
        self.assertEqual(result.out, b"refused\n", result)
        write(toml, '[defaults]\nforward_agent = "yes"\n')
        self.one_line(self.client.run(self.target, "true"), "forward_agent", '"ask"')

    def test_f19_a_bad_value_and_a_client_without_commands_are_refused(self):
        self.one_line(self.client.run("-A=no", self.target, "true"), "-A: takes =ask or =yes")
        self.one_line(self.client.run("-A", "--batch", self.target), "-A: not with --batch")

    def test_f15_an_agent_that_is_gone_is_refused_and_a_missing_one_is_named(self):
        self.client.env["SSH_AUTH_SOCK"] = os.path.join(self.folder, "gone")
        result = self.client.run("-A=yes", self.target, "ssh-add -L >/dev/null 2>&1; echo $?")
        self.assertNotEqual(result.out, b"0\n", result)
        del self.client.env["SSH_AUTH_SOCK"]
        result = self.client.run("-A", self.target, 'echo "${SSH_AUTH_SOCK-none}"')
        self.assertEqual(result.out, b"none\n", result)
        self.assertIn("-A: there is no agent to lend", result.err)


class AgentAcrossCuts(harness.Case):
    def test_f20_the_sockets_path_survives_a_cut(self):
        key = os.path.join(self.folder, "keys/key")
        public = make_key(key)
        sock = self.short_path()
        look = 'ssh-add -L; echo "$SSH_AUTH_SOCK"; '
        with ssh_agent(sock, key):
            proxy = cutting_proxy.CuttingProxy(
                self.server.port, lambda n: cutting_proxy.Fate("reset", down=200_000) if n == 0 else None)
            with contextlib.closing(proxy):
                place = harness.Place("cut", self.unix.runtime,
                                      ["--plaintext", "--on-disconnect=grace:30s", f"127.0.0.1:{proxy.port}"])
                result = place.run(["-A=yes"], look + "head -c 400000 /dev/zero | tr '\\0' x; echo; " + look,
                                   env={"SSH_AUTH_SOCK": sock})
            self.assertEqual(proxy.count, 2)
        lines = result.out.decode().split("\n")
        self.assertEqual([line[:100] for line in lines[:2]], [line[:100] for line in lines[3:5]])
        self.assertEqual(lines[3], public)


if __name__ == "__main__":
    main()
