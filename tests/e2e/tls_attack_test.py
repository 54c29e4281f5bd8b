"""TCP with TLS under attack: what strangers, relays and floods get."""

import contextlib
import json
import os
import re
import resource
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from random import Random

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from by_hand import frame, string  # noqa: E402
from harness import FULL, SANITIZED, descendants, main, wait_until  # noqa: E402
from tls import Relay, TlsCase  # noqa: E402


def client_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["frsh/1"])
    return context


def connect(port, context=None):
    """A TLS client that has proved nothing; and what the server said first."""
    plain = socket.create_connection(("127.0.0.1", port), timeout=30)
    return (context or client_context()).wrap_socket(plain)


def read_frame(connection, buffer):
    def need(size):
        while len(buffer) < size:
            piece = connection.recv(65536)
            if not piece:
                raise EOFError
            buffer.extend(piece)
    need(4)
    size = struct.unpack(">I", buffer[:4])[0]
    need(4 + size)
    header = json.loads(bytes(buffer[4:4 + size]))
    end = 4 + size + header.get("len", 0)
    need(end)
    payload = bytes(buffer[4 + size:end])
    del buffer[:end]
    return header, payload


def read_to_end(connection):
    buffer, frames = bytearray(), []
    with contextlib.suppress(EOFError, ConnectionResetError, ssl.SSLError):
        while True:
            frames.append(read_frame(connection, buffer))
    return frames


class Strangers(TlsCase):
    def test_a_stranger_gets_the_greeting_only(self):
        with connect(self.server.port) as connection:
            buffer = bytearray()
            hello, nonce = read_frame(connection, buffer)
            self.assertEqual((hello["type"], len(nonce)), ("hello", 16))
            self.assertNotIn("user", hello)
            self.assertNotIn("host", hello)
            self.assertEqual(read_frame(connection, buffer)[0]["type"], "proof")

    def test_hostile_frames_before_the_login(self):
        hello = {"type": "hello", "proto": 1, "software": "x", "features": []}
        run = dict(type="open", ch=1, run="x", mode="command", args=1, env=0)
        marker = os.path.join(self.folder, "marker")
        command = f"touch {marker}\0".encode()
        key = string(b"ssh-ed25519") + string(bytes(32))
        attacks = {
            "no length": struct.pack(">I", 0), "2^31": struct.pack(">I", 1 << 31),
            "2^32-1": b"\xff\xff\xff\xff", "a long header": struct.pack(">I", 5000) + b"{" * 5000,
            "hello": frame(hello), "a run": frame(run, command),
            "hello and a run": frame(hello) + frame(run, command),
            "len -1": frame(b'{"type":"auth","len":-1}'), "len 1.5": frame(b'{"type":"auth","len":1.5}'),
            "len 1e308": frame(b'{"type":"auth","len":1e308}'),
            "len a string": frame(b'{"type":"auth","len":"3"}'),
            "len twice": frame(b'{"type":"auth","len":1,"len":1}') + b"x",
            "too much": frame(b'{"type":"auth","len":20000}'),
            "deep": frame(b'{"type":"auth","x":' + b"[" * 2000 + b"]" * 2000 + b"}"),
            "no UTF-8": frame(b'{"type":"auth","x":"\xff"}'),
            "an empty login": frame({"type": "auth"}), "junk": frame({"type": "auth"}, b"junk" * 100),
            "no user": frame({"type": "auth"}, string(b"") + string(key) + string(b"sig")),
            "trailing": frame({"type": "auth"}, string(b"root") + string(key) + string(b"s") + b"x"),
            "a huge blob": frame({"type": "auth"}, string(b"root") + struct.pack(">I", 1 << 31)),
            "a bad key": frame({"type": "auth"}, string(b"root") + string(b"ssh-rsa") + string(b"s")),
            "an unsigned login": frame({"type": "auth"}, string(b"root") + string(key) + string(b""))
            + frame(hello) + frame(run, command),
            "two logins": frame({"type": "auth"}, string(b"root") + string(key) + string(b"")) * 2,
            "a flood of probes": frame({"type": "probe"}, string(b"root") + string(key)) * 12,
            "a flood of pending": frame({"type": "auth_pending"}) * 50,
            "a server's word": frame({"type": "acceptable"}),
        }
        for name, attack in attacks.items():
            with self.subTest(name), connect(self.server.port) as connection:
                connection.sendall(attack)
                frames = read_to_end(connection)
                kinds = [header["type"] for header, _ in frames]
                self.assertEqual(kinds[:2], ["hello", "proof"])
                self.assertEqual(kinds[-1], "error", frames)
                self.assertIn(frames[-1][0]["reason"], ("protocol", "denied"))
                self.assertNotIn("started", kinds)
        with connect(self.server.port) as connection:  # Fewer bytes than promised, then the end.
            connection.sendall(frame(b'{"type":"auth","len":100}') + b"x")
            connection.shutdown(socket.SHUT_WR)
            read_to_end(connection)
        self.assertFalse(os.path.exists(marker))
        self.assertNotIn("the gate died", self.server.text())
        self.assertEqual(self.own.run(self.target, "true").code, 0)

    def test_unknown_user_and_wrong_key_take_equally_long(self):
        key = string(b"ssh-ed25519") + string(bytes.fromhex(
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"))
        signature = string(string(b"ssh-ed25519") + string(bytes(64)))
        times = {b"root": [], b"no-such-user": [], b"nobody": []}
        words = set()
        for _ in range(20 if FULL else 5):
            for user, taken in times.items():
                with connect(self.server.port) as connection:
                    read_frame(connection, buffer := bytearray())
                    read_frame(connection, buffer)
                    began = time.monotonic()
                    connection.sendall(frame({"type": "auth"}, string(user) + string(key) + signature))
                    words.add(read_frame(connection, buffer)[0]["message"])
                    taken.append(time.monotonic() - began)
        self.assertEqual(len(words), 1)
        for taken in times.values():
            self.assertGreaterEqual(min(taken), 0.39, times)

    def test_dropped_at_every_byte_of_the_handshake(self):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = client_context().wrap_bio(incoming, outgoing)
        with contextlib.suppress(ssl.SSLWantReadError):
            tls.do_handshake()
        greeting = outgoing.read()
        step = 1 if FULL else 7
        for size in list(range(0, len(greeting), step)) + [len(greeting)]:
            with socket.create_connection(("127.0.0.1", self.server.port)) as connection:
                connection.sendall(greeting[:size])
        self.assertEqual(self.own.run(self.target, "true").code, 0)
        wait_until(lambda: not descendants(self.server.pid), "children to end", 30)
        self.assertNotIn("the gate died", self.server.text())

    def test_other_protocols_are_refused_at_once_and_logged_apart(self):
        plain = b'{"type":"hello","proto":1}'
        for words, answer, logged in (
                (b"SSH-2.0-OpenSSH_9.2\r\n", b"This is frshd", 'no TLS: it began with "S"'),
                (b"G", b"This is frshd", 'no TLS: it began with "G"'),
                (b"GET / HTTP/1.1\r\nHost: example.org\r\nUser-Agent: a browser, of sorts\r\n\r\n",
                 b"This is frshd", 'no TLS: it began with "G"'),
                (struct.pack(">I", len(plain)) + plain, b"leave out --plaintext", "leave out --plaintext"),
                (b"\x80\x2e\x01", b"This is frshd", 'no TLS: it began with "\\x80"')):
            seen = len(self.server.text())
            with self.subTest(words), socket.create_connection(("127.0.0.1", self.server.port)) as peer:
                began = time.monotonic()
                peer.sendall(words)
                heard = b""
                while piece := peer.recv(1000):
                    heard += piece
                self.assertIn(answer, heard)
                # It would take ten seconds if the server waited for this client.
                self.assertLess(time.monotonic() - began, 5)
                wait_until(lambda: logged in self.server.text()[seen:], "the log")
        context = client_context()
        context.set_alpn_protocols(["h2"])
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            connect(self.server.port, context).recv(10)

    def test_a_client_of_ssh_is_refused_at_once(self):
        began = time.monotonic()
        result = subprocess.run(["ssh", "-v", "-F", "none", "-p", str(self.server.port), "127.0.0.1", "true"],
                                capture_output=True, timeout=30, stdin=subprocess.DEVNULL)
        self.assertEqual(result.returncode, 255)
        self.assertIn(b"This is frshd", result.stderr)
        self.assertLess(time.monotonic() - began, 5)


class InTheMiddle(TlsCase):
    """A relay with a TLS of its own on both sides: it sees everything, and gets nothing."""

    def relay_tls(self):
        certificate = os.path.join(self.folder, "cert.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=x",
                        "-keyout", certificate + ".key", "-out", certificate],
                       check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(certificate, certificate + ".key")
        context.set_alpn_protocols(["frsh/1"])
        listening = socket.create_server(("127.0.0.1", 0))
        seen = bytearray()

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    near, _ = listening.accept()
                    with contextlib.suppress(OSError, EOFError):
                        near = context.wrap_socket(near, server_side=True)
                        far = connect(self.server.port)
                        buffer = bytearray()
                        for _ in range(2):
                            header, payload = read_frame(far, buffer)
                            near.sendall(frame({k: v for k, v in header.items() if k != "len"}, payload))
                        near.settimeout(5)
                        while piece := near.recv(65536):
                            seen.extend(piece)
                            far.sendall(piece)
                    near.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        self.addCleanup(listening.close)
        return listening.getsockname()[1], seen

    def test_a_relay_is_refused_on_first_use_and_later(self):
        port, seen = self.relay_tls()
        client, line = self.trusting()
        self.authorize(line)
        for options in (["--accept-new"], ["--trust"], []):
            words = [] if "--trust" in options else ["touch", os.path.join(self.folder, "marker")]
            result = client.run(*options, f"127.0.0.1:{port}", *words)
            self.one_line(result, "may be intercepted")
        self.assertEqual(bytes(seen), b"", "a client says nothing to a relay")
        self.assertFalse(os.path.exists(os.path.join(self.folder, "marker")))
        with open(os.path.join(client.home, ".config/frsh/known_hosts")) as file:
            self.assertNotIn(str(port), file.read())

    def test_a_recorded_login_is_refused_later(self):
        recorded = []
        relay = Relay(self.server.port,
                      lambda way, piece, number: recorded.append(piece) if way == "up" else None)
        self.addCleanup(relay.close)
        client, line = self.trusting()
        self.authorize(line)
        marker = os.path.join(self.folder, "once")
        result = client.run("--accept-new", f"127.0.0.1:{relay.port}", f"echo x >> {marker}")
        self.assertEqual(result.code, 0, result)
        for whole in (True, False):
            with socket.create_connection(("127.0.0.1", self.server.port)) as connection:
                pieces = [b"".join(recorded)] if whole else list(recorded)
                with contextlib.suppress(OSError):
                    for piece in pieces:
                        connection.sendall(piece)
                    connection.settimeout(5)
                    while connection.recv(65536):
                        pass
        with open(marker) as file:
            self.assertEqual(file.read(), "x\n")


class CuttingRelay(Relay):
    """Cuts a connection behind so many bytes of one direction: by an end, or by a reset."""

    def __init__(self, port):
        self.way, self.after, self.reset = None, 0, False
        self.seen = {"up": 0, "down": 0}
        super().__init__(port, lambda way, piece, number: None)

    def cut(self, way, after):
        self.way, self.after, self.reset = way, after, after % 2 == 1
        self.seen = {"up": 0, "down": 0}

    def _pump(self, source, sink, way, number):
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                if way == self.way:
                    piece = piece[:self.after - self.seen[way]]
                self.seen[way] += len(piece)
                sink.sendall(piece)
                if way == self.way and self.seen[way] >= self.after:
                    break
        for one in (source, sink):
            with contextlib.suppress(OSError):
                if self.reset:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                one.shutdown(socket.SHUT_WR if self.way is None else socket.SHUT_RDWR)
                if self.way is not None or way == "down":
                    one.close()


class Cut(TlsCase):
    def test_cut_behind_every_byte_of_a_login_and_a_run(self):
        relay = CuttingRelay(self.server.port)
        self.addCleanup(relay.close)
        client, line = self.trusting()
        self.authorize(line)
        target = f"127.0.0.1:{relay.port}"
        self.assertEqual(client.run("--accept-new", target, "echo answer").out, b"answer\n")
        sizes = dict(relay.seen)
        lost = whole = 0
        for way, size in sizes.items():
            for after in range(1, size + 1, 1 if FULL else 89):
                relay.cut(way, after)
                result = client.run("--on-disconnect=kill", target, "echo answer")
                if result.code == 0:
                    # The cut bytes were only closing messages.
                    self.assertEqual((result.out, result.err), (b"answer\n", ""), (way, after))
                    whole += 1
                else:
                    self.assertEqual(result.code, 255, (way, after, result))
                    self.assertRegex(result.err, r"\Afrsh: [^\n]+\n\Z", (way, after))
                    lost += 1
        self.assertGreater(lost, 10)
        print(f"cut {lost + whole} times, of {sizes} bytes: {lost} runs lost, {whole} whole", file=sys.stderr)
        relay.cut(None, 0)
        self.assertEqual(client.run(target, "echo answer").out, b"answer\n")
        wait_until(lambda: not descendants(self.server.pid), "nobody left")
        wait_until(lambda: len(os.listdir(f"/proc/{self.server.pid}/fd")) < 13, "no descriptor left")
        self.assertNotIn("the gate died", self.server.text())


class Life(TlsCase):
    def gates(self):
        return [stat for stat in descendants(self.server.pid) if stat.name == "frshd-gate"]

    def test_a_killed_gate_is_only_a_lost_connection(self):
        random = Random(7)
        data = os.urandom(1 << 20) * 24
        # A moment of the login, of a silent run, and of much data both ways.
        commands = (("true", None), ("sleep 1000", None), ("cat", data))
        ends = {0: 0, 255: 0}
        for i in range(240 if FULL else 18):
            command, stdin = commands[i % 3]
            process = self.own.popen("--on-disconnect=kill", self.target, command,
                                     stdin=subprocess.PIPE)
            feeder = threading.Thread(target=self.feed, args=(process.stdin, stdin or b""))
            feeder.start()
            began = time.monotonic()
            while not (gates := self.gates()) and process.poll() is None:
                time.sleep(0.0005)
            time.sleep(random.random() * (0.02 if stdin is None else 0.15))
            for gate in gates:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(gate.pid, signal.SIGKILL)
            out, err = process.stdout.read(), process.stderr.read().decode()
            feeder.join()
            process.stdout.close()
            process.stderr.close()
            code = process.wait(30)
            ends[code] += 1
            if code == 0:  # It was over before.
                self.assertTrue(out == (stdin or b""), (i, len(out)))
            else:
                self.assertRegex(err, r"\Afrsh: [^\n]+\n\Z", i)
            self.assertLess(time.monotonic() - began, 30)
            wait_until(lambda: not descendants(self.server.pid), "the run to be ended", 20)
        print(f"ends after the gate was killed: {ends}", file=sys.stderr)
        self.assertGreater(ends[255], 0)
        self.assertIsNone(self.server.process.poll())
        self.assertLess(len(os.listdir(f"/proc/{self.server.pid}/fd")), 13)
        self.assertEqual(self.own.run(self.target, "echo hi").out, b"hi\n")

    @staticmethod
    def feed(pipe, data):
        with contextlib.suppress(OSError):
            pipe.write(data)
        with contextlib.suppress(OSError):
            pipe.close()

    def test_a_killed_gate_is_a_lost_connection_and_nothing_else(self):
        marker = os.path.join(self.folder, "pid")
        process = self.own.popen("--on-disconnect=kill", self.target, f"echo $$ > {marker}; exec sleep 1000")
        wait_until(lambda: os.path.exists(marker) and os.path.getsize(marker), "the run")
        gate, = self.gates()
        os.kill(gate.pid, signal.SIGKILL)
        out, err = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 255)
        self.assertIn(b"lost", err)
        wait_until(lambda: not descendants(self.server.pid), "the run to be ended", 20)
        self.assertEqual(self.own.run(self.target, "echo hi").out, b"hi\n")

    def test_a_gate_killed_before_the_login(self):
        with connect(self.server.port) as connection:
            read_frame(connection, bytearray())
            # Those of earlier tests may take a moment to go.
            gate, = wait_until(lambda: [self.gates()] if len(self.gates()) == 1 else None,
                               "one gate")[0]
            os.kill(gate.pid, signal.SIGKILL)
            read_to_end(connection)
        wait_until(lambda: "the gate died by signal KILL" in self.server.text(), "the log")
        self.assertEqual(self.own.run(self.target, "echo hi").out, b"hi\n")

    def test_a_gate_has_no_rights_files_or_capabilities(self):
        if SANITIZED:
            self.skipTest("sanitizers need the sandbox off")
        with connect(self.server.port) as connection:
            read_frame(connection, bytearray())
            # Those of earlier tests may take a moment to go.
            gate, = wait_until(lambda: [self.gates()] if len(self.gates()) == 1 else None,
                               "one gate")[0]
            with open(f"/proc/{gate.pid}/status") as file:
                status = dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)
            self.assertEqual(status["NoNewPrivs"], "1")
            self.assertEqual(status["Seccomp"], "2")
            self.assertEqual(status["CapPrm"], "0" * 16)
            if os.geteuid() == 0:
                self.assertNotEqual(status["Uid"].split()[0], "0")
                names = sorted(os.readlink(f"/proc/{gate.pid}/fd/{fd}").split(":")[0]
                               for fd in os.listdir(f"/proc/{gate.pid}/fd"))
                self.assertEqual(names, ["/dev/null"] * 3 + ["socket"] * 3)


class Floods(TlsCase):
    def test_a_hundred_clients_at_once(self):
        count = 20 if SANITIZED else 100
        for name in ("id_ed25519", "id_ed25519.pub"):  # All start at once and make one key.
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self.server.home, ".config/frsh", name))
        processes = [self.own.popen(self.target, f"echo {i}") for i in range(count)]
        results = [(process.communicate(timeout=60), process) for process in processes]
        for i, ((out, err), process) in enumerate(results):
            self.assertEqual((process.returncode, out, err), (0, f"{i}\n".encode(), b""))

    def test_two_thousand_silent_connections_keep_no_client_out(self):
        self.own.run(self.target, "true")
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        count = min(2000, min(4096, hard) - 100)
        crowd, slowest = [], 0
        try:
            for i in range(count):
                one = socket.socket()
                one.bind((f"127.1.{i // 250}.{1 + i % 250}", 0))
                one.connect(("127.0.0.1", self.server.port))
                one.setblocking(False)
                if i % 2:
                    one.send(b"\x16")
                crowd.append(one)
            for _ in range(15 if FULL else 3):
                began = time.monotonic()
                result = self.own.run(self.target, "echo hi")
                self.assertEqual(result.out, b"hi\n", result)
                self.assertLess(time.monotonic() - began, 10 if SANITIZED else 2)
                slowest = max(slowest, time.monotonic() - began)
                for one in crowd[::3]:
                    with contextlib.suppress(OSError):
                        one.send(b"\x03")
                if FULL:  # Sends one byte a second here, and the rest as fast as possible.
                    time.sleep(max(0, began + 1 - time.monotonic()))
            print(f"beside {count} others the slowest of our logins took {slowest:.2f} s", file=sys.stderr)
        finally:
            for one in crowd:
                one.close()
        wait_until(lambda: "sent nothing" in self.server.text(), "the log")
        wait_until(lambda: not descendants(self.server.pid), "nobody left")
        wait_until(lambda: len(os.listdir(f"/proc/{self.server.pid}/fd")) < 13, "no descriptor left")

    def test_a_connection_stopped_in_its_greeting_is_evicted(self):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = client_context().wrap_bio(incoming, outgoing)
        with contextlib.suppress(ssl.SSLWantReadError):
            tls.do_handshake()
        half = outgoing.read()[:150]
        crowd = []
        for _ in range(30):
            one = socket.create_connection(("127.0.0.1", self.server.port))
            one.sendall(half)
            crowd.append(one)
        began = time.monotonic()
        result = self.own.run(self.target, "echo hi")
        for one in crowd:
            one.close()
        self.assertEqual(result.out, b"hi\n", result)
        self.assertLess(time.monotonic() - began, 30)

    def test_a_connection_silent_after_the_handshake_is_evicted(self):
        with contextlib.ExitStack() as crowd:
            # As many as one source may have. Without eviction each eight would take ten seconds.
            for _ in range(8):
                crowd.enter_context(connect(self.server.port))
            began = time.monotonic()
            result = self.own.run(self.target, "echo hi")
            self.assertEqual(result.out, b"hi\n", result)
            self.assertLess(time.monotonic() - began, 8)
        self.assertIn("sent nothing while others waited", self.server.text())

    def test_false_auth_pending_keeps_no_client_out(self):
        with contextlib.ExitStack() as crowd:
            for _ in range(80):
                one = crowd.enter_context(connect(self.server.port))
                one.sendall(frame({"type": "auth_pending"}))
            wait_until(lambda: "too many logins were waiting for a person" in self.server.text(), "the log")
            began = time.monotonic()
            result = self.own.run(self.target, "echo hi")
            self.assertEqual(result.out, b"hi\n", result)
            self.assertLess(time.monotonic() - began, 10 if SANITIZED else 2)
            # The remaining connections are the latest ones, and few. The gate of an evicted one
            # ends soon after its session, and the listener reaps it.
            wait_until(lambda: len(self.gates_of_the_server()) <= 16, "the gates of evicted connections to go")

    def gates_of_the_server(self):
        return [one for one in descendants(self.server.pid) if one.name == "frshd-gate"]


if __name__ == "__main__":
    main()
