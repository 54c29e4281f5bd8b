"""Clients that share links through holders, and the pids of these holders."""

import contextlib
import glob
import os
import signal

from harness import descendants
from tls import TlsCase


def owner_of(path):
    """Returns the pid of the process that has the lock on this file; 0 for none."""
    try:
        inode = os.stat(path).st_ino
    except FileNotFoundError:
        return 0
    with open("/proc/locks") as locks:
        for line in locks:
            fields = line.split()
            if fields[1] == "POSIX" and fields[5].endswith(f":{inode}"):
                return int(fields[4])
    return 0


class SharingCase(TlsCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.addClassCleanup(cls.end_sessions)

    @classmethod
    def end_sessions(cls):
        """The session of a killed holder waits for the grace period, and the server for it."""
        for stat in descendants(cls.server.pid):
            if stat.name == "frshd":
                with contextlib.suppress(ProcessLookupError):
                    os.kill(stat.pid, signal.SIGTERM)

    def setUp(self):
        super().setUp()
        self.client, line = self.trusting()
        self.authorize(line)
        self.addCleanup(self.end_holders)

    def shared(self, *words, time="30s", **more):
        return self.client.run(f"--share={time}", self.target, *words, **more)

    def links(self):
        result = self.client.run("--links")
        self.assertEqual((result.code, result.err), (0, ""), result)
        return result.out.decode().splitlines()

    def holders(self):
        """Returns the pids of the client's link holders: each has the lock on its file."""
        paths = glob.glob(os.path.join(self.client.runtime, "frsh/links/*.link"))
        return [pid for pid in map(owner_of, paths) if pid]

    def end_holders(self):
        for pid in self.holders():
            os.kill(pid, signal.SIGKILL)

    def logins(self):
        return self.server.text().count("key of")
