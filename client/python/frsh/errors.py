"""What is raised instead of a result. No exit code is ever invented."""

from __future__ import annotations

from typing import Optional


class Error(Exception):
    """The base of all errors of this package."""


class Lost(Error):
    """The end of the run was not observed, or bytes of its output are missing."""

    def __init__(self, run: str, message: str):
        super().__init__(f"{run}: lost: {message}")
        self.run, self.message = run, message


class Refused(Error):
    """The server, or the program that connects to it, refused the request. Nothing ran."""

    def __init__(self, reason: str, message: str, retry_after: Optional[int] = None):
        super().__init__(f"{reason}: {message}")
        self.reason, self.message, self.retry_after = reason, message, retry_after


class NotStarted(Error):
    """The server accepted the run, and could not start its program."""

    def __init__(self, run: str, stage: str, errno: int, message: str):
        super().__init__(f"{run}: not started ({stage}): {message}")
        self.run, self.stage, self.errno, self.message = run, stage, errno, message
