"""Scales and shifts by a constant: what they do to each channel, and folding them into the layer before."""

from __future__ import annotations

import numpy as np

from pulsefold.compiler.quantize.graph import FloatGraph, Node
from pulsefold.compiler.quantize.linear import channels_of, is_linear, rows
from pulsefold.compiler.quantize.types import Types

__all__ = ["fold_affine", "is_affine", "stream_of"]

_BINARY = ("Add", "Sub", "Mul", "Div")


def stream_of(graph: FloatGraph, node: Node) -> str:
    """The one input of a node that is not constant; ``""`` if there are more."""
    found = [name for name in node.inputs if name and name not in graph.constants]
    return found[0] if len(found) == 1 else ""


def is_affine(graph: FloatGraph, node: Node) -> bool:
    """Whether a node multiplies by a constant or adds one."""
    if node.op == "BatchNormalization":
        return all(name in graph.constants for name in node.inputs[1:])
    if node.op == "Neg":
        return True
    if node.op not in _BINARY or not stream_of(graph, node):
        return False
    return node.op != "Div" or node.inputs[1] in graph.constants


def fold_affine(graph: FloatGraph, types: Types) -> None:
    """Fold batch norms, scales and biases into the linear node in front, where nothing else reads that.

    In float64; weights and biases are rounded to float32 once.
    """
    changed = True
    while changed:
        changed = False
        readers = graph.readers()
        for node in graph.nodes:
            if not is_linear(node) or node.inputs[1] not in graph.constants:
                continue
            after = readers.get(node.output, [])
            if len(after) != 1 or node.output in graph.output_names or not is_affine(graph, after[0]):
                continue
            if _fold(graph, node, after[0], types):
                changed = True
                break
    graph.prune()


def _fold(graph: FloatGraph, node: Node, affine: Node, types: Types) -> bool:
    if node.input(2) and node.input(2) not in graph.constants:
        return False
    channels = channels_of(graph, node)
    rank = types.rank(node.output)
    if node.op.startswith("Conv"):
        rank = graph.constants[node.inputs[1]].ndim
    found = _by_channel(graph, affine, channels, 1 if node.op.startswith("Conv") else -1, rank)
    if found is None:
        return False
    gain, shift = found
    weights = graph.constants[node.inputs[1]].astype(np.float64)
    bias = np.zeros(channels)
    if node.input(2):
        bias = bias + graph.constants[node.input(2)].astype(np.float64).ravel()
    weights = (weights * rows(node, weights, gain)).astype(np.float32)
    bias = (bias * gain + shift).astype(np.float32)
    node.inputs = [
        node.inputs[0],
        graph.constant(f"{node.name}.weight", weights),
        graph.constant(f"{node.name}.bias", bias),
    ]
    graph.nodes.remove(affine)
    node.outputs = [affine.output]
    return True


def _by_channel(
    graph: FloatGraph, node: Node, channels: int, axis: int, rank: int | None
) -> tuple[np.ndarray, np.ndarray] | None:
    """(gain, shift) of each channel in float64, or None where it has others."""
    one, zero = np.ones(channels), np.zeros(channels)
    if node.op == "Neg":
        return -one, zero
    if node.op == "BatchNormalization":
        gamma, beta, mean, var = (graph.constants[n].astype(np.float64).ravel() for n in node.inputs[1:5])
        if axis != 1 and rank != 2:
            return None
        if gamma.size != channels:
            return None
        gain = gamma / np.sqrt(var + node.attributes.get("epsilon", 1e-5))
        return gain, beta - mean * gain
    constant_first = node.inputs[0] in graph.constants
    array = graph.constants[node.inputs[0 if constant_first else 1]].astype(np.float64)
    if array.size > 1:
        if rank is None or array.ndim > rank:
            return None
        at = axis % rank
        shape = [1] * (rank - array.ndim) + list(array.shape)
        if shape[at] != channels or any(s != 1 for i, s in enumerate(shape) if i != at):
            return None
    elif rank is not None and array.ndim > rank:
        return None
    values = np.broadcast_to(array.ravel(), channels)
    if node.op == "Add":
        return one, values
    if node.op == "Sub":
        return (-one, values) if constant_first else (one, -values)
    if node.op == "Mul":
        return values, zero
    if not np.all(values):
        return None
    return 1 / values, zero
