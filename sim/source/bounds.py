"""What rounding may do to the value of an operator, to first order.

Errors are in units of u: an engine that rounds each result by a relative u at most (2**-24 in float32,
2**-53 in float64) ends within error * u of the value. The rounding of a sum of n terms is taken to grow with
the square root of n, as it does unless all roundings fall to one side (Higham, Accuracy and Stability, 2.6).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod, sqrt
from typing import Any

import numpy as np

from pulsefold.compiler.frontend.nodes import OnnxNode

__all__ = ["UNIT", "bounds"]

#: Relative rounding of float32.
UNIT = 2.0**-24

#: Roundings of an operator of a few steps.
_FEW = 8
#: Of a function that engines approximate: relative to its value, and to 1 where it goes through a sum with 1.
_APPROXIMATE = 16
_AROUND_ONE = 4
_CURVES = frozenset({"Elu", "Erf", "Gelu", "HardSigmoid", "HardSwish", "Mish", "Sigmoid", "Softplus", "Tanh"})

_PRODUCTS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
_AVERAGES = frozenset({"AveragePool", "GlobalAveragePool", "ReduceMean", "ReduceSum", "Resize", "Upsample"})
_SUMS = frozenset({"Add", "Sub", "Sum"})
#: Round nothing.
_MOVES = frozenset(
    {
        "Abs", "Clip", "Concat", "DepthToSpace", "Dropout", "Expand", "Flatten", "Gather", "GlobalMaxPool",
        "Identity", "Max", "MaxPool", "Min", "Neg", "Pad", "ReduceMax", "Relu", "Reshape", "Slice",
        "SpaceToDepth", "Split", "Squeeze", "Transpose", "Unsqueeze"
    }
)  # fmt: skip

Evaluate = Callable[[OnnxNode, Sequence[Any]], list[Any]]


def bounds(
    node: OnnxNode, inputs: Sequence[Any], errors: Sequence[Any], results: Sequence[Any], evaluate: Evaluate
) -> list[Any]:
    """The error of each result, None where it is exact; `errors` are the inputs', likewise."""
    if not any(np.asarray(r).dtype.kind == "f" for r in results):
        return [None] * len(results)
    sizes: list[Any] = [None if v is None or not _real(v) else np.abs(v) for v in inputs]
    known: list[Any] = [0.0 if e is None else e for e in errors]
    op = node.op_type
    if op == "DequantizeLinear":
        return [2 * np.abs(results[0])]
    if op in _SUMS:
        parts = [_FEW * v + e for v, e in zip(sizes, known, strict=True) if v is not None]
        return [sum(parts[1:], parts[0])]
    if op == "Mul" and sizes[0] is not None and sizes[1] is not None:
        return [sizes[0] * known[1] + sizes[1] * known[0] + _FEW * np.abs(results[0])]
    if op in _PRODUCTS:
        own = _FEW + 2 * sqrt(_terms(node, inputs))
        # Weights are constants: their own roundings are among the few.
        rest: list[Any] = [None if v is None else v * own for v in sizes[2:]]
        return evaluate(node, [own * np.asarray(sizes[0]) + known[0], sizes[1], *rest])
    if op in _AVERAGES:
        own = _FEW + 2 * sqrt(_terms(node, inputs))
        return evaluate(node, [own * np.abs(inputs[0]) + known[0], *inputs[1:]])
    if op == "BatchNormalization":
        x, scale, bias, mean, var = sizes[:5]
        return evaluate(node, [_FEW * x + known[0], scale, _FEW * bias, -_FEW * mean, var])
    if op in _MOVES and all(e is None for e in errors):
        return [None] * len(results)
    own = 0 if op in _MOVES else _APPROXIMATE
    flat = _AROUND_ONE if op in _CURVES else 0
    # By difference, for functions of one input that only rise or only fall nearby.
    ends = []
    for sign in (-UNIT, UNIT):
        moved = [v + sign * e if _real(v) else v for v, e in zip(inputs, known, strict=True)]
        ends.append(evaluate(node, moved))
    return [
        np.maximum(np.abs(a - r), np.abs(b - r)) / UNIT + own * np.abs(r) + flat
        for a, b, r in zip(*ends, results, strict=True)
    ]


def _real(value: Any) -> bool:
    return value is not None and np.asarray(value).dtype.kind == "f"


def _terms(node: OnnxNode, inputs: Sequence[Any]) -> int:
    """How many terms one output element adds up."""
    match node.op_type:
        case "Conv":
            return prod(np.shape(inputs[1])[1:])
        case "ConvTranspose":
            return prod(np.shape(inputs[1])) // np.shape(inputs[1])[1]
        case "MatMul" | "Gemm":
            return np.shape(inputs[0])[-1]
        case "AveragePool":
            return prod(node.attributes["kernel_shape"])
        case "GlobalAveragePool" | "ReduceMean" | "ReduceSum":
            return prod(np.shape(inputs[0])[1:])
    return 1
