"""python3 -m frsh mcp [OPTION...] HOST: serves the Model Context Protocol for this host."""

import asyncio
import os
import sys

from .host import AsyncHost
from .mcp import serve


def main() -> int:
    if len(sys.argv) < 3 or sys.argv[1] != "mcp":
        print(__doc__, file=sys.stderr)
        return 255
    host = AsyncHost(sys.argv[-1], options=sys.argv[2:-1],
                     program=os.environ.get("FRSH_PROGRAM", "frsh"))
    asyncio.run(serve(host))
    return 0


if __name__ == "__main__":
    sys.exit(main())
