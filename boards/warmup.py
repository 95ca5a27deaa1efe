"""First use of a packaged tool, one process at a time."""

from __future__ import annotations

import contextlib
import fcntl
import subprocess

from pulsefold.boards.cache import content_key
from pulsefold.boards.toolchain import Tool, user_cache_dir

__all__ = ["warm_up"]


def warm_up(tool: Tool) -> None:
    """Let a YoWASP tool compile itself before anyone relies on it.

    Its first use writes the compiled form into a cache in place, and later uses map that file into memory:
    two first uses at once can truncate the file under a third, which ends with a bus error. So the
    first use is an empty one, under a lock. Takes seconds once a version, nothing afterwards.

    Parameters
    ----------
    tool
        Any tool; those that are not compiled on first use return at once.
    """
    if not (tool.packaged and tool.path.name.startswith("yowasp-")):
        return
    folder = user_cache_dir() / "warm"
    marker = folder / content_key([tool.identity])[:16]
    # Without a folder to write there is no lock, and a single build needs none.
    with contextlib.suppress(OSError):
        if marker.exists():
            return
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{marker.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not marker.exists():
                # Its own failure shows again, with a log, in the use that follows.
                subprocess.run(
                    [str(tool.path), "--version"],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    check=False,
                )
                marker.touch()
