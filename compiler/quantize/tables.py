"""Constants that differ from position to position: grids, anchors, embeddings of positions."""

from __future__ import annotations

from fractions import Fraction
from math import gcd, lcm

import numpy as np

from pulsefold.compiler.quantize.affine import stream_of
from pulsefold.compiler.quantize.graph import FloatGraph, Node
from pulsefold.compiler.quantize.quantizer import Quantizer, round_scale
from pulsefold.compiler.quantize.types import Types, infer_types

__all__ = ["find_tables", "round_tables"]

#: Bits of integers that stay as they are, and of those that others are rounded to.
_EXACT, _ROUNDED = 12, 8

#: Operators behind which the last axis of a value is that of the channels.
_CHANNELS_LAST = frozenset({"Gemm", "MatMul", "Reshape", "Transpose"})


def find_tables(graph: FloatGraph, types: Types) -> frozenset[str]:
    """Names of the nodes that add or multiply a constant that differs within a channel.

    The channels are on axis 1; behind a matrix product or a transposition on the last one.
    """
    makers = graph.makers()
    return frozenset(
        node.name
        for node in graph.nodes
        if node.op in ("Add", "Sub", "Mul", "Div", "Sum", "Mean")
        and any(_differs(graph, makers, types, node, n) for n in node.inputs if n in graph.constants)
    )


def _differs(graph: FloatGraph, makers: dict[str, Node], types: Types, node: Node, name: str) -> bool:
    stream = stream_of(graph, node) if node.op not in ("Sum", "Mean") else ""
    stream = stream or next((n for n in node.inputs if n and n not in graph.constants), "")
    if not stream or (node.op == "Div" and node.inputs[0] == name):
        return False
    array, rank = graph.constants[name], types.rank(stream)
    if array.size == 1 or rank is None or array.ndim > rank:
        return False
    array = array.reshape((1,) * (rank - array.ndim) + array.shape)
    wide = [i for i in range(rank) if not np.all(array == np.take(array, [0], axis=i))]
    if not wide or wide == [1]:
        return False
    if wide != [rank - 1]:
        return True
    maker = makers.get(stream)
    while maker is not None and maker.op not in _CHANNELS_LAST and not maker.op.endswith(("Conv", "Pool")):
        flowing = [n for n in maker.inputs if n and n not in graph.constants]
        maker = makers.get(flowing[0]) if flowing else None
    return maker is None or maker.op not in _CHANNELS_LAST


def round_tables(graph: FloatGraph) -> None:
    """Tables, and what is concatenated, as whole multiples of one number each.

    Those of few bits stay, others are rounded to eight.
    """
    names = find_tables(graph, infer_types(graph))
    for node in graph.nodes:
        if node.name not in names and node.op != "Concat":
            continue
        if node.op == "Div" and np.all(divisor := graph.constants[node.inputs[1]]):
            factor = graph.constant(
                f"{node.name}.factor", (1 / divisor.astype(np.float64)).astype(np.float32)
            )
            node.op, node.inputs = "Mul", [node.inputs[0], factor]
        for i, name in enumerate(node.inputs):
            if name not in graph.constants or graph.constants[name].dtype.kind != "f":
                continue
            value = graph.constants[name]
            if value.size > 1 and _bits(value) > _EXACT:
                whole = Quantizer(
                    bits=_ROUNDED,
                    signed=True,
                    scale=round_scale(np.abs(value).max() / ((1 << (_ROUNDED - 1)) - 1)),
                )
                node.inputs[i] = graph.constant(f"{name}.rounded", whole.apply(value))
    graph.prune()


def _bits(value: np.ndarray) -> int:
    """Bits of the multiples of the greatest number that all elements are multiples of."""
    exact = [Fraction(float(v)) for v in np.unique(np.abs(value)) if v]
    below = lcm(*(v.denominator for v in exact))
    return int(max(exact) * below).bit_length() - gcd(*(int(v * below) for v in exact)).bit_length() + 1
