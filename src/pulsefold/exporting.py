"""Export: a compiled design as a peripheral for a maker's own tools."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pulsefold.boards.export import write_export
from pulsefold.design import Design
from pulsefold.hdl.link.axi import AxiCore, AxiParameters, AxiStream
from pulsefold.hdl.top import Core
from pulsefold.progress import Silent

__all__ = ["export_design"]


def export_design(design: Design, tool: str, *, progress: Callable[[str], None] | None = None) -> Path:
    """Write ``export/<tool>`` in the design's folder; see :func:`pulsefold.boards.export.write_export`."""
    say = progress or Silent()
    plan = design.plan
    ins, outs = (
        tuple(AxiStream(bits=stream.width, beats=stream.beats) for stream in streams)
        for streams in (plan.inputs, plan.outputs)
    )
    say(f"writing and checking the export for {tool}")
    component = AxiCore(Core(plan), AxiParameters(inputs=ins, outputs=outs))
    return write_export(component, tool, plan.target.clock_mhz, design.folder)
