"""What a start of frsh loads: OpenSSL only for a target over TLS."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import FRSH, SANITIZED, main  # noqa: E402


def is_linked_to_openssl():
    return "libssl" in subprocess.run(["ldd", FRSH], capture_output=True, text=True).stdout


@unittest.skipIf(SANITIZED or is_linked_to_openssl(), "this frsh is linked to OpenSSL")
class Startup(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="frsh-")
        self.addCleanup(shutil.rmtree, self.folder, True)

    def loaded(self, environment, *words):
        """Returns the names of the libraries that a frsh has loaded once its command runs."""
        process = subprocess.Popen([FRSH, *words, "echo up; read x"], env=environment,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            self.assertEqual(process.stdout.readline(), b"up\n")
            with open(f"/proc/{process.pid}/maps") as file:
                return set(re.findall(r"/(lib[\w+-]+)\.so", file.read()))
        finally:
            process.communicate(b"\n", timeout=60)

    def test_a_local_target_loads_no_openssl(self):
        environment = {"PATH": "/usr/bin:/bin", "HOME": self.folder, "XDG_RUNTIME_DIR": self.folder,
                       "XDG_STATE_HOME": self.folder}
        self.assertEqual(self.loaded(environment, "local"), {"libc"})


if __name__ == "__main__":
    main()
