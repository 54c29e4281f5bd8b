"""Runs commands on another machine through frsh, and returns exactly what they did.

    import frsh

    with frsh.Host("server") as host:
        record = host.run("make -j8", cwd="/src", timeout=600)
        print(record.kind, record.code, record.stdout.decode())

`Host` waits for each result; `AsyncHost` has the same methods for asyncio. Both keep one link,
which carries up to 256 runs at a time. The program `frsh` logs in, so a target, its keys and its
settings are those of the command line.

- `run()` returns a `Record`. `kind` is `exited`, `signaled`, `timed_out` or `canceled`; `code` is
  the exit code of a command that exited, and None for all others.
- `Lost` is raised if the end of a run was not observed or bytes are missing. The run may have
  taken place. `run` is its id: with `run_id` given, call `run()` again to continue with it.
- `NotStarted` and `Refused` are raised if the command did not run. `stage` and `reason` say why.
- `start()` returns a `Run`, whose `chunks()` gives the output as it arrives. A reader that waits
  makes the command wait: no more than one window of each stream is in memory.
- `forward(("db", 5432))` listens on a port of this machine that leads to one of the server's side.
- `python3 -m frsh mcp TARGET` serves the Model Context Protocol, for AI agents.
- If the link breaks, it is dialled again, and each run continues where it was, byte for byte.
"""

from .errors import Error, Lost, NotStarted, Refused
from .forward import AsyncForward
from .host import AsyncHost
from .plain import Host, PlainForward, PlainRun
from .record import Kept, Record, Usage
from .run import Run

__all__ = ["AsyncForward", "AsyncHost", "Error", "Host", "Kept", "Lost", "NotStarted",
           "PlainForward", "PlainRun", "Record", "Refused", "Run", "Usage"]
__version__ = "0.1.0"
