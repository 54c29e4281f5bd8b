"""Runs unchanged programs that call ssh, with frsh in the place of ssh.

`ssh` and `frsh` are links in a folder that comes first in PATH: some tools have an option for the
name, others call `ssh`. Client and server belong to one user, so that no set-up is needed.
"""

import glob
import os
import shlex
import shutil
import signal
import subprocess
import sys
import unittest

from harness import FRSH, PATIENCE, environment
from tls import TlsCase, make_folder


class Done:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def __repr__(self):
        return f"exit {self.code}, stdout {self.out[-600:]!r}, stderr {self.err[-1500:]!r}"


def skip(why):
    """Skips the test and prints why, so that a skip is never taken for a success."""
    print(f"SKIP: {why}", file=sys.stderr, flush=True)
    raise unittest.SkipTest(why)


def need(*programs):
    for program in programs:
        if shutil.which(program) is None:
            skip(f"{program} is not installed (scripts/test --tools installs all)")


class ToolCase(TlsCase):
    """Skips the class, with a message, if one of `tools` is not installed."""

    tools = ()

    @classmethod
    def setUpClass(cls):
        need(*cls.tools)
        super().setUpClass()
        cls.bin = make_folder(cls.folder, "bin")
        for name in ("ssh", "frsh"):
            os.symlink(FRSH, os.path.join(cls.bin, name))
        cls.ssh = os.path.join(cls.bin, "ssh")
        cls.port = str(cls.server.port)
        # As a word of a shell's command line, for the tools that take one.
        cls.rsh = f"frsh -p {cls.port}"
        cls.env = environment(
            cls.server.runtime, HOME=cls.server.home, LANG="C.UTF-8",
            PATH=cls.bin + ":/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")

    @classmethod
    def tearDownClass(cls):
        cls.end_holders()  # A server waits for its sessions, and so for a master that persists.
        super().tearDownClass()

    @classmethod
    def end_holders(cls):
        for link in glob.glob(os.path.join(cls.env["XDG_RUNTIME_DIR"], "frsh/links/*.link")):
            inode = os.stat(link).st_ino
            with open("/proc/locks") as locks:
                pids = [line.split()[4] for line in locks if f":{inode} " in line]
            for pid in pids:
                os.kill(int(pid), signal.SIGKILL)
            os.unlink(link)

    def setUp(self):
        self.work = make_folder(self.folder, self.id().rsplit(".", 1)[1])

    def path(self, *parts):
        return os.path.join(self.work, *parts)

    def popen(self, *words, env=None, **popen):
        popen.setdefault("cwd", self.work)
        popen.setdefault("stdin", subprocess.DEVNULL)
        popen.setdefault("stdout", subprocess.PIPE)
        popen.setdefault("stderr", subprocess.PIPE)
        return subprocess.Popen(list(words), env={**self.env, **(env or {})}, **popen)

    def run_tool(self, *words, stdin=None, **popen):
        if stdin is not None:
            popen["stdin"] = subprocess.PIPE
        process = self.popen(*words, **popen)
        try:
            out, err = process.communicate(stdin, timeout=2 * PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"hung: {words}, stdout {out[-500:]!r}, stderr {err[-1500:]!r}")
        return Done(process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))

    def good(self, *words, **more):
        """Fails unless the tool succeeded without a message that ssh would not print."""
        result = self.run_tool(*words, **more)
        self.assertEqual(result.code, 0, (words, result))
        self.assertNotIn("frsh:", result.err, (words, result))
        return result

    def shell(self, script, **more):
        return self.good("sh", "-c", script, **more)

    def write(self, name, content):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        return path

    def read(self, *parts):
        with open(self.path(*parts), "rb") as file:
            return file.read()

    def tree(self, name="tree"):
        """A folder of files with odd names, sizes and modes."""
        self.write(f"{name}/small", b"small\n")
        self.write(f"{name}/empty", b"")
        self.write(f"{name}/big", os.urandom(3_000_001))
        self.write(f"{name}/odd $name 'x' \"y\" *;", b"odd\n")
        self.write(f"{name}/\u6587\u4ef6 \u00e9", "utf-8\n")
        self.write(f"{name}/deep/er/file", b"\x00\xff\n")
        os.chmod(self.path(name, "small"), 0o640)
        return self.path(name)

    def same(self, one, other):
        result = subprocess.run(["diff", "-r", one, other], stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT)
        self.assertEqual(result.returncode, 0, result.stdout)

    def quote(self, *words):
        return shlex.join(words)
