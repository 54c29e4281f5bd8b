"""What a session that was killed has left is ended by a process of the session's user."""

import os
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import main, needs_root, wait_until  # noqa: E402
from tls import TlsCase, TlsServer, Users, make_folder, write  # noqa: E402

NAME, UID = "frsh-alice", 54220


def bytes_read(pid):
    # The thread only: the process's own number includes its reaped children.
    with open(f"/proc/{pid}/task/{pid}/io") as file:
        return int(file.readline().split()[1])


def processes_of(uid):
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/status") as file:
                text = file.read()
        except OSError:
            continue
        if f"\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n" in text and "\nState:\tZ" not in text:
            found[int(pid)] = text.split("\n", 1)[0].split("\t")[1]
    return found


class Remains(TlsCase):
    def test_l12_the_listener_reads_nothing_of_what_a_killed_session_left_as_root(self):
        needs_root(self)
        home = tempfile.mkdtemp(prefix="frsh-home-")
        self.addCleanup(shutil.rmtree, home, True)
        users = Users(os.path.join(self.folder, "etc"))
        users.add(NAME, UID, home)
        server = TlsServer(make_folder(self.folder, "users"), prefix=users.prefix)
        self.addCleanup(server.end)
        client, line = self.trusting()
        self.assertEqual(0, client.run("--trust", server.name).code)
        write(os.path.join(home, ".ssh/authorized_keys"), line + "\n")
        for path in (".", ".ssh", ".ssh/authorized_keys"):
            os.chown(os.path.join(home, path), UID, UID)
        target = f"{NAME}@{server.name}"
        self.assertEqual(0, client.run(target, "true").code)
        before = bytes_read(server.pid)
        # Processes that ignore HUP and have left the run's session, each with a large environment.
        ready = os.path.join(home, "ready")
        client.run("-q", target, f"""
            trap '' HUP TERM
            big=$(head -c 100000 /dev/zero | tr '\\0' x)
            for i in 1 2 3 4 5 6 7 8 9 10; do BIG=$big setsid sleep 600 <&- >/dev/null 2>&1 & done
            while [ "$(pgrep -u {UID} -x sleep | wc -l)" -lt 10 ]; do :; done
            touch {ready}
            kill -9 $PPID""")
        self.assertTrue(os.path.exists(ready))
        names = set()

        def is_over():
            left = processes_of(UID)
            names.update(left.values())
            return not left

        wait_until(is_over, "the processes to be ended", 30)
        self.assertLess(bytes_read(server.pid) - before, 100_000)
        self.assertIn("frshd-ending", names)


if __name__ == "__main__":
    main()
