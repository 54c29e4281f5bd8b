"""A server on a unix socket that sends exactly what a test needs. See PROTOCOL.md."""

import json
import os
import socket
import struct
import threading
import zlib

FEATURES = ["runs", "shells", "ptys", "resume", "kept"]


class Peer:
    """The connection of one client: receives its messages, and sends those of the test."""

    def __init__(self, connection, features):
        self.socket = connection
        self.offsets = {}  # The end of each stream so far, by channel and name.
        self.say("hello", proto=1, software="fake/1", features=features, user="u", host="h")

    def say(self, kind, payload=b"", /, **header):
        header = {"type": kind, **header}
        if payload:
            header["len"] = len(payload)
        text = json.dumps(header).encode()
        self.socket.sendall(struct.pack(">I", len(text)) + text + payload)

    def _take(self, size):
        data = b""
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def hear(self, *wanted):
        """Returns the next message, or the next of these kinds, as (header, payload).

        Raises EOFError at the end of the connection."""
        while True:
            header = json.loads(self._take(struct.unpack(">I", self._take(4))[0]))
            payload = self._take(header.get("len", 0))
            if not wanted or header["type"] in wanted:
                return header, payload

    def attached(self, request, run=None, out=0, err=0, out_sum=0, err_sum=0, pid=1):
        self.offsets[request["ch"], "stdout"], self.offsets[request["ch"], "stderr"] = out, err
        self.say("attached", ch=request["ch"], run=run or request["run"], pid=pid,
                 stdout={"at": out, "crc32": out_sum}, stderr={"at": err, "crc32": err_sum})

    def data(self, request, stream, offset, data):
        self.offsets[request["ch"], stream] = offset + len(data)
        self.say("data", data, ch=request["ch"], stream=stream, off=offset, t=0)

    def end(self, request, out=b"", err=b"", outcome=None, run=None, **more):
        """Ends both streams where they are. `out` and `err`: all that was ever produced."""
        for stream in ("stdout", "stderr"):
            self.say("eof", ch=request["ch"], stream=stream,
                     off=self.offsets.get((request["ch"], stream), 0))
        streams = {name: {"bytes": len(all), "crc32": zlib.crc32(all), "eof": True}
                   for name, all in (("stdout", out), ("stderr", err))}
        self.say("end", ch=request["ch"], run=run or request["run"],
                 outcome=outcome or {"kind": "exited", "code": 0}, usage=None, holders=[],
                 survivors=[], **{**streams, **more})


class FakeServer:
    """Passes each client to `serve`, one after another. Exceptions of `serve` go to `problems`."""

    def __init__(self, path, serve, features=None):
        self.path, self.serve = path, serve
        self.features = FEATURES if features is None else features
        self.problems = []
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(path)
        self.listening.listen()
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            with connection:
                try:
                    self.serve(Peer(connection, self.features))
                except (EOFError, ConnectionError):
                    pass  # The client has gone, which is for the test to judge.
                except Exception as problem:  # Kept for the test: a thread cannot raise into it.
                    self.problems.append(problem)

    def close(self):
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        self.thread.join()
        os.unlink(self.path)
