"""Build with a soft processor: images in its memory, their classes on the serial line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pulsefold.boards.build import build as build_bitstream
from pulsefold.boards.riscv import RiscvTop
from pulsefold.design import Design
from pulsefold.errors import DoesNotFitError, PulsefoldError
from pulsefold.firmware.riscv.build import build_program
from pulsefold.firmware.riscv.header import network_header
from pulsefold.hdl.riscv.system import RiscvParameters, RiscvSystem
from pulsefold.hdl.top import Core
from pulsefold.implementing import relative
from pulsefold.progress import Silent
from pulsefold.sim import golden

__all__ = ["build_processor"]

#: What the processor reaches on the boards with the faster devices; the network runs on its clock.
_CLOCK_MHZ = 50.0

#: Sizes of memory to try.
_MEMORIES = (4096, 8192, 16384, 32768, 65536)


def build_processor(
    design: Design, x: np.ndarray, *, seed: int = 1, progress: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """Build a bitstream with processor, network and images into ``riscv/`` of the design's folder.

    The board then needs no host: after its reset it prints the class of each image, a number a line, at the
    board's baud rate, and again whenever a byte arrives.

    Parameters
    ----------
    design
        A compiled classifier.
    x
        The model's own input, batch first.
    seed
        Of place and route.
    progress
        Called with a line a step.

    Returns
    -------
    dict
        The whole report; section ``riscv`` is that of the bitstream, with the golden model's classes.
    """
    say = progress or Silent()
    graph, plan = design.graph, design.plan
    height, width, _ = graph.tensors[graph.outputs[0].tensor].shape
    if (len(plan.inputs), len(plan.outputs)) != (1, 1):
        why = f"this network has {len(plan.inputs)} inputs and {len(plan.outputs)} outputs"
    elif graph.outputs[0].kind != "values" and height * width > 1:
        why = f"this network picks one for each of {height * width} pixels"
    else:
        why = ""
    if why:
        raise PulsefoldError(
            "the processor's program feeds one input and takes the class of one output",
            where="--riscv",
            why=why,
            todo="build without it, for a board with a host",
        )
    q = golden.quantize_input(graph.inputs[0], x)
    say("compiling the processor's program")
    header = network_header(plan, q)
    folder = design.folder / "riscv"
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    memory, program = fitting(header, folder / "logs" / "program.log")
    system = RiscvSystem(Core(plan), RiscvParameters(memory_bytes=memory, program=program))
    top = RiscvTop(design.board, min(_CLOCK_MHZ, plan.target.clock_mhz), system)
    made = build_bitstream(top.rtlil(), design.board, top.clock_mhz, folder, seeds=(seed,), progress=say)
    scores = golden.run(graph, {graph.inputs[0].tensor: q})[graph.outputs[0].tensor]
    y = golden.present_output(graph, graph.outputs[0], scores).reshape(len(q), -1)
    classes = y[:, 0] if graph.outputs[0].kind == "topk_indices" else y.argmax(axis=1)
    section = made.as_dict() | {
        "bitstream": relative(made.bitstream, design.folder),
        "netlist": relative(made.netlist, design.folder),
        "memory_bytes": memory,
        "program_bytes": 4 * len(program),
        "classes": [int(c) for c in classes],
    }
    return design.update_report({"riscv": section})


def fitting(header: str, log: Path) -> tuple[int, list[int]]:
    """The smallest memory that takes the program, and its contents."""
    for memory in _MEMORIES[:-1]:
        try:
            return memory, build_program(header, memory, log)
        except DoesNotFitError:
            continue
    return _MEMORIES[-1], build_program(header, _MEMORIES[-1], log)
