"""Logins that are forged, borrowed or replayed, and what follows a good one.

Every signature here is a real one by a key that is authorized, made by a real ssh-agent: what is
wrong is what was signed, or what it is wrapped in. A marker file tells whether anything ever ran.
"""

import base64
import concurrent.futures
import os
import pwd
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from by_hand import (HELLO, Agent, Connection, auth, auth_message, frame, open_run, sshsig_data, string,  # noqa: E402
                     strings)
from harness import descendants, main, open_descriptors, wait_until  # noqa: E402
from tls import TlsCase, make_key  # noqa: E402


class ByHand(TlsCase):
    """A server that lets an ed25519, an ECDSA and an RSA key in, and an agent that has them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.user = pwd.getpwuid(os.geteuid()).pw_name if cls.has_name() else ""
        cls.agent = Agent(os.path.join(cls.folder, "agent"))
        cls.addClassCleanup(cls.agent.close)
        cls.keys, lines = {}, []
        for kind in ("ed25519", "ecdsa", "rsa"):
            path = os.path.join(cls.folder, "id_" + kind)
            lines.append(make_key(path, kind=kind))
            cls.keys[kind] = cls.agent.add(path)
        cls.authorize(cls, *lines)
        cls.key = cls.keys["ed25519"]
        cls.key_path = os.path.join(cls.folder, "id_ed25519")
        cls.marker = os.path.join(cls.folder, "marker")
        cls.one_run = HELLO + open_run(f"echo x >> {cls.marker}")

    @staticmethod
    def has_name():
        try:
            return bool(pwd.getpwuid(os.geteuid()))
        except KeyError:
            return False

    def connect(self):
        return Connection(self.server.port)

    def log_in(self, connection, key=None):
        """A good login, said at once with whatever the caller sends next."""
        key = key or self.key
        return auth(self.user, key, self.agent.sign_login(key, connection.message(self.user)))

    def all_is_well(self):
        """The server lives, lost no gate, keeps nothing, and serves whom it should."""
        self.assertNotIn("the gate died", self.server.text())
        wait_until(lambda: not descendants(self.server.pid), "nobody left")
        wait_until(lambda: len(open_descriptors(self.server.pid)) < 13, "no descriptor left")
        self.assertEqual(self.own.run(self.target, "echo hi").out, b"hi\n")


def changed(text):
    """Replaces one byte in the middle."""
    at = len(text) // 2
    return text[:at] + bytes([text[at] ^ 1]) + text[at + 1:]


class Forgery(ByHand):
    def attempts(self):
        """Name, and from a connection the `auth` frame."""
        sign, user, key = self.agent.sign_login, self.user, self.key
        ec, rsa = self.keys["ecdsa"], self.keys["rsa"]

        def ssh_login(one, key=key, algorithm=b"ssh-ed25519", flags=0):
            # RFC 4252, section 7, with our channel's binding as SSH's session id.
            data = (string(one.binding) + b"\x32" + string(user.encode()) + string(b"ssh-connection") +
                    string(b"publickey") + b"\1" + string(algorithm) + string(key))
            return self.agent.sign(key, data, flags)

        def by_ssh_keygen(one, namespace):
            done = subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", self.key_path],
                                  input=one.message(user), capture_output=True, check=True)
            blob = base64.b64decode(b"".join(done.stdout.split(b"\n")[1:-2]))
            return strings(blob[10:])[4]

        def of(signature_of, key=key, user=user):
            return lambda one: auth(user, key, signature_of(one))

        def message_of(**other):
            return of(lambda one: sign(key, one.message(user, **other)))

        good = lambda one: sign(key, one.message(user))  # noqa: E731
        payload = lambda one: string(user.encode()) + string(key) + string(good(one))  # noqa: E731
        other_key = make_key(os.path.join(self.folder, "id_other"))
        other = self.agent.add(os.path.join(self.folder, "id_other"))
        self.assertNotIn(base64.b64encode(self.key).decode(), other_key)
        return {
            "for an SSH login": of(ssh_login),
            "for an SSH login, bare": of(lambda one: self.agent.sign(key, one.message(user))),
            "for git": of(lambda one: by_ssh_keygen(one, "git")),
            "for a file": of(lambda one: by_ssh_keygen(one, "file")),
            "for the host's side": of(lambda one: by_ssh_keygen(one, "host-v1@frsh")),
            "of the host's message": of(lambda one: sign(key, b"frsh-host-v1" + one.binding + one.nonce)),
            "with another digest": of(lambda one: sign(key, one.message(user), digest="sha256")),
            "of the raw exporter": of(lambda one: self.agent.sign(key, one.binding)),
            "for another host": message_of(host_key=other),
            "for another user": of(lambda one: sign(key, one.message("nobody"))),
            "as another user": of(lambda one: sign(key, one.message(user)), user="nobody"),
            "for another channel": message_of(binding=bytes(32)),
            "for another nonce": message_of(nonce=bytes(16)),
            "by another key": of(lambda one: sign(other, one.message(user))),
            "by another key of its own": of(lambda one: sign(other, one.message(user)), key=other),
            "the host's own": of(lambda one: one.host_signature, key=key),
            "the host's own, with its key": lambda one: auth(user, one.host_key, one.host_signature),
            "RSA with SHA-1": of(lambda one: self.agent.sign(
                rsa, sshsig_data(one.message(user), "auth-v1@frsh")), key=rsa),
            "RSA with SHA-1, for SSH": of(lambda one: ssh_login(one, rsa, b"ssh-rsa"), key=rsa),
            "RSA with SHA-1 called SHA-512": of(lambda one: string(b"rsa-sha2-512") + string(strings(
                self.agent.sign(rsa, sshsig_data(one.message(user), "auth-v1@frsh")))[1]), key=rsa),
            "a changed bit": of(lambda one: changed(good(one))),
            "a changed bit, ECDSA": of(lambda one: changed(sign(ec, one.message(user))), key=ec),
            "a truncated signature": of(lambda one: good(one)[:-1]),
            "a longer signature": of(lambda one: good(one) + b"\0"),
            "no signature": of(lambda one: b""),
            "a truncated key": lambda one: auth(user, key[:-1], good(one)),
            "a longer key": lambda one: auth(user, key + b"\0", good(one)),
            "a key with a longer point": lambda one: auth(
                user, string(b"ssh-ed25519") + string(strings(key)[1] + b"\0"), good(one)),
            "a key of 12,000 bytes": lambda one: auth(user, string(b"ssh-ed25519") + string(bytes(12000)),
                                                      good(one)),
            "a modulus of 12,000 bytes": lambda one: auth(
                user, string(b"ssh-rsa") + string(b"\1\0\1") + string(b"\x7f" * 12000), good(one)),
            "a key that says 2^31 bytes": lambda one: frame(
                {"type": "auth"}, string(user.encode()) + struct.pack(">I", 1 << 31) + key),
            "something behind it": lambda one: frame({"type": "auth"}, payload(one) + b"\0"),
            "something missing": lambda one: frame({"type": "auth"}, payload(one)[:-1]),
            "a user with a NUL": of(lambda one: sign(key, one.message(user + "\0x")), user=user + "\0x"),
            "no user": of(lambda one: sign(key, one.message("")), user=""),
        }

    def test_a_signature_made_for_another_purpose_is_refused(self):
        def attempt(name, make):
            with self.connect() as one:
                # The first run comes with the login, as an honest client's does.
                one.send(make(one) + self.one_run)
                return name, one.rest()

        attempts = self.attempts()
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            for name, frames in pool.map(lambda item: attempt(*item), attempts.items()):
                with self.subTest(name):
                    self.assertEqual([header["type"] for header, _ in frames], ["error"], frames)
                    self.assertEqual(frames[0][0]["reason"], "denied", frames)
        self.assertFalse(os.path.exists(self.marker), "something ran")
        self.all_is_well()

    def test_correct_proofs_of_each_kind_are_admitted(self):
        # Without a success, the refusals above would prove nothing.
        for kind, key in self.keys.items():
            with self.subTest(kind), self.connect() as one:
                one.send(self.log_in(one, key) + HELLO + open_run("echo in"))
                while (got := one.next())[0]["type"] != "data":
                    self.assertNotEqual(got[0]["type"], "error", got)
                self.assertEqual(got[1], b"in\n")
        with self.connect() as one:  # SHA-256 is not ssh-rsa's SHA-1.
            rsa = self.keys["rsa"]
            data = sshsig_data(one.message(self.user), "auth-v1@frsh")
            one.send(auth(self.user, rsa, self.agent.sign(rsa, data, 2)) + HELLO)
            self.assertEqual(one.next()[0]["type"], "hello")
        self.all_is_well()


class Borrowed(ByHand):
    def test_a_login_is_refused_on_another_connection(self):
        with self.connect() as one:
            login = self.log_in(one)
            one.send(login + self.one_run)
            self.assertEqual([one.next()[0]["type"] for _ in range(2)], ["hello", "started"])
            for again in range(2):  # While the first goes on, and once more.
                with self.subTest(again), self.connect() as other:
                    other.send(login + self.one_run)
                    self.assertEqual(other.rest()[-1][0]["reason"], "denied")
        with self.connect() as other:
            other.send(login + self.one_run)
            self.assertEqual(other.rest()[-1][0]["reason"], "denied")
        with open(self.marker) as file:
            self.assertEqual(file.read(), "x\n")
        os.unlink(self.marker)
        self.all_is_well()

    def test_the_server_refuses_a_relayed_login_by_itself(self):
        # This client signs for the channel it has, which ends at the relay, and for the true host's
        # key, which the relay has shown it: the server alone has to find out.
        with self.connect() as to_server:
            mine = os.urandom(32)
            message = auth_message(mine, to_server.nonce, to_server.host_key, self.user)
            to_server.send(auth(self.user, self.key, self.agent.sign_login(self.key, message)) + self.one_run)
            frames = to_server.rest()
            self.assertEqual([header["type"] for header, _ in frames], ["error"])
            self.assertEqual(frames[0][0]["reason"], "denied")
        self.assertFalse(os.path.exists(self.marker))


class AfterTheLogin(ByHand):
    def hostile(self):
        def data(**header):
            return frame({"type": "data", "ch": 1, "stream": "stdin", "off": 0, **header}, b"x")

        def credit(consumed, limit):
            return frame({"type": "credit", "ch": 1, "stream": "stdout", "consumed": consumed, "limit": limit})
        run = open_run("cat")
        return {
            "no length": struct.pack(">I", 0), "2^31": struct.pack(">I", 1 << 31),
            "2^32-1": b"\xff\xff\xff\xff", "131,073": struct.pack(">I", 131073),
            "len -1": frame(b'{"type":"bye","len":-1}'), "len 1.5": frame(b'{"type":"bye","len":1.5}'),
            "len 1e308": frame(b'{"type":"bye","len":1e308}'), "len 1e999": frame(b'{"type":"bye","len":1e999}'),
            "len a string": frame(b'{"type":"bye","len":"3"}'),
            "len twice": frame(b'{"type":"bye","len":0,"len":0}'),
            "len 2^20+1": frame(b'{"type":"bye","len":1048577}'),
            "a key twice, deep inside": frame(b'{"type":"bye","x":[{"y":1,"y":2}]}'),
            "deep": frame(b'{"type":"bye","x":' + b"[" * 9 + b"]" * 9 + b"}"),
            "very deep": frame(b'{"type":"bye","x":' + b"[" * 30000 + b"]" * 30000 + b"}"),
            "open for ever": frame(b"[" * 60000),
            "no UTF-8": frame(b'{"type":"bye","x":"\xff"}'), "a surrogate": frame(b'{"x":"\xed\xa0\x80"}'),
            "a NUL behind it": frame(b'{"type":"bye"}\0'), "no object": frame(b"[]"),
            "no type": frame(b"{}"), "an unknown type": frame({"type": "x"}),
            "an unknown channel": frame({"type": "cancel", "ch": 9}),
            "credit for an unknown channel": frame({"type": "credit", "ch": 9, "stream": "stdout",
                                                    "consumed": 0, "limit": 1}),
            "a channel of 2^32": frame({"type": "cancel", "ch": 1 << 32}),
            "credit beyond what was sent": run + credit(10, 100),
            "credit that goes back": run + credit(0, 100) + credit(0, 50) + credit(5, 40),
            "data beyond its offset": run + data(off=1),
            "data on a server's stream": run + data(stream="stdout"),
            "the same channel twice": run + run,
            "a second hello": HELLO,
            "a second login": None,
            "a probe": frame({"type": "probe"}, string(b"root") + string(self.key)),
            "auth_pending": frame({"type": "auth_pending"}),
            "a server's word": frame({"type": "started", "ch": 1, "run": "by-hand", "pid": 1}),
        }

    def test_every_broken_rule_is_an_error_with_a_reason_and_a_close(self):
        def attempt(name, bad, is_late):
            with self.connect() as one:
                login = self.log_in(one)
                if bad is None:
                    bad = login
                if is_late:  # Else all in one write, as the gate finds it behind the login.
                    one.send(login + HELLO)
                    one.next()
                    one.send(bad)
                else:
                    one.send(login + HELLO + bad)
                frames = one.rest()
                self.assertEqual(frames[-1][0]["type"], "error", (name, frames))
                self.assertEqual(frames[-1][0]["reason"], "protocol", (name, frames))
                self.assertTrue(frames[-1][0]["message"])

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            jobs = {pool.submit(attempt, name, bad, is_late): (name, is_late)
                    for name, bad in self.hostile().items() for is_late in (False, True)}
            for job in concurrent.futures.as_completed(jobs):
                with self.subTest(jobs[job]):
                    job.result()
        self.all_is_well()

    def test_a_connection_that_ends_within_a_frame_leaves_nothing(self):
        whole = frame({"type": "open", "ch": 1, "run": "x", "mode": "command", "args": 1, "env": 0},
                      f"touch {self.marker}\0".encode())
        for size in (1, 3, 4, 20, len(whole) - 1):
            with self.subTest(size), self.connect() as one:
                one.send(self.log_in(one) + HELLO + whole[:size])
                self.assertEqual(one.next()[0]["type"], "hello")
                one.finish()
                one.rest()
        self.assertFalse(os.path.exists(self.marker))
        self.all_is_well()

    @staticmethod
    def read(path):
        try:
            with open(path) as file:
                return file.read().strip()
        except FileNotFoundError:
            return ""

    def test_a_broken_rule_ends_the_runs_of_that_connection_and_no_others(self):
        pids = os.path.join(self.folder, "pids")
        with self.connect() as honest, self.connect() as hostile:
            for one, channel in ((honest, 1), (hostile, 2)):
                one.send(self.log_in(one) + HELLO +
                         open_run(f"echo $$ > {pids}-{channel}; exec sleep 1000", channel))
            first, second = (wait_until(lambda: self.read(f"{pids}-{channel}"), "a run")
                             for channel in (1, 2))
            hostile.send(struct.pack(">I", 0))
            wait_until(lambda: not os.path.exists(f"/proc/{second}"), "the run of the hostile to end")
            self.assertTrue(os.path.exists(f"/proc/{first}"))
            honest.send(frame({"type": "bye"}))
        wait_until(lambda: not os.path.exists(f"/proc/{first}"), "the other to end")
        self.all_is_well()


if __name__ == "__main__":
    main()
