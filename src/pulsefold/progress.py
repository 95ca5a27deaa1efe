"""Progress of long work: one live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.status import Status

__all__ = ["Progress", "Silent"]


class Silent:
    """Takes lines and shows none."""

    def __call__(self, line: str) -> None:
        """Take a line."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, value: object, trace: object) -> None:
        return None


class Progress:
    """Shows what is going on, on standard error.

    On a terminal the newest line is live beside a spinner; elsewhere each line is printed, at most
    one a second of those that only count on.
    """

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)
        self.status: Status | None = None
        self.started = time.monotonic()
        self.printed = 0.0
        self.topic = ""

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self.status = self.console.status("")
            self.status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.status:
            self.status.stop()

    def __call__(self, line: str) -> None:
        """Show a line. Lines that share the words before a colon or digit are one topic that counts on."""
        seconds = time.monotonic() - self.started
        text = f"[{seconds:6.1f} s] {line}"
        if self.status:
            self.status.update(text.replace("[", r"\[", 1))
            return
        topic = line.rstrip("0123456789 /%.,")
        now = time.monotonic()
        if topic != self.topic or now - self.printed > 1:
            self.topic, self.printed = topic, now
            self.console.print(text, markup=False)
