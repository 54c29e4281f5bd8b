"""Backup and synchronisation with frsh in ssh's place: borg, restic, unison."""

import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from dropin import ToolCase  # noqa: E402
from harness import is_alive, main, wait_until  # noqa: E402


class Borg(ToolCase):
    tools = ("borg",)

    def setUp(self):
        super().setUp()
        self.own = {"BORG_RSH": "frsh", "BORG_BASE_DIR": self.path("borg")}
        self.repository = f"ssh://127.0.0.1:{self.port}{self.path('repository')}"
        self.good("borg", "init", "-e", "none", self.repository, env=self.own)

    def test_create_check_and_extract(self):
        tree = self.tree()
        self.good("borg", "create", self.repository + "::one", "tree", env=self.own)
        self.good("borg", "check", self.repository, env=self.own)
        os.mkdir(self.path("back"))
        self.good("borg", "extract", self.repository + "::one", env=self.own, cwd=self.path("back"))
        self.same(tree, self.path("back/tree"))

    def test_an_interrupted_backup_leaves_nothing_running(self):
        self.write("tree/big", os.urandom(8_000_000))
        process = self.popen("borg", "create", "--upload-ratelimit", "1000", self.repository + "::one",
                             "tree", env=self.own, start_new_session=True)

        def there():
            found = subprocess.run(["pgrep", "-f", "borg serve"], stdout=subprocess.PIPE)
            pids = [int(pid) for pid in found.stdout.split()]
            return [pid for pid in pids if pid != process.pid and self.is_ours(pid)]

        left = wait_until(there, "borg on the server")
        os.killpg(process.pid, signal.SIGINT)
        # As under ssh, SIGINT does not reach the connection: borg first sends what it has queued.
        process.communicate(timeout=60)
        self.assertNotEqual(process.returncode, 0)
        wait_until(lambda: not any(is_alive(pid) for pid in left), "borg on the server to end")

    def is_ours(self, pid):
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                return self.server.home.encode() in file.read()
        except OSError:
            return False


class Restic(ToolCase):
    tools = ("restic",)

    def test_backup_check_and_restore_over_sftp(self):
        tree = self.tree()
        env = {"RESTIC_PASSWORD": "x", "RESTIC_CACHE_DIR": self.path("cache")}
        base = ["restic", "-q", "-o", f"sftp.command={self.rsh} 127.0.0.1 -s sftp", "-r",
                f"sftp:127.0.0.1:{self.path('repository')}"]
        self.good(*base, "init", env=env)
        self.good(*base, "backup", tree, env=env)
        self.good(*base, "check", "--read-data", env=env)
        self.good(*base, "restore", "latest", "--target", self.path("back"), env=env)
        self.same(tree, self.path("back") + tree)


class Unison(ToolCase):
    tools = ("unison",)

    def test_changes_go_both_ways(self):
        tree = self.tree()
        other = self.path("other")
        base = ["unison", tree, f"ssh://127.0.0.1/{other}", "-batch", "-ui", "text", "-sshcmd", "frsh",
                "-sshargs", f"-p {self.port}"]
        env = {"UNISON": self.path("unison")}
        self.assertEqual(self.run_tool(*base, env=env).code, 0)
        self.same(tree, other)
        self.write("tree/here", "here\n")
        self.write("other/there", "there\n")
        self.assertEqual(self.run_tool(*base, env=env).code, 0)
        self.same(tree, other)
        self.assertEqual(self.read("tree/there"), b"there\n")


if __name__ == "__main__":
    main()
