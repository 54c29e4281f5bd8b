"""A server of the Model Context Protocol: JSON-RPC on stdin and stdout, a message a line.

A call lasts at most 45 seconds, or `wait` if that is less. Then it returns `running`, the id of the
run and the offsets of its output; `output` continues from there. A run that was given an id never
starts twice.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any, Awaitable, Callable, Coroutine, Dict, List, Optional

from .errors import Error
from .host import AsyncHost
from .link import new_id
from .run import Run

VERSIONS = ("2025-06-18", "2025-03-26", "2024-11-05")
LONGEST = 45.0  # Seconds that a call may last, from its arrival to its answer.
ROOM = 4.0  # Seconds before the end at which a call leaves its run, for what is left to do.
SHOWN = 16 * 1024  # Bytes of each stream in an answer: half of them from its start.
HELD = 1024 * 1024  # Bytes of a stream that are read for one answer.


# Takes the arguments, and the time of the event loop by which it leaves its run.
Tool = Callable[[Dict[str, Any], float], Awaitable[Dict[str, Any]]]


def _tool(name: str, about: str, needed: List[str], /, **properties: Any) -> Dict[str, Any]:
    return {"name": name, "description": about, "inputSchema": {
        "type": "object", "properties": properties, "required": needed}}


_TEXT, _NUMBER = {"type": "string"}, {"type": "number"}
_WAIT = {"type": "number", "description": "seconds to wait for the end, at most 45"}
_RUN = {"type": "string", "description": "the id of the run"}
_FROM = {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2,
         "description": "offsets of stdout and stderr to continue from"}
TOOLS = [
    _tool("run", "Runs a shell command. With an id, asking again never starts it twice.",
          ["command"], command=_TEXT, id=_RUN, cwd=_TEXT, stdin=_TEXT, wait=_WAIT,
          timeout={"type": "number", "description": "seconds after which the command is ended"},
          env={"type": "object", "additionalProperties": _TEXT},
          interactive={"type": "boolean", "description": "on a terminal, for the tool input"}),
    _tool("output", "Returns the output of a run from these offsets, and its end.", ["run"],
          run=_RUN, **{"from": _FROM}, wait=_WAIT),
    _tool("input", "Types a text into a run that is interactive.", ["run", "text"], run=_RUN,
          text=_TEXT),
    _tool("signal", "Sends a signal such as INT; without a name, ends the run.", ["run"], run=_RUN,
          name=_TEXT),
    _tool("runs", "Lists the runs that the server keeps.", []),
    _tool("shell", "Evaluates a command in the shell of this name: its folder and variables last.",
          ["name", "command"], name=_TEXT, command=_TEXT, timeout=_NUMBER),
]


def shorten(data: bytes, at: int) -> Dict[str, Any]:
    """Returns the text of an answer: head and tail, with the gap between them named."""
    text: Dict[str, Any] = {"from": at, "to": at + len(data)}
    half = SHOWN // 2
    if len(data) <= SHOWN:
        return {**text, "text": data.decode(errors="replace")}
    end = len(data) - half
    return {**text, "text": data[:half].decode(errors="replace"),
            "gap": {"from": at + half, "to": at + end},
            "tail": data[end:].decode(errors="replace")}


class Server:
    """Answers the calls of one client. The runs belong to the server of frsh, not to this."""

    def __init__(self, host: AsyncHost, longest: float = LONGEST):
        self._host, self._longest = host, longest
        self._room = min(ROOM, longest / 4)
        self._typed: Dict[str, Run] = {}  # Interactive runs, which are not kept.
        self._seen: Dict[str, Dict[str, bytearray]] = {}  # Their output so far.
        self._readers: Dict[str, "asyncio.Task[None]"] = {}
        self._tools: Dict[str, Tool] = {
            "run": self._run, "output": self._output, "input": self._input,
            "signal": self._signal, "runs": self._runs, "shell": self._shell}

    async def answer(self, message: Any) -> Optional[Dict[str, Any]]:
        """Returns the answer to a message, or None for one that wants none."""
        if not isinstance(message, dict) or not isinstance(message.get("method"), str):
            return _problem(None, -32600, "no request")
        if "id" not in message:
            return None
        number, method = message["id"], message["method"]
        parameters = message.get("params") or {}
        if not isinstance(parameters, dict):
            return _problem(number, -32602, "params: not an object")
        if method == "initialize":
            wanted = parameters.get("protocolVersion")
            return _result(number, {
                "protocolVersion": wanted if wanted in VERSIONS else VERSIONS[0],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "frsh", "version": "0.1.0"}})
        if method == "ping":
            return _result(number, {})
        if method == "tools/list":
            return _result(number, {"tools": TOOLS})
        if method != "tools/call":
            return _problem(number, -32601, f"{method}: no such method")
        tool = self._tools.get(str(parameters.get("name")))
        if tool is None:
            return _problem(number, -32602, f"{parameters.get('name')}: no such tool")
        arguments = dict(parameters.get("arguments") or {})
        if parameters["name"] == "run":
            arguments["id"] = arguments.get("id") or new_id()
        return _result(number, await self._call(tool, arguments))

    async def _call(self, tool: "Tool", arguments: Dict[str, Any]) -> Dict[str, Any]:
        until = asyncio.get_running_loop().time() + self._longest - self._room
        try:
            found, failed = await asyncio.wait_for(tool(arguments, until),
                                                   self._longest - self._room / 2), False
        except asyncio.TimeoutError:
            # Perhaps it runs. The same id finds it, and never starts it twice.
            found = {"state": "unknown", "problem": "frsh did not answer in time; call again"}
            name = arguments.get("run") or arguments.get("id")
            if name is not None:
                found["run"] = name
            failed = True
        except (Error, ValueError, TypeError, KeyError, OSError) as error:
            found, failed = {"problem": str(error) or repr(error)}, True
            if hasattr(error, "run"):
                found["run"] = error.run
        return {"content": [{"type": "text", "text": json.dumps(found)}],
                "structuredContent": found, "isError": failed}

    async def _run(self, wanted: Dict[str, Any], until: float) -> Dict[str, Any]:
        name = wanted["id"]
        options: Dict[str, Any] = {key: wanted.get(key) for key in ("cwd", "env", "timeout")}
        if wanted.get("interactive"):
            if name not in self._typed:
                run = await self._host.terminal(80, 24, wanted["command"], **options)
                self._typed[name] = run
                self._seen[name] = {"stdout": bytearray(), "stderr": bytearray()}
                self._readers[name] = asyncio.ensure_future(self._read_terminal(name))
            return await self._output({"run": name, "wait": wanted.get("wait", 1)}, until)
        stdin = wanted.get("stdin")
        run = await self._begin(self._host.start(wanted["command"], run_id=name, **options,
                                                 stdin=None if stdin is None else stdin.encode()))
        return await self._follow(run, (0, 0), _wait_of(wanted, until))

    async def _begin(self, starting: Coroutine[Any, Any, Run]) -> Run:
        """Returns the run. If the call ends before it has begun, it is left running."""
        task = asyncio.ensure_future(starting)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_leave)
            raise

    async def _read_terminal(self, name: str) -> None:
        async for stream, data in self._typed[name].chunks():
            self._seen[name][stream] += data

    async def _follow(self, run: Run, start: Any, wait: float) -> Dict[str, Any]:
        """Reads up to `wait` seconds, or HELD bytes of a stream, and leaves the run running."""
        output = {"stdout": bytearray(), "stderr": bytearray()}

        async def collect() -> None:
            async for name, data in run.chunks():
                output[name] += data
                if len(output[name]) >= HELD:
                    return

        try:
            await asyncio.wait_for(collect(), wait)
        except asyncio.TimeoutError:
            pass
        except asyncio.CancelledError:
            asyncio.ensure_future(run.leave())
            raise
        answer: Dict[str, Any] = {"run": run.id, "state": "running"}
        if run.is_over():
            record = await run.wait()
            answer = {"run": run.id, "state": "ended", **record.outcome,
                      "total": [record.stdout_bytes, record.stderr_bytes]}
        else:
            await run.leave()
        for name, at in zip(output, start):
            answer[name] = shorten(bytes(output[name]), at)
        answer["next"] = [answer["stdout"]["to"], answer["stderr"]["to"]]
        return answer

    async def _output(self, wanted: Dict[str, Any], until: float) -> Dict[str, Any]:
        start = wanted.get("from") or [0, 0]
        run = self._typed.get(wanted["run"])
        if run is None:
            kept = await self._begin(self._host.attach(wanted["run"], (start[0], start[1])))
            return await self._follow(kept, start, _wait_of(wanted, until))
        name = wanted["run"]
        await asyncio.wait([self._readers[name]], timeout=_wait_of(wanted, until))
        answer: Dict[str, Any] = {"run": name, "state": "running"}
        if run.is_over():
            answer = {"run": name, "state": "ended", **(await run.wait()).outcome}
        for at, (stream, seen) in zip(start, self._seen[name].items()):
            answer[stream] = shorten(bytes(seen[at:]), at)
        answer["next"] = [answer["stdout"]["to"], answer["stderr"]["to"]]
        return answer

    async def _input(self, wanted: Dict[str, Any], until: float) -> Dict[str, Any]:
        run = self._typed.get(wanted["run"])
        if run is None:
            raise ValueError("input goes to a run that is interactive")
        run.write(wanted["text"].encode())
        return await self._output({"run": wanted["run"], "wait": 0.2,
                                   "from": [len(one) for one in
                                            self._seen[wanted["run"]].values()]}, until)

    async def _signal(self, wanted: Dict[str, Any], until: float) -> Dict[str, Any]:
        run = self._typed.get(wanted["run"])
        if run is None:
            await self._host.kill(wanted["run"], wanted.get("name"))
        elif wanted.get("name"):
            run.signal(wanted["name"])
        else:
            run.cancel()
        return {"run": wanted["run"], "sent": wanted.get("name") or "TERM, then KILL"}

    async def _runs(self, wanted: Dict[str, Any], until: float) -> Dict[str, Any]:
        return {"runs": [{
            "run": kept.run, "outcome": kept.outcome, "started_at": kept.started_at,
            "ended_at": kept.ended_at, "shell": kept.shell,
            "command": b" ".join(kept.argv).decode(errors="replace"),
            "stdout": kept.stdout_bytes, "stderr": kept.stderr_bytes}
            for kept in await self._host.runs()]}

    async def _shell(self, wanted: Dict[str, Any], until: float) -> Dict[str, Any]:
        """A run in a shell cannot be left running, so its time is limited."""
        # The link takes some of the time, and its end too.
        most = (until - asyncio.get_running_loop().time()) * 0.9
        timeout = min(float(wanted.get("timeout") or most), most)
        record = await self._host.shell(wanted["name"]).run(wanted["command"], timeout=timeout)
        return {"run": record.run, "state": "ended", **record.outcome,
                "stdout": shorten(record.stdout, 0), "stderr": shorten(record.stderr, 0)}


def _leave(task: "asyncio.Future[Run]") -> None:
    if not task.cancelled() and task.exception() is None:
        asyncio.ensure_future(task.result().leave())


def _wait_of(wanted: Dict[str, Any], until: float) -> float:
    """Returns how long to wait for the end: as wanted, or up to `until`."""
    left = max(0.0, until - asyncio.get_running_loop().time())
    wait = wanted.get("wait")
    return left if wait is None else max(0.0, min(float(wait), left))


def _result(number: Any, result: Dict[str, Any]) -> Dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "result": result}


def _problem(number: Any, code: int, message: str) -> Dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": message}}


def _name_of_call(message: Any) -> str:
    return repr(message.get("id")) if isinstance(message, dict) and "id" in message else ""


async def serve(host: AsyncHost) -> None:
    """Answers the messages on stdin until its end. Calls are answered as they end.

    A call that the client cancels gets no answer; its run goes on."""
    server, tasks = Server(host), set()
    calls: Dict[Any, "asyncio.Task[None]"] = {}

    async def answer(line: bytes) -> None:
        try:
            message = json.loads(line)
        except ValueError:
            found: Optional[Dict[str, Any]] = _problem(None, -32700, "not JSON")
        else:
            name, task = _name_of_call(message), asyncio.current_task()
            assert task is not None
            calls[name] = task
            cancel(message)
            try:
                found = await server.answer(message)
            finally:
                if calls.get(name) is task:
                    del calls[name]
        if found is not None:
            sys.stdout.buffer.write(json.dumps(found).encode() + b"\n")
            sys.stdout.buffer.flush()

    def cancel(message: Any) -> None:
        if isinstance(message, dict) and message.get("method") == "notifications/cancelled":
            found = message.get("params")
            name = repr(found.get("requestId")) if isinstance(found, dict) else ""
            if name in calls:
                calls[name].cancel()

    loop = asyncio.get_running_loop()
    while True:
        line = await loop.run_in_executor(None, sys.stdin.buffer.readline)
        if not line:
            break
        if line.strip():
            task = asyncio.ensure_future(answer(line))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
    if tasks:
        await asyncio.wait(tasks)
    await host.close()
