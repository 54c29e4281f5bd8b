"""Ports and sockets of this machine that lead to the server's side, as `frsh -L` does it."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, List, Optional, Set, Tuple, Union

from .errors import Error, Lost
from .run import Run

if TYPE_CHECKING:
    from .host import AsyncHost

# A host and a port that the server connects to, or the absolute path of its unix socket.
Place = Union[str, Tuple[str, int]]


def words_of(place: Place) -> List[str]:
    return [place] if isinstance(place, str) else [place[0], str(place[1])]


class AsyncForward:
    """Listens until close(). Each connection is one to `to`, made by the server as the user.

    `port` is the port that was bound. `problems` has the reasons of the last connections that
    could not be made; their clients see only the end."""

    def __init__(self, host: "AsyncHost", to: Place):
        self._host, self._to = host, words_of(to)
        self._server: Optional[asyncio.AbstractServer] = None
        self._tasks: Set["asyncio.Task[None]"] = set()
        self.port: Optional[int] = None
        self.problems: List[str] = []

    async def __aenter__(self) -> "AsyncForward":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _listen(self, at: Place) -> None:
        if isinstance(at, str):
            self._server = await asyncio.start_unix_server(self._accept, at)
        else:
            self._server = await asyncio.start_server(self._accept, at[0], at[1])
            self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Listens no more, and resets the connections that are open."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        run: Optional[Run] = None
        up: Optional["asyncio.Task[None]"] = None
        try:
            run = await self._host._connect(self._to)
            up = asyncio.ensure_future(_pass_up(reader, run))
            async for _, data in run.chunks():
                writer.write(data)
                await writer.drain()
            if not run.is_over():
                writer.write_eof()
            await run.ended()
        except Lost:
            _reset(writer)
        except (Error, OSError) as error:
            self.problems = self.problems[-9:] + [str(error)]
            if run is not None:
                run.cancel()
                _reset(writer)
        except asyncio.CancelledError:
            if run is not None:
                run.cancel()
            _reset(writer)
            raise
        finally:
            if up is not None:
                up.cancel()
            writer.close()


async def _pass_up(reader: asyncio.StreamReader, run: Run) -> None:
    try:
        while data := await reader.read(65536):
            if not await run.take(data):
                return
        run.finish()
    except OSError:
        run.cancel()  # The program here has reset the connection.


def _reset(writer: asyncio.StreamWriter) -> None:
    """Makes the end of the connection a reset: the other side did not end it in order."""
    found = writer.get_extra_info("socket")
    if found is not None and found.family != socket.AF_UNIX:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
