"""Runs one tool: argument list in, log file out, and no child left behind."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from types import FrameType

from pulsefold.boards.bound import bound
from pulsefold.boards.toolchain import Tool
from pulsefold.boards.warmup import warm_up
from pulsefold.errors import OutputError, ToolFailedError

__all__ = ["run_tool", "terminable"]

_LOG = logging.getLogger(__name__)

#: Lines of the log that an error shows.
_TAIL = 12

#: Seconds between looks at whether a tool is to be stopped.
_POLL_S = 0.1

#: Seconds between looks at whether its log has grown.
_LOOK_S = 2.0


def run_tool(
    tool: Tool,
    arguments: Sequence[str],
    *,
    cwd: Path,
    log: Path,
    stop: threading.Event | None = None,
    hopeless: Callable[[float], bool] | None = None,
) -> float:
    """Run `tool` to its end.

    Parameters
    ----------
    tool
        From :func:`pulsefold.boards.toolchain.find_tool`.
    arguments
        After the executable; never passed through a shell.
    cwd
        Folder it runs in.
    log
        File that takes its output and error streams, replaced if there.
    stop
        Ends the tool when it is set: signals reach the main thread alone, and this one may be another.
    hopeless
        Asked now and then, with the seconds for which the log has not grown, whether to end the tool.

    Returns
    -------
    float
        Wall-clock seconds.

    Raises
    ------
    ToolFailedError
        If it ended with another code than 0; `why` holds the last lines of the log.
    OutputError
        If the log cannot be written, or the tool found the disk full.
    CancelledError
        If it was stopped.
    """
    command = [str(tool.path), *arguments]
    _LOG.debug("running %s in %s", command, cwd)
    warm_up(tool)
    start = time.monotonic()
    try:
        stream = log.open("wb")
    except OSError as error:
        raise OutputError(f"cannot write the log: {error.strerror}", where=str(log)) from error
    with stream, terminable():
        if not os.access(tool.path, os.X_OK):
            raise ToolFailedError(f"{tool.name} does not start: no program is there", where=str(tool.path))
        # A session of its own: Ctrl-C reaches only us, and we end the whole group.
        process = subprocess.Popen(
            bound(command),
            cwd=cwd,
            env=tool.full_environment(),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = _wait(process, stop, hopeless, log)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
    seconds = time.monotonic() - start
    if code:
        _raise_failure(tool, code, log)
    return seconds


def _wait(
    process: subprocess.Popen[bytes],
    stop: threading.Event | None,
    hopeless: Callable[[float], bool] | None,
    log: Path,
) -> int:
    """The exit code, once there is one."""
    size, grown = -1, 0.0
    looked = time.monotonic()
    while stop is not None or hopeless is not None:
        try:
            return process.wait(_POLL_S)
        except subprocess.TimeoutExpired:
            if stop is not None and stop.is_set():
                raise CancelledError from None
        now = time.monotonic()
        if hopeless is None or now - looked < _LOOK_S:
            continue
        looked = now
        if log.stat().st_size != size:
            size, grown = log.stat().st_size, now
        elif hopeless(now - grown):
            raise CancelledError
    return process.wait()


@contextlib.contextmanager
def terminable() -> Generator[None]:
    """Turn SIGTERM into an exception, so that the tool ends with us and not after us.

    Only where nobody else handles it, and only in the main thread, the one that may.
    """
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    ):
        yield
        return

    def leave(number: int, frame: FrameType | None) -> None:
        # The code that a shell gives a process ended by this signal.
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _raise_failure(tool: Tool, code: int, log: Path) -> None:
    lines = log.read_text(errors="replace").splitlines()
    if any("No space left on device" in line for line in lines[-_TAIL:]):
        raise OutputError("the disk is full", where=str(log.parent), todo="free some space and run it again")
    # Tools print much after the line that matters; bring the errors to the front.
    errors = [line for line in lines if "ERROR" in line]
    shown = errors[-3:] if errors else lines[-_TAIL:]
    raise ToolFailedError(
        f"{tool.name} ended with code {code}",
        where=str(log),
        why="\n".join(shown) or "it printed nothing",
        todo="read the log; if the message does not point at your design, report it with the log",
    )
