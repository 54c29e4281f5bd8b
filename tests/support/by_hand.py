"""A login over TLS sent frame by frame, with signatures by a real ssh-agent. See PROTOCOL.md."""

import hashlib
import json
import os
import select
import socket
import struct
import subprocess
import time

from harness import BIN, PATIENCE, is_listening, wait_until


def frame(header, payload=b""):
    if payload:
        header = dict(header, len=len(payload))
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack(">I", len(text)) + text + payload


def string(data):
    return struct.pack(">I", len(data)) + data


def strings(data):
    """Splits the bytes into SSH strings."""
    found = []
    while data:
        size = struct.unpack(">I", data[:4])[0]
        found.append(data[4:4 + size])
        data = data[4 + size:]
    return found


HELLO = frame({"type": "hello", "proto": 1, "software": "by hand", "features": []})


def open_run(command, channel=1, run=None):
    return frame({"type": "open", "ch": channel, "run": run or f"by-hand-{os.getpid()}-{channel}",
                  "mode": "command", "args": 1, "env": 0, "linger_ms": 300},
                 command.encode() + b"\0")


def auth_message(binding, nonce, host_key, user):
    return b"frsh-auth-v1" + binding + nonce + string(host_key) + string(user.encode())


def sshsig_data(message, namespace, digest="sha512"):
    return (b"SSHSIG" + string(namespace.encode()) + string(b"") + string(digest.encode()) +
            string(hashlib.new(digest, message).digest()))


def auth(user, key, signature):
    return frame({"type": "auth"}, string(user.encode()) + string(key) + string(signature))


class Agent:
    """An ssh-agent and the requests to it. It signs any bytes."""

    def __init__(self, path):
        self.path = path
        self.process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
        wait_until(lambda: is_listening(path), "ssh-agent")

    def close(self):
        self.process.terminate()
        self.process.wait()

    def add(self, path):
        """Returns the public key's blob."""
        subprocess.run(["ssh-add", "-q", path], env=dict(os.environ, SSH_AUTH_SOCK=self.path),
                       check=True, stdin=subprocess.DEVNULL)
        with open(path + ".pub") as file:
            import base64
            return base64.b64decode(file.read().split()[1])

    def sign(self, key, data, flags=0):
        """flags: 2 is RSA with SHA-256, 4 with SHA-512, 0 the old SHA-1."""
        with socket.socket(socket.AF_UNIX) as agent:
            agent.connect(self.path)
            agent.sendall(string(b"\x0d" + string(key) + string(data) + struct.pack(">I", flags)))
            answer = b""
            while len(answer) < 4 or len(answer) < 4 + struct.unpack(">I", answer[:4])[0]:
                piece = agent.recv(65536)
                if not piece:
                    raise AssertionError("ssh-agent hung up")
                answer += piece
        if answer[4] != 14:
            raise AssertionError("ssh-agent refused")
        return strings(answer[5:])[0]

    def sign_login(self, key, message, namespace="auth-v1@frsh", digest="sha512"):
        flags = 4 if strings(key[:11])[0] == b"ssh-rsa" else 0
        return self.sign(key, sshsig_data(message, namespace, digest), flags)


class Connection:
    """Connects over TLS and reads up to the server's proof. The caller sends the rest."""

    def __init__(self, port):
        self.process = subprocess.Popen([os.path.join(BIN, "tls_bridge"), str(port)], bufsize=0,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL)
        self.buffer = b""
        self.deadline = time.monotonic() + PATIENCE
        self.binding = self._take(32)
        self.hello, self.nonce = self.next()
        self.proof, payload = self.next()
        self.host_key, self.host_signature = strings(payload)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.kill()
        self.process.wait()

    def send(self, data):
        view = memoryview(data)
        try:
            while view:
                view = view[self.process.stdin.write(view):]
        except BrokenPipeError:
            pass  # The server has sent its last message already.

    def finish(self):
        self.process.stdin.close()

    def _take(self, size):
        while len(self.buffer) < size:
            left = self.deadline - time.monotonic()
            ready = select.select([self.process.stdout], [], [], max(0, left))[0]
            if not ready:
                raise AssertionError("the server says nothing")
            piece = self.process.stdout.read(1 << 16)
            if not piece:
                raise EOFError
            self.buffer += piece
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken

    def next(self):
        header = json.loads(self._take(struct.unpack(">I", self._take(4))[0]))
        return header, self._take(header.get("len", 0))

    def rest(self):
        """Returns every frame until the server closes."""
        frames = []
        try:
            while True:
                frames.append(self.next())
        except EOFError:
            return frames

    def message(self, user, *, binding=None, nonce=None, host_key=None):
        return auth_message(binding or self.binding, nonce or self.nonce, host_key or self.host_key,
                            user)
