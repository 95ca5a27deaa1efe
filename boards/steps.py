"""The steps from RTLIL to a bitstream: synthesis, place and route, packing; each cached by content."""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from pathlib import Path

from pulsefold.boards.board import Board
from pulsefold.boards.cache import BuildCache, content_key
from pulsefold.boards.clocks import COMPUTE_CLOCK
from pulsefold.boards.flow import Flow
from pulsefold.boards.flow.joined import refuse_joined_nets
from pulsefold.boards.implementation import Implementation, Seconds, SeedResult
from pulsefold.boards.process import run_tool
from pulsefold.boards.timing import RouteReport, read_report
from pulsefold.boards.toolchain import Tool, find_tool
from pulsefold.boards.top import TOP
from pulsefold.compiler.plan.resources import COUNTS, Resources
from pulsefold.errors import DoesNotFitError, ToolFailedError

__all__ = ["Progress", "Step", "Steps"]

#: Is given one line when a step begins or ends.
Progress = Callable[[str], None]

#: Part of every key; raised when the meaning of a cached file changes, or what a flow does to a netlist.
_CACHE_VERSION = "5"

#: What the router says when it finds no place for a cell.
_FULL = ("no BELs remaining", "Failed to expand region", "Unable to find a placement", "Unable to find legal")


#: Sites by cell.
_SITES = "sites.json"


def _placing(clock_mhz: float, seed: int) -> list[str]:
    """Arguments of every run of a place-and-route tool."""
    return ["--json", "netlist.json", "--freq", f"{clock_mhz:.6f}", "--seed", str(seed)]


def _fix(netlist: Path, sites: Path, fixed: Path) -> None:
    """Write a netlist whose cells keep their sites."""
    document = json.loads(netlist.read_text())
    cells = next(m for m in document["modules"].values() if "top" in m["attributes"])["cells"]
    for name, site in json.loads(sites.read_text()).items():
        cells[name]["attributes"]["BEL"] = site
    fixed.write_text(json.dumps(document))


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step's cached folder, and whether it had to be made."""

    folder: Path
    seconds: float
    cached: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """What the steps of one build share.

    Parameters
    ----------
    board, flow
        Where the design runs, and how its family is built for.
    cache
        Where finished steps are kept.
    logs
        Folder of the tools' logs.
    progress
        Called with a line when a step begins or ends.
    stop
        Ends the tools that run when it is set.
    """

    board: Board
    flow: Flow
    cache: BuildCache
    logs: Path
    progress: Progress
    stop: threading.Event = field(default_factory=threading.Event)

    def synthesise(self, text: str, commands: Sequence[str] = ()) -> Step:
        """RTLIL to ``netlist.json`` and ``cells.json``."""
        try:
            return self._synthesise(text, self.flow.synthesis(self.board, TOP), commands)
        except ToolFailedError as error:
            other = self.flow.second_synthesis(self.board, TOP)
            if other is None or "ERROR" in error.why:
                raise
            self.progress("synthesis: Yosys gave up without a message; once more in another way")
            return self._synthesise(text, other, commands)

    def _synthesise(self, text: str, command: str, commands: Sequence[str]) -> Step:
        script = "; ".join(
            [
                f"read_rtlil {TOP}.il",
                command,
                *commands,
                "write_json netlist.json",
                "tee -q -o cells.json stat -json",
            ]
        )

        def prepare(folder: Path) -> list[str]:
            (folder / f"{TOP}.il").write_text(text)
            return ["-p", script]

        def finish(folder: Path) -> None:
            refuse_joined_nets(folder / "netlist.json")
            self.flow.finish(folder / "netlist.json")

        return self._step("synth", "synthesis", "yosys", [text, script], prepare, finish=finish)

    def sites(self, netlist: Step, clock_mhz: float) -> Step | None:
        """``sites.json``, from a placement that is not routed; None where one placement is enough."""
        need = self._needed(netlist)
        own = self.flow.first_placement(self.board, need)
        if own is None:
            return None
        arguments = [*own, *_placing(clock_mhz, 1)]

        def finish(folder: Path) -> None:
            (folder / _SITES).write_text(json.dumps(self.flow.sites(folder / "placed.json")))

        title = f"first placement at {clock_mhz:.4g} MHz"
        return self._place(netlist, title, arguments, None, drop=("placed.json",), finish=finish, log="place")

    def route(
        self,
        netlist: Step,
        clock_mhz: float,
        seed: int,
        options: Sequence[str] = (),
        *,
        sites: Step | None = None,
        log: str = "route",
    ) -> tuple[Step, RouteReport]:
        """``netlist.json`` to the routed design and ``timing.json``; what the latter says.

        Cells that `sites` has sites for stay there.
        """
        arguments = [
            *self.flow.route_arguments(self.board, self._needed(netlist).luts),
            *_placing(clock_mhz, seed),
            *("--report", "timing.json"),
            # A miss is ours to judge, and the report must be written.
            "--timing-allow-fail",
            *options,
        ]
        title = f"place and route at {clock_mhz:.4g} MHz, seed {seed}"
        step = self._place(netlist, title, arguments, sites, log=log, second=self.flow.second_route)
        return step, read_report(step.folder / "timing.json", COMPUTE_CLOCK)

    def _place(
        self,
        netlist: Step,
        title: str,
        arguments: list[str],
        sites: Step | None,
        *,
        drop: Sequence[str] = (),
        finish: Callable[[Path], None] | None = None,
        log: str,
        second: Callable[[list[str], Path, float], list[str] | None] | None = None,
    ) -> Step:
        """Run the place-and-route tool on a netlist."""
        need = self._needed(netlist)
        self._check_fit(need)
        constraints = self.flow.constraints(self.board)

        def prepare(folder: Path) -> list[str]:
            (folder / self.flow.constraints_name).write_text(constraints)
            if sites is None:
                shutil.copyfile(netlist.folder / "netlist.json", folder / "netlist.json")
            else:
                _fix(netlist.folder / "netlist.json", sites.folder / _SITES, folder / "netlist.json")
            return arguments

        key = [netlist.folder.name, *([sites.folder.name] if sites else []), constraints, *arguments]
        drop = ("netlist.json", *drop)
        try:
            return self._step(
                "route",
                title,
                self.flow.router,
                key,
                prepare,
                drop=drop,
                finish=finish,
                log=log,
                second=second,
            )
        except ToolFailedError as error:
            if not any(sign in error.why for sign in _FULL):
                raise
            raise DoesNotFitError(
                f"the design, {need.luts:g} LUTs, does not fit {self.board.title}",
                where=error.where,
                why=error.why,
                todo="fold it further (a lower --fps), or take a larger board",
            ) from error

    def pack(self, routed: Step) -> Step:
        """The routed design to the bitstream."""
        arguments = self.flow.pack_arguments(self.board)

        def prepare(folder: Path) -> list[str]:
            shutil.copyfile(routed.folder / self.flow.routed_name, folder / self.flow.routed_name)
            return arguments

        key = [routed.folder.name, *arguments]
        drop = (self.flow.routed_name,)
        return self._step("pack", "bitstream", self.flow.packer, key, prepare, drop=drop)

    def publish(
        self,
        folder: Path,
        netlist: Step,
        sites: Step | None,
        routed: Step,
        packed: Step,
        *,
        report: RouteReport,
        clock_mhz: float,
        seeds: tuple[SeedResult, ...],
    ) -> Implementation:
        """Copy what a user wants into the build folder, all or nothing; the first seed is the one taken."""
        work = Path(tempfile.mkdtemp(prefix=".bitstream-", dir=folder.parent))
        try:
            bitstream = folder / f"{self.board.name}{Path(self.flow.bitstream_name).suffix}"
            shutil.copyfile(packed.folder / self.flow.bitstream_name, work / bitstream.name)
            for name in ("netlist.json", "cells.json"):
                shutil.copyfile(netlist.folder / name, work / name)
            for name in ("timing.json", self.flow.routed_name):
                shutil.copyfile(routed.folder / name, work / name)
            # mkdtemp's folder is the owner's alone; a build folder is not.
            work.chmod(0o755)
            work.rename(folder)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        taken, need = self.flow.routed(report.used), self._needed(netlist)
        placing = [sites, routed] if sites else [routed]
        return Implementation(
            board=self.board.name,
            clock_mhz=clock_mhz,
            fmax_mhz=round(report.fmax_mhz, 3),
            luts=int(taken.luts),
            ffs=int(taken.ffs or need.ffs),
            brams=int(taken.brams),
            dsps=taken.dsps,
            seed=seeds[0].seed,
            seeds=seeds,
            seconds=Seconds(
                synth=netlist.seconds, route=sum(s.seconds for s in placing), pack=packed.seconds
            ),
            bitstream=bitstream,
            netlist=folder / "netlist.json",
            critical_path=report.critical_path,
            cached=all(step.cached for step in (netlist, *placing, packed)),
        )

    def _step(
        self,
        name: str,
        title: str,
        tool_name: str,
        inputs: Sequence[str],
        prepare: Callable[[Path], list[str]],
        *,
        drop: Sequence[str] = (),
        finish: Callable[[Path], None] | None = None,
        log: str = "",
        second: Callable[[list[str], Path, float], list[str] | None] | None = None,
    ) -> Step:
        """Run one tool in a cache entry, or take the entry; `drop` names files that are inputs alone."""
        tool = find_tool(tool_name)
        key = content_key([_CACHE_VERSION, name, tool.identity, *inputs])
        written = self.logs / f"{log or name}.log"
        made = False

        def fill(folder: Path) -> None:
            nonlocal made
            self.progress(f"{title}: running {tool.name}")
            seconds = self._run(tool, prepare(folder), folder, written, title, second)
            if finish is not None:
                finish(folder)
            for file in drop:
                (folder / file).unlink()
            shutil.copyfile(written, folder / "log")
            (folder / "seconds").write_text(f"{seconds:.3f}\n")
            made = True

        folder = self.cache.make(key, fill)
        if not made:
            shutil.copyfile(folder / "log", written)
        seconds = float((folder / "seconds").read_text())
        self.progress(f"{title}: {'cached' if not made else f'done in {seconds:.1f} s'}")
        return Step(folder=folder, seconds=seconds, cached=not made)

    def _run(
        self,
        tool: Tool,
        arguments: list[str],
        folder: Path,
        log: Path,
        title: str,
        second: Callable[[list[str], Path, float], list[str] | None] | None,
    ) -> float:
        """Seconds that the tool took, once more by another way where `second` has one."""
        other: list[str] | None = None

        def hopeless(still_s: float) -> bool:
            nonlocal other
            other = second(arguments, log, still_s) if second else None
            return other is not None

        start = time.monotonic()
        try:
            return run_tool(
                tool, arguments, cwd=folder, log=log, stop=self.stop, hopeless=hopeless if second else None
            )
        except CancelledError:
            if other is None:
                raise
            self.progress(f"{title}: it gets no further, again by another way")
            run_tool(tool, other, cwd=folder, log=log, stop=self.stop)
        return time.monotonic() - start

    def _needed(self, netlist: Step) -> Resources:
        path = netlist.folder / "cells.json"
        try:
            cells = json.loads(path.read_text())["design"]["num_cells_by_type"]
        except (ValueError, KeyError) as error:
            raise ToolFailedError("the cell count of synthesis is not readable", where=str(path)) from error
        return self.flow.synthesised(cells)

    def _check_fit(self, need: Resources) -> None:
        have = self.board.resources
        for name in COUNTS:
            wanted, limit = getattr(need, name), getattr(have, name)
            if wanted > limit:
                raise DoesNotFitError(
                    f"the design needs {wanted:g} {name}, {self.board.title} has {limit:g}",
                    where=self.board.name,
                    todo="fold it further (a lower --fps), or take a larger board",
                )
