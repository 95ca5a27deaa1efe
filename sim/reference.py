"""Rung 1: the source ONNX in float64, by onnx's own reference evaluator, against the golden model.

Values are compared behind every quantizer. Where they differ, the value in front of the quantizer
must lie so close to one of its boundaries that float64 cannot tell the side; anything else is a
mismatch. After each comparison the source goes on from the golden values, so that one such element
does not blur the layers behind it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from pulsefold.compiler.ir.graph import Graph, Tensor
from pulsefold.errors import ModelError
from pulsefold.sim.golden import present_output, quantize_input, run
from pulsefold.sim.golden.present import real_values
from pulsefold.sim.source_ops import DOMAIN, QUANTIZERS, SOURCE_OPS

__all__ = ["Comparison", "Report", "Source", "compare"]

#: Relative error that a chain of float64 steps may gather.
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
        How many of those lie within float64's error of a boundary of the quantizer.
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


class Source:
    """The source network in float64.

    Parameters
    ----------
    path
        The ONNX file. Initializers, constants and casts are taken in float64, and the quantizers'
        domains are filled in where the file leaves them out.
    """

    def __init__(self, path: Path | str) -> None:
        model = onnx.load(str(path))
        graph = model.graph
        for tensor in graph.initializer:
            tensor.CopyFrom(_wide(tensor))
        for node in graph.node:
            if node.op_type in QUANTIZERS:
                node.domain = DOMAIN
            for attribute in node.attribute:
                if attribute.type == onnx.AttributeProto.TENSOR:
                    attribute.t.CopyFrom(_wide(attribute.t))
                elif node.op_type == "Cast" and attribute.name == "to" and attribute.i in (1, 10):
                    attribute.i = onnx.TensorProto.DOUBLE
        given = {tensor.name for tensor in graph.initializer}
        inputs = [value for value in graph.input if value.name not in given]
        del graph.input[:]
        graph.input.extend(inputs)
        if not any(o.domain == DOMAIN for o in model.opset_import):
            model.opset_import.append(onnx.helper.make_opsetid(DOMAIN, 1))
        self.input = inputs[0].name
        self.outputs = [value.name for value in graph.output]
        dims = inputs[0].type.tensor_type.shape.dim
        #: Size of the batch axis where the model fixes it.
        self.batch = dims[0].dim_value if dims and dims[0].dim_value > 0 else None
        self._evaluator = ReferenceEvaluator(model, new_ops=SOURCE_OPS)

    def steps(self, x: np.ndarray, values: dict[str, Any]) -> Iterator[onnx.NodeProto]:
        """Evaluate node by node into `values`, which the caller may change in between."""
        values.update(self._evaluator.rt_inits_)
        values[self.input] = x.astype(np.float64)
        values[""] = None
        for node in self._evaluator.rt_nodes_:
            results = node.run(*(values[name] for name in node.input))
            values.update(zip(node.output, results, strict=False))
            yield node.onnx_node

    def run(self, x: np.ndarray) -> list[np.ndarray]:
        """The outputs in float64 for a batch."""
        parts = []
        for part in self.chunks(x):
            values: dict[str, Any] = {}
            for _ in self.steps(part, values):
                pass
            parts.append([np.asarray(values[name]) for name in self.outputs])
        return [np.concatenate(columns) for columns in zip(*parts, strict=True)]

    def chunks(self, x: np.ndarray, size: int = 16) -> Iterator[np.ndarray]:
        """The batch in pieces that the model takes."""
        size = self.batch or size
        if len(x) % size and self.batch:
            msg = f"the model takes batches of {size}, and {len(x)} frames are no multiple of that"
            raise ModelError(msg, todo=f"give a multiple of {size} frames")
        for start in range(0, len(x), size):
            yield x[start : start + size]


def compare(path: Path | str, graph: Graph, x: np.ndarray) -> Report:
    """Run the source and golden on the model's own input, batch first, and compare them."""
    source = Source(path)
    q = run(graph, {graph.inputs[0].tensor: quantize_input(graph.inputs[0], x)}, keep=True)
    found: dict[str, list[Comparison]] = {}
    start = 0
    for part in source.chunks(x):
        values: dict[str, Any] = {}
        rows = slice(start, start + len(part))
        start += len(part)
        for node in source.steps(part, values):
            name = node.output[0]
            if node.op_type not in QUANTIZERS or name not in graph.tensors:
                continue
            shape = np.shape(values[name])
            golden = _as_source(real_values(graph.tensors[name], q[name][rows], np.dtype(np.float64)), shape)
            unsure = _near_boundary(node, values)
            found.setdefault(name, []).append(
                _compared(name, values[name], golden, unsure, graph.tensors[name])
            )
            values[name] = golden
        for output in graph.outputs:
            golden = present_output(graph, output, q[output.tensor][rows])
            want = np.asarray(values[output.name])
            found.setdefault(output.name, []).append(_output(output.name, want, golden.reshape(want.shape)))
    merged = tuple(_merged(parts) for parts in found.values())
    return Report(comparisons=merged, frames=len(x))


def _wide(tensor: onnx.TensorProto) -> onnx.TensorProto:
    if tensor.data_type not in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16):
        return tensor
    return numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float64), tensor.name)


def _as_source(real: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Values [N, H, W, C] in the axes of an ONNX value: (N, C, H, W) unless only (N, H, W, C) fits."""
    moved = real.transpose(0, 3, 1, 2)
    if len(shape) == 4 and moved.shape != shape and real.shape == shape:
        return real
    return moved.reshape(shape)


def _near_boundary(node: onnx.NodeProto, values: dict[str, Any]) -> np.ndarray:
    """Elements in front of a quantizer that float64's error may have put on the other side.

    Moving them both ways by the error a chain of steps gathers changes what the quantizer makes of them.
    """
    x = np.asarray(values[node.input[0]])
    error = _ERROR * (1 + np.abs(x).max(initial=0))
    rest = [values[name] for name in node.input[1:]]
    attributes = {a.name: _plain(onnx.helper.get_attribute_value(a)) for a in node.attribute}
    evaluate = QUANTIZERS[node.op_type]._run
    (low,), (high,) = (evaluate(None, x + e, *rest, **attributes) for e in (-error, error))  # type: ignore[arg-type]
    return low != high


def _plain(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def _compared(
    name: str, value: np.ndarray, golden: np.ndarray, unsure: np.ndarray, tensor: Tensor
) -> Comparison:
    # Levels are a scale apart; anything above float64's error of the product is another level.
    apart = float(min(abs(s) for s in tensor.scale)) / 4
    differing = np.abs(value - golden) > apart
    bad = np.argwhere(differing & ~unsure)
    return Comparison(
        value=name,
        frames=len(value),
        elements=value.size,
        differing=int(differing.sum()),
        on_boundary=int((differing & unsure).sum()),
        first=tuple(int(i) for i in bad[0]) if len(bad) else None,
    )


def _output(name: str, want: np.ndarray, golden: np.ndarray) -> Comparison:
    """Values to the precision of the output's element type; indices exactly."""
    if want.dtype.kind == "f":
        spread = np.abs(want).max(initial=1)
        precision = _ERROR if golden.dtype == np.float64 else float(np.finfo(golden.dtype).eps)
        differing = np.abs(want - golden) > 2 * precision * spread
    else:
        differing = want != golden
    bad = np.argwhere(differing)
    first = tuple(int(i) for i in bad[0]) if len(bad) else None
    return Comparison(
        value=name, frames=len(want), elements=want.size, differing=len(bad), on_boundary=0, first=first
    )


def _merged(parts: list[Comparison]) -> Comparison:
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
