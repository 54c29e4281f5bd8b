"""Root's server beside the machine's sshd, with its file: frshd admits no login that sshd refuses.

Where frshd cannot do what sshd does, it refuses the login with the reason."""

import os
import re
import socket
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from account_test import NAME  # noqa: E402
from harness import main  # noqa: E402
from sshd_oracle import SSHD, Oracle  # noqa: E402
from sshd_policy_test import PolicyCase  # noqa: E402
from tls import make_folder, write  # noqa: E402


class VerdictCase(PolicyCase):
    config = "use_pam = false\n"

    @classmethod
    def replaced_folders(cls):
        folders = super().replaced_folders()
        make_folder(folders["/run"], "sshd")
        os.chmod(os.path.join(folders["/run"], "sshd"), 0o755)
        return folders

    def setUp(self):
        super().setUp()
        self.oracle = Oracle("/etc/ssh/sshd_config", "-h", self.server.host_key, "-o", "PidFile=none",
                             prefix=self.users.prefix)
        self.addCleanup(self.oracle.end)
        self.key = os.path.join(self.client.home, ".ssh/id_ed25519")

    def etc(self, name, text, mode=0o644):
        """Writes a file of /etc/ssh, which the account can reach."""
        path = os.path.join(self.ssh, name)
        write(path, text, mode)
        for folder in (os.path.dirname(path), self.ssh):
            os.chmod(folder, 0o755)

    def judge(self, text, refusal=None, *words):
        """Compares the verdicts, or expects a refusal of frshd's that has this text."""
        self.sshd(text)
        theirs = self.oracle.login(NAME, self.key, home=self.client.home)
        result = self.client.run(*words, self.target, "echo in")
        if refusal:
            self.one_line(result, refusal)
        else:
            self.assertEqual((result.code == 0, result.out), theirs, result)
        return theirs


class Match(VerdictCase):
    def judge_all(self, rows):
        verdicts = []
        for text, *refusal in rows:
            with self.subTest(text):
                verdicts.append(self.judge(text, *refusal))
        return verdicts

    def test_g3_a_rule_for_the_name_of_a_peer_is_sshds_as_root(self):
        verdicts = self.judge_all([
            ("UseDNS yes\nMatch Host localhost\n  ForceCommand echo forced\n",),
            ("UseDNS no\nMatch Host localhost\n  ForceCommand echo forced\n",),
            ("Match Host 127.0.0.1\n  ForceCommand echo forced\n",),
            ("UseDNS yes\nMatch Host 127.0.0.1\n  ForceCommand echo forced\n",),
            ("UseDNS yes\nMatch Host !localhost,*\n  ForceCommand echo forced\n",),
            (f"UseDNS yes\nDenyUsers {NAME}@localhost\n",),
            (f"UseDNS yes\nDenyUsers {NAME}@LOCAL*\n",),
            (f"DenyUsers {NAME}@localhost\n",),
            (f"UseDNS yes\nAllowUsers {NAME}@localhost\n",),
            (f"AllowUsers {NAME}@localhost\n",),
            (f"UseDNS yes\nDenyUsers {NAME}@*.example\n",),
            (f"UseDNS yes\nAllowUsers {NAME}@!localhost,127.0.0.1\n",),
            (f"DenyUsers {NAME}@!127.0.0.1,*\n",),
            (f"AllowUsers {NAME}@!127.0.0.1,*\n",),
            (f"AllowUsers {NAME}@!127.0.0.0/8,*\n",),
            (f"AllowUsers !{NAME} *\n",)])
        outputs = [out for _, out in verdicts]
        self.assertEqual(outputs.count(b"forced\n"), 2, verdicts)
        self.assertEqual(outputs.count(b""), 6, verdicts)

    def test_g3_match_blocks_are_evaluated_for_this_connection_as_root(self):
        self.etc("inner.conf", f"Match User {NAME}\n  ForceCommand echo forced\n")
        self.etc("deny.conf", f"DenyUsers {NAME}\n")
        verdicts = self.judge_all([
            (f"{line}\n  ForceCommand echo forced\n",) for line in (
                "Match LocalAddress 127.0.0.1", "Match LocalAddress 127.0.0.0/8", "Match RDomain *",
                f"Match Group {NAME}", f"Match User x,{NAME}", "Match User !x,*", "Match all",
                f"Match User {NAME} Address 127.0.0.0/8 Group *", f"match=user {NAME}",
                f"Match Group !{NAME},*", f"Match User !{NAME},*", "Match LocalAddress !127.0.0.1,*",
                "Match RDomain vrf1", "Match Address 192.0.2.0/24", f"Match User {NAME} Host x",
                "Match final all", "Match canonical")])
        self.assertEqual([out for _, out in verdicts].count(b"forced\n"), 9, verdicts)
        self.judge_all([("Include inner.conf\n",),
                        ("Match User x\n  Include /etc/ssh/inner.conf\n",),
                        ("Match User x\n  Include /etc/ssh/deny.conf\n",),
                        (f"Match User {NAME}\n  Include /etc/ssh/deny.conf\n",),
                        ('include "/etc/ssh/in?er.conf"\n',),
                        ("Match all\n  ForceCommand None\n",),
                        (f"Match User {NAME}\n  ForceCommand none\nMatch all\n  ForceCommand echo no\n",),
                        ('ForceCommand "echo quoted"\n',),
                        ("ForceCommand echo one # two\n",)])

    def test_g3_a_rule_for_the_port_refuses_if_it_decides_as_root(self):
        port = f"Port {self.oracle.port}\n"
        self.judge(port + f"Match LocalPort {self.oracle.port}\n  ForceCommand echo forced\n", "Match LocalPort")
        self.judge(port + f"Match LocalPort {self.server.port}\n  ForceCommand echo forced\n", "Match LocalPort")
        self.judge(port + f"Match LocalPort 1\n  DenyUsers {NAME}\n")

    def test_g3_files_of_keys_are_those_that_sshd_reads_as_root(self):
        # The account may write these, and none of them is a file that sshd reads here.
        for name in ("keys/" + NAME, ".ssh/keys", "none"):
            self.put(name, self.line + "\n")
        # Split at its blank, the name would be two: the second below the home.
        self.judge('AuthorizedKeysFile "/etc/ssh/no keys/%u"\n', "AuthorizedKeysFile")
        self.judge("AuthorizedKeysFile /etc/ssh/no\\ keys/%u\n", "AuthorizedKeysFile")
        for text in ("AuthorizedKeysFile /etc/ssh/none/%u %h/.ssh/authorized_keys\n",
                     "AuthorizedKeysFile %h/.ssh/%u\n", "AuthorizedKeysFile .ssh/keys\n",
                     "AuthorizedKeysFile %%h/.ssh/keys\n", "AuthorizedKeysFile none\n",
                     "AuthorizedKeysFile None\n", "AuthorizedKeysFile keys/%u\n",
                     f"AuthorizedKeysFile none\nMatch User {NAME}\n  AuthorizedKeysFile .ssh/keys\n"):
            with self.subTest(text):
                self.judge(text)


class Files(VerdictCase):
    """A file that sshd refuses closes every login, whatever keyword is wrong."""

    TEXTS = [
        "NoSuchKeyword yes\n", "# a comment\n\nDenyUser x\n", "X11Forwarding maybe\n", "UsePAM\n", "Port 0\n",
        "Port 22 23\n", "Port x\n", "AcceptEnv\n", "Subsystem sftp\n", "Subsystem sftp a\nSubsystem sftp b\n",
        "Subsystem sftp a\nSubsystem other b\n", "LogLevel LOUD\n", "SyslogFacility LOCAL9\n", "Include\n",
        "Include /etc/ssh/bad.conf\n", "Include /etc/ssh/good.conf\n", "Include /etc/ssh/absent/*.conf\n",
        "X11Forwarding yes # why\n", "X11Forwarding=yes\n", "\tx11forwarding\tYES\r\n", '"X11Forwarding" "yes"\n',
        "X11Forwarding yes no\n", "Ciphers none\n", "Ciphers aes128-ctr\n", "ListenAddress 127.0.0.1:x\n",
        "Match all\n  Port 22\n", "Match User\n", "Protocol 2\n", "Compression delayed\n", "PermitTunnel no\n",
        "ClientAliveInterval 1h\n", "ClientAliveInterval x\n", "MaxAuthTries -1\n", "Banner none\n",
        "X11Forwarding yes\\\n", "PrintMotd ''\n", "UsePAM yes\nPrintMotd no\nAcceptEnv LANG LC_*\n", "GatewayPorts 7\n",
    ]

    def test_g3_a_file_that_sshd_refuses_closes_the_login_by_name_as_root(self):
        self.etc("bad.conf", "AnotherKeyword yes\n")
        self.etc("good.conf", "PrintMotd no\n")
        refused = 0
        for text in self.TEXTS:
            with self.subTest(text):
                self.sshd(text)
                check = subprocess.run([*self.users.prefix, SSHD, "-t", "-h", self.server.host_key],
                                       stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                refused += check.returncode != 0
                if check.returncode == 0:
                    self.admitted()
                else:
                    self.refused("sshd_config cannot be evaluated")
        self.assertGreater(refused, 15)
        self.assertLess(refused, len(self.TEXTS) - 10)


class Root(VerdictCase):
    """PermitRootLogin. frshd.toml permits root here, so that sshd_config alone decides."""

    config = "use_pam = false\npermit_root_login = true\n"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        passwd = cls.users.texts["passwd"]
        cls.users.texts["passwd"] = re.sub(r"(?m)^root:.*$", f"root:x:0:0::{cls.server.home}:/bin/sh", passwd)
        cls.account("/bin/sh")

    def test_g3_root_logs_in_exactly_if_sshd_lets_root_as_root(self):
        verdicts = []
        for options in ("", 'command="echo of the key" '):
            write(os.path.join(self.server.home, ".ssh/authorized_keys"), options + self.line + "\n")
            for text in ("", "PermitRootLogin yes\n", "PermitRootLogin prohibit-password\n",
                         "PermitRootLogin without-password\n", "PermitRootLogin forced-commands-only\n",
                         "PermitRootLogin no\n", "Match Address 127.0.0.1\n  PermitRootLogin no\n",
                         "PermitRootLogin no\nMatch User root Address 127.0.0.0/8\n  PermitRootLogin yes\n",
                         "PermitRootLogin forced-commands-only\nForceCommand echo forced\n", "DenyGroups root\n",
                         f"AllowUsers {NAME}\n", "AllowUsers r??t@127.0.0.1\n"):
                with self.subTest(options + text):
                    self.sshd(text)
                    theirs = self.oracle.login("root", self.key, home=self.client.home)
                    result = self.client.run(f"root@{self.server.name}", "echo in")
                    self.assertEqual((result.code == 0, result.out), theirs, result)
                    verdicts.append(theirs)
        self.assertEqual([admitted for admitted, _ in verdicts].count(True), 14, verdicts)


class Forwarding(VerdictCase):
    """Connections (-W) and ports (-R) that a client requests."""

    def setUp(self):
        super().setUp()
        listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listening.close)
        self.addCleanup(listening.shutdown, socket.SHUT_RDWR)
        self.port = listening.getsockname()[1]
        threading.Thread(target=self.greet, args=(listening,), daemon=True).start()

    @staticmethod
    def greet(listening):
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                connection.sendall(b"reached\n")

    def test_g3_frshd_connects_nowhere_where_sshd_does_not_as_root(self):
        place = f"127.0.0.1:{self.port}"
        verdicts = []
        for text in ("", "AllowTcpForwarding no\n", "AllowTcpForwarding local\n", "AllowTcpForwarding remote\n",
                     "AllowTcpForwarding all\n", f"PermitOpen {place}\n", "PermitOpen 127.0.0.1:1\n",
                     "PermitOpen none\n", "PermitOpen any\n", "PermitOpen 127.0.0.1:*\n", f"PermitOpen *:{self.port}\n",
                     f"PermitOpen localhost:{self.port}\n", f"PermitOpen x:1 {place}\n", "DisableForwarding yes\n",
                     f"Match User {NAME}\n  AllowTcpForwarding no\n", f"PermitOpen none\nMatch all\n  PermitOpen {place}\n"):
            with self.subTest(text):
                self.sshd(text)
                theirs = self.oracle.login(NAME, self.key, "-W", place, home=self.client.home, command=None)
                result = self.client.run("-W", place, self.target)
                verdicts.append(theirs[1])
                self.assertEqual(result.out, theirs[1], result)
        self.assertEqual(verdicts.count(b"reached\n"), 9, verdicts)
        self.assertEqual(verdicts.count(b""), 7, verdicts)

    def test_g3_frshd_listens_nowhere_where_sshd_does_not_as_root(self):
        words = ("-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:1")
        verdicts = []
        for text in ("", "AllowTcpForwarding no\n", "AllowTcpForwarding local\n", "AllowTcpForwarding remote\n",
                     "PermitListen none\n", "PermitListen localhost:*\n", "PermitListen other:*\n", "PermitListen 1\n",
                     "PermitListen any\n", "DisableForwarding yes\n", f"Match User {NAME}\n  PermitListen none\n"):
            with self.subTest(text):
                self.sshd(text)
                theirs = self.oracle.login(NAME, self.key, *words, home=self.client.home)
                result = self.client.run(*words, self.target, "echo in")
                verdicts.append(theirs[1])
                self.assertEqual((result.code == 0, result.out), theirs, result)
        self.assertEqual(verdicts.count(b"in\n"), 4, verdicts)


if __name__ == "__main__":
    main()
