"""SIGHUP: the server reads its configuration and its host key again, and goes on."""

import base64
import contextlib
import json
import os
import signal
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import FRSHD, SANITIZED, below, environment, main, process_table, wait_until  # noqa: E402
from tls import ROOT, Client, TlsCase, TlsServer, make_folder, make_key, write  # noqa: E402


def family_of(server):
    """Returns the server and all that descends from it, but the users' commands: names by pid."""
    table = process_table()
    found = [table[server], *below(server, table)]
    return {stat.pid: stat.name for stat in found if stat.name.startswith("frshd")}


def descriptors_of(pid):
    return [os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")]


def memory_of(pid):
    """Returns what the process may write to, in one piece."""
    pieces = []
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for row in maps:
            places, rights = row.split()[:2]
            begin, end = (int(place, 16) for place in places.split("-"))
            if "w" not in rights:
                continue
            memory.seek(begin)
            with contextlib.suppress(OSError):
                pieces.append(memory.read(end - begin))
    return b"".join(pieces)


class Reload(TlsCase):
    def setUp(self):
        self.config = os.path.join(self.folder, self.id().rsplit(".", 1)[1] + ".toml")
        self.configure("")
        folder = make_folder(self.config + ".d")
        self.server = TlsServer(folder, "--config", self.config)
        self.addCleanup(self.server.end)
        self.own = Client(self.server.home, self.server.runtime)
        self.target = self.server.name

    def configure(self, text):
        write(self.config, text)

    def reload(self, word="reloaded the configuration"):
        before = self.server.text().count(word)
        os.kill(self.server.pid, signal.SIGHUP)
        wait_until(lambda: self.server.text().count(word) > before, word)

    def is_served(self):
        return self.own.run(self.target, "true").code == 0

    def test_g5_a_changed_configuration_counts_for_new_logins(self):
        self.assertTrue(self.is_served())
        wait_until(self.server.preforked, "a session that was forked before the change")
        with self.own.popen(self.target, "echo here; read -r x; echo $x", stdin=subprocess.PIPE) as running:
            self.assertEqual(running.stdout.readline(), b"here\n")
            self.configure('allow_users = ["another"]\n')
            self.reload()
            for _ in range(3):
                self.one_line(self.own.run(self.target, "true"), "allow_users")
            out, _ = running.communicate(b"more\n")
            self.assertEqual((out, running.returncode), (b"more\n", 0))
        self.configure("")
        self.reload()
        self.assertTrue(self.is_served())
        wait_until(self.server.preforked, "the next session to be forked ahead")
        self.assertTrue(self.is_served())
        self.assertNotIn("the fork server died", self.server.text())

    def test_g5_a_bad_file_changes_nothing_and_is_one_line_in_the_log(self):
        bad_key = os.path.join(self.folder, "no-key")
        write(bad_key, "no key\n")
        for text, word in (("allow_users = [", "toml"), ("no_such_key = 1\n", "no_such_key"),
                           ('allow_users = ["another"]\nlog_level = "loud"\n', "log_level")):
            self.configure(text)
            before = self.server.text()
            self.reload("the old configuration stays")
            added = [line for line in self.server.text()[len(before):].splitlines() if "reload" in line]
            self.assertEqual(len(added), 1, added)
            self.assertIn(word, added[0])
            self.assertTrue(self.is_served(), text)
        self.configure('allow_users = ["another"]\n')
        os.chmod(self.config, 0o666)
        self.reload("the old configuration stays")
        self.assertTrue(self.is_served())
        os.unlink(self.config)
        self.reload("the old configuration stays")
        self.assertTrue(self.is_served())

    @unittest.skipIf(ROOT, "root's usual file is in /etc")
    def test_g5_a_usual_file_that_has_gone_changes_nothing(self):
        home = make_folder(self.config + ".home")
        usual = os.path.join(make_folder(make_folder(home, ".config"), "frsh"), "frshd.toml")
        write(usual, 'allow_users = ["another"]\n')
        self.server = TlsServer(make_folder(self.config + ".usual"), home=home)
        self.addCleanup(self.server.end)
        client = Client(self.server.home, self.server.runtime)
        self.one_line(client.run(self.server.name, "true"), "allow_users")
        os.unlink(usual)
        self.reload("the old configuration stays")
        self.assertIn(f"{usual}: no such file", self.server.text())
        self.one_line(client.run(self.server.name, "true"), "allow_users")

    def test_g5_with_a_bad_or_missing_host_key_the_old_one_stays_in_use(self):
        key = self.server.host_key

        def is_public_only():
            shutil.copy(key + ".pub", key)
            os.chmod(key, 0o600)

        for spoil in (lambda: write(key, "no key\n"), lambda: write(key, ""), lambda: os.chmod(key, 0o644),
                      is_public_only, lambda: os.unlink(key)):
            shutil.copy(key, key + ".kept")
            spoil()
            self.configure('allow_users = ["another"]\n')
            before = self.server.text()
            self.reload("the old configuration stays")
            added = self.server.text()[len(before):].splitlines()
            self.assertEqual(len([line for line in added if "reload" in line]), 1, added)
            for _ in range(3):  # One of them was forked ahead, the others were not.
                self.assertTrue(self.is_served(), added)
            if not os.path.exists(key):
                self.assertNotIn("made a host key", self.server.text()[len(before):])
            os.replace(key + ".kept", key)
        self.assertEqual(self.server.text().count("host key SHA256"), 1)

    def test_g5_a_host_key_that_changes_without_a_reload_is_not_taken(self):
        other = os.path.join(self.folder, "early-key")
        make_key(other)
        os.replace(other, self.server.host_key)
        for _ in range(3):
            self.assertTrue(self.is_served())
        os.unlink(self.server.host_key)
        self.assertTrue(self.is_served())

    @unittest.skipUnless(ROOT, "needs root")
    @unittest.skipIf(SANITIZED, "a sanitizer keeps freed memory")
    def test_g8_no_process_keeps_the_host_key_in_its_memory_as_root(self):
        with open(self.server.host_key) as file:
            text = "".join(file.read().splitlines()[1:-1])
        blob = base64.b64decode(text)
        # The seed follows the second copy of the public key (PROTOCOL.key of OpenSSH).
        with open(self.server.host_key + ".pub") as file:
            public = base64.b64decode(file.read().split()[1])[-32:]
        at = blob.rindex(public, 0, blob.rindex(public)) + 32 + 4
        begin = -(-at // 3) * 4  # The text of the seed, from its first whole group.
        pieces = {"the seed": blob[at:at + 32], "the file": text[begin:begin + 36].encode()}
        self.assertEqual(blob[at + 32:at + 64], public)
        self.assertTrue(self.is_served())
        self.reload()
        with self.own.popen(self.target, "echo here; cat", stdin=subprocess.PIPE) as running:
            self.assertEqual(running.stdout.readline(), b"here\n")
            wait_until(self.server.preforked, "a session that is forked ahead")
            family = family_of(self.server.pid)
            self.assertLessEqual({"frshd", "frshd-gate", "frshd-forker", "frshd-prefork"}, set(family.values()))
            for pid, name in family.items():
                found = [what for what, piece in pieces.items() if piece in memory_of(pid)]
                self.assertEqual(found, [], f"{name}: in its memory")
            holders = [name for pid, name in family.items() if any("frshd-host-key" in one for one in descriptors_of(pid))]
            # The second prefork is the gate of the first.
            self.assertEqual(sorted(holders), ["frshd", "frshd-forker", "frshd-prefork"])
            self.assertFalse([one for one in descriptors_of(self.server.pid) if one == self.server.host_key])
            running.communicate()

    def test_g5_a_new_host_key_is_proved_and_pinned(self):
        other = os.path.join(self.folder, "other-key")
        make_key(other)
        os.replace(other, self.server.host_key)
        self.reload()
        self.assertEqual(self.server.text().count("host key SHA256"), 2)
        self.assertTrue(self.is_served(), "the pin has the old key")

    def test_g5_the_audit_file_is_opened_anew(self):
        audit = os.path.join(self.config + ".d", "audit")
        self.assertTrue(self.is_served())
        os.rename(audit, audit + ".1")
        self.reload()
        self.assertTrue(self.is_served())
        with open(audit) as file:
            self.assertIn("connected", [json.loads(line)["event"] for line in file])

    def test_g5_other_addresses_need_a_restart_which_the_log_has(self):
        self.configure('unix = true\n')
        self.reload()
        self.assertNotIn("frshd.sock", self.server.text())
        self.assertTrue(self.is_served())

    def test_g5_many_reloads_lose_no_connection(self):
        for _ in range(5):
            os.kill(self.server.pid, signal.SIGHUP)
            self.assertTrue(self.is_served())
        os.kill(self.server.pid, signal.SIGHUP)
        os.kill(self.server.pid, signal.SIGTERM)
        self.assertEqual(self.server.process.wait(30), 0)


class UnderAManager(unittest.TestCase):
    def test_g5_the_managed_process_passes_the_reload_on(self):
        folder = tempfile.mkdtemp(prefix="frsh-reload-")
        self.addCleanup(shutil.rmtree, folder, True)
        config = os.path.join(folder, "frshd.toml")
        write(config, f'host_key = "{folder}/key"\nlisten = ["127.0.0.1:0"]\n'
                      + ("permit_root_login = true\n" if ROOT else ""))
        ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(ear.close)
        ear.bind(os.path.join(folder, "notify"))
        log = open(os.path.join(folder, "log"), "a+b")
        self.addCleanup(log.close)
        process = subprocess.Popen(
            [FRSHD, "--config", config] + (["--no-sandbox"] if SANITIZED else []), stderr=log,
            stdin=subprocess.DEVNULL,
            env=environment(make_folder(folder, "run"), HOME=make_folder(folder, "home"),
                            NOTIFY_SOCKET=os.path.join(folder, "notify")))
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        self.assertEqual(ear.recv(100), b"READY=1")

        def text():
            return os.pread(log.fileno(), 1 << 20, 0).decode()

        os.kill(process.pid, signal.SIGHUP)
        wait_until(lambda: "reloaded the configuration" in text(), "the reload")
        self.assertIsNone(process.poll())


if __name__ == "__main__":
    main()
