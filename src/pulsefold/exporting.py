"""Export: a compiled design as a peripheral for a maker's own tools."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pulsefold.boards.export import write_export
from pulsefold.compiler.plan.plan import Plan
from pulsefold.design import Design
from pulsefold.errors import PulsefoldError
from pulsefold.hdl.link.axi import AxiCore, AxiParameters
from pulsefold.hdl.top import Core
from pulsefold.progress import Silent

__all__ = ["export_design", "one_stream_each_way"]


def export_design(design: Design, tool: str, *, progress: Callable[[str], None] | None = None) -> Path:
    """Write ``export/<tool>`` in the design's folder; see :func:`pulsefold.boards.export.write_export`."""
    say = progress or Silent()
    plan = design.plan
    one_stream_each_way(plan, "--export")
    parameters = AxiParameters(
        input_bits=plan.input.width,
        output_bits=plan.output.width,
        input_beats=plan.input.beats,
        output_beats=plan.output.beats,
    )
    say(f"writing and checking the export for {tool}")
    return write_export(AxiCore(Core(plan), parameters), tool, plan.target.clock_mhz, design.folder)


def one_stream_each_way(plan: Plan, option: str) -> None:
    """Refuse networks of several inputs or outputs.

    Raises
    ------
    PulsefoldError
        If there are.
    """
    ins, outs = len(plan.inputs), len(plan.outputs)
    if (ins, outs) != (1, 1):
        raise PulsefoldError(
            f"this takes networks of one input and one output; here are {ins} and {outs}",
            where=option,
            todo="build without it, for a board",
        )
