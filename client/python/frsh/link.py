"""One link that is dialled again when it breaks: frames to and from `frsh --link`."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import string
import time
from typing import Any, Dict, List, Optional, Protocol, Tuple

from .errors import Refused

WINDOW = 262144  # Bytes of each stream that may be sent before the first credit.
MAX_HEADER = 1 << 16
MAX_PAYLOAD = 1 << 20
FEATURES = ["runs", "shells", "ptys", "resume", "kept", "connect"]
Frame = Tuple[Dict[str, Any], bytes]


def new_id(size: int = 16) -> str:
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(size))


def encode(header: Dict[str, Any], payload: bytes = b"") -> bytes:
    text = json.dumps({**header, "len": len(payload)} if payload else header).encode()
    return len(text).to_bytes(4, "big") + text + payload


async def read_frame(reader: asyncio.StreamReader) -> Frame:
    size = int.from_bytes(await reader.readexactly(4), "big")
    if not 0 < size <= MAX_HEADER:
        raise ConnectionError(f"a header of {size} bytes")
    header = json.loads(await reader.readexactly(size))
    length = header.get("len", 0)
    if type(length) is not int or not 0 <= length <= MAX_PAYLOAD:
        raise ConnectionError(f"a length of {length!r}")
    return header, await reader.readexactly(length)


class Channel(Protocol):
    """What the link calls, for each channel."""

    def on_frame(self, header: Dict[str, Any], payload: bytes) -> None: ...

    def request(self) -> Optional[bytes]:
        """Returns the frames that begin it again, or None if the server had answered."""

    def progress(self) -> Optional[Dict[str, Any]]:
        """Returns its object of `resume`; None if it cannot be resumed."""

    def on_resumed(self, stdin: int, has_started: bool) -> None: ...

    def fail(self, error: Exception, lost: bool) -> None: ...


class Link:
    """Owns the process of one connection and the channels that it carries."""

    def __init__(self, command: List[str], env: Optional[Dict[str, str]], grace: float):
        self.command, self.env, self.grace = command, env, grace
        self.channels: Dict[int, Channel] = {}
        self.session = new_id(24)
        self.server: Dict[str, Any] = {}
        self._next = 1
        self._process: Optional[asyncio.subprocess.Process] = None
        self._task: Optional["asyncio.Task[None]"] = None
        self._closing: Optional["asyncio.Task[None]"] = None
        self._up = False
        self._since: Optional[float] = None  # When the oldest request without answer was sent.
        self._problem: Optional[Exception] = None

    async def open(self) -> None:
        reader = await self._dial()
        first = await self._greet(reader, self.session)
        self.server = first
        self._up = True
        self._task = asyncio.ensure_future(self._serve(reader))

    async def _dial(self) -> asyncio.StreamReader:
        self._process = await asyncio.create_subprocess_exec(
            *self.command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE, env=self.env, limit=WINDOW, start_new_session=True)
        assert self._process.stdout is not None
        return self._process.stdout

    async def _greet(self, reader: asyncio.StreamReader, session: str = "") -> Dict[str, Any]:
        hello: Dict[str, Any] = {"type": "hello", "proto": 1, "software": "frsh.py/0.1.0",
                                 "features": FEATURES}
        self._write(encode({**hello, "session": session} if session else hello))
        try:
            header, _ = await read_frame(reader)
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            raise Refused("connect", await self._reap()) from None
        if header["type"] == "error":
            await self._reap()
            raise Refused(header["reason"], header["message"], header.get("retry_after"))
        if header["type"] != "hello" or header.get("proto") != 1:
            await self._reap()
            raise Refused("version", f"the server's first message was {header}")
        return header

    async def _reap(self) -> str:
        """Ends the process of the connection, and returns what it wrote to stderr."""
        process, self._process = self._process, None
        if process is None:
            return "the link is closed"
        assert process.stdin is not None and process.stderr is not None
        process.stdin.close()
        try:
            text = await asyncio.wait_for(process.stderr.read(65536), 3)
            await asyncio.wait_for(process.wait(), 3)
        except asyncio.TimeoutError:
            text = b"the connection did not end"
            process.kill()
            await process.wait()
        process._transport.close()  # type: ignore[attr-defined]
        return text.decode(errors="replace").strip() or "the server closed the connection"

    def _write(self, data: bytes) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(data)

    def send(self, header: Dict[str, Any], payload: bytes = b"") -> None:
        """Sends a frame; drops it while the link is away, since a resume repeats what counts."""
        if self._up:
            self._write(encode(header, payload))

    def is_down(self) -> bool:
        return self._problem is not None

    async def drain(self) -> None:
        if self._up and self._process is not None and self._process.stdin is not None:
            try:
                await self._process.stdin.drain()
            except ConnectionError:
                await asyncio.sleep(0.01)  # The reading side reports it and dials again.

    def add(self, channel: Channel) -> int:
        if self._problem is not None:
            raise self._problem
        number, self._next = self._next, self._next + 1
        self.channels[number] = channel
        return number

    def begin(self, data: bytes) -> None:
        """Sends the frames of a request that waits for an answer."""
        if self._since is None:
            self._since = time.clock_gettime(time.CLOCK_BOOTTIME)
        if self._up:
            self._write(data)

    def remove(self, number: int) -> None:
        self.channels.pop(number, None)

    async def _serve(self, reader: asyncio.StreamReader) -> None:
        while True:
            try:
                while True:
                    header, payload = await read_frame(reader)
                    if header["type"] == "error":
                        return await self._go_down(Refused(header["reason"], header["message"],
                                                           header.get("retry_after")))
                    channel = self.channels.get(header.get("ch", 0))
                    if channel is not None:
                        channel.on_frame(header, payload)
                    if header["type"] not in ("data", "credit"):
                        if all(one.request() is None for one in self.channels.values()):
                            self._since = None
            except (asyncio.IncompleteReadError, OSError, ValueError) as error:
                self._up = False
                problem: Exception = ConnectionError(f"{await self._reap()} ({error})")
            resumed = await self._resume(problem)
            if resumed is None:
                return
            reader = resumed

    async def _resume(self, problem: Exception) -> Optional[asyncio.StreamReader]:
        """Dials until the session answers. Returns None if the grace period is over."""
        deadline, pause = time.monotonic() + self.grace, 0.05
        while time.monotonic() < deadline:
            try:
                reader = await asyncio.wait_for(self._resume_once(), deadline - time.monotonic())
                self._up = True
                return reader
            except Refused as error:
                if error.reason in ("gone", "denied", "version"):
                    problem = error
                    break
            except (asyncio.IncompleteReadError, asyncio.TimeoutError, OSError, ValueError):
                await self._reap()
            await asyncio.sleep(pause)
            pause = min(2 * pause, 1)
        await self._go_down(problem)
        return None

    async def _resume_once(self) -> asyncio.StreamReader:
        reader = await self._dial()
        await self._greet(reader)
        listed = {number: found for number, one in self.channels.items()
                  if (found := one.progress()) is not None}
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        age = 0 if self._since is None else int((now - self._since) * 1000) + 1
        runs = [{"ch": number, **found} for number, found in listed.items()]
        self._write(encode({"type": "resume", "session": self.session, "runs": runs,
                            "age_ms": age}))
        header, _ = await read_frame(reader)
        if header["type"] == "error":
            await self._reap()
            raise Refused(header["reason"], header["message"], header.get("retry_after"))
        self._up = True
        gone = {one["ch"]: one["message"] for one in header.get("lost", [])}
        there = {one["ch"]: one for one in header["runs"]}
        for number, channel in list(self.channels.items()):
            again = channel.request()
            if number in gone:
                channel.fail(ConnectionError(gone[number]), True)
            elif number in there:
                channel.on_resumed(there[number]["stdin"], True)
            elif again is not None:
                self._write(again)
                channel.on_resumed(0, False)
            else:
                channel.fail(ConnectionError("the server does not have the run any more"), True)
        return reader

    async def _go_down(self, problem: Exception) -> None:
        self._up, self._problem = False, problem
        for channel in list(self.channels.values()):
            channel.fail(problem, True)
        self.channels.clear()
        await self._reap()

    async def close(self) -> None:
        """Ends the link: the end of stdin makes frsh send `bye`, which ends all runs."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    def abandon(self) -> None:
        """Ends a link that is not open yet, without waiting for it."""
        if self._process is not None:
            self._process.kill()
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())

    def is_closed(self) -> bool:
        return self._closing is not None and self._closing.done()

    async def _close(self) -> None:
        self._up = False
        self._problem = self._problem or Refused("closed", "the host was closed")
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for channel in list(self.channels.values()):
            channel.fail(ConnectionError("the host was closed"), True)
        await self._reap()
