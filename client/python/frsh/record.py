"""The results: of a run that ended, and of a run that the server keeps."""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, List, Optional, Tuple


@dataclasses.dataclass(frozen=True)
class Usage:
    """Times in seconds, memory in KiB."""

    wall_s: float
    user_s: float
    sys_s: float
    max_rss_kib: int
    oom_kills: int = 0


@dataclasses.dataclass(frozen=True)
class Record:
    """How a run ended, and its output."""

    run: str
    kind: str  # exited, signaled, timed_out, canceled or running.
    code: Optional[int]  # Only a command that exited has one.
    signal: Optional[str]  # The name, such as KILL, of a command that a signal ended.
    stdout: bytes  # Empty where the output was taken with chunks().
    stderr: bytes
    stdout_bytes: int  # How many the command wrote, also those that max_output left out.
    stderr_bytes: int
    usage: Optional[Usage]
    holders: List[Dict[str, Any]]  # Processes that still held a stream open: pid and name.
    outcome: Dict[str, Any]  # As PROTOCOL.md describes it.
    # What max_output left out of "stdout" or "stderr": the offsets where it begins and ends.
    gaps: Dict[str, Tuple[int, int]] = dataclasses.field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return self.code == 0


@dataclasses.dataclass(frozen=True)
class Kept:
    """A run that the server keeps under its id."""

    run: str
    outcome: Dict[str, Any]
    started_at: int
    ended_at: Optional[int]
    argv: List[bytes]
    stdout_bytes: int
    stderr_bytes: int
    shell: bool


def usage_of(header: Dict[str, Any]) -> Optional[Usage]:
    found = header.get("usage")
    if not found:
        return None
    return Usage(**{name: found[name] for name in
                    ("wall_s", "user_s", "sys_s", "max_rss_kib", "oom_kills") if name in found})
