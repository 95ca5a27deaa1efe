"""What a design's board tells its host, so that the two can only be the same design."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from pulsefold.compiler.ir import Input, Output
from pulsefold.compiler.ir.graph import HostStep
from pulsefold.design import Design
from pulsefold.hdl.link.identity import Identity, format_of
from pulsefold.hdl.link.protocol import VERSION, TensorFormat

__all__ = ["design_id", "identity_of"]


def identity_of(design: Design) -> Identity:
    """A compiled design's streams and id."""
    graph, plan = design.graph, design.plan
    shapes = {name: tensor.shape for name, tensor in graph.tensors.items()}
    inputs = tuple(format_of(s, shapes[name]) for name, s in zip(plan.entries, plan.inputs, strict=True))
    outputs = tuple(format_of(s, shapes[name]) for name, s in zip(plan.exits, plan.outputs, strict=True))
    return Identity(
        design_id=design_id(design, inputs, outputs),
        inputs=inputs,
        outputs=outputs,
        units=len(plan.units) if design.debug.counters else 0,
        probe=bool(design.debug.probe),
        writable=design.debug.writable,
    )


def design_id(design: Design, inputs: tuple[TensorFormat, ...], outputs: tuple[TensorFormat, ...]) -> bytes:
    """16 bytes: the first of the SHA-256 of everything that a result depends on.

    The model and its folding; board and clock; what is added for debugging; the streams; and the host's
    side as this version of the kit has it: the thresholds of the inputs' quantizers, and what makes the
    outputs' integers real.
    """
    graph, plan = design.graph, design.plan
    document: dict[str, Any] = {
        "protocol": VERSION,
        "model": design.sha256,
        "board": plan.target.board,
        "clock_mhz": plan.target.clock_mhz,
        "folding": {name: asdict(fold) for name, fold in plan.folds.items()},
        "streams": [t.pack().hex() for t in (*inputs, *outputs)],
        "inputs": [_plain(entry) for entry in graph.inputs],
        "outputs": [
            [
                _plain(entry),
                [
                    str(v)
                    for v in (*graph.tensors[entry.tensor].scale, "+", *graph.tensors[entry.tensor].offset)
                ],
            ]
            for entry in graph.outputs
        ],
    }
    if section := design.debug.document():
        document["debug"] = section
    text = json.dumps(document, sort_keys=True, default=_written)
    return hashlib.sha256(text.encode()).digest()[:16]


def _written(value: object) -> Any:
    """What JSON has no form for: the host's steps, field by field, and exact numbers."""
    return asdict(value) if isinstance(value, HostStep) else str(value)


def _plain(entry: Input | Output) -> dict[str, Any]:
    """Every field, arrays by their contents."""
    plain = {}
    for f in fields(entry):
        value = getattr(entry, f.name)
        if isinstance(value, np.ndarray):
            contents = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
            value = [str(value.dtype), value.shape, contents]
        plain[f.name] = value
    return plain
