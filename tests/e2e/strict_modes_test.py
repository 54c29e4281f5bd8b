"""authorized_keys that other users could have written: with a user's server, and with root's.

Each case has a user and a home of its own. Without root it also has a server of its own; root has
one server for all, in a mount namespace with these users.
"""

import concurrent.futures
import os
import shutil
import socket
import stat
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import SANITIZED, main, needs_root  # noqa: E402
from tls import Client, TlsServer, Users, make_folder, make_key, write  # noqa: E402

FIRST_UID = 54100
KEYS = ".ssh/authorized_keys"


def chmod(name, mode):
    return lambda home, uid: os.chmod(os.path.join(home, name), mode)


def chown(name, whose, mode=None):
    def change(home, uid):
        os.chown(os.path.join(home, name), whose(uid), whose(uid))
        if mode is not None:
            os.chmod(os.path.join(home, name), mode)
    return change


def linked(to, loosen=None, folder=False):
    """The file, or its folder, is elsewhere, with a link in its place."""
    def change(home, uid):
        path = os.path.join(home, ".ssh" if folder else KEYS)
        place = os.path.join(home, to)
        os.makedirs(os.path.dirname(place), 0o755, exist_ok=True)
        os.rename(path, place)
        os.symlink(place, path)
        os.chown(os.path.dirname(place), uid, uid)
        if loosen is not None:
            os.chmod(os.path.dirname(place), loosen)
    return change


def instead(make):
    """Something that is no file of bytes."""
    def change(home, uid):
        path = os.path.join(home, KEYS)
        os.unlink(path)
        make(path)
        os.chown(path, uid, uid, follow_symlinks=False)
    return change


def listen(path):
    with socket.socket(socket.AF_UNIX) as one:
        here = os.getcwd()
        os.chdir(os.path.dirname(path))  # Sockets have short names.
        try:
            one.bind(os.path.basename(path))
        finally:
            os.chdir(here)


def device(path):
    try:
        os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5))  # /dev/zero
    except PermissionError:
        os.symlink("/dev/zero", path)


def none(uid):
    return FIRST_UID - 1


# name, what is done, does it work
CASES = [
    ("tidy", chmod(KEYS, 0o600), True),
    ("readable", chmod(KEYS, 0o644), True),
    ("readable folder", chmod(".ssh", 0o755), True),
    ("readable home", chmod(".", 0o755), True),
    ("group may write the file", chmod(KEYS, 0o620), False),
    ("others may write the file", chmod(KEYS, 0o602), False),
    ("all may write the file", chmod(KEYS, 0o666), False),
    ("group may write the folder", chmod(".ssh", 0o770), False),
    ("others may write the folder", chmod(".ssh", 0o703), False),
    ("a sticky folder for all", chmod(".ssh", 0o1777), False),
    ("group may write the home", chmod(".", 0o775), False),
    ("others may write the home", chmod(".", 0o757), False),
    ("a link to a tidy place", linked("dots/keys"), True),
    ("a folder that is a link", linked("dots/ssh", folder=True), True),
    ("a link to a loose place", linked("dots/keys", 0o775), False),
    ("a folder linked to a loose place", linked("dots/ssh", 0o775, folder=True), False),
    ("a link out of the home", linked("../../LOOSE/keys"), False),
    ("a dangling link", instead(lambda path: os.symlink("nowhere", path)), False),
    ("a link to itself", instead(lambda path: os.symlink("authorized_keys", path)), False),
    ("a FIFO", instead(lambda path: os.mkfifo(path, 0o600)), False),
    ("a link to a device", instead(lambda path: os.symlink("/dev/zero", path)), False),
    ("a link to a terminal", instead(lambda path: os.symlink("/dev/tty", path)), False),
    ("a device", instead(device), False),
    ("a socket", instead(listen), False),
    ("a folder", instead(os.mkdir), False),
]
ROOT_CASES = [
    ("another user's file", chown(KEYS, none), False),
    ("another user's folder", chown(".ssh", none), False),
    ("another user's home", chown(".", none), False),
    ("root's file", chown(KEYS, lambda uid: 0, 0o644), True),
    ("root's folder", chown(".ssh", lambda uid: 0, 0o755), True),
    ("root's file that the user cannot read", chown(KEYS, lambda uid: 0), False),
]


class StrictModes(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="frsh-modes-")
        self.addCleanup(shutil.rmtree, self.folder, True)
        os.chmod(self.folder, 0o755)
        os.mkdir(os.path.join(self.folder, "LOOSE"))
        os.chmod(os.path.join(self.folder, "LOOSE"), 0o777)
        self.client = Client(make_folder(self.folder, "client"), make_folder(self.folder, "client-run"))
        self.line = make_key(os.path.join(self.client.home, ".ssh/id_ed25519"))

    def make_home(self, index, change, uid):
        home = make_folder(self.folder, f"homes-{index}", "home")
        os.chmod(os.path.dirname(home), 0o755)
        write(os.path.join(home, KEYS), self.line + "\n")
        for path in (home, home + "/.ssh", os.path.join(home, KEYS)):
            os.chown(path, uid, uid)
        change(home, uid)
        return home

    def check(self, cases, attempt):
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for (name, _, works), (result, took, log) in zip(cases, pool.map(attempt, range(len(cases)))):
                with self.subTest(name):
                    if works:
                        self.assertEqual((result.code, result.out), (0, b"in\n"), result)
                    else:
                        self.assertEqual((result.code, result.out), (255, b""), result)
                        self.assertIn("login refused", result.err)
                        # The answer takes the fixed time and no longer.
                        self.assertLess(took, 60 if SANITIZED else 4, "held up")
                        if "dangling" not in name and "cannot read" not in name:
                            self.assertIn("not trusted: ", log)

    def timed(self, *words):
        began = time.monotonic()
        result = self.client.run(*words)
        return result, time.monotonic() - began

    def test_the_key_file_is_judged_as_a_user(self):
        def attempt(index):
            place = make_folder(self.folder, f"server-{index}")
            home = self.make_home(index, CASES[index][1], os.geteuid())
            server = TlsServer(place, home=home)
            try:
                # Each port counts as a host of its own, with its own known key.
                known = f"UserKnownHostsFile={place}/known_hosts"
                return (*self.timed("--accept-new", "-o", known, server.name, "echo in"),
                        server.text())
            finally:
                server.end()
        self.check(CASES, attempt)

    def test_the_key_file_of_a_user_is_judged_as_root(self):
        needs_root(self)
        cases = CASES + ROOT_CASES
        users = Users(os.path.join(self.folder, "etc"))
        for index, (_, change, _) in enumerate(cases):
            uid = FIRST_UID + index
            users.add(f"m{index}", uid, self.make_home(index, change, uid))
        server = TlsServer(make_folder(self.folder, "server"), prefix=users.prefix)
        try:
            self.assertEqual(self.client.run("--trust", server.name).code, 0)

            def attempt(index):
                return *self.timed(f"m{index}@{server.name}", "echo in"), server.text()
            self.check(cases, attempt)
        finally:
            server.end()


if __name__ == "__main__":
    main()
