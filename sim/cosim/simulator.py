"""Whole-design simulation: a component compiled with a C++ harness that streams beats through it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import jinja2
import numpy as np
from amaranth.lib import wiring

from pulsefold.boards.cache import BuildCache
from pulsefold.boards.toolchain import find_tool, user_cache_dir
from pulsefold.errors import OutputError, ToolMissingError
from pulsefold.sim.cosim.compile import (
    Design,
    Progress,
    compile_simulator,
    design_from_files,
    design_from_rtlil,
)
from pulsefold.sim.cosim.headers import has_headers
from pulsefold.sim.cosim.packing import streams_of
from pulsefold.sim.cosim.ports import Ports
from pulsefold.sim.cosim.run import SimRun, Stimulus, execute
from pulsefold.sim.cosim.verilog import to_rtlil, top_inputs

__all__ = ["Simulator", "mangle"]

#: File suffix to Verilator's options.
_WAVES = {"": (), ".vcd": ("--trace-vcd",), ".fst": ("--trace-fst",)}


def mangle(name: str) -> str:
    """The C++ name of a Verilog port: Verilator spells out each underscore that follows another."""
    out = ""
    for character in name:
        out += "__05F" if character == "_" and (out.endswith(("_", "__05F"))) else character
    return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulator:
    """A design ready to be simulated; made by :meth:`build` or :meth:`from_verilog`.

    Parameters
    ----------
    design
        Its Verilog.
    ports
        Its streams.
    cache
        Where compiled simulators are kept.
    progress
        Is told of the stages ``verilate``, ``compile`` and ``simulate`` (output beats done, of how many).
    """

    design: Design
    ports: Ports
    cache: BuildCache
    progress: Progress | None = None

    @classmethod
    def build(
        cls,
        component: wiring.Component,
        *,
        waves: bool = False,
        cache: Path | None = None,
        progress: Progress | None = None,
    ) -> Simulator:
        """Convert and compile a component.

        Parameters
        ----------
        component
            With streams in and out, and perhaps taps: see :class:`~pulsefold.sim.cosim.ports.Ports`.
        waves
            Compile the simulator that writes VCD waves rather than the fast one. Either is also compiled
            when first asked for, so this only chooses when.
        cache
            Folder for compiled simulators; the user's cache folder by default.
        progress
            Is told of the stages.

        Raises
        ------
        ToolMissingError, ToolFailedError
            If Yosys, Verilator, make or the compiler is missing or fails.
        """
        if progress is not None:
            progress("convert", 0, 1)
        text = to_rtlil(component)
        ports = Ports.of(component, top_inputs(text))
        store = _store(cache)
        simulator = cls(design=design_from_rtlil(text, store), ports=ports, cache=store, progress=progress)
        simulator.compiled(".vcd" if waves else "")
        return simulator

    @classmethod
    def from_verilog(
        cls,
        sources: Sequence[Path],
        *,
        ports: Ports,
        top: str,
        data: Sequence[Path] = (),
        cache: Path | None = None,
        progress: Progress | None = None,
    ) -> Simulator:
        """Compile Verilog that exists, such as a netlist after synthesis with the models of its cells.

        Parameters
        ----------
        sources
            Verilog files.
        ports
            Its streams: those of the component it was made from.
        top
            Name of the top module.
        data
            Files that its ``$readmem`` name, without folder.
        cache, progress
            As for :meth:`build`.
        """
        store = _store(cache)
        design = design_from_files(sources, data, top, store)
        simulator = cls(design=design, ports=ports, cache=store, progress=progress)
        simulator.compiled("")
        return simulator

    def with_progress(self, progress: Progress | None) -> Simulator:
        """The same simulator, telling someone else."""
        return replace(self, progress=progress)

    def compiled(self, suffix: str) -> Path:
        """The executable that writes waves of a file suffix, or none for the empty one.

        Raises
        ------
        OutputError
            If there are no waves of that suffix.
        ToolMissingError
            If FST was asked for and the headers it needs are not installed.
        """
        if suffix not in _WAVES:
            raise OutputError(f"waves must be a .vcd or .fst file, not {suffix!r}", where="waves")
        if suffix == ".fst" and not has_headers(find_tool("g++"), "lz4.h", "zlib.h"):
            raise ToolMissingError(
                "FST waves cannot be written",
                why="the headers of lz4 and zlib are not installed",
                todo="ask for a .vcd file, or install them (Debian: apt install liblz4-dev zlib1g-dev)",
            )
        environment = jinja2.Environment(
            loader=jinja2.PackageLoader("pulsefold.sim.cosim", "."),
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            autoescape=False,
        )
        environment.filters["mangle"] = mangle
        main = environment.get_template("harness.cpp.j2").render(
            top=self.design.top, ports=self.ports, waves=suffix.removeprefix(".")
        )
        folder = compile_simulator(
            self.design, main, self.cache, options=_WAVES[suffix], progress=self.progress
        )
        return folder / self.design.top

    def run(
        self,
        beats: np.ndarray | Sequence[np.ndarray],
        *,
        outputs: int | Sequence[int],
        stall_in: float = 0.0,
        stall_out: float = 0.0,
        seed: int = 0,
        max_cycles: int | None = None,
        idle_cycles: int = 1_000_000,
        taps: bool = False,
        waves: Path | None = None,
        wave_window: tuple[int, int] | None = None,
    ) -> SimRun:
        """Reset the design, stream beats in, and wait for beats out.

        The source withholds valid with a probability each cycle, but holds valid and payload until
        accepted; the sink withholds ready with a probability each cycle. Cycle 0 is the first after reset.

        Parameters
        ----------
        beats
            Bit patterns, unsigned integers [n, lanes]; an array an input stream where there are several.
        outputs
            Beats to wait for, at each output stream. A stream that has given its number is not ready again.
        stall_in, stall_out
            Probabilities, at least 0 and less than 1.
        seed
            Of the stalls; the same seed gives the same cycles.
        max_cycles
            End the simulation as failed after this many.
        idle_cycles
            End the simulation as deadlocked after this many cycles without a transfer at either end.
        taps
            Also record every transfer on the taps.
        waves
            File to write waves to, ``.vcd`` or ``.fst``; 10 time units a cycle.
        wave_window
            First cycle to write and the one after the last; all by default.

        Raises
        ------
        VerificationError
            If it deadlocks or takes more than `max_cycles`; the message counts the beats in and out.
        InputArrayError
            If `beats` do not fit the port.
        """
        stimulus = Stimulus(
            beats=streams_of(beats, self.ports.inputs),
            outputs=(outputs,) if isinstance(outputs, int) else tuple(outputs),
            stall_in=stall_in,
            stall_out=stall_out,
            seed=seed,
            max_cycles=max_cycles,
            idle_cycles=idle_cycles,
            taps=taps,
            waves=waves,
            wave_window=wave_window,
        )
        executable = self.compiled("" if waves is None else waves.suffix)
        return execute(executable, self.design.folder, self.ports, stimulus, self.progress)


def _store(cache: Path | None) -> BuildCache:
    return BuildCache(root=(user_cache_dir() / "cosim") if cache is None else cache.resolve())
