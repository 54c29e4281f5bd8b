"""A run on a link: its stdin, its output, and the check of what arrived."""

from __future__ import annotations

import asyncio
import collections
import zlib
from typing import IO, Any, AsyncIterator, Deque, Dict, Optional, Tuple, Union

from .errors import Lost, NotStarted, Refused
from .link import WINDOW, Link, encode
from .record import Record, usage_of

Stdin = Union[None, bytes, IO[bytes]]
CHUNK = 65536
STREAMS = ("stdout", "stderr")
CONNECT_LIMIT = 16384  # What may be sent on a forwarded connection before the first credit.


class _Output:
    """What has arrived of one stream."""

    def __init__(self) -> None:
        self.at = self.consumed = self.crc = self.granted = 0
        self.eof = False
        self.first = 0  # The offset at which the output began.
        self.gap: Optional[Tuple[int, int]] = None


class Run:
    """A run that was started or is followed. Take its output with chunks(), or wait() for it."""

    def __init__(self, link: Link, header: Dict[str, Any], payload: bytes, stdin: Stdin,
                 owns_link: bool):
        self.id: str = header["run"]
        self.pid: Optional[int] = None
        self._link, self._owns_link = link, owns_link
        self._header, self._payload, self._source = header, payload, stdin
        self._outputs = {name: _Output() for name in STREAMS}
        self._queue: Deque[Tuple[str, bytes, int]] = collections.deque()
        self._changed = asyncio.Event()  # Output, the start or the end has arrived.
        self._end: Optional[Dict[str, Any]] = None
        self._error: Optional[Exception] = None
        self._has_started = self._is_dropped = False
        self._input = bytearray()  # From offset _input_at on: what the server has not used yet.
        self._input_at = self._sent = 0
        # A forwarded connection has smaller windows, since there may be many.
        self._is_connection = header.get("mode") == "connect"
        self._first_limit = CONNECT_LIMIT if self._is_connection else WINDOW
        self._window = CHUNK if self._is_connection else WINDOW
        self._limit = self._first_limit
        # Such a stdin gets more by write(), until finish().
        self._is_typed = self._is_connection or "pty" in header
        self._source_ended = self._stopped = self._eof_sent = False
        self._may_send, self._has_room = asyncio.Event(), asyncio.Event()
        self._channel = link.add(self)
        self._sender: Optional["asyncio.Task[None]"] = None
        self._closing: Optional["asyncio.Task[None]"] = None

    def _begin(self) -> None:
        request = self.request()
        assert request is not None
        self._link.begin(request)
        if self._header["type"] == "open" and not self._header.get("stdin_null"):
            self._sender = asyncio.ensure_future(self._send_stdin())
        if self._is_connection:
            self._grant("stdout")

    # What the link calls.

    def request(self) -> Optional[bytes]:
        if self._has_started or self._end is not None or self._error is not None:
            return None
        header = {**self._header, "ch": self._channel}
        parts = [self._payload[at:at + CHUNK] for at in range(0, len(self._payload), CHUNK)] or [b""]
        data = b""
        for index, part in enumerate(parts):
            more = {"more": True} if index + 1 < len(parts) else {}
            own = header if index == 0 else {"type": "more", "ch": self._channel}
            data += encode({**own, **more}, part)
        return data

    def progress(self) -> Optional[Dict[str, Any]]:
        return {"run": self.id, **{name: one.at for name, one in self._outputs.items()}}

    def on_resumed(self, stdin: int, has_started: bool) -> None:
        self._has_started = self._has_started or has_started
        if not has_started:
            self._limit = self._first_limit
        self._sent, self._eof_sent = stdin, False
        for name, output in self._outputs.items():
            output.granted = 0
            self._grant(name)
        self._may_send.set()

    def fail(self, error: Exception, lost: bool) -> None:
        if self._end is None and self._error is None:
            is_refusal = isinstance(error, Refused) and not self._has_started
            self._error = error if is_refusal else Lost(self.id, str(error))
            self._finish()

    def on_frame(self, header: Dict[str, Any], payload: bytes) -> None:
        kind = header["type"]
        if kind in ("started", "attached"):
            self._has_started, self.pid = True, header["pid"]
            if kind == "attached":
                self.id = header["run"]
                for name, output in self._outputs.items():
                    if output.at == 0 and header[name]["at"]:
                        output.at = output.first = output.consumed = header[name]["at"]
                        output.crc = header[name]["crc32"]
        elif kind == "data":
            self._take(header["stream"], header["off"], payload)
        elif kind == "gap":
            output = self._outputs[header["stream"]]
            output.gap = output.at, header["to"]
            output.at, output.crc = header["to"], header["crc32"]
            self._queue.append((header["stream"], b"", output.at))
        elif kind == "eof":
            self._outputs[header["stream"]].eof = True
        elif kind == "credit":
            self._limit = max(self._limit, header["limit"])
            used = header["consumed"] - self._input_at
            if used > 0:
                del self._input[:used]
                self._input_at += used
            self._may_send.set()
        elif kind == "stop":
            self._stopped = True
            self._may_send.set()
            self._has_room.set()
        elif kind == "refused":
            self._link.send({"type": "end_ack", "ch": self._channel, "run": self._header["run"]})
            self._error = Refused(header["reason"], header["message"])
            self._finish()
        elif kind == "end":
            self._link.send({"type": "end_ack", "ch": self._channel, "run": self.id})
            self._end = header
            self._error = self._judge(header)
            self._finish()
        if self._is_dropped:
            self._drop_queue()
        self._changed.set()

    def _take(self, name: str, offset: int, payload: bytes) -> None:
        output = self._outputs[name]
        if offset != output.at:
            self._error = Lost(self.id, f"{name} continues at {offset}, not at {output.at}")
            return self._finish()
        output.at += len(payload)
        output.crc = zlib.crc32(payload, output.crc)
        self._queue.append((name, payload, output.at))

    def _judge(self, end: Dict[str, Any]) -> Optional[Exception]:
        """Returns why this end is no success of frsh: no process ended, or bytes are missing."""
        outcome = end["outcome"]
        if outcome["kind"] == "lost":
            return Lost(self.id, outcome["message"])
        if outcome["kind"] == "not_started":
            return NotStarted(self.id, outcome["stage"], outcome.get("errno", 0),
                              outcome["message"])
        if outcome["kind"] == "running":
            return None
        for name, output in self._outputs.items():
            sent = end[name]
            if (output.at, output.crc) != (sent["bytes"], sent["crc32"]):
                return Lost(self.id, f"{output.at} bytes of {name} arrived of {sent['bytes']}, "
                                     "or they are damaged")
            if sent["eof"] and not output.eof:
                return Lost(self.id, f"the end of {name} did not arrive")
        return None

    def _finish(self) -> None:
        self._link.remove(self._channel)
        self._changed.set()
        self._may_send.set()
        self._has_room.set()
        if self._sender is not None:
            self._sender.cancel()
        if self._owns_link:
            self._closing = asyncio.ensure_future(self._link.close())

    # Stdin.

    async def _send_stdin(self) -> None:
        if isinstance(self._source, bytes):
            self._input += self._source
        if not self._is_typed:
            self._source_ended = isinstance(self._source, (bytes, type(None)))
        while not self._stopped:
            there = self._input_at + len(self._input)
            if self._eof_sent or self._sent >= self._limit or (
                    self._sent == there and self._is_typed and not self._source_ended):
                self._may_send.clear()
                await self._may_send.wait()
                continue
            if self._sent == there and not self._source_ended:
                assert self._source is not None and not isinstance(self._source, bytes)
                data = await asyncio.get_running_loop().run_in_executor(
                    None, self._source.read, min(CHUNK, self._limit - self._sent))
                self._source_ended = not data
                self._input += data
                continue
            at = self._sent - self._input_at
            part = bytes(self._input[at:at + min(CHUNK, self._limit - self._sent)])
            kind = "data" if part else "eof"
            self._link.send({"type": kind, "ch": self._channel, "stream": "stdin",
                             "off": self._sent}, part)
            self._sent += len(part)
            self._eof_sent = not part
            self._has_room.set()
            await self._link.drain()

    def write(self, data: bytes) -> None:
        """Types into the terminal of this run, or follows what stdin was given so far."""
        self._input += data
        self._may_send.set()

    def _unsent(self) -> int:
        return self._input_at + len(self._input) - self._sent

    def finish(self) -> None:
        """Ends what write() gave, as the end of a file."""
        self._source_ended = True
        self._may_send.set()

    async def take(self, data: bytes) -> bool:
        """As write(), and waits while much is stored. Returns False once it is not wanted."""
        self.write(data)
        while self._unsent() > CHUNK and not self._stopped and not self.is_over():
            self._has_room.clear()
            await self._has_room.wait()
        return not self._stopped and not self.is_over()

    # Output.

    def _grant(self, name: str) -> None:
        output = self._outputs[name]
        if self._end is None and output.consumed + self._window > output.granted:
            output.granted = output.consumed + self._window
            self._link.send({"type": "credit", "ch": self._channel, "stream": name,
                             "consumed": output.consumed, "limit": output.granted})

    def _consume(self, name: str, offset: int) -> None:
        output = self._outputs[name]
        output.consumed = offset
        if output.consumed + self._window - output.granted >= self._window // 4:
            self._grant(name)

    def _drop_queue(self) -> None:
        while self._queue:
            name, _, offset = self._queue.popleft()
            self._consume(name, offset)

    async def chunks(self) -> AsyncIterator[Tuple[str, bytes]]:
        """Yields ("stdout" or "stderr", bytes) up to the end. The command waits for the reader.

        A connection ends here with the peer's end of file."""
        while True:
            while self._queue:
                name, data, offset = self._queue.popleft()
                self._consume(name, offset)
                if data:
                    yield name, data
            if self.is_over() or (self._is_connection and self._outputs["stdout"].eof):
                return
            self._changed.clear()
            await self._changed.wait()

    async def ended(self) -> None:
        """Waits for the end, without the output. Raises Refused, NotStarted or Lost."""
        while not self.is_over():
            self._changed.clear()
            await self._changed.wait()
        if self._error is not None:
            raise self._error

    async def started(self) -> None:
        """Waits until the server has answered. Raises Refused, NotStarted or Lost."""
        while not (self._has_started or self._error is not None):
            self._changed.clear()
            await self._changed.wait()
        if self._error is not None:
            raise self._error

    async def wait(self) -> Record:
        """Takes the rest of the output and returns the record. If cancelled, cancels the run."""
        parts = {name: bytearray() for name in STREAMS}
        try:
            async for name, data in self.chunks():
                parts[name] += data
        except asyncio.CancelledError:
            self.cancel()
            self._is_dropped = True
            self._drop_queue()
            raise
        if self._closing is not None:
            await self._closing
        if self._error is not None:
            raise self._error
        assert self._end is not None
        outcome = self._end["outcome"]
        return Record(
            run=self.id, kind=outcome["kind"], code=outcome.get("code"),
            signal=outcome.get("signal"), stdout=bytes(parts["stdout"]),
            stderr=bytes(parts["stderr"]), stdout_bytes=self._end["stdout"]["bytes"],
            stderr_bytes=self._end["stderr"]["bytes"], usage=usage_of(self._end),
            holders=self._end["holders"], outcome=outcome,
            gaps={name: one.gap for name, one in self._outputs.items() if one.gap})

    def is_over(self) -> bool:
        return self._end is not None or self._error is not None

    # Control.

    def signal(self, name: str) -> None:
        self._link.send({"type": "signal", "ch": self._channel, "name": name})

    def cancel(self) -> None:
        """Sends TERM to all that the run started, and KILL after two seconds."""
        if self._end is None and self._error is None:
            self._link.send({"type": "cancel", "ch": self._channel})

    def resize(self, columns: int, rows: int) -> None:
        self._link.send({"type": "resize", "ch": self._channel, "columns": columns, "rows": rows})

    async def leave(self) -> None:
        """Stops following. A run that is kept goes on; another one, on a link of its own, ends."""
        self._is_dropped = True
        self._drop_queue()
        if self._owns_link:
            await self._link.close()
