"""A client that sends single frames, also those that frsh would never send. See PROTOCOL.md."""

import json
import socket
import struct
import time

from harness import PATIENCE


class Wire:
    def __init__(self, path, session=None):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.buffer = b""
        self.messages = []  # Messages that no call has taken yet: (header, payload).
        named = {"session": session} if session else {}
        self.send({"type": "hello", "proto": 1, "software": "test", "features": [], **named})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *headers, payload=b""):
        data = b""
        for header in headers:
            if payload:
                header = {**header, "len": len(payload)}
            text = json.dumps(header).encode()
            data += struct.pack(">I", len(text)) + text + payload
        self.socket.sendall(data)

    def open_shell(self, number, *env):
        payload = b"".join(entry.encode() + b"\0" for entry in env)
        self.send({"type": "shell_open", "shell": number, "env": len(env)}, payload=payload)

    def open(self, channel, command, **more):
        data = command if isinstance(command, bytes) else command.encode()
        self.send({"type": "open", "ch": channel, "run": f"run-{channel}", "mode": "command",
                   "args": 1, "env": 0, "linger_ms": 300, **more}, payload=data + b"\0")

    def _take_frame(self):
        if len(self.buffer) < 4:
            return False
        size = struct.unpack(">I", self.buffer[:4])[0]
        if len(self.buffer) < 4 + size:
            return False
        header = json.loads(self.buffer[4:4 + size])
        total = 4 + size + header.get("len", 0)
        if len(self.buffer) < total:
            return False
        self.messages.append((header, self.buffer[4 + size:total]))
        self.buffer = self.buffer[total:]
        return True

    def next(self, wanted, what="a message", patience=PATIENCE):
        """Returns the first message for which `wanted(header)` is true. Keeps the others."""
        deadline = time.monotonic() + patience
        seen = 0
        while True:
            for index in range(seen, len(self.messages)):
                if wanted(self.messages[index][0]):
                    return self.messages.pop(index)
            seen = len(self.messages)
            if self._take_frame():
                continue
            self.socket.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                piece = self.socket.recv(1 << 16)
            except TimeoutError:
                piece = None
            if not piece:
                raise AssertionError(f"{'no' if piece is None else 'the end instead of'} {what}; "
                                     f"left: {self.messages[-5:]}")
            self.buffer += piece

    def ready(self, number):
        return self.next(lambda one: one["type"] == "shell_ready" and one["shell"] == number,
                         f"shell {number} to be ready")

    def shell_ended(self, number):
        return self.next(lambda one: one["type"] == "shell_ended" and one["shell"] == number,
                         f"the end of shell {number}")[0]["outcome"]

    def end(self, channel):
        """Acknowledges the end of a run. Returns the end and the run's stdout."""
        header, folder = self.next(lambda one: one["type"] == "end" and one["ch"] == channel,
                                   f"the end of run {channel}")
        self.send({"type": "end_ack", "ch": channel, "run": f"run-{channel}"})
        out = b"".join(payload for one, payload in self.messages
                       if one["type"] == "data" and one["ch"] == channel
                       and one["stream"] == "stdout")
        self.messages = [(one, payload) for one, payload in self.messages
                         if one.get("ch") != channel]
        return header, out, folder
