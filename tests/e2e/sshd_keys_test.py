"""Keys, certificates and lines of authorized_keys beside the machine's sshd, the oracle."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from account_test import NAME  # noqa: E402
from harness import main  # noqa: E402
from sshd_verdict_test import VerdictCase  # noqa: E402
from tls import make_folder, make_key, write  # noqa: E402


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
