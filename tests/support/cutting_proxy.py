"""A proxy between client and server that treats connections as bad networks do.

Each connection has a `Fate`: after so many bytes in one direction it is cut, in one of these ways:

    close      both ends get a clean end of file
    reset      both ends get a reset (TCP), or an end with unread bytes (unix)
    half-near  only the client gets the end; the server's end stays open and silent
    half-far   only the server gets the end
    stall      no bytes pass for a while, and then both ends close
"""

import contextlib
import os
import select
import socket
import struct
import threading
import time

WAYS = ("close", "reset", "half-near", "half-far", "stall")
NEVER = 1 << 62


class Fate:
    def __init__(self, way="close", up=NEVER, down=NEVER, stall=0.2):
        self.way, self.up, self.down, self.stall = way, up, down, stall

    def __repr__(self):
        return f"{self.way} after {self.up} up, {self.down} down"


class CuttingProxy:
    """Listens on `near` (a path, or None: TCP on loopback), connects to `far` (a path or a port).

    `fate(n)` is asked for each connection, counted from 0; None lets it live."""

    def __init__(self, far, fate, near=None):
        self.far, self.fate, self.near = far, fate, near
        self.count = 0
        self.up = self.down = 0  # Bytes of the connections that have ended.
        self.kept = []           # Ends left open on purpose.
        self.lock = threading.Lock()
        if near is None:
            self.listening = socket.create_server(("127.0.0.1", 0), backlog=256)
            self.port = self.listening.getsockname()[1]
        else:
            self.listening = socket.socket(socket.AF_UNIX)
            self.listening.bind(near)
            self.listening.listen(256)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listening.accept()
                number, self.count = self.count, self.count + 1
                fate = self.fate(number) or Fate()
                threading.Thread(target=self._serve, args=(near, fate), daemon=True).start()

    def _connect(self):
        if isinstance(self.far, int):
            return socket.create_connection(("127.0.0.1", self.far))
        far = socket.socket(socket.AF_UNIX)
        far.connect(self.far)
        return far

    def _serve(self, near, fate):
        try:
            far = self._connect()
        except OSError:
            near.close()
            return
        moved = {near: 0, far: 0}
        limit = {near: fate.up, far: fate.down}
        other = {near: far, far: near}
        reading = {near, far}
        is_cut = 0 in (fate.up, fate.down)
        while reading and not is_cut:
            for end in select.select(list(reading), [], [])[0]:
                piece = b""
                # One way may end, or break, with bytes still on the other.
                with contextlib.suppress(OSError):
                    piece = end.recv(min(65536, limit[end] - moved[end]))
                try:
                    if piece:
                        moved[end] += len(piece)
                        other[end].sendall(piece)
                    else:
                        reading.discard(end)
                        other[end].shutdown(socket.SHUT_WR)
                except OSError:
                    reading.discard(end)
                is_cut = is_cut or moved[end] >= limit[end]
        with self.lock:
            self.up += moved[near]
            self.down += moved[far]
        if is_cut:
            self._cut(near, far, fate)
        else:
            near.close()
            far.close()

    def _cut(self, near, far, fate):
        if fate.way == "stall":
            time.sleep(fate.stall)
        if fate.way == "reset":
            for end in (near, far):
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if fate.way == "half-near":
            self.kept.append(far)
            near.close()
        elif fate.way == "half-far":
            self.kept.append(near)
            far.close()
            # A client that receives nothing looks again after a time; here that time is short.
            time.sleep(fate.stall)
            near.close()
        else:
            near.close()
            far.close()

    def close(self):
        with contextlib.suppress(OSError):
            self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        for end in self.kept:
            end.close()
        if self.near is not None:
            with contextlib.suppress(OSError):
                os.unlink(self.near)
