"""Processes that end with the one that started them, however that ends: Linux alone can say so.

As a program: ``bound.py PARENT COMMAND ...`` becomes the command, bound to the process PARENT that started
it. A program, because nothing of Python may run between the fork and the exec of a process with threads.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

__all__ = ["bind", "bound"]

#: Of prctl(2).
_PR_SET_PDEATHSIG = 1


def bind(parent: int, number: signal.Signals) -> None:
    """Get this signal when `parent`, the process that started this one, ends; at once if it has ended."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), number)


def bound(command: list[str]) -> list[str]:
    """The command that runs `command` bound to this process.

    What counts as the end of a process is the end of the thread that starts the other one.
    """
    if sys.platform != "linux":
        return command
    return [sys.executable, "-IS", str(Path(__file__).resolve()), str(os.getpid()), *command]


def main() -> None:
    """Become the command."""
    parent, *command = sys.argv[1:]
    bind(int(parent), signal.SIGKILL)
    try:
        os.execv(command[0], command)
    except OSError as error:
        sys.exit(f"{command[0]} does not start: {error.strerror}")


if __name__ == "__main__":
    main()
