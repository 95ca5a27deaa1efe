"""The linear layers of a network, and which of them are at its edges."""

from __future__ import annotations

from dataclasses import dataclass

from pulsefold.compiler.quantize.graph import FloatGraph
from pulsefold.compiler.quantize.linear import is_linear
from pulsefold.compiler.quantize.placement import Placement
from pulsefold.compiler.quantize.recipe import Format, Recipe
from pulsefold.errors import UnsupportedNodeError

__all__ = ["Layer", "find_layers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A linear layer.

    Parameters
    ----------
    name, op
        Of its node.
    source
        The quantized value that it reads, through pools and movements or directly.
    edge
        Whether it is among the first or the last.
    format
        Of its weights.
    """

    name: str
    op: str
    source: str
    edge: bool
    format: Format


def find_layers(graph: FloatGraph, placement: Placement, recipe: Recipe) -> tuple[Layer, ...]:
    """All linear layers, in the order of the graph."""
    first = _first(graph)
    last = _last(graph)
    found = []
    for node in graph.nodes:
        if not is_linear(node):
            continue
        source = placement.sources.get(node.inputs[0])
        if source is None:
            msg = f"its input {node.inputs[0]!r} is not a value that can be quantized"
            raise UnsupportedNodeError(
                msg, where=node.where, todo="check that it depends on the model's input in floating point"
            )
        edge = node.name in first or node.name in last
        kind = recipe.edges if edge and recipe.edges.bits > recipe.weights.bits else recipe.weights
        found.append(Layer(name=node.name, op=node.op, source=source, edge=edge, format=kind))
    return tuple(found)


def _first(graph: FloatGraph) -> set[str]:
    """Names of the linear nodes with none in front of them."""
    behind: set[str] = set()
    found = set()
    for node in graph.nodes:
        late = any(name in behind for name in node.inputs)
        if is_linear(node) and not late:
            found.add(node.name)
        if late or is_linear(node):
            behind.update(node.outputs)
    return found


def _last(graph: FloatGraph) -> set[str]:
    """Names of the linear nodes with none behind them."""
    ahead: set[str] = set()
    found = set()
    for node in reversed(graph.nodes):
        early = any(name in ahead for name in node.outputs)
        if is_linear(node) and not early:
            found.add(node.name)
        if early or is_linear(node):
            ahead.update(node.inputs)
    return found
