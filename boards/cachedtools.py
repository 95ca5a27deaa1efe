"""A tool's run as a cached step: a folder by content, a log, lines of progress."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from pathlib import Path

from pulsefold.boards.cache import BuildCache, content_key
from pulsefold.boards.process import run_tool
from pulsefold.boards.toolchain import Tool, find_tool

__all__ = ["CachedTools", "Job", "Progress", "Step"]

#: Is given one line when a step begins or ends.
Progress = Callable[[str], None]

#: Part of every key; raised when the meaning of a cached file changes, or what a flow does to a netlist.
_CACHE_VERSION = "13"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step's cached folder, how long it took when it ran, and whether it need not run."""

    folder: Path
    seconds: float
    cached: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What one step runs.

    Parameters
    ----------
    name
        Kind of step; part of the key, and the log's name where it has no other.
    title
        For people.
    tool
        Name of the tool.
    inputs
        What the result depends on besides the tool.
    prepare
        Writes the inputs into the step's folder; the tool's arguments.
    finish
        Works on what the tool left there.
    drop
        Files that are inputs alone and leave the folder.
    log
        The log's name, without suffix.
    second
        Asked, with the arguments, the log, and the seconds for which that has not grown, for arguments to
        run the tool with instead; None lets it run on.
    """

    name: str
    title: str
    tool: str
    inputs: Sequence[str]
    prepare: Callable[[Path], list[str]]
    finish: Callable[[Path], None] | None = None
    drop: Sequence[str] = ()
    log: str = ""
    second: Callable[[list[str], Path, float], list[str] | None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedTools:
    """Runs jobs, each once.

    Parameters
    ----------
    cache
        Where finished steps are kept.
    logs
        Folder of the tools' logs.
    progress
        Called with a line when a step begins or ends.
    stop
        Ends the tools that run when it is set.
    """

    cache: BuildCache
    logs: Path
    progress: Progress
    stop: threading.Event = field(default_factory=threading.Event)

    def step(self, job: Job) -> Step:
        """Run a job in a cache entry, or take the entry; its log is written either way."""
        tool = find_tool(job.tool)
        key = content_key([_CACHE_VERSION, job.name, tool.identity, *job.inputs])
        log = self.logs / f"{job.log or job.name}.log"
        made = False

        def fill(folder: Path) -> None:
            nonlocal made
            self.progress(f"{job.title}: running {tool.name}")
            seconds = self._run(tool, job, folder, log)
            if job.finish is not None:
                job.finish(folder)
            for file in job.drop:
                (folder / file).unlink()
            shutil.copyfile(log, folder / "log")
            (folder / "seconds").write_text(f"{seconds:.3f}\n")
            made = True

        folder = self.cache.make(key, fill)
        if not made:
            shutil.copyfile(folder / "log", log)
        seconds = float((folder / "seconds").read_text())
        self.progress(f"{job.title}: {'cached' if not made else f'done in {seconds:.1f} s'}")
        return Step(folder=folder, seconds=seconds, cached=not made)

    def _run(self, tool: Tool, job: Job, folder: Path, log: Path) -> float:
        """Seconds that the tool took, again by another way where the job has one."""
        arguments = job.prepare(folder)
        other: list[str] | None = None

        def hopeless(still_s: float) -> bool:
            nonlocal other
            other = job.second(arguments, log, still_s) if job.second else None
            return other is not None

        start = time.monotonic()
        while True:
            try:
                run_tool(
                    tool,
                    arguments,
                    cwd=folder,
                    log=log,
                    stop=self.stop,
                    hopeless=hopeless if job.second else None,
                )
            except CancelledError:
                if other is None:
                    raise
                self.progress(f"{job.title}: it gets no further, again by another way")
                arguments, other = other, None
                continue
            return time.monotonic() - start
