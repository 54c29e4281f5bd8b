"""A server on a system that lacks something: /proc, or the user's home folder."""

import os
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import BIN, FRSH, PATIENCE, Case, environment, main, wait_until  # noqa: E402


def can_hide():
    """Returns whether this process may mount: then /proc can be hidden from a server."""
    return subprocess.run(["unshare", "--mount", "true"], stderr=subprocess.DEVNULL).returncode == 0


class Bare(Case):
    """Each client starts a server of its own, in a mount namespace that lacks something."""

    hide = "true"

    def setUp(self):
        self.runtime = tempfile.mkdtemp(dir=self.folder)

    def without(self, *words, **popen):
        command = ["unshare", "--mount", "sh", "-c", self.hide + ' && exec "$@"', "sh", FRSH, *words]
        return subprocess.Popen(command, env=environment(self.runtime, PATH=BIN + ":/usr/bin:/bin"), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, **popen)

    def run_without(self, *words, **popen):
        process = self.without(*words, **popen)
        with self.running(process):
            out, err = process.communicate(timeout=PATIENCE)
        return process.returncode, out, err



class NoProc(Bare):
    hide = "mount -t tmpfs none /proc"

    def test_k4_a_timeout_ends_the_process_group_without_proc(self):
        pid = self.path("pid")
        command = f"sleep 61 & echo $! > {pid}; wait"
        code, out, err = self.run_without("--json", "--timeout", "300ms", "local", command)
        self.assertEqual(124, code, err)
        self.assertIn(b'"survivors":null', out)
        self.assertIn(b'"unseen":true', out)
        self.assertIn(b"cannot see every process", err)
        child = self.pid_from(pid)
        wait_until(lambda: not os.path.exists(f"/proc/{child}"), "the child to be ended")

    def test_k4_a_command_that_ignores_term_is_killed_without_proc(self):
        code, _, err = self.run_without("--timeout", "300ms", "local", "trap '' TERM; sleep 61; sleep 62")
        self.assertEqual(124, code, err)

    def test_k4_a_signal_ends_a_command_of_a_lost_client_without_proc(self):
        pid = self.path("pid")
        process = self.without("local", f"echo $$ > {pid}; exec sleep 63")
        with self.running(process):
            sleeper = self.pid_from(pid)
            process.send_signal(signal.SIGKILL)
            wait_until(lambda: not os.path.exists(f"/proc/{sleeper}"), "the command to be ended")

    def test_a_run_that_ends_by_itself_reports_no_doubt_without_proc(self):
        code, out, err = self.run_without("--json", "local", "exit 3")
        self.assertEqual((3, b""), (code, err))
        self.assertIn(b'"survivors":[]', out)


class NoHome(Bare):
    def setUp(self):
        super().setUp()
        users = self.path("passwd")
        with open(users, "w") as file:
            file.write("root:x:0:0::/no/home:/bin/sh\nother:x:1:1::/usr:/bin/sh\n")
        self.hide = f"mount --bind {users} /etc/passwd"

    def test_a_missing_home_is_a_notice_and_the_folder_is_the_root(self):
        code, out, err = self.run_without("local", "pwd; echo $HOME")
        self.assertEqual((0, b"/\n/no/home\n"), (code, out), err)
        self.assertEqual(b"frshd: home folder /no/home: No such file or directory; the folder is /\n", err)
        code, out, _ = self.run_without("-q", "--shell", "x", "local", "pwd")
        self.assertEqual((0, b"/\n"), (code, out))
        self.assertEqual(0, self.run_without("--kill", "x", "local")[0])

    def test_only_a_folder_that_was_requested_is_fatal(self):
        for folder, expected in (("tree", 255), ("~/tree", 255), ("~other/lib", 0), ("/usr", 0)):
            code, _, err = self.run_without("--cwd", folder, "local", "pwd")
            self.assertEqual(expected, code, (folder, err))


if __name__ == "__main__":
    if not can_hide():
        print("SKIP: needs root")
        sys.exit(77)
    main()
