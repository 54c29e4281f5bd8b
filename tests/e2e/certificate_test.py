"""SSH certificates, made by ssh-keygen. sshd's verdict about each is the oracle."""

import concurrent.futures
import getpass
import os
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import main  # noqa: E402
from sshd_oracle import SSHD, Oracle  # noqa: E402
from tls import TlsCase, TlsServer, make_folder, make_key, ssh_agent, write  # noqa: E402

ME = getpass.getuser() if os.geteuid() else "root"


def sign(authority, public, *options, identity="test", names=ME, validity="always:forever"):
    """Makes PUBLIC-cert.pub beside the key."""
    words = ["ssh-keygen", "-q", "-s", authority, "-I", identity, "-V", validity]
    words += ["-n", names] if names else []
    result = subprocess.run([*words, *options, public], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


class CertificateCase(TlsCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.keys = make_folder(cls.folder, "keys")
        cls.lines, cls.authorities = {}, {}
        for name in ("plain", "listed", "bound", "far", "narrow", "trusted", "stranger"):
            cls.authorities[name] = os.path.join(cls.keys, "ca-" + name)
            cls.lines[name] = make_key(cls.authorities[name])

    def make_configured_server(self, config):
        folder = make_folder(self.folder, "server-" + self.id().rsplit(".", 1)[1][:20])
        write(os.path.join(folder, "frshd.toml"), config)
        server = TlsServer(folder, "--config", os.path.join(folder, "frshd.toml"))
        self.addCleanup(server.end)
        return server

    def certified(self, authority, *options, kind="ed25519", **fields):
        """Returns a client that has one key, with a certificate, and knows no other."""
        client = self.stranger()
        key = os.path.join(client.home, ".ssh", "id_" + kind)
        make_key(key, kind=kind)
        sign(self.authorities.get(authority, authority), key + ".pub", *options, **fields)
        client.key = key
        return client


BASIC = ["-O", "no-x11-forwarding"]
# The name, the authority, what ssh-keygen gets, and the fields of sign().
CASES = [
    *[(f"{kind} by {by}", by, BASIC, {"kind": kind})
      for kind in ("ed25519", "ecdsa", "rsa") for by in ("plain", "ca-ecdsa", "ca-rsa")],
    ("sha-1 authority", "ca-rsa", ["-t", "ssh-rsa"], {}),
    ("sha-256 authority", "ca-rsa", ["-t", "rsa-sha2-256"], {}),
    ("unknown authority", "stranger", [], {}),
    ("a host's", "plain", ["-h"], {}),
    ("over", "plain", [], {"validity": "20200101:20210101"}),
    ("not yet", "plain", [], {"validity": "+1d:+2d"}),
    ("now", "plain", [], {"validity": "-1m:+5m"}),
    ("from the beginning", "plain", [], {"validity": "always:+5m"}),
    ("just over", "plain", [], {"validity": "-2m:-1m"}),
    ("another user", "plain", [], {"names": "somebody"}),
    ("several users", "plain", [], {"names": f"somebody,{ME},x"}),
    ("nobody in particular", "plain", [], {"names": None}),
    ("in upper case", "plain", [], {"names": ME.upper()}),
    ("a pattern", "plain", [], {"names": "*"}),
    ("trusted", "trusted", [], {}),
    ("trusted, another user", "trusted", [], {"names": "somebody"}),
    ("trusted, nobody in particular", "trusted", [], {"names": None}),
    ("trusted, forced", "trusted", ["-O", "force-command=echo certified"], {}),
    ("listed", "listed", [], {"names": "deploy"}),
    ("listed, the second", "listed", [], {"names": "x,admin"}),
    ("listed, not the user", "listed", [], {"names": ME}),
    ("listed, nobody in particular", "listed", [], {"names": None}),
    ("forced", "plain", ["-O", "force-command=echo certified"], {}),
    ("forced twice, the same", "bound", ["-O", "force-command=echo bound"], {}),
    ("forced twice, another", "bound", ["-O", "force-command=echo certified"], {}),
    ("forced by the line", "bound", [], {}),
    ("from here", "plain", ["-O", "source-address=127.0.0.1"], {}),
    ("from this network", "plain", ["-O", "source-address=192.0.2.0/24,127.0.0.0/8"], {}),
    ("from elsewhere", "plain", ["-O", "source-address=192.0.2.0/24"], {}),
    ("from elsewhere by the line", "far", ["-O", "source-address=127.0.0.1"], {}),
    ("unknown critical option", "plain", ["-O", "critical:later@example.com=1"], {}),
    ("unknown extension", "plain", ["-O", "extension:later@example.com=1"], {}),
    ("cleared", "plain", ["-O", "clear"], {}),
    ("with a token only", "plain", ["-O", "verify-required"], {}),
    ("a strange id", "plain", [], {"identity": "a\x1b[2J\u202e b"}),
    ("serial", "plain", ["-z", "18446744073709551615"], {}),
]


class Oracled(CertificateCase):
    def verdict_of_sshd(self, client, oracle):
        return oracle.login(ME, client.key, "-o", f"CertificateFile={client.key}-cert.pub", home=client.home)

    def verdict_of_frshd(self, client, server):
        result = client.run(server.name, "echo in")
        return result.code == 0, result.out

    @unittest.skipUnless(os.path.exists(SSHD), "no sshd here")
    def test_g6_frshd_admits_exactly_the_certificates_that_sshd_admits(self):
        if os.geteuid() == 0 and not os.path.isdir("/run/sshd"):
            self.skipTest("sshd of root has no /run/sshd here")
        self.assertGreaterEqual(len(CASES), 40)
        for kind in ("ecdsa", "rsa"):
            self.authorities["ca-" + kind] = os.path.join(self.keys, "ca-" + kind)
            self.lines["ca-" + kind] = make_key(self.authorities["ca-" + kind], kind=kind)
        write(os.path.join(self.folder, "trusted-ca"), "# CAs\n" + self.lines["trusted"] + "\n")
        server = self.make_configured_server(f'trusted_user_ca_keys = "{self.folder}/trusted-ca"\n')
        options = {"listed": 'cert-authority,principals="deploy,admin"',
                   "bound": 'cert-authority,command="echo bound"',
                   "far": 'cert-authority,from="192.0.2.1"'}
        keys_file = os.path.join(server.home, ".ssh/authorized_keys")
        write(keys_file, "".join(f"{options.get(name, 'cert-authority')} {line}\n"
                                 for name, line in self.lines.items() if name not in ("stranger", "trusted")))
        config = os.path.join(self.folder, "sshd_config")
        write(config, f"""
HostKey {server.host_key}
AuthorizedKeysFile {keys_file}
TrustedUserCAKeys {self.folder}/trusted-ca
StrictModes no
UsePAM no
PidFile none
PermitRootLogin yes
""")
        oracle = Oracle(config)
        self.addCleanup(oracle.end)

        with open(server.host_key + ".pub") as file:
            host_key = " ".join(file.read().split()[:2])

        def judge(case):
            name, authority, more, fields = case
            client = self.certified(authority, *more, **fields)
            write(os.path.join(client.home, ".config/frsh/known_hosts"),
                  f"[127.0.0.1]:{server.port} {host_key}\n")
            return name, self.verdict_of_sshd(client, oracle), self.verdict_of_frshd(client, server)

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            verdicts = list(pool.map(judge, CASES))
        admitted = [name for name, theirs, _ in verdicts if theirs[0]]
        self.assertGreater(len(admitted), 15, verdicts)
        self.assertLess(len(admitted), len(CASES) - 10, verdicts)
        for name, theirs, ours in verdicts:
            with self.subTest(name):
                self.assertEqual(ours, theirs)
        log = server.text()
        for reason in ("it has expired", "not valid yet", "other principals",
                       "not for this address", "unknown critical option", "different commands",
                       "its signature is not valid"):
            self.assertIn(reason, log)
        self.assertNotIn("\x1b", log)
        self.assertNotIn("\u202e", log)


class Users(CertificateCase):
    def trust(self, client):
        self.assertEqual(client.run("--trust", self.target).code, 0)

    def test_g6_extensions_permit_a_terminal_and_forwarding(self):
        self.authorize(f"cert-authority {self.lines['plain']}",
                       f"cert-authority,no-pty {self.lines['narrow']}")
        for authority, more, has_terminal in (("plain", [], True), ("plain", ["-O", "no-pty"], False),
                                              ("narrow", [], False)):
            client = self.certified(authority, *more)
            self.trust(client)
            result = client.run("-tt", self.target, "tty")
            self.assertEqual(b"/dev/" in result.out, has_terminal, result)

    def test_g6_an_agent_signs_with_a_certificate(self):
        client = self.certified("plain")
        self.authorize(f"cert-authority {self.lines['plain']}")
        self.trust(client)
        path = os.path.join(client.runtime, "agent")
        with ssh_agent(path, client.key):
            shutil.rmtree(os.path.join(client.home, ".ssh"))
            client.env["SSH_AUTH_SOCK"] = path
            result = client.run(self.target, "echo in")
            self.assertEqual((result.code, result.out), (0, b"in\n"), result)

    def test_b2_a_certificate_of_its_own_file_signs_with_a_file_or_an_agent(self):
        client = self.certified("plain")
        self.authorize(f"cert-authority {self.lines['plain']}")
        self.trust(client)
        elsewhere = os.path.join(make_folder(client.home, "certificates"), "mine")
        os.rename(client.key + "-cert.pub", elsewhere)
        self.one_line(client.run(self.target, "true"), "Permission denied")

        def is_admitted(*options):
            result = client.run("-q", *options, self.target, "echo in")
            return (result.code, result.out) == (0, b"in\n")

        config = os.path.join(client.home, "config")
        write(config, f"Host *\nCertificateFile {elsewhere}\n")
        for options in (("-o", f"CertificateFile={elsewhere}"), ("-o", "CertificateFile=~/certificates/mine"),
                        ("-i", client.key, "-o", f"CertificateFile={elsewhere}"), ("-F", config)):
            self.assertTrue(is_admitted(*options), options)
        for options in (("-o", "CertificateFile=none"), ("-o", f"CertificateFile={client.key}.pub"),
                        ("-o", "CertificateFile=/none")):
            self.assertFalse(is_admitted(*options), options)
        path = os.path.join(client.runtime, "agent")
        with ssh_agent(path, client.key):
            shutil.rmtree(os.path.join(client.home, ".ssh"))
            client.env["SSH_AUTH_SOCK"] = path
            self.assertFalse(is_admitted())
            self.assertTrue(is_admitted("-o", f"CertificateFile={elsewhere}"))

    def test_k7_a_bound_certificate_has_kept_runs_of_its_own(self):
        self.authorize(f"cert-authority {self.lines['plain']}", f'cert-authority,command="echo bound" {self.lines["bound"]}')
        free = self.certified("plain")
        forced = self.certified("plain", "-O", "force-command=echo bound")
        by_line = self.certified("bound")
        other = self.certified("bound")
        for number, client in enumerate((free, forced, by_line, other)):
            self.trust(client)
            self.assertEqual(client.run("--run-id", "same", self.target, f"echo {number}").code, 0)

        def runs(client):
            return client.run("--runs", "--json", self.target).out.count(b"\n")

        self.assertEqual([runs(client) for client in (free, forced, by_line, other)], [4, 1, 1, 1])
        # A new certificate of the same key is the same client; another command is another one.
        sign(self.authorities["plain"], forced.key + ".pub", "-O", "force-command=echo bound", identity="renewed")
        self.assertEqual(runs(forced), 1)
        sign(self.authorities["plain"], forced.key + ".pub", "-O", "force-command=echo another")
        self.assertEqual(runs(forced), 0)

    def test_g6_the_log_and_the_audit_name_the_certificate(self):
        client = self.certified("plain", "-z", "4711", identity="alice at work")
        self.authorize(f"cert-authority {self.lines['plain']}")
        self.trust(client)
        self.assertEqual(client.run(self.target, "true").code, 0)
        self.assertIn('certificate "alice at work" (serial 4711) of CA SHA256:', self.server.text())

    def test_g6_a_key_whose_certificate_is_refused_may_be_authorized_alone(self):
        client = self.certified("stranger")
        with open(client.key + ".pub") as file:
            self.authorize(file.read().strip())
        self.trust(client)
        self.assertEqual(client.run(self.target, "true").code, 0)

    def test_g4_a_revoked_authority_or_serial_opens_nothing(self):
        revoked = os.path.join(self.folder, "lists", "revoked")
        write(revoked, self.lines["plain"] + "\n")
        server = self.make_configured_server(f'revoked_keys = "{revoked}"\n')
        write(os.path.join(server.home, ".ssh/authorized_keys"), f"cert-authority {self.lines['plain']}\n")
        first, second = (self.certified("plain", "-z", serial) for serial in ("1", "2"))
        for client in (first, second):
            self.assertEqual(client.run("--trust", server.name).code, 0)
            self.one_line(client.run(server.name, "true"), "no key was accepted")
        write(revoked + ".spec", "serial: 2\n")
        subprocess.run(["ssh-keygen", "-q", "-k", "-f", revoked, "-s", self.authorities["plain"] + ".pub",
                        revoked + ".spec"], check=True)
        self.assertEqual(first.run(server.name, "true").code, 0)
        self.one_line(second.run(server.name, "true"), "no key was accepted")


class Hosts(CertificateCase):
    """Host certificates, and @cert-authority in known_hosts."""

    def setUp(self):
        self.certificate = self.server.host_key + "-cert.pub"
        if os.path.exists(self.certificate):
            os.unlink(self.certificate)
        self.client = self.stranger()
        self.authorize(make_key(os.path.join(self.client.home, ".ssh/id_ed25519")))
        self.trust_authority("plain", "127.0.0.1")

    def trust_authority(self, name, hosts, marker="@cert-authority"):
        write(os.path.join(self.client.home, ".ssh/known_hosts"), f"{marker} {hosts} {self.lines[name]}\n")

    def certify(self, *options, authority="plain", **fields):
        fields.setdefault("names", "127.0.0.1")
        sign(self.authorities[authority], self.server.host_key + ".pub", "-h", *options, **fields)

    def reached(self):
        result = self.client.run(self.target, "echo in")
        self.assertEqual((result.code, result.out), (0, b"in\n"), result)

    def refused(self, *words):
        result = self.client.run(self.target, "echo in")
        self.assertEqual((result.code, result.out), (255, b""), result)
        for word in ("Host key verification failed", *words):
            self.assertIn(word, result.err)

    def test_g6_a_host_with_a_certificate_of_a_known_authority_is_known(self):
        self.refused("unknown host")
        self.certify()
        self.reached()
        self.certify(names="one.example,127.0.0.1")
        self.reached()
        self.trust_authority("plain", "*")
        self.reached()

    def test_g6_a_host_certificate_that_does_not_fit_leaves_the_host_unknown(self):
        for options, fields, word in (
                ([], {"validity": "20200101:20210101"}, "expired"),
                ([], {"names": "other.example"}, "another host"),
                (["-O", "critical:x@example.com=1"], {}, "critical option"),
                ([], {"authority": "stranger"}, "unknown host")):
            self.certify(*options, **fields)
            self.refused("unknown host", word)
        # A user's certificate for the host's key.
        sign(self.authorities["plain"], self.server.host_key + ".pub", names="127.0.0.1")
        self.refused("not a host's")
        self.certify()
        self.trust_authority("plain", "other.example")
        self.refused("unknown host")

    def test_g6_a_revoked_authority_is_refused(self):
        self.certify()
        self.trust_authority("plain", "127.0.0.1")
        with open(os.path.join(self.client.home, ".ssh/known_hosts"), "a") as file:
            file.write(f"@revoked 127.0.0.1 {self.lines['plain']}\n")
        self.refused("revoked")

    def test_g6_a_revoked_host_key_is_refused_with_its_certificate(self):
        self.certify()
        with open(self.server.host_key + ".pub") as file:
            key = " ".join(file.read().split()[:2])
        known = os.path.join(self.client.home, ".ssh/known_hosts")
        for hosts in ("127.0.0.1", "*"):
            self.trust_authority("plain", "127.0.0.1")
            with open(known, "a") as file:
                file.write(f"@revoked {hosts} {key}\n")
            self.refused("revoked")
        self.trust_authority("plain", "127.0.0.1")
        with open(known, "a") as file:
            file.write(f"@revoked other.example {key}\n")
        self.reached()

    def test_g6_a_certificate_of_another_key_is_reported_and_not_sent(self):
        other = os.path.join(self.folder, "other", "key")
        make_key(other)
        sign(self.authorities["plain"], other + ".pub", "-h", names="127.0.0.1")
        shutil.copy(other + "-cert.pub", self.certificate)
        self.refused("unknown host")
        self.assertIn("not a certificate of", self.server.text())


if __name__ == "__main__":
    main()
