"""A proxy whose two ends are cut at different times, and which holds bytes back.

Only its first connection is treated so. Later connections pass unchanged."""

import contextlib
import os
import socket
import struct
import threading


class LopsidedProxy:
    """Listens on the path `near`, connects to the path `far`.

    Of the first connection, `up` bytes go to the server, and the first `frames` frames to the
    client. What follows waits until release()."""

    def __init__(self, far, near, up=1 << 62, frames=1):
        self.far_path, self.near, self.up, self.frames = far, near, up, frames
        self.released = threading.Event()
        self.is_connected = threading.Event()
        self.first = self.first_far = None
        self.count = 0
        self.late = b""  # What the server sent on the first connection after release().
        self.is_over = threading.Event()  # The server has closed the first connection.
        self.ends = []
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(near)
        self.listening.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listening.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(self.far_path)
                self.count += 1
                self.ends += [near, far]
                up = down = None
                if self.first is None:
                    self.first, self.first_far = near, far
                    self.is_connected.set()
                    up, down = self._pass_some_up, self._pass_down
                for source, sink, way in ((near, far, up), (far, near, down)):
                    threading.Thread(target=self._move, args=(source, sink, way),
                                     daemon=True).start()

    def _move(self, source, sink, way):
        with contextlib.suppress(OSError):
            if way is not None:
                way(source, sink)
            while piece := source.recv(65536):
                sink.sendall(piece)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def _pass_some_up(self, source, sink):
        left = self.up
        while left > 0:
            piece = source.recv(min(65536, left))
            if not piece:
                return
            sink.sendall(piece)
            left -= len(piece)
        self.released.wait()

    def _pass_down(self, source, sink):
        for _ in range(self.frames):
            length = source.recv(4, socket.MSG_WAITALL)
            if len(length) < 4:
                break
            header = source.recv(struct.unpack(">I", length)[0], socket.MSG_WAITALL)
            assert b'"len"' not in header, "a frame with a payload"
            with contextlib.suppress(OSError):
                sink.sendall(length + header)
        self.released.wait()
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                self.late += piece
                with contextlib.suppress(OSError):
                    sink.sendall(piece)
        self.is_over.set()

    def cut_far(self):
        """The server gets the end; the client gets nothing."""
        self.first_far.shutdown(socket.SHUT_RDWR)

    def cut_near(self):
        """The client gets the end; the server gets nothing."""
        self.first.shutdown(socket.SHUT_RDWR)

    def release(self):
        self.released.set()

    def close(self):
        with contextlib.suppress(OSError):
            self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        self.release()
        for end in self.ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        os.unlink(self.near)
