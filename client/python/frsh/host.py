"""A host, for asyncio."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from .errors import Refused
from .forward import AsyncForward, Place
from .link import Frame, Link, encode, new_id
from .record import Kept, Record
from .run import Run, Stdin

Command = Union[str, bytes, Sequence[Union[str, bytes]]]
Offsets = Union[None, int, Tuple[Optional[int], Optional[int]]]


class _Query:
    """A request whose answers belong to no run: list and forget."""

    def __init__(self, link: Link, header: Dict[str, Any]):
        self._link, self._header = link, header
        self._channel = link.add(self)
        self._frames: List[Frame] = []
        self.done: "asyncio.Future[List[Frame]]" = asyncio.get_running_loop().create_future()

    def request(self) -> Optional[bytes]:
        return None if self.done.done() else encode({**self._header, "ch": self._channel})

    def progress(self) -> Optional[Dict[str, Any]]:
        return None

    def on_resumed(self, stdin: int, has_started: bool) -> None:
        self._frames.clear()

    def on_frame(self, header: Dict[str, Any], payload: bytes) -> None:
        if header["type"] == "kept":
            self._frames.append((header, payload))
            return
        self._link.remove(self._channel)
        if header["type"] == "refused":
            self.fail(Refused(header["reason"], header["message"]), False)
        elif not self.done.done():
            self.done.set_result(self._frames)

    def fail(self, error: Exception, lost: bool) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class AsyncShell:
    """A shell on the server with a name: its folder and variables last from run to run."""

    def __init__(self, host: "AsyncHost", name: str):
        self._host, self.name = host, name

    async def run(self, command: Union[str, bytes], stdin: Stdin = None,
                  timeout: Optional[float] = None) -> Record:
        run = await self._host.start(command, stdin=stdin, timeout=timeout, _shell=self.name)
        return await run.wait()


class AsyncHost:
    """One server. `options` are further options of frsh, `program` is frsh itself.

    After a broken link, runs continue if it is up again within `grace` seconds."""

    def __init__(self, target: str, options: Sequence[str] = (), program: str = "frsh",
                 env: Optional[Mapping[str, str]] = None, grace: float = 30):
        self._command = [program, "--link", *options, target]
        self._env = None if env is None else dict(env)
        self._grace = grace
        self._link: Optional[Link] = None
        self._opening: Optional[asyncio.Lock] = None
        self._starting: List[Link] = []  # Not open yet.
        self._own_links: List[Link] = []  # Those of runs that have a link of their own.

    async def __aenter__(self) -> "AsyncHost":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the link, and with it all runs that are not kept."""
        link, self._link = self._link, None
        links, self._own_links = self._own_links + ([link] if link else []), []
        for one in self._starting:
            one.abandon()
        await asyncio.gather(*[one.close() for one in links + self._starting])

    async def _new_link(self) -> Link:
        link = Link(self._command, self._env, self._grace)
        self._starting.append(link)
        try:
            await link.open()
        except BaseException:
            link.abandon()
            raise
        finally:
            self._starting.remove(link)
        return link

    async def _own_link(self) -> Link:
        self._own_links = [one for one in self._own_links if not one.is_closed()]
        self._own_links.append(await self._new_link())
        return self._own_links[-1]

    async def _shared_link(self) -> Link:
        if self._opening is None:
            self._opening = asyncio.Lock()
        async with self._opening:
            if self._link is None or self._link.is_down():
                self._link = await self._new_link()
            return self._link

    async def start(self, command: Command, cwd: Union[None, str, bytes] = None,
                    env: Optional[Mapping[str, str]] = None, stdin: Stdin = None,
                    timeout: Optional[float] = None, max_output: Optional[int] = None,
                    run_id: Optional[str] = None, keep: bool = False,
                    terminal: Optional[Tuple[int, int]] = None,
                    _shell: Optional[str] = None) -> Run:
        """Starts a command and returns its Run. A text is for the shell, a list uses none.

        With `run_id` or `keep` the server keeps the run: it outlives this client, and the same id
        never starts twice."""
        is_shell_text = isinstance(command, (str, bytes))
        args = [command] if is_shell_text else list(command)  # type: ignore[list-item]
        keep = keep or run_id is not None
        strings = [os.fsencode(word) for word in args]  # type: ignore[type-var]
        header: Dict[str, Any] = {
            "type": "open", "run": run_id or new_id(), "args": len(strings),
            "mode": "command" if is_shell_text else "argv",
            "on_disconnect": "keep" if keep else "grace", "grace_ms": int(self._grace * 1000)}
        if cwd is not None:
            header["cwd"] = True
            strings.append(os.fsencode(cwd))
        if env:
            header["env"] = len(env)
            strings += [os.fsencode(f"{name}={value}") for name, value in env.items()]
        if any(b"\0" in one for one in strings):
            raise ValueError("a NUL byte in a command, folder or variable")
        if stdin is None and terminal is None:
            header["stdin_null"] = True
        if timeout is not None:
            header["timeout_ms"] = max(1, int(timeout * 1000))
        if max_output is not None:
            header["max_output"] = max_output
        if keep:
            header["kept"] = True
        if terminal is not None:
            header["pty"] = {"term": "xterm-256color", "columns": terminal[0],
                             "rows": terminal[1], "modes": {}}
        if _shell is not None:
            header["shell_name"] = _shell
        # A run that another session may have is the first request of a link of its own.
        own = keep or _shell is not None
        link = await (self._own_link() if own else self._shared_link())
        return await self._begin(Run(link, header, b"".join(one + b"\0" for one in strings),
                                     stdin, own))

    async def _begin(self, run: Run) -> Run:
        run._begin()
        try:
            await run.started()
        except BaseException:
            run.cancel()
            await run.leave()
            raise
        return run

    async def run(self, command: Command, soft: Optional[float] = None, **options: Any) -> Record:
        """Runs a command and returns its record; takes the arguments of start().

        After `soft` seconds a command goes on under its id, and the record is `running`."""
        if soft is None:
            return await (await self.start(command, **options)).wait()
        run = await self.start(command, keep=True, **options)
        output = {"stdout": bytearray(), "stderr": bytearray()}

        async def collect() -> None:
            async for name, data in run.chunks():
                output[name] += data

        try:
            await asyncio.wait_for(collect(), soft)
        except asyncio.TimeoutError:
            await run.leave()
            return Record(run.id, "running", None, None, bytes(output["stdout"]),
                          bytes(output["stderr"]), len(output["stdout"]), len(output["stderr"]),
                          None, [], {"kind": "running"})

        return dataclasses.replace(await run.wait(), stdout=bytes(output["stdout"]),
                                   stderr=bytes(output["stderr"]))

    async def attach(self, run: str, from_: Offsets = 0, follow: bool = True) -> Run:
        """Follows a kept run from these offsets of stdout and stderr; None is the present end."""
        out, err = from_ if isinstance(from_, tuple) else (from_, from_)
        header = {"type": "attach", "run": run, "stdout": out, "stderr": err, "follow": follow}
        return await self._begin(Run(await self._own_link(), header, b"", None, True))

    async def runs(self) -> List[Kept]:
        """Returns all kept runs of this user, the oldest first."""
        found = []
        for header, payload in await self._query({"type": "list"}):
            found.append(Kept(header["run"], header["outcome"], header["started_at"],
                              header.get("ended_at"), payload.split(b"\0")[:-1],
                              header["stdout"], header["stderr"], header.get("shell", False)))
        return found

    async def _query(self, header: Dict[str, Any]) -> List[Frame]:
        link = await self._shared_link()
        query = _Query(link, header)
        request = query.request()
        assert request is not None
        link.begin(request)
        return await query.done

    async def kill(self, run: str, signal: Optional[str] = None) -> None:
        """Ends a kept run and waits for that; with `signal`, only sends it."""
        found = await self.attach(run, None)
        if signal is None:
            found.cancel()
            await found.wait()
        else:
            found.signal(signal)
            await found.leave()

    async def forget(self, run: str) -> None:
        """Removes what is kept of a run that has ended."""
        await self._query({"type": "forget", "run": run})

    async def _connect(self, to: List[str]) -> Run:
        link = await self._shared_link()
        if "connect" not in link.server.get("features", []):
            raise Refused("server", "this server makes no connections for its clients")
        header = {"type": "open", "run": new_id(), "args": len(to), "mode": "connect",
                  "on_disconnect": "grace", "grace_ms": int(self._grace * 1000)}
        strings = b"".join(os.fsencode(word) + b"\0" for word in to)
        return await self._begin(Run(link, header, strings, None, False))

    async def forward(self, to: Place, at: Place = ("127.0.0.1", 0)) -> AsyncForward:
        """Listens at a port or path of this machine; the server connects each connection to `to`.

        With port 0, `port` of the result is the one that was chosen. Nothing is printed."""
        forward = AsyncForward(self, to)
        await forward._listen(at)
        return forward

    def shell(self, name: str) -> AsyncShell:
        return AsyncShell(self, name)

    async def terminal(self, columns: int, rows: int, command: Command = "exec $SHELL",
                       **options: Any) -> Run:
        """Starts a command on a terminal of this size; type into it with write()."""
        return await self.start(command, terminal=(columns, rows), **options)
