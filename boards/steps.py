"""The steps from RTLIL to a bitstream: synthesis, place and route, packing; each cached by content."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pulsefold.boards.board import Board
from pulsefold.boards.cachedtools import CachedTools, Job, Step
from pulsefold.boards.clocks import COMPUTE_CLOCK
from pulsefold.boards.flow import Flow
from pulsefold.boards.flow.joined import refuse_joined_nets
from pulsefold.boards.timing import RouteReport, read_report
from pulsefold.boards.top import TOP
from pulsefold.compiler.plan.resources import COUNTS, Resources
from pulsefold.errors import DoesNotFitError, ToolFailedError

__all__ = ["Steps"]

#: What the router says when it finds no place for a cell.
_FULL = ("no BELs remaining", "Failed to expand region", "Unable to find a placement", "Unable to find legal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """What the steps of one build share.

    Parameters
    ----------
    board, flow
        Where the design runs, and how its family is built for.
    tools
        What runs them.
    """

    board: Board
    flow: Flow
    tools: CachedTools

    def synthesise(self, text: str, commands: Sequence[str] = ()) -> Step:
        """RTLIL to ``netlist.json`` and ``cells.json``."""
        try:
            return self._synthesise(text, self.flow.synthesis(self.board, TOP), commands)
        except ToolFailedError as error:
            other = self.flow.second_synthesis(self.board, TOP)
            if other is None or "ERROR" in error.why:
                raise
            self.tools.progress("synthesis: Yosys gave up without a message; once more in another way")
            return self._synthesise(text, other, commands)

    def _synthesise(self, text: str, command: str, commands: Sequence[str]) -> Step:
        script = "; ".join(
            [
                self.flow.reading(TOP),
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

        return self.tools.step(
            Job(
                name="synth",
                title="synthesis",
                tool="yosys",
                inputs=[text, script],
                prepare=prepare,
                finish=finish,
            )
        )

    def route(
        self,
        netlist: Step,
        clock_mhz: float,
        seed: int,
        options: Sequence[str] = (),
        *,
        log: str = "route",
    ) -> tuple[Step, RouteReport]:
        """The netlist to the routed design and ``timing.json``; what the latter says.

        In two steps where the flow makes placements better: the options are the second's, the time that of
        both.
        """
        need = self.needed(netlist)
        at = f"at {clock_mhz:.4g} MHz, seed {seed}"
        arguments = [
            *self.flow.route_arguments(self.board, need.luts),
            *("--freq", f"{clock_mhz:.6f}", "--seed", str(seed)),
            *("--report", "timing.json"),
            # A miss is ours to judge, and the report must be written.
            "--timing-allow-fail",
            *options,
        ]
        placing = self.flow.placement(self.board, need.luts)
        constraints = self.flow.constraints(self.board)
        if placing is None:
            job = self._job(netlist, "netlist.json", f"place and route {at}", arguments, constraints)
            step = self._run(need, replace(job, log=log, second=self.flow.second_route))
        else:
            placing += ["--freq", f"{clock_mhz:.6f}", "--seed", str(seed)]
            placed = self._place(netlist, placing, at, seed, log.replace("route", "place"))
            arguments = ["--no-pack", "--no-place", *arguments]
            constraints = self.flow.placed_constraints(self.board)
            job = self._job(placed, "placed.json", f"route {at}", arguments, constraints)
            step = self._run(need, replace(job, log=log, second=self.flow.second_route))
            step = replace(step, seconds=step.seconds + placed.seconds, cached=step.cached and placed.cached)
        return step, read_report(step.folder / "timing.json", COMPUTE_CLOCK)

    def _place(self, netlist: Step, arguments: list[str], at: str, seed: int, log: str) -> Step:
        """The netlist to ``placed.json``, made better."""

        def finish(folder: Path) -> None:
            self.tools.progress(f"placement {at}: refining it")

            def tell(line: str) -> None:
                self.tools.progress(f"placement {at}: {line}")

            self.flow.refine(folder / "placed.json", seed, self.tools.cache, tell, self.tools.stop)

        constraints = self.flow.constraints(self.board)
        job = self._job(netlist, "netlist.json", f"placement {at}", arguments, constraints)
        inputs = [*job.inputs, self.flow.refine_version]
        job = replace(job, name="place", inputs=inputs, log=log, finish=finish)
        return self._run(self.needed(netlist), job)

    def _job(self, source: Step, name: str, title: str, arguments: list[str], constraints: str) -> Job:
        """A run of the place-and-route tool on the file `name` of another step."""
        arguments = ["--json", name, *arguments]

        def prepare(folder: Path) -> list[str]:
            (folder / self.flow.constraints_name).write_text(constraints)
            shutil.copyfile(source.folder / name, folder / name)
            return arguments

        return Job(
            name="route",
            title=title,
            tool=self.flow.router,
            inputs=[source.folder.name, constraints, *arguments],
            prepare=prepare,
            drop=(name,),
        )

    def _run(self, need: Resources, job: Job) -> Step:
        """Run it, where what the netlist needs is there."""
        self._check_fit(need)
        try:
            return self.tools.step(job)
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

        return self.tools.step(
            Job(
                name="pack",
                title="bitstream",
                tool=self.flow.packer,
                inputs=[routed.folder.name, *arguments],
                prepare=prepare,
                drop=(self.flow.routed_name,),
            )
        )

    def needed(self, netlist: Step) -> Resources:
        """What a netlist takes, as synthesis counts."""
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
