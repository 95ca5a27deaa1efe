"""Cross-layer equalization: channels of successive layers brought to equal ranges.

Where only functions with f(s x) = s f(x), s > 0, stand between two linear layers, channel i of the first may
be divided by any s_i if the second multiplies it again. With ``s_i = sqrt(r1_i / r2_i)``, for the largest
weights r1_i that make channel i and r2_i that read it, both become ``sqrt(r1_i r2_i)`` (M. Nagel et al.,
"Data-free quantization through weight equalization and bias correction", 2019).
"""

from __future__ import annotations

import numpy as np

from pulsefold.compiler.quantize.graph import FloatGraph, Node
from pulsefold.compiler.quantize.linear import channels_of, group_of, is_linear, output_axis

__all__ = ["equalize"]

_HOMOGENEOUS = frozenset(
    {"Relu", "LeakyRelu", "PRelu", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"}
)

#: Rounds over all pairs, and the change of a factor below which they end.
_ROUNDS, _ENOUGH = 20, 0.01

#: Largest factor of a round: a channel of next to no weights keeps them.
_MOST = 1e3


def equalize(graph: FloatGraph) -> int:
    """Equalize all pairs of layers; how many there are."""
    pairs = _pairs(graph)
    for node in {id(n): n for pair in pairs for n in pair}.values():
        # Weights that another layer reads too stay as they are for it.
        for i in range(1, len(node.inputs)):
            if node.inputs[i]:
                copy = graph.constants[node.inputs[i]].astype(np.float32, copy=True)
                node.inputs[i] = graph.constant(f"{node.name}.equal{i}", copy)
    for _ in range(_ROUNDS):
        change = max((_balance(graph, a, b) for a, b in pairs), default=0.0)
        if change < _ENOUGH:
            break
    graph.prune()
    return len(pairs)


def _pairs(graph: FloatGraph) -> list[tuple[Node, Node]]:
    readers = graph.readers()
    found = []
    for node in graph.nodes:
        if not is_linear(node) or node.op == "MatMul" or (node.op == "ConvTranspose" and group_of(node) > 1):
            continue
        value = node.output
        while True:
            after = readers.get(value, [])
            if len(after) != 1 or value in graph.output_names:
                break
            if is_linear(after[0]):
                if _input_axis(graph, after[0], channels_of(graph, node)) is not None:
                    found.append((node, after[0]))
                break
            if after[0].op not in _HOMOGENEOUS or after[0].inputs[0] != value:
                break
            value = after[0].output
    return found


def _input_axis(graph: FloatGraph, node: Node, channels: int) -> int | None:
    """Axis of the weights that counts what a layer reads; None where that is not the channels."""
    shape = graph.constants[node.inputs[1]].shape
    groups = group_of(node)
    if node.op == "Gemm":
        axis = 1 if node.attributes.get("transB", 0) else 0
    elif node.op == "Conv" and groups == 1:
        axis = 1
    elif node.op == "Conv" and groups == channels == shape[0]:
        axis = 0
    else:
        return None
    return axis if shape[axis] == channels else None


def _balance(graph: FloatGraph, a: Node, b: Node) -> float:
    """Equalize one pair; the largest change of a factor, 0 where nothing changed."""
    first, second = graph.constants[a.inputs[1]], graph.constants[b.inputs[1]]
    out, into = output_axis(a), _input_axis(graph, b, channels_of(graph, a)) or 0
    r1, r2 = _largest(first, out), _largest(second, into)
    usable = (r1 > 0) & (r2 > 0)
    factor = np.where(usable, np.sqrt(r1 / np.where(usable, r2, 1)), 1.0)
    factor = np.clip(factor, 1 / _MOST, _MOST).astype(np.float32)
    graph.constants[a.inputs[1]] = first / _along(factor, out, first.ndim)
    graph.constants[b.inputs[1]] = second * _along(factor, into, second.ndim)
    if a.input(2):
        graph.constants[a.inputs[2]] = graph.constants[a.inputs[2]] / factor
    return float(np.abs(np.log(factor)).max())


def _largest(weights: np.ndarray, axis: int) -> np.ndarray:
    return np.abs(weights).max(axis=tuple(i for i in range(weights.ndim) if i != axis)).astype(np.float64)


def _along(factor: np.ndarray, axis: int, rank: int) -> np.ndarray:
    return factor.reshape([-1 if i == axis else 1 for i in range(rank)])
