"""Linear nodes: where their weights lie, and which axis counts outputs."""

from __future__ import annotations

import numpy as np

from pulsefold.compiler.quantize.graph import FloatGraph, Node

__all__ = ["LINEAR", "channels_of", "group_of", "is_linear", "output_axis", "rows"]

#: Operators with weights as their second input and a bias, if any, as their third. (A MatMul has a bias here
#: while the graph is rewritten; it is written as MatMul and Add.)
LINEAR = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def is_linear(node: Node) -> bool:
    """Whether a node is a matrix product or a convolution."""
    return node.op in LINEAR


def output_axis(node: Node) -> int:
    """Axis of the weights that counts outputs: (within each group, for a ConvTranspose)."""
    if node.op == "Conv":
        return 0
    if node.op == "Gemm":
        return 0 if node.attributes.get("transB", 0) else 1
    return 1


def group_of(node: Node) -> int:
    """Number of groups of a convolution, 1 otherwise."""
    return int(node.attributes.get("group", 1)) if node.op.startswith("Conv") else 1


def channels_of(graph: FloatGraph, node: Node) -> int:
    """Number of output channels."""
    size = graph.constants[node.inputs[1]].shape[output_axis(node)]
    return size * group_of(node) if node.op == "ConvTranspose" else size


def rows(node: Node, weights: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """`factor`, one number an output channel, shaped to multiply the weights.

    For a ConvTranspose of several groups, weights (inputs, outputs a group, ...): each input row has
    the factors of its own group.
    """
    axis, groups = output_axis(node), group_of(node)
    if node.op == "ConvTranspose" and groups > 1:
        inputs = weights.shape[0]
        by_group = np.repeat(factor.reshape(groups, -1), inputs // groups, axis=0)
        return by_group.reshape(inputs, -1, *[1] * (weights.ndim - 2))
    return factor.reshape([-1 if i == axis else 1 for i in range(weights.ndim)])
