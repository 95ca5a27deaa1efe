"""Where quantizers go.

A value is *wide* where a node computes it (sums of products, sums, averages, functions) and *levels* where a
quantizer has made it a multiple of one scale; pools of maxima and movements pass levels on. Matrix products,
sums, products, Concat, average pools and functions read levels. A wide value is quantized where
something needs levels of it, once, and then everything reads the quantized one. Scales, shifts and clamps
read sums as they are: the quantizer comes behind them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

import numpy as np

from pulsefold.compiler.quantize.affine import is_affine
from pulsefold.compiler.quantize.functions import composites
from pulsefold.compiler.quantize.graph import FloatGraph, Node
from pulsefold.compiler.quantize.linear import is_linear
from pulsefold.compiler.quantize.simplify import MOVES
from pulsefold.compiler.quantize.tables import find_tables
from pulsefold.compiler.quantize.types import Types, infer_types
from pulsefold.errors import UnsupportedNodeError

__all__ = ["Kind", "Placement", "place"]


class Kind(Enum):
    """What a node does to values."""

    LINEAR = auto()  #: products with constant weights
    JOIN = (
        auto()
    )  #: several streams, or a constant that differs from position to position, element by element
    CONCAT = auto()
    AVERAGE = auto()  #: average pools, interpolation
    PASS = auto()  #: maximum pools and movements: levels stay levels
    WAIT = auto()  #: constant scales and shifts, and clamps
    FUNCTION = auto()  #: anything else
    INSIDE = auto()  #: part of a function of several nodes
    TAIL = auto()  #: what the host does to the last values
    OTHER = auto()  #: not a float


_JOINS = frozenset({"Add", "Sub", "Mul", "Div", "Sum", "Max", "Min", "Mean"})
_AVERAGES = frozenset(
    {"AveragePool", "GlobalAveragePool", "ReduceMean", "ReduceSum", "LpPool", "GlobalLpPool"}
)
_MAXIMA = frozenset({"MaxPool", "GlobalMaxPool", "ReduceMax"})
_CLAMPS = frozenset({"Relu", "Clip"})
_TAILS = frozenset({"Softmax", "LogSoftmax", "Hardmax", "ArgMax", "ArgMin", "TopK", "NonMaxSuppression"})
_NONNEGATIVE = frozenset(
    {"Relu", "Sigmoid", "HardSigmoid", "Softmax", "Exp", "Abs", "Sqrt", "Softplus", "ThresholdedRelu"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Which values are quantized.

    Parameters
    ----------
    groups
        Values that share one scale, each in one group; in the order of the graph.
    nonnegative
        Values that cannot be below zero, whatever the input.
    kinds
        What each node does, by name.
    sources
        The quantized value that each linear node's input comes from, through pools and movements or directly.
    inputs
        Values that are the model's own inputs, or elements of one as floats: the input, by value.
    """

    groups: list[list[str]]
    nonnegative: frozenset[str]
    kinds: dict[str, Kind]
    sources: dict[str, str]
    inputs: Mapping[str, str]

    @property
    def by_linear(self) -> frozenset[str]:
        """Quantized values that some linear node reads."""
        return frozenset(self.sources.values())

    @property
    def values(self) -> list[str]:
        """All quantized values."""
        return [name for group in self.groups for name in group]


def place(graph: FloatGraph) -> Placement:
    """Decide where the quantizers of a simplified graph go."""
    return _Placer(graph).run()


class _Placer:
    def __init__(self, graph: FloatGraph) -> None:
        self.graph = graph
        self.types: Types = infer_types(graph)
        self.tables = find_tables(graph, self.types)
        self.makers = graph.makers()
        self.readers = graph.readers()
        self.kinds: dict[str, Kind] = {}
        for result, (_, names) in composites(graph, self.types, self.tables).items():
            for name in names:
                self.kinds[name] = Kind.INSIDE
            self.kinds[self.makers[result].name] = Kind.FUNCTION
        for node in graph.nodes:
            self.kinds.setdefault(node.name, self.kind(node))
        for node in reversed(graph.nodes):
            if self._is_tail(node):
                self.kinds[node.name] = Kind.TAIL
            elif node.op in _TAILS:
                todo = (
                    f"cut the model at {node.inputs[0]!r} (onnx.utils.extract_model) and compute what follows"
                )
                raise UnsupportedNodeError(
                    f"{node.op} stands in the middle of the network",
                    where=node.where,
                    why="it weighs values against each other, which is the host's work behind the last layer",
                    todo=f"{todo} on the host",
                )
        self.wanted: dict[str, bool] = {}

    def run(self) -> Placement:
        inputs = {value.name: value.name for value in self.graph.inputs}
        casts = [node for node in self.graph.nodes if node.op == "Cast"]
        inputs |= {node.output: source for node in casts if (source := self._integers(node))}
        wide = [value.name for value in self.graph.inputs if self.wants(value.name)]
        for node in self.graph.nodes:
            kind = self.kinds[node.name]
            if kind in (Kind.PASS, Kind.INSIDE, Kind.TAIL, Kind.OTHER):
                continue
            wide += [n for n in node.outputs if n and self.types.is_float(n) and self.wants(n)]
        groups = self._groups(wide)
        sources = {}
        for node in self.graph.nodes:
            if self.kinds[node.name] is Kind.LINEAR:
                for root in self.roots(node.inputs[0]):
                    sources[node.inputs[0]] = root
        return Placement(
            groups=groups,
            nonnegative=frozenset(name for name in wide if self.nonnegative(name)),
            kinds=self.kinds,
            sources=sources,
            inputs=inputs,
        )

    def kind(self, node: Node) -> Kind:
        graph = self.graph
        if self._integers(node):
            return Kind.WAIT
        streams = [n for n in node.inputs if n and n not in graph.constants and self.types.is_float(n)]
        if not streams or not any(self.types.is_float(n) for n in node.outputs if n):
            # Shapes, indices and comparisons; ArgMax and the like are the tail.
            return Kind.TAIL if node.op in _TAILS else Kind.OTHER
        if is_linear(node):
            return Kind.LINEAR
        if node.op == "Concat":
            return Kind.CONCAT
        if node.op in _MAXIMA | MOVES or (node.op == "Pad" and self._pads_nothing_new(node)):
            return Kind.PASS
        if node.op == "Resize":
            return Kind.PASS if node.text("mode", "nearest") == "nearest" else Kind.AVERAGE
        if node.op in _AVERAGES:
            return Kind.AVERAGE
        if (node.op in _JOINS and len(streams) > 1) or node.name in self.tables:
            return Kind.JOIN
        clamp = node.op in _CLAMPS and all(n in graph.constants for n in node.inputs[1:] if n)
        return Kind.WAIT if clamp or is_affine(graph, node) or node.op == "Cast" else Kind.FUNCTION

    def _integers(self, node: Node) -> str:
        """The model's input whose integers a Cast makes floats of, moved or not; ``""`` where it is none."""
        if node.op != "Cast" or not self.types.is_float(node.output):
            return ""
        name = node.inputs[0]
        while name in self.makers and self.makers[name].op in MOVES:
            name = self.makers[name].inputs[0]
        found = any(value.name == name for value in self.graph.inputs)
        return name if found and not self.types.is_float(name) else ""

    def _pads_nothing_new(self, node: Node) -> bool:
        """Zero and copies of elements are levels already."""
        if node.text("mode", "constant") != "constant" or not node.input(2):
            return True
        value = self.graph.constants.get(node.input(2))
        return value is not None and not np.any(value)

    def _is_tail(self, node: Node) -> bool:
        """A tail operator, with nothing behind it but what the host can do as well."""
        if node.op not in _TAILS:
            return False
        open_ = list(node.outputs)
        while open_:
            for reader in self.readers.get(open_.pop(), []):
                if self.kinds[reader.name] not in (Kind.PASS, Kind.WAIT, Kind.TAIL, Kind.OTHER):
                    return False
                open_ += reader.outputs
        return True

    def wants(self, name: str) -> bool:
        """Whether something needs levels of a value."""
        if name not in self.wanted:
            self.wanted[name] = False
            self.wanted[name] = self._wants(name)
        return self.wanted[name]

    def _wants(self, name: str) -> bool:
        if name in self.graph.output_names and self._rounds_at_the_end(name):
            return True
        for node in self.readers.get(name, []):
            kind = self.kinds[node.name]
            if kind in (Kind.LINEAR, Kind.JOIN, Kind.CONCAT, Kind.AVERAGE):
                return True
            if kind in (Kind.FUNCTION, Kind.INSIDE):
                # Part of a function of several nodes: its own values stay as they are.
                if not self._is_inner(name):
                    return True
            elif kind is Kind.PASS:
                if any(self.wants(output) for output in node.outputs if output):
                    return True
            elif (kind is Kind.TAIL and self._rounds_at_the_end(name)) or (
                kind is Kind.WAIT and self._is_rounded_before(name)
            ):
                return True
        return False

    def _is_rounded_before(self, name: str) -> bool:
        """Whether a scale or clamp reads what a pool or Concat gives: levels, and not sums."""
        maker = self.makers.get(name)
        passed = False
        while maker is not None and self.kinds[maker.name] is Kind.PASS:
            maker, passed = self.makers.get(maker.inputs[0]), True
        if maker is None:
            return False
        kind = self.kinds[maker.name]
        return kind is Kind.CONCAT or (passed and kind in (Kind.WAIT, Kind.FUNCTION))

    def _is_inner(self, name: str) -> bool:
        maker = self.makers.get(name)
        return maker is not None and self.kinds[maker.name] is Kind.INSIDE

    def _rounds_at_the_end(self, name: str) -> bool:
        """Whether a result is quantized: not the sums of the last linear layer, which are integers anyway."""
        maker = self.makers.get(name)
        while maker is not None and self.kinds[maker.name] is Kind.PASS:
            maker = self.makers.get(maker.inputs[0])
        while maker is not None and self.kinds[maker.name] is Kind.WAIT and maker.op not in _CLAMPS:
            maker = self.makers.get(next(n for n in maker.inputs if n not in self.graph.constants))
        return maker is not None and self.kinds[maker.name] not in (Kind.LINEAR, Kind.TAIL)

    def roots(self, name: str) -> list[str]:
        """The quantized values that levels come from."""
        if self.wants(name) and (
            name not in self.makers or self.kinds[self.makers[name].name] is not Kind.PASS
        ):
            return [name]
        maker = self.makers.get(name)
        if maker is None or self.kinds[maker.name] is not Kind.PASS:
            return []
        return self.roots(maker.inputs[0])

    def _groups(self, wide: list[str]) -> list[list[str]]:
        """One group a value, but inputs and output of a Concat, a Max and a Min together."""
        leader = {name: name for name in wide}

        def lead(name: str) -> str:
            while leader[name] != name:
                name = leader[name]
            return name

        for node in self.graph.nodes:
            compared = self.kinds[node.name] is Kind.JOIN and node.op in ("Max", "Min")
            if not (compared or self.kinds[node.name] is Kind.CONCAT) or node.output not in leader:
                continue
            for name in node.inputs:
                for root in self.roots(name):
                    maker = self.makers.get(root)
                    # The range of a function, or of the input, is its own.
                    if maker is not None and self.kinds[maker.name] is not Kind.FUNCTION:
                        leader[lead(root)] = lead(node.output)
        groups: dict[str, list[str]] = {}
        for name in wide:
            groups.setdefault(lead(name), []).append(name)
        return list(groups.values())

    def nonnegative(self, name: str, depth: int = 0) -> bool:
        """Whether the graph says that a value cannot be below zero."""
        if name in self.graph.constants:
            return bool((self.graph.constants[name] >= 0).all())
        node = self.makers.get(name)
        if node is None or depth > 64:
            return False
        if node.op in _NONNEGATIVE or (node.op == "Mul" and node.inputs[0] == node.inputs[1]):
            return True
        if node.op == "Clip":
            low = self.graph.constants.get(node.input(1))
            if low is not None and float(low.ravel()[0]) >= 0:
                return True
        kind = self.kinds[node.name]
        if kind in (Kind.PASS, Kind.AVERAGE) or node.op in ("Clip", "MaxPool"):
            cubic = node.op == "Resize" and node.text("mode", "nearest") == "cubic"
            return not cubic and self.nonnegative(node.inputs[0], depth + 1)
        scaled = kind is Kind.WAIT and node.op in ("Add", "Mul", "Div")
        if scaled or (kind in (Kind.JOIN, Kind.CONCAT) and node.op not in ("Sub", "Div")):
            return all(self.nonnegative(n, depth + 1) for n in node.inputs if n)
        return False
