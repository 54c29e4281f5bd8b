"""Root's server obeys the machine's sshd_config, or refuses the login with the reason."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from account_test import NAME, AccountCase  # noqa: E402
from harness import main, needs_root  # noqa: E402
from sshd_oracle import SSHD  # noqa: E402
from tls import make_folder, make_key, write  # noqa: E402


class PolicyCase(AccountCase):
    @classmethod
    def replaced_folders(cls):
        cls.ssh = make_folder(cls.folder, "etc-ssh")
        os.chmod(cls.ssh, 0o755)
        cls.sshd("")
        return {"/etc/ssh": cls.ssh, "/run": make_folder(cls.folder, "machine-run")}

    @classmethod
    def sshd(cls, text):
        """This is the machine's sshd_config from now on."""
        path = os.path.join(cls.ssh, "sshd_config")
        with open(path, "w") as file:
            file.write(text)

    def setUp(self):
        needs_root(self)
        if not os.path.exists(SSHD):
            self.skipTest("no sshd here")
        self.sshd("")
        self.keys(self.line)
        self.account("/bin/sh")

    def refused(self, *parts, target=None):
        self.one_line(self.client.run(target or self.target, "echo in"), *parts)

    def admitted(self, out=b"in\n", target=None):
        result = self.client.run(target or self.target, "echo in")
        self.assertEqual((result.code, result.out), (0, out), result)


class Obey(PolicyCase):
    config = "use_pam = false\npermit_root_login = true\n"

    def test_g3_lists_of_users_and_groups_are_obeyed_as_root(self):
        for text, word in ((f"DenyUsers x {NAME}\n", "DenyUsers"),
                           ("denyusers=frsh-*\n", "DenyUsers"),
                           (f"DenyUsers {NAME}@127.0.0.0/8\n", "DenyUsers"),
                           ("AllowUsers other\n", "AllowUsers"),
                           (f"AllowUsers {NAME}@192.0.2.1\n", "AllowUsers"),
                           (f"DenyGroups {NAME}\n", "DenyGroups"),
                           ("AllowGroups nobody-here\n", "AllowGroups"),
                           (f"Match User {NAME}\n  PubkeyAuthentication no\n", "PubkeyAuthentication"),
                           ("AuthenticationMethods publickey,password\n", "AuthenticationMethods"),
                           (f"Match Group {NAME}\n  ChrootDirectory /srv\n", "ChrootDirectory"),
                           ("ForceCommand internal-sftp\n", "internal-sftp"),
                           (f"Match Address 127.0.0.1\n  DenyUsers {NAME}\n", "DenyUsers")):
            with self.subTest(text):
                self.sshd(text)
                self.refused(word, "sshd_config")
        for text in (f"AllowUsers {NAME}@127.0.0.1\n", f"AllowGroups {NAME}\n", "DenyUsers other\n",
                     f"Match Address 192.0.2.1\n  DenyUsers {NAME}\n", "# DenyUsers *\nUsePAM yes\n",
                     "AuthenticationMethods publickey publickey,password\n", "PermitRootLogin no\n"):
            with self.subTest(text):
                self.sshd(text)
                self.admitted()

    def test_g3_a_file_that_is_included_is_obeyed_as_root(self):
        write(os.path.join(self.ssh, "sshd_config.d", "10-deny.conf"), f"DenyUsers {NAME}\n", 0o644)
        self.sshd("Include /etc/ssh/sshd_config.d/*.conf\n")
        self.refused("DenyUsers")
        os.unlink(os.path.join(self.ssh, "sshd_config.d", "10-deny.conf"))
        self.admitted()

    def test_g3_a_forced_command_replaces_every_other_as_root(self):
        self.sshd(f'Match User {NAME}\n  ForceCommand echo forced "$SSH_ORIGINAL_COMMAND"\n')
        self.admitted(b"forced echo in\n")
        self.keys('command="echo of the key" ' + self.line)
        self.admitted(b"forced echo in\n")

    def test_g3_only_the_files_of_authorizedkeysfile_count_as_root(self):
        self.sshd("AuthorizedKeysFile /etc/ssh/keys/%u\n")
        # Neither ~/.ssh nor frsh's own file, which the user may write.
        self.put(".config/frsh/authorized_keys", self.line + "\n")
        self.refused("not with this key")
        write(os.path.join(self.ssh, "keys", NAME), self.line + "\n", 0o644)
        os.chmod(os.path.join(self.ssh, "keys"), 0o755)
        self.admitted()
        self.sshd("AuthorizedKeysFile none\n")
        self.refused("not with this key")
        self.sshd("AuthorizedKeysFile .ssh/authorized_keys\n")
        self.admitted()
        os.unlink(os.path.join(self.home, ".config/frsh/authorized_keys"))

    def test_g3_restrictions_of_terminals_and_forwarding_are_obeyed_as_root(self):
        self.sshd("PermitTTY no\n")
        result = self.client.run("-t", self.target, "tty")
        self.assertNotIn(b"/dev/", result.out, result)
        self.sshd("DisableForwarding yes\n")
        self.admitted()

    def test_g3_root_is_refused_as_permitrootlogin_says_as_root(self):
        root = self.target.replace(NAME, "root")
        self.sshd("PermitRootLogin no\n")
        # The key does not open root's account, so the reason is not shown to it.
        self.refused("not with this key", target=root)
        self.admitted()

    def test_g3_a_config_that_sshd_cannot_read_refuses_as_root(self):
        self.sshd(f"Match User {NAME}\n  NoSuchKeyword yes\n")
        self.refused("sshd_config cannot be evaluated")

    def test_g3_a_missing_file_or_host_key_of_sshd_closes_nothing_as_root(self):
        self.sshd("HostKey /etc/ssh/absent\nDenyUsers other\n")
        self.admitted()
        self.sshd(f"HostKey /etc/ssh/absent\nDenyUsers {NAME}\n")
        self.refused("DenyUsers")
        os.unlink(os.path.join(self.ssh, "sshd_config"))
        self.admitted()
        os.mkdir(os.path.join(self.ssh, "sshd_config"))
        self.addCleanup(os.rmdir, os.path.join(self.ssh, "sshd_config"))
        self.refused("sshd_config")

    def test_g4_revokedkeys_of_sshd_is_obeyed_as_root(self):
        path = os.path.join(self.ssh, "revoked")
        other = make_key(os.path.join(self.folder, "other", "key"))
        self.sshd("RevokedKeys /etc/ssh/revoked\n")
        write(path, other + "\n", 0o644)
        self.admitted()
        write(path, f"# keys\n{other}\n  {self.line}\n", 0o644)
        self.refused("not with this key")
        self.assertIn("the key is revoked (/etc/ssh/revoked)", self.server.text())
        public = os.path.join(self.client.home, ".ssh/id_ed25519.pub")
        subprocess.run(["ssh-keygen", "-q", "-k", "-f", path, public], check=True)
        self.refused("not with this key")
        os.unlink(path)
        self.refused("not with this key")
        self.assertIn("cannot be read, so every key is refused", self.server.text())


class Others(PolicyCase):
    def test_g3_refuse_and_ignore_are_other_policies_as_root(self):
        refuse = self.start("refuse", 'use_pam = false\nsshd_policy = "refuse"\n')
        ignore = self.start("ignore", 'use_pam = false\nsshd_policy = "ignore"\n')
        self.sshd("ForceCommand echo forced\n")
        self.refused("ForceCommand", "refuse", target=f"{NAME}@{refuse.name}")
        self.admitted(target=f"{NAME}@{ignore.name}")
        self.sshd(f"DenyUsers {NAME}\n")
        self.refused("DenyUsers", target=f"{NAME}@{refuse.name}")
        self.admitted(target=f"{NAME}@{ignore.name}")

    def test_g4_revoked_keys_refuses_a_list_and_a_krl_as_root(self):
        path = os.path.join(self.folder, "lists", "revoked")
        write(path, "", 0o644)
        server = self.start("revoked", f'use_pam = false\nrevoked_keys = "{path}"\n')
        target = f"{NAME}@{server.name}"
        self.admitted(target=target)
        write(path, self.line + "\n", 0o644)
        self.refused("not with this key", target=target)
        public = os.path.join(self.client.home, ".ssh/id_ed25519.pub")
        other = os.path.join(self.folder, "others", "key")
        make_key(other)
        subprocess.run(["ssh-keygen", "-q", "-k", "-f", path, other + ".pub"], check=True)
        self.admitted(target=target)
        subprocess.run(["ssh-keygen", "-q", "-k", "-u", "-f", path, public], check=True)
        self.refused("not with this key", target=target)
        self.assertIn(f"the key is revoked ({path})", server.text())


if __name__ == "__main__":
    main()
