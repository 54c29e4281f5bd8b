"""A host for programs without asyncio: each method waits for its result."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, Coroutine, Iterator, List, Optional, Tuple, TypeVar, Union

from .forward import AsyncForward, Place
from .host import AsyncHost, Command, Offsets
from .record import Kept, Record
from .run import Run

T = TypeVar("T")


class PlainRun:
    """A run that was started or is followed."""

    def __init__(self, host: "Host", run: Run):
        self._host, self._run = host, run
        self.id = run.id

    def chunks(self) -> Iterator[Tuple[str, bytes]]:
        """Yields ("stdout" or "stderr", bytes). The command waits for the reader."""
        output = self._run.chunks()
        while True:
            try:
                yield self._host._do(output.__anext__())  # type: ignore[arg-type]
            except StopAsyncIteration:
                return

    def wait(self) -> Record:
        return self._host._do(self._run.wait())

    def write(self, data: bytes) -> None:
        self._host._loop.call_soon_threadsafe(self._run.write, data)

    def signal(self, name: str) -> None:
        self._host._loop.call_soon_threadsafe(self._run.signal, name)

    def cancel(self) -> None:
        self._host._loop.call_soon_threadsafe(self._run.cancel)

    def resize(self, columns: int, rows: int) -> None:
        self._host._loop.call_soon_threadsafe(self._run.resize, columns, rows)

    def leave(self) -> None:
        self._host._do(self._run.leave())


class PlainShell:
    def __init__(self, host: "Host", name: str):
        self._host, self.name = host, name

    def run(self, command: Union[str, bytes], **options: Any) -> Record:
        return self._host._do(self._host._host.shell(self.name).run(command, **options))


class PlainForward:
    """A port or path that leads to the server's side, until close()."""

    def __init__(self, host: "Host", forward: AsyncForward):
        self._host, self._forward = host, forward
        self.port = forward.port

    @property
    def problems(self) -> List[str]:
        return self._forward.problems

    def __enter__(self) -> "PlainForward":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._host._do(self._forward.close())


class Host:
    """One server; takes the arguments of AsyncHost. Any thread may call its methods."""

    def __init__(self, target: str, **options: Any):
        self._host = AsyncHost(target, **options)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def _do(self, work: "Coroutine[Any, Any, T]") -> T:
        async def await_it() -> T:
            return await work

        future = asyncio.run_coroutine_threadsafe(await_it(), self._loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise

    def __enter__(self) -> "Host":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._do(self._host.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def run(self, command: Command, **options: Any) -> Record:
        """Runs a command and returns its record; see AsyncHost.run()."""
        return self._do(self._host.run(command, **options))

    def start(self, command: Command, **options: Any) -> PlainRun:
        return PlainRun(self, self._do(self._host.start(command, **options)))

    def attach(self, run: str, from_: Offsets = 0, follow: bool = True) -> PlainRun:
        return PlainRun(self, self._do(self._host.attach(run, from_, follow)))

    def runs(self) -> List[Kept]:
        return self._do(self._host.runs())

    def kill(self, run: str, signal: Optional[str] = None) -> None:
        self._do(self._host.kill(run, signal))

    def forget(self, run: str) -> None:
        self._do(self._host.forget(run))

    def forward(self, to: Place, at: Place = ("127.0.0.1", 0)) -> PlainForward:
        """Listens here for connections that the server makes; see AsyncHost.forward()."""
        return PlainForward(self, self._do(self._host.forward(to, at)))

    def shell(self, name: str) -> PlainShell:
        return PlainShell(self, name)

    def terminal(self, columns: int, rows: int, command: Command = "exec $SHELL",
                 **options: Any) -> PlainRun:
        return PlainRun(self, self._do(self._host.terminal(columns, rows, command, **options)))
