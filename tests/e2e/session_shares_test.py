"""No key, user or source takes all sessions of a server. Idle sessions leave when others wait."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import main, needs_root, wait_until  # noqa: E402
from tls import Client, TlsCase, TlsServer, Users, make_folder, make_key, write  # noqa: E402


def frame(header):
    text = json.dumps(header).encode()
    return len(text).to_bytes(4, "big") + text


class Crowd(TlsCase):
    def start(self, name, most, **options):
        folder = make_folder(self.folder, name)
        write(os.path.join(folder, "frshd.toml"), f"max_sessions = {most}\n")
        server = TlsServer(folder, "--config", os.path.join(folder, "frshd.toml"), **options)
        self.addCleanup(server.end)
        return server

    def known(self, server):
        client, line = self.trusting()
        self.assertEqual(0, client.run("--trust", server.name).code)
        return client, line

    def hold(self, client, target, *words):
        """Starts a client that keeps its session: with a run, or idle on a link."""
        process = client.popen(*(words or ("--link",)), target, *(("sleep 60",) if words else ()),
                               stdin=subprocess.PIPE)
        if not words:
            process.stdin.write(frame({"type": "hello", "proto": 1, "software": "test", "features": []}))
            process.stdin.flush()

        def end():
            process.stdin.close()
            process.terminate()
            process.wait()
            process.stdout.close()
            process.stderr.close()

        self.addCleanup(end)
        return process


class OneUser(Crowd):
    def test_a4_one_bound_key_leaves_sessions_to_all_others(self):
        server = self.start("bound", 8)
        bound, bound_line = self.known(server)
        owner, owner_line = self.known(server)
        write(os.path.join(server.home, ".ssh/authorized_keys"),
              f'command="/bin/sleep 60" {bound_line}\n{owner_line}\n')
        for _ in range(12):
            self.hold(bound, server.name, "-q")
        result = owner.run(server.name, "echo in")
        self.assertEqual((0, b"in\n"), (result.code, result.out), result)
        wait_until(lambda: server.text().count("this key has 2 sessions already") >= 10, "the refusals")
        self.assertEqual(0, owner.run(server.name, "true").code)
        self.one_line(bound.run(server.name, "true"), "this key has 2 sessions already")

    def test_a4_many_bound_keys_of_a_user_leave_sessions_to_the_user(self):
        server = self.start("keys", 8)
        keys = [self.known(server) for _ in range(4)]
        owner, owner_line = self.known(server)
        write(os.path.join(server.home, ".ssh/authorized_keys"),
              "".join(f'command="/bin/sleep 60" {line}\n' for _, line in keys) + owner_line + "\n")
        for client, _ in keys:
            for _ in range(2):
                self.hold(client, server.name, "-q")
        wait_until(lambda: server.text().count("a key of this user has 3 sessions already") >= 5,
                   "the refusals")
        self.assertEqual(0, owner.run(server.name, "true").code)

    def test_a5_idle_sessions_leave_and_busy_ones_stay(self):
        server = self.start("idle", 8)
        bound, bound_line = self.known(server)
        write(os.path.join(server.home, ".ssh/authorized_keys"), f'command="/bin/echo served" {bound_line}\n')
        idle = [self.hold(bound, server.name) for _ in range(2)]
        wait_until(lambda: server.text().count(": connected") == 2, "two sessions")
        # Each refusal asks the idle ones to leave, so that the next login finds a place.
        wait_until(lambda: bound.run(server.name, "x").out == b"served\n", "a place")
        wait_until(lambda: all(one.poll() is not None for one in idle), "the idle ones to leave")
        self.assertIn(b"idle", idle[0].stdout.read())
        write(os.path.join(server.home, ".ssh/authorized_keys"), f'command="/bin/sleep 60" {bound_line}\n')
        before = server.text().count(": connected")
        busy = [self.hold(bound, server.name, "-q") for _ in range(2)]
        wait_until(lambda: server.text().count(": connected") == before + 2, "both to be busy")
        for _ in range(2):
            self.one_line(bound.run(server.name, "x"), "this key has 2 sessions already")
        self.assertEqual([None, None], [one.poll() for one in busy])

    def test_the_count_of_sessions_is_checked(self):
        folder = make_folder(self.folder, "count")
        for value in ("0", "-1", "4097", '"many"'):
            write(os.path.join(folder, "frshd.toml"), f"max_sessions = {value}\n")
            with self.assertRaisesRegex(AssertionError, "max_sessions"):
                TlsServer(folder, "--config", os.path.join(folder, "frshd.toml"))


class ManyUsers(Crowd):
    def test_a4_a_user_with_many_sessions_keeps_neither_others_nor_root_out_as_root(self):
        needs_root(self)
        place = tempfile.mkdtemp(prefix="frsh-home-")
        self.addCleanup(shutil.rmtree, place, True)
        os.chmod(place, 0o755)
        users = Users(os.path.join(self.folder, "etc"))
        clients = {}
        for number, name in enumerate(("frsh-alice", "frsh-bob", "frsh-carol")):
            home = make_folder(place, name)
            users.add(name, 54210 + number, home)
        server = self.start("users", 8, prefix=users.prefix)
        for number, name in enumerate(("frsh-alice", "frsh-bob", "frsh-carol")):
            clients[name], line = self.known(server)
            write(os.path.join(place, name, ".ssh/authorized_keys"), line + "\n")
            for path in (".", ".ssh", ".ssh/authorized_keys"):
                os.chown(os.path.join(place, name, path), 54210 + number, 54210 + number)
        root, line = self.known(server)
        write(os.path.join(server.home, ".ssh/authorized_keys"), line + "\n")
        for name in ("frsh-alice", "frsh-bob"):
            for _ in range(6):
                self.hold(clients[name], f"{name}@{server.name}", "-q")
        wait_until(lambda: server.text().count("sessions already") >= 6, "the refusals")
        result = clients["frsh-carol"].run(f"frsh-carol@{server.name}", "echo in")
        self.assertEqual((0, b"in\n"), (result.code, result.out), (result, server.text()))
        self.assertEqual(0, root.run(f"root@{server.name}", "true").code)


if __name__ == "__main__":
    main()
