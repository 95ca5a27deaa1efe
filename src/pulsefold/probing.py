"""Probe: the tensors inside of a network as they are on the board, against the golden model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pulsefold.debugging import find_units
from pulsefold.design import Design
from pulsefold.errors import PulsefoldError
from pulsefold.firmware.board import Board
from pulsefold.hdl.link.identity import format_of
from pulsefold.sim import golden

__all__ = ["check_probe", "probe_section", "probe_verdict"]


def check_probe(design: Design, names: Sequence[str]) -> tuple[int, ...]:
    """Numbers of the units of some names, of those that the design was compiled for.

    Raises
    ------
    PulsefoldError
        If it cannot be looked into, or not there.
    """
    probed = design.debug.probed(design.plan)
    if not probed:
        raise PulsefoldError(
            "the design cannot be looked into",
            where="--probe",
            todo="compile it with --probe, and build and load that",
        )
    return find_units(design.plan, names, probed)


def probe_section(
    design: Design,
    board: Board,
    q: Mapping[str, np.ndarray],
    units: Sequence[int],
    say: Callable[[str], None],
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Look at one stream after the other until one differs; then at the outputs.

    Parameters
    ----------
    design
        What runs.
    board
        Where.
    q
        Quantized inputs (N, H, W, C) by tensor.
    units
        Numbers of the units whose outputs are meant, in the order of the plan.
    say
        Told what is looked at.

    Returns
    -------
    tuple
        Section ``probe``, and the integers of the plan's exits by tensor.
    """
    plan, network = design.plan, design.plan.network
    want = golden.run(design.graph, q, keep=True)
    inputs = [q[name] for name in plan.entries]
    probed = design.debug.probed(plan)
    outputs: dict[str, np.ndarray] = {}
    rows: list[dict[str, Any]] = []
    first = None
    for k in units:
        tensor, stream = network.tensors[k], plan.units[k].outputs[0]
        if tensor is None:
            continue
        say(f"looking at {tensor} of layer {network.owners[k]}")
        layout = format_of(stream, design.graph.tensors[tensor].shape)
        *results, got = board.probe(inputs, probed.index(k), layout)
        outputs = dict(zip(plan.exits, results, strict=True))
        where = {"layer": network.owners[k], "unit": plan.units[k].name, "tensor": tensor}
        difference = _first(got, want[tensor])
        rows.append({**where, "elements": got.size, "differing": int(np.count_nonzero(got != want[tensor]))})
        if difference:
            first = {**where, **difference}
            break
    if first is None:
        for name, got in outputs.items():
            difference = _first(got, want[name])
            if difference:
                first = {"layer": None, "unit": None, "tensor": name, **difference}
                break
    return {"streams": rows, "first_mismatch": first}, outputs


def _first(got: np.ndarray, want: np.ndarray) -> dict[str, Any] | None:
    """The first difference in the order of the stream."""
    wrong = np.argwhere(got != want)
    if not len(wrong):
        return None
    at = tuple(int(k) for k in wrong[0])
    return {"image": at[0], "place": list(at[1:]), "board": int(got[at]), "golden": int(want[at])}


def probe_verdict(section: Mapping[str, Any]) -> str:
    """One line: where the board differs first, or that it does not."""
    first = section["first_mismatch"]
    elements = sum(row["elements"] for row in section["streams"])
    equal = [row["layer"] for row in section["streams"] if not row["differing"]]
    if first is None:
        return f"equal to the golden model: {elements:,} elements of {len(equal)} tensors, and the outputs"
    where = f"layer {first['layer']}, tensor {first['tensor']}" if first["layer"] else "the outputs alone"
    height, width, channel = first["place"]
    text = (
        f"DIFFERS from the golden model first at {where}: image {first['image']}, row {height}, "
        f"column {width}, channel {channel} is {first['board']} and should be {first['golden']}"
    )
    return text + (f"; equal before it: {', '.join(dict.fromkeys(equal))}" if equal else "")
