"""frsh-as-ssh puts frsh in the place of /usr/bin/ssh, and gives the place back. See frsh-ssh(7)."""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import main  # noqa: E402

PACKAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../client/package")


@unittest.skipUnless(shutil.which("dpkg-divert"), "no dpkg here")
class AsSsh(unittest.TestCase):
    """Works below a root of its own, with a database of dpkg of its own."""

    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="frsh-root-")
        self.addCleanup(shutil.rmtree, self.root, True)
        for folder in ("usr/bin", "var/lib/dpkg/updates", "var/lib/dpkg/info"):
            os.makedirs(os.path.join(self.root, folder))
        self.write("var/lib/dpkg/status", "")
        self.write("usr/bin/ssh", "the real one")
        self.write("usr/bin/frsh", "frsh")

    def path(self, name):
        return os.path.join(self.root, name)

    def write(self, name, text):
        with open(self.path(name), "w") as file:
            file.write(text)

    def read(self, name):
        with open(self.path(name)) as file:
            return file.read()

    def run_script(self, script, *words):
        os.makedirs(self.path("programs"), exist_ok=True)
        link = self.path("programs/frsh-as-ssh")
        if not os.path.lexists(link):
            os.symlink(os.path.join(PACKAGE, "frsh-as-ssh"), link)
        return subprocess.run(["sh", os.path.join(PACKAGE, script), *words], capture_output=True, text=True,
                              timeout=60, env={"PATH": self.path("programs") + ":/usr/sbin:/usr/bin:/sbin:/bin",
                                               "DPKG_ROOT": self.root,
                                               "DPKG_ADMINDIR": self.path("var/lib/dpkg")})

    def as_ssh(self, word):
        result = self.run_script("frsh-as-ssh", word)
        self.assertEqual(0, result.returncode, result)
        return result.stdout

    def is_as_it_was(self):
        self.assertEqual("the real one", self.read("usr/bin/ssh"))
        self.assertEqual(["frsh", "ssh"], sorted(os.listdir(self.path("usr/bin"))))
        self.assertEqual("disabled\n", self.as_ssh("status"))

    def test_it_is_off_until_it_is_enabled_and_can_be_disabled(self):
        self.is_as_it_was()
        self.as_ssh("enable")
        self.assertEqual("frsh", os.readlink(self.path("usr/bin/ssh")))
        self.assertEqual("the real one", self.read("usr/bin/ssh.openssh"))
        self.assertEqual("enabled\n", self.as_ssh("status"))
        self.assertIn("already", self.as_ssh("enable"))
        self.as_ssh("disable")
        self.is_as_it_was()
        self.assertIn("is not frsh", self.as_ssh("disable"))

    def test_the_removal_of_the_package_undoes_it(self):
        self.as_ssh("enable")
        upgrade = self.run_script("prerm", "upgrade", "1.0")
        self.assertEqual((0, "enabled\n"), (upgrade.returncode, self.as_ssh("status")), upgrade)
        removal = self.run_script("prerm", "remove")
        self.assertEqual(0, removal.returncode, removal)
        self.is_as_it_was()

    def test_a_removal_without_it_changes_nothing(self):
        self.assertEqual(0, self.run_script("prerm", "remove").returncode)
        self.is_as_it_was()

    def test_a_link_of_another_origin_is_not_removed(self):
        self.as_ssh("enable")
        os.unlink(self.path("usr/bin/ssh"))
        self.write("usr/bin/ssh", "of the administrator")
        self.assertNotEqual(0, self.run_script("frsh-as-ssh", "disable").returncode)
        self.assertEqual("of the administrator", self.read("usr/bin/ssh"))
        self.assertEqual("the real one", self.read("usr/bin/ssh.openssh"))

    def test_other_words_change_nothing(self):
        for words in ((), ("on",)):
            result = self.run_script("frsh-as-ssh", *words)
            self.assertEqual(2, result.returncode, result)
            self.assertIn("usage", result.stderr)
        self.is_as_it_was()


if __name__ == "__main__":
    main()
