"""Rung 1: the source ONNX in float64 against the golden model.

Values are compared behind every quantizer. Where they differ, the value in front of the quantizer
must lie so close to one of its boundaries that float64 cannot tell the side; anything else is a
mismatch. After each comparison the source goes on from the golden values, so that one such element
does not blur the layers behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pulsefold.compiler.frontend.nodes import OnnxNode
from pulsefold.compiler.frontend.places import Place, quantizer_places
from pulsefold.compiler.ir.graph import Graph
from pulsefold.sim.golden import present_output, quantize_input, run
from pulsefold.sim.source import QUANTIZERS, Source, State

__all__ = [
    "Comparison",
    "Report",
    "compare",
    "compared",
    "frames_at_once",
    "merged",
    "on_boundary",
    "real_place",
]

#: Relative rounding of float64, with as much again for what a first-order bound leaves out.
_UNIT = 2.0**-52

#: Relative precision that outputs in floating point are compared to, besides their own.
_ERROR = 1e-10


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One ONNX value against golden.

    Parameters
    ----------
    value
        ONNX value name.
    elements
        How many were compared.
    differing
        How many differ.
    on_boundary
        How many of those lie within the engine's error of a boundary of the quantizer.
    frames
        Length of the batch.
    first
        Index of the first element that differs for no such reason, in the ONNX value.
    """

    value: str
    frames: int
    elements: int
    differing: int
    on_boundary: int
    first: tuple[int, ...] | None = None

    @property
    def mismatches(self) -> int:
        """Differences that rounding does not explain."""
        return self.differing - self.on_boundary


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All comparisons, in the order of the graph, the model's outputs last."""

    comparisons: tuple[Comparison, ...]
    frames: int

    @property
    def ok(self) -> bool:
        """Whether there is no mismatch."""
        return not any(c.mismatches for c in self.comparisons)

    @property
    def first(self) -> Comparison | None:
        """The first value with a mismatch."""
        return next((c for c in self.comparisons if c.mismatches), None)


def compare(path: Path | str, graph: Graph, x: np.ndarray | Mapping[str, np.ndarray]) -> Report:
    """Run the source and golden on the model's own inputs, batch first, and compare them.

    Parameters
    ----------
    path
        The source.
    graph
        What was imported from it.
    x
        An array for each input by name, or the single input's.
    """
    source = Source(path)
    places = {name: place for name, place in quantizer_places(path).items() if place.tensor in graph.tensors}
    feeds = source.named(x)
    keep = {place.tensor for place in places.values()}
    found: dict[str, list[Comparison]] = {}
    for part in source.chunks(feeds, frames_at_once(graph)):
        inputs = {entry.tensor: quantize_input(entry, part[entry.name]) for entry in graph.inputs}
        q = run(graph, inputs, keep=keep)
        state = State()
        for node in source.steps(part, state):
            name = node.outputs[0]
            if name not in places:
                continue
            golden = real_place(places[name], q[places[name].tensor], np.shape(state.values[name]))
            unsure = on_boundary(node, state, golden, _UNIT)
            apart = min(abs(float(s)) for s in places[name].scale) / 4
            differing = np.abs(state.values[name] - golden) > apart
            found.setdefault(name, []).append(compared(name, differing, unsure))
            state.put(name, golden.astype(np.asarray(state.values[name]).dtype))
        for output in graph.outputs:
            golden = present_output(graph, output, q[output.tensor])
            want = np.asarray(state.values[output.name])
            found.setdefault(output.name, []).append(_output(output.name, want, golden.reshape(want.shape)))
    return Report(
        comparisons=tuple(merged(parts) for parts in found.values()),
        frames=min(len(v) for v in feeds.values()),
    )


def frames_at_once(graph: Graph) -> int:
    """Frames whose tensors, float64 values and errors included, take about a gigabyte."""
    elements = sum(tensor.elements for tensor in graph.tensors.values())
    return max(1, min(16, (1 << 30) // (24 * elements)))


def real_place(place: Place, q: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Golden's word on an ONNX value of a shape: scale * q + offset in float64."""
    index = place.index.ravel()
    levels = q.reshape(len(q), -1)[:, index].astype(np.float64)
    channel = index % q.shape[3]
    scale, offset = (np.array([float(v) for v in row]) for row in (place.scale, place.offset))
    return (levels * scale[channel % len(scale)] + offset[channel % len(offset)]).reshape(shape)


def on_boundary(node: OnnxNode, state: State, other: np.ndarray, unit: float) -> np.ndarray:
    """Where `other` is what the quantizer makes of some level within an engine's error of the real one."""
    name = node.outputs[0]
    settle = QUANTIZERS[node.op_type].settle
    inputs = [state.values[i] for i in node.inputs]
    error = unit * state.level_errors[name]
    ends = [
        np.asarray(settle(state.levels[name] + e, inputs, node.attributes), np.float64)
        for e in (-error, error)
    ]
    # Levels of a real grid are told apart with as much room as the grid's own rounding needs.
    room = 1e-9 * (1 + np.abs(other))
    return (other >= np.minimum(*ends) - room) & (other <= np.maximum(*ends) + room)


def compared(name: str, differing: np.ndarray, unsure: np.ndarray) -> Comparison:
    """The counts of one value."""
    bad = np.argwhere(differing & ~unsure)
    return Comparison(
        value=name,
        frames=len(differing),
        elements=differing.size,
        differing=int(differing.sum()),
        on_boundary=int((differing & unsure).sum()),
        first=tuple(int(i) for i in bad[0]) if len(bad) else None,
    )


def _output(name: str, want: np.ndarray, golden: np.ndarray) -> Comparison:
    """Values to the precision of the output's element type; integers and indices exactly."""
    if want.dtype.kind == "f":
        spread = np.abs(want).max(initial=1)
        precision = _ERROR if golden.dtype == np.float64 else float(np.finfo(golden.dtype).eps)
        differing = np.abs(want - golden) > 2 * precision * spread
    else:
        differing = want != golden
    return compared(name, differing, np.zeros(differing.shape, np.bool_))


def merged(parts: list[Comparison]) -> Comparison:
    """The counts of the pieces of a batch, one behind the other."""
    first, frames = None, 0
    for part in parts:
        if part.first is not None:
            first = (part.first[0] + frames, *part.first[1:])
            break
        frames += part.frames
    return Comparison(
        value=parts[0].value,
        frames=sum(p.frames for p in parts),
        elements=sum(p.elements for p in parts),
        differing=sum(p.differing for p in parts),
        on_boundary=sum(p.on_boundary for p in parts),
        first=first,
    )
