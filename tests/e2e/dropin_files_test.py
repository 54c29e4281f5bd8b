"""The tools that carry files, with frsh in ssh's place: rsync, scp, sftp, sshfs, tar and dd."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from dropin import ToolCase, need, skip  # noqa: E402
from harness import is_alive, main, wait_until  # noqa: E402
from tls import ROOT  # noqa: E402


class Rsync(ToolCase):
    tools = ("rsync",)

    def rsync(self, *words, **more):
        return self.good("rsync", "-a", "-e", self.rsh, *words, **more)

    def test_push_pull_and_delete(self):
        tree = self.tree()
        self.rsync(tree + "/", f"127.0.0.1:{self.path('there')}/")
        self.same(tree, self.path("there"))
        self.rsync(f"localhost:{self.path('there')}/", self.path("back") + "/")
        self.same(tree, self.path("back"))
        os.remove(self.path("tree/big"))
        self.rsync("--delete", tree + "/", f"127.0.0.1:{self.path('there')}/")
        self.same(tree, self.path("there"))

    def test_a_partial_file_is_continued(self):
        whole = os.urandom(4_000_000)
        self.write("file", whole)
        self.write("there/file", whole[:3_000_000])
        result = self.rsync("--append-verify", "--stats", self.path("file"),
                            f"127.0.0.1:{self.path('there')}/")
        self.assertEqual(self.read("there/file"), whole)
        sent = re.search(r"Literal data: ([\d,]+)", result.out).group(1)
        self.assertEqual(int(sent.replace(",", "")), 1_000_000)

    def test_a_daemon_over_the_shell(self):
        tree = self.tree()
        # As root it would become the user `nobody`.
        owner = "uid = 0\ngid = 0\n" if ROOT else ""
        self.write("rsyncd.conf", f"use chroot = no\n{owner}[module]\npath = {tree}\n")
        self.rsync(f"--rsync-path=rsync --config={self.path('rsyncd.conf')}",
                   "127.0.0.1::module/", self.path("back") + "/")
        self.same(tree, self.path("back"))

    def test_a_killed_transfer_leaves_no_process_and_can_be_repeated(self):
        self.write("big", os.urandom(8_000_000))
        process = self.popen("rsync", "-a", "--bwlimit=1000", "--inplace", "-e", self.rsh,
                             self.path("big"), f"127.0.0.1:{self.path('copy')}")
        wait_until(lambda: os.path.exists(self.path("copy")), "the copy to begin")

        def there():
            found = subprocess.run(["pgrep", "-f", f"^rsync --server.*{self.path('copy')}$"],
                                   stdout=subprocess.PIPE)
            return [int(pid) for pid in found.stdout.split()]

        left = wait_until(there, "rsync on the server")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
        self.assertNotEqual(process.returncode, 0)
        wait_until(lambda: not any(is_alive(pid) for pid in left), "rsync on the server to end")
        self.rsync(self.path("big"), f"127.0.0.1:{self.path('copy')}")
        self.same(self.path("big"), self.path("copy"))

    def test_a_missing_file_is_rsyncs_own_error(self):
        result = self.run_tool("rsync", "-e", self.rsh, "127.0.0.1:/no/such/file", self.path("x"))
        self.assertEqual(result.code, 23, result)
        self.assertIn("No such file", result.err)

    def test_a_missing_server_is_reported(self):
        result = self.run_tool("rsync", "-e", "frsh -p 1", "127.0.0.1:/x", self.path("x"))
        # What rsync makes of the 255 depends on its version.
        self.assertIn(result.code, (12, 255), result)
        self.assertIn("Connection refused", result.err)


class Scp(ToolCase):
    tools = ("scp", "sftp")

    def test_both_protocols_recursively_and_with_odd_names(self):
        tree = self.tree()
        for mode in ("-s", "-O"):
            there, back = self.path("there" + mode), self.path("back" + mode)
            base = ["scp", "-q", "-p", "-r", mode, "-S", "frsh", "-P", self.port]
            self.good(*base, tree, f"127.0.0.1:{there}")
            self.same(tree, there)
            self.assertEqual(os.stat(os.path.join(there, "small")).st_mode & 0o777, 0o640)
            self.good(*base, f"localhost:{there}", back)
            self.same(tree, back)

    def test_as_a_uri_and_between_two_hosts(self):
        self.write("a", b"a\n")
        self.good("scp", "-q", "-S", "frsh", f"scp://127.0.0.1:{self.port}/{self.path('a')}",
                  self.path("b"))
        self.assertEqual(self.read("b"), b"a\n")
        self.good("scp", "-q", "-3", "-S", "frsh", "-P", self.port, f"127.0.0.1:{self.path('a')}",
                  f"localhost:{self.path('c')}")
        self.assertEqual(self.read("c"), b"a\n")

    def test_errors_are_scps_own(self):
        for mode in ("-s", "-O"):
            result = self.run_tool("scp", mode, "-S", "frsh", "-P", self.port,
                                   "127.0.0.1:/no/such/file", self.path("x"))
            self.assertEqual(result.code, 1, result)
            self.assertIn("No such file", result.err)

    def test_sftp_batch(self):
        self.write("file", b"content\n")
        self.write("batch", f"put {self.path('file')} {self.path('there')}\n"
                            f"ls -l {self.path('there')}\nget {self.path('there')} back\n")
        result = self.good("sftp", "-q", "-S", "frsh", "-P", self.port, "-b", "batch", "127.0.0.1")
        self.assertIn("there", result.out)
        self.assertEqual(self.read("back"), b"content\n")
        self.write("batch", "get /no/such/file\n")
        result = self.run_tool("sftp", "-q", "-S", "frsh", "-P", self.port, "-b", "batch", "127.0.0.1")
        self.assertEqual(result.code, 1, result)

    def test_sftp_at_a_terminal(self):
        self.write("file", b"content\n")
        master, slave = pty.openpty()
        process = self.popen("sftp", "-S", "frsh", "-P", self.port, f"127.0.0.1:{self.work}",
                             stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        seen = b""

        def until(what):
            nonlocal seen
            deadline = time.monotonic() + 30
            while what not in seen:
                self.assertTrue(time.monotonic() < deadline, seen)
                if select.select([master], [], [], 0.2)[0]:
                    seen += os.read(master, 4096)
            seen = seen.split(what, 1)[1]

        try:
            until(b"sftp> ")
            os.write(master, b"get file copy\n")
            until(b"sftp> ")
            os.write(master, b"pwd\n")
            until(self.work.encode())
            until(b"sftp> ")
            os.write(master, b"quit\n")
            self.assertEqual(process.wait(30), 0)
        finally:
            process.kill()
            process.wait()
            os.close(master)
        self.assertEqual(self.read("copy"), b"content\n")


class Subsystems(ToolCase):
    def test_an_unknown_subsystem_is_255_with_one_line(self):
        result = self.run_tool("frsh", "-p", self.port, "-s", "127.0.0.1", "no-such")
        self.assertEqual(result.code, 255, result)
        self.assertIn("subsystem request failed", result.err)
        self.assertEqual(result.err.count("\n"), 1, result)

    def test_a_forced_command_replaces_the_subsystem(self):
        client, line = self.trusting()
        self.authorize('command="echo forced: $SSH_ORIGINAL_COMMAND" ' + line)
        result = client.run("-s", self.target, "sftp")
        self.assertEqual(result.code, 0, result)
        self.assertRegex(result.out.decode(), r"^forced: (/\S+sftp-server|sftp)\n$")


class SftpServer(ToolCase):
    arguments = ("--sftp-server", "echo this one")

    def test_the_server_configures_the_sftp_program(self):
        result = self.good("frsh", "-p", self.port, "127.0.0.1", "-s", "sftp")
        self.assertEqual(result.out, "this one\n")


class Sshfs(ToolCase):
    tools = ("sshfs", "fusermount3")

    def test_a_folder_is_mounted_read_and_written(self):
        if not os.access("/dev/fuse", os.R_OK | os.W_OK):
            skip("sshfs: /dev/fuse cannot be opened here")
        tree = self.tree()
        mount = self.path("mount")
        os.mkdir(mount)
        result = self.run_tool("sshfs", "-p", self.port, "-o", "ssh_command=frsh",
                               "-o", "ServerAliveInterval=15", f"127.0.0.1:{tree}", mount)
        if result.code != 0 and "fusermount" in result.err:
            skip("sshfs: mounting is not permitted here: " + result.err.strip())
        self.assertEqual(result.code, 0, result)
        try:
            self.same(tree, mount)
            with open(os.path.join(mount, "new"), "w") as file:
                file.write("new\n")
            self.assertEqual(self.read("tree/new"), b"new\n")
        finally:
            self.run_tool("fusermount3", "-u", mount)
        self.assertFalse(os.path.ismount(mount))


class Pipes(ToolCase):
    def test_tar_both_ways(self):
        tree = self.tree()
        os.mkdir(self.path("there"))
        self.shell(f"tar -c tree | {self.rsh} 127.0.0.1 'tar -x -C {self.path('there')}'")
        self.same(tree, self.path("there/tree"))
        os.mkdir(self.path("back"))
        self.shell(f"{self.rsh} 127.0.0.1 -- tar -c -C {self.work} tree | tar -x -C back")
        self.same(tree, self.path("back/tree"))

    def test_tars_own_remote_files(self):
        need("tar")
        tree = self.tree()
        self.write("rsh", f'#!/bin/sh\nexec {self.rsh} "$@"\n')
        os.chmod(self.path("rsh"), 0o755)
        if not os.path.exists("/usr/sbin/rmt"):
            skip("tar: there is no /usr/sbin/rmt (package tar) here")
        result = self.run_tool("tar", "--rsh-command=" + self.path("rsh"), "--rmt-command=/usr/sbin/rmt", "-cf",
                               f"127.0.0.1:{self.path('archive.tar')}", "tree")
        if "initgroups" in result.err:
            skip("tar: a plain user's cannot start a remote shell here: " + result.err.splitlines()[0])
        self.assertEqual((result.code, result.err), (0, ""), result)
        os.mkdir(self.path("back"))
        self.good("tar", "-xf", "archive.tar", "-C", "back")
        self.same(tree, self.path("back/tree"))

    def test_dd_to_the_byte(self):
        data = os.urandom(5_000_011)
        self.write("in", data)
        self.shell(f"dd if=in bs=64k 2>/dev/null | {self.rsh} 127.0.0.1 'cat' | "
                   f"{self.rsh} 127.0.0.1 'dd of={self.path('out')} bs=7k 2>/dev/null'")
        self.assertTrue(self.read("out") == data)


if __name__ == "__main__":
    main()
