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
from tls import make_folder, make_key, write  # noqa: E402


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


class Keys(VerdictCase):
    """Which keys count, whatever account they open."""

    def test_g4_a_list_of_revoked_keys_with_a_line_that_is_no_key_revokes_all_as_root(self):
        path = os.path.join(self.ssh, "revoked")
        other = make_key(os.path.join(self.folder, "other", "key"))
        rsa = os.path.join(self.folder, "small", "rsa")
        make_folder(os.path.dirname(rsa))
        subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "1024", "-N", "", "-f", rsa], check=True)
        with open(rsa + ".pub") as file:
            small = file.read().strip()
        with open(os.path.join(self.client.home, ".ssh/id_ed25519.pub")) as file:
            words = file.read().split()
        verdicts = []
        for text in ("", "# none\n\n", other + "\n", f"  {other}\n\t{small}\n", self.line, other + "\r\n",
                     f"restrict {self.line}\n", f"restrict {other}\n", "garbage\n", f"{other}\ngarbage\n",
                     f"{words[0]} {words[1][:-8]}\n", f"{words[0]}\n", f"{words[1]}\n", f"ssh-rsa {words[1]}\n",
                     f"cert-authority {other}\n", "\r\n", f"{other}\n \t \n", f"@revoked * {other}\n",
                     f"{other}\n*\n", f"ssh-ed25519 {other.split()[1]} a b c\n"):
            with self.subTest(text):
                self.etc("revoked", text)
                verdicts.append(self.judge("RevokedKeys /etc/ssh/revoked\n")[0])
        self.assertEqual(verdicts.count(True), 7, verdicts)
        self.assertIn("line 2 of /etc/ssh/revoked is no key, so every key is refused", self.server.text())
        os.unlink(path)
        self.judge("RevokedKeys /etc/ssh/revoked\n")
        os.mkdir(path)
        self.judge("RevokedKeys /etc/ssh/revoked\n")
        os.rmdir(path)

    def test_g3_algorithms_sizes_and_options_of_keys_are_sshds_as_root(self):
        verdicts = {}
        algorithms = ("PubkeyAcceptedAlgorithms ssh-ed25519\n", "PubkeyAcceptedAlgorithms -ssh-ed25519*\n",
                      "PubkeyAcceptedAlgorithms rsa-sha2-*\n", "PubkeyAcceptedAlgorithms ecdsa-*\n",
                      "PubkeyAcceptedAlgorithms rsa-sha2-256\n", "PubkeyAcceptedKeyTypes ssh-rsa\n")
        others = ("RequiredRSASize 4096\n", "RequiredRSASize 3072\n", "PubkeyAuthOptions verify-required\n",
                  "PubkeyAuthOptions touch-required\n", "PubkeyAuthentication no\n", "AuthenticationMethods publickey\n",
                  "AuthenticationMethods publickey,publickey\n", "AuthenticationMethods none\n",
                  "AuthenticationMethods keyboard-interactive publickey\n", "MaxSessions 0\n",
                  "CASignatureAlgorithms ssh-rsa\n")
        for kind, texts in (("ecdsa", algorithms), ("ed25519", algorithms), ("rsa", algorithms + others)):
            key = os.path.join(self.folder, "kinds-" + kind, "id")
            self.keys(make_key(key, kind=kind))
            for text in texts:
                with self.subTest(kind + " " + text):
                    self.sshd(text)
                    theirs = self.oracle.login(NAME, key, home=self.client.home)
                    result = self.client.run("-i", key, "-o", "IdentitiesOnly=yes", self.target, "echo in")
                    self.assertEqual((result.code == 0, result.out), theirs, result)
                    verdicts[kind, text] = theirs[0]
        self.assertGreater(list(verdicts.values()).count(False), 15, verdicts)
        self.assertGreater(list(verdicts.values()).count(True), 9, verdicts)
        self.assertIn("RequiredRSASize is 4096", self.server.text())
        self.assertIn("PubkeyAcceptedAlgorithms has no ecdsa-sha2-nistp256", self.server.text())
        self.keys(self.line)
        self.judge("MaxSessions 0\n", "MaxSessions is 0")


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


class Lines(VerdictCase):
    """Lines of authorized_keys. KEY is the account's key and OTHER another one."""

    LINES = [
        "KEY", "  \tKEY", "KEY a comment with words", "#KEY", "", "OTHER", "KEY\r", "restrict KEY", "RESTRICT KEY",
        'command="echo forced" KEY', 'command="echo \\"a b\\"" KEY', 'Command="echo forced" KEY', 'command="" KEY',
        "command=echo KEY", 'command="echo KEY', 'command="echo a",command="echo b" KEY', "no-such-option KEY",
        'from="127.0.0.1" KEY', 'from="127.0.0.0/8" KEY', 'from="192.0.2.0/24" KEY', 'from="!127.0.0.1,*" KEY',
        'from="!127.0.0.0/8,*" KEY', 'from="127.0.0.*" KEY', 'from="127.0.0.1/8" KEY', 'from="" KEY', 'from="*" KEY',
        'from="localhost" KEY', 'from="127.0.0.1,!127.0.0.0/8" KEY', 'from="10.0.0.1",from="127.0.0.1" KEY',
        'expiry-time="20200101" KEY', 'expiry-time="20990101" KEY', 'expiry-time="20990101Z" KEY',
        'expiry-time="209901010000" KEY', 'expiry-time="soon" KEY', 'expiry-time="20990101",expiry-time="20200101" KEY',
        'principals="x" KEY', 'cert-authority KEY', 'cert-authority,principals="x" KEY', 'environment="A=b" KEY',
        'environment="A-B=c" KEY', "no-agent-forwarding,no-X11-forwarding,no-pty,no-user-rc KEY",
        "agent-forwarding,X11-forwarding,pty,user-rc,port-forwarding KEY", 'permitopen="a:1" KEY', 'permitopen="a" KEY',
        'permitlisten="8080" KEY', 'permitlisten="x:y:z" KEY', 'permitlisten="x" KEY', 'permitopen="a:0" KEY',
        'permitopen="a:*" KEY', 'permitopen="[::1]:80" KEY', 'permitopen="[::1]80" KEY', 'permitopen="::1:80" KEY',
        'permitopen="a:http" KEY', 'permitopen="a:65536" KEY', 'permitopen=":80" KEY',
        'tunnel="1" KEY', 'tunnel="x" KEY', 'tunnel="any" KEY', 'tunnel="-1" KEY', "verify-required KEY",
        "no-touch-required KEY", "restrict,command=\"echo forced\" KEY", "restrict, command=\"echo forced\" KEY",
        ", KEY", "restrict,,no-pty KEY", "no-restrict KEY", 'from="127.0.0.1"KEY', 'from="192.0.2.1" KEY\nKEY',
        'command="echo one" KEY\nKEY', 'no-such-option KEY\nKEY', "ssh-rsa KEY",
    ]
    # sshd admits these, and frshd does not: an option without a name could be a slip of the pen.
    STRICTER = (", KEY", "restrict,,no-pty KEY")

    def test_g7_a_line_of_authorized_keys_is_what_it_is_for_sshd_as_root(self):
        other = make_key(os.path.join(self.folder, "stranger", "key"))
        self.sshd("UsePAM no\n")
        verdicts = {}
        for line in self.LINES:
            with self.subTest(line):
                self.keys(line.replace("KEY", self.line).replace("OTHER", other))
                theirs = self.oracle.login(NAME, self.key, home=self.client.home)
                result = self.client.run(self.target, "echo in")
                ours = (result.code == 0, result.out)
                verdicts[line] = theirs
                if line in self.STRICTER:
                    self.assertEqual((ours, theirs[0]), ((False, b""), True))
                else:
                    self.assertEqual(ours, theirs, result)
        self.assertGreater([admitted for admitted, _ in verdicts.values()].count(True), 20, verdicts)
        self.assertGreater([admitted for admitted, _ in verdicts.values()].count(False), 15, verdicts)

    def test_g7_the_last_of_many_keys_opens_the_account_as_root(self):
        other = make_key(os.path.join(self.folder, "many", "key"))
        self.sshd("UsePAM no\n")
        for count in (200, 3000):
            self.keys(*[f"{other} {i}" for i in range(count)], "restrict " + self.line)
            self.assertEqual(self.oracle.login(NAME, self.key, home=self.client.home), (True, b"in\n"))
            self.admitted()


class Authorities(VerdictCase):
    """Certificates by sshd's TrustedUserCAKeys, and AuthorizedPrincipalsFile."""

    def setUp(self):
        super().setUp()
        self.keys("")
        self.ca = os.path.join(self.folder, "ca-" + self.id().rsplit(".", 1)[1], "ca")
        self.etc("ca", make_key(self.ca) + "\n")
        self.addCleanup(lambda: os.unlink(self.key + "-cert.pub"))

    def certify(self, *options, names=NAME, authority=None):
        subprocess.run(["ssh-keygen", "-q", "-s", authority or self.ca, "-I", "test", "-n", names, *options,
                        self.key + ".pub"], check=True)

    def judge(self, text, refusal=None, *words):
        return super().judge("TrustedUserCAKeys /etc/ssh/ca\n" + text, refusal, *words)

    def test_g6_certificates_of_a_trusted_authority_open_the_account_as_root(self):
        self.certify()
        self.assertEqual(self.judge(""), (True, b"in\n"))
        self.assertEqual(self.judge(f"Match User x\n  TrustedUserCAKeys none\nMatch User {NAME}\n  DenyUsers x\n"),
                         (True, b"in\n"))
        self.judge(f"Match User {NAME}\n  TrustedUserCAKeys none\n")
        with open(os.path.join(self.ssh, "ca")) as file:
            line = file.read()
        for text in ("garbage\n" + line, line + "garbage\n", "restrict " + line, "# CA\n\n  " + line, ""):
            self.etc("ca", text)
            self.judge("")
        self.etc("ca", line)
        self.certify(names="somebody")
        self.assertEqual(self.judge(""), (False, b""))
        # A line of the account restricts what the authority opens.
        self.certify()
        self.keys('cert-authority,command="echo of the line" ' + line.strip())
        self.assertEqual(self.judge(""), (True, b"of the line\n"))

    def test_g6_algorithms_of_authorities_are_sshds_as_root(self):
        verdicts = []
        for kind in ("ed25519", "ecdsa", "rsa"):
            authority = os.path.join(self.folder, "kinds", kind)
            self.etc("ca", make_key(authority, kind=kind) + "\n")
            self.certify(authority=authority)
            for text in ("", "CASignatureAlgorithms ssh-ed25519\n", "CASignatureAlgorithms ecdsa-sha2-*\n",
                         "CASignatureAlgorithms -ssh-ed25519,rsa-sha2-256\n", "CASignatureAlgorithms rsa-sha2-256\n",
                         "PubkeyAcceptedAlgorithms ssh-ed25519\n", "PubkeyAcceptedAlgorithms *-cert-v01@openssh.com\n"):
                with self.subTest(kind + " " + text):
                    verdicts.append(self.judge(text)[0])
        self.assertEqual(verdicts.count(True), 10, verdicts)
        self.assertIn("CASignatureAlgorithms has no ssh-ed25519", self.server.text())

    def test_g6_authorizedprincipalsfile_is_obeyed_as_root(self):
        verdicts = []
        for names, text in (
                (NAME, ""), (NAME, NAME + "\n"), ("deploy", "deploy\n"), ("deploy", NAME + "\n"),
                ("x,deploy", "# deploy\n\n \tdeploy \t\n"), ("deploy", "deploy # why\n"), ("deploy", "deploy,x\n"),
                ("deploy", 'command="echo forced" deploy\n'), ("deploy", 'command="echo a#b" deploy\n'),
                ("deploy", 'from="192.0.2.1" deploy\ndeploy\n'), ("deploy", 'from="127.0.0.0/8" deploy\n'),
                ("deploy", "no-such-option deploy\n"), ("deploy", "no-such-option deploy\ndeploy\n"),
                ("deploy", "cert-authority deploy\ndeploy\n"), ("deploy", 'principals="deploy" deploy\ndeploy\n'),
                ("deploy", 'expiry-time="20200101" deploy\n'), ("deploy", "restrict deploy"), ("deploy", "Deploy\n"),
                ("deploy", 'command="echo one" x\ncommand="echo two" deploy\ndeploy\n'), ("deploy", "*\n"),
                ("deploy", "deploy\r\n"), ("deploy", '"deploy"\n'), ("deploy", "x\tdeploy\n")):
            with self.subTest((names, text)):
                self.etc("principals/" + NAME, text)
                self.certify(names=names)
                verdicts.append(self.judge("AuthorizedPrincipalsFile /etc/ssh/principals/%u\n"))
        self.assertEqual([admitted for admitted, _ in verdicts].count(True), 9, verdicts)
        self.certify()
        self.judge("AuthorizedPrincipalsFile none\n")
        self.judge("AuthorizedPrincipalsFile /etc/ssh/absent/%u\n")
        self.judge("AuthorizedPrincipalsFile /etc/ssh/%x/%u\n")
        self.put("own/principals", NAME + "\n")
        self.judge("AuthorizedPrincipalsFile own/principals\n")
        self.judge("AuthorizedPrincipalsFile %h/own/principals\n")
        os.chmod(os.path.join(self.home, "own/principals"), 0o666)
        self.judge("AuthorizedPrincipalsFile own/principals\n")

    def test_g6_commands_for_principals_and_keys_are_not_run_and_named_as_root(self):
        self.etc("command", f"#!/bin/sh\necho {NAME}\n", 0o755)
        self.certify()
        user = "AuthorizedPrincipalsCommandUser root\n"
        self.judge("AuthorizedPrincipalsCommand /etc/ssh/command %u\n" + user, "Permission denied (publickey)")
        self.assertIn("AuthorizedPrincipalsCommand is set, which frshd does not run", self.server.text())
        # sshd does not ask the command if the file has a principal.
        self.etc("names", NAME + "\n")
        self.judge("AuthorizedPrincipalsFile /etc/ssh/names\nAuthorizedPrincipalsCommand /etc/ssh/command %u\n" + user)
        self.etc("command", f'#!/bin/sh\necho \'command="echo no" {self.line}\'\n', 0o755)
        command = "TrustedUserCAKeys none\nAuthorizedKeysCommand /etc/ssh/command\nAuthorizedKeysCommandUser root\n"
        self.sshd(command)
        self.refused("Permission denied (publickey)")
        self.assertIn("frshd does not run AuthorizedKeysCommand", self.server.text())
        # Nor for a key of the account's files.
        self.keys(self.line)
        self.sshd(command)
        self.assertEqual(self.oracle.login(NAME, self.key, home=self.client.home), (True, b"in\n"))
        self.admitted()


if __name__ == "__main__":
    main()
