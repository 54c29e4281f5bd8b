"""SIGHUP: the server reads its configuration and its host key again, and goes on."""

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
from harness import FRSHD, SANITIZED, environment, main, wait_until  # noqa: E402
from tls import ROOT, Client, TlsCase, TlsServer, make_folder, make_key, write  # noqa: E402


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

    def test_g5_a_broken_host_key_leaves_the_old_configuration(self):
        shutil.copy(self.server.host_key, self.server.host_key + ".kept")
        write(self.server.host_key, "no key\n")
        self.configure('allow_users = ["another"]\n')
        self.reload("the old configuration stays")
        os.replace(self.server.host_key + ".kept", self.server.host_key)
        self.assertTrue(self.is_served())

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
