"""Functions of one value that are written in several nodes, such as SiLU as Mul(x, Sigmoid(x)).

Such a function joins its own branches again, so it would look like a product of two streams; or it is a
chain, such as Sqrt(Abs(x) + 0.1). Every node between its one source and its result is found here, whatever
the function is: nothing inside is quantized.
"""

from __future__ import annotations

from collections.abc import Set

from pulsefold.compiler.quantize.affine import is_affine
from pulsefold.compiler.quantize.graph import FloatGraph, Node
from pulsefold.compiler.quantize.types import Types

__all__ = ["POINTWISE", "composites"]

#: Operators whose result at each position depends on that position alone.
# fmt: off
POINTWISE = frozenset(
    {
        "Abs", "Acos", "Add", "BatchNormalization", "Cast", "Ceil", "Celu", "Clip", "Cos", "Div", "Elu",
        "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Log", "Max",
        "Mean", "Min", "Mish", "Mul", "Neg", "PRelu", "Pow", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid",
        "Sign", "Sin", "Softplus", "Softsign", "Sqrt", "Sub", "Sum", "Tanh", "ThresholdedRelu", "Where"
    }
)
# fmt: on

#: Functions that are infinite or steep at 0.
_SINGULAR = frozenset({"Div", "Log", "Pow", "Reciprocal", "Sqrt"})

#: Nodes of the longest function that is looked for: GELU by tanh has eight.
_LONGEST = 16


def composites(
    graph: FloatGraph, types: Types, apart: frozenset[str] = frozenset()
) -> dict[str, tuple[str, frozenset[str]]]:
    """Result of each function of several nodes -> its source, and the names of its nodes.

    Of functions inside one another only the outermost is given. The nodes named in `apart` differ from
    position to position, and belong to none.
    """
    makers, readers = graph.makers(), graph.readers()
    found: dict[str, tuple[str, frozenset[str]]] = {}
    for node in graph.nodes:
        streams = _streams(graph, node)
        if _pointwise(node, apart) and len(streams) > 1 and types.is_float(node.output):
            region = _region(graph, node, makers, apart)
            if region is not None and _closed(graph, node, region[1], makers, readers):
                found[node.output] = region
    taken = {name for _, names in found.values() for name in names}
    found |= _chains(graph, types, taken | apart, makers, readers)
    inner = {
        result for result, (_, nodes) in found.items() if any(nodes < others for _, others in found.values())
    }
    return {result: region for result, region in found.items() if result not in inner}


def _chains(
    graph: FloatGraph, types: Types, taken: Set[str], makers: dict[str, Node], readers: dict[str, list[Node]]
) -> dict[str, tuple[str, frozenset[str]]]:
    """Functions one behind the other, with steps between them, whose values nothing else reads."""
    found: dict[str, tuple[str, frozenset[str]]] = {}
    for node in graph.nodes:
        if not _curved(graph, node) or node.name in taken or not types.is_float(node.output):
            continue
        chain = [node]
        while len(chain) < _LONGEST:
            (source,) = _streams(graph, chain[-1])
            maker = makers.get(source)
            if maker is None or maker.op not in POINTWISE or maker.name in taken:
                break
            if len(_streams(graph, maker)) != 1 or not types.is_float(_streams(graph, maker)[0]):
                break
            if len(readers[source]) > 1 or source in graph.output_names:
                break
            chain.append(maker)
        # In front of the first function they are steps like any other, but for one that has no value at 0:
        # a bound or a shift keeps it from there, and a quantizer between them would not.
        steps = []
        while not _curved(graph, chain[-1]):
            steps.append(chain.pop())
        if chain[-1].op in _SINGULAR:
            chain += steps[::-1]
        if len(chain) > 1:
            (source,) = _streams(graph, chain[-1])
            found[node.output] = source, frozenset(n.name for n in chain)
    return found


def _pointwise(node: Node, apart: frozenset[str]) -> bool:
    """Whether what a node computes depends on values alone, not on where they are."""
    return node.op in POINTWISE and node.name not in apart


def _curved(graph: FloatGraph, node: Node) -> bool:
    """Whether a node is a function of one value, and no scale, shift or clamp."""
    steps = ("Cast", "Clip", "Identity", "Max", "Min", "Relu")
    return (
        node.op in POINTWISE
        and node.op not in steps
        and len(_streams(graph, node)) == 1
        and not is_affine(graph, node)
    )


def _streams(graph: FloatGraph, node: Node) -> list[str]:
    """Inputs that are not constant, each once."""
    return list(dict.fromkeys(n for n in node.inputs if n and n not in graph.constants))


def _closed(
    graph: FloatGraph,
    node: Node,
    names: frozenset[str],
    makers: dict[str, Node],
    readers: dict[str, list[Node]],
) -> bool:
    """Whether nothing outside reads a value inside."""
    for value, maker in makers.items():
        if maker.name in names and maker is not node:
            outside = any(reader.name not in names for reader in readers.get(value, []))
            if outside or value in graph.output_names:
                return False
    return True


def _region(
    graph: FloatGraph, node: Node, makers: dict[str, Node], apart: frozenset[str]
) -> tuple[str, frozenset[str]] | None:
    """The nearest single value that everything `node` reads comes from, pointwise, and the nodes between.

    The open values are replaced by what their makers read, latest first, until one is left.
    """
    order = {n.name: i for i, n in enumerate(graph.nodes)}
    inside = {node.name}
    streams = set(_streams(graph, node))
    while len(streams) > 1:
        # The latest can't be the common source: the others would have to come from it.
        latest = max(streams, key=lambda v: order[makers[v].name] if v in makers else -1)
        maker = makers.get(latest)
        if maker is None or not _pointwise(maker, apart) or len(inside) >= _LONGEST:
            return None
        inside.add(maker.name)
        streams.remove(latest)
        streams.update(_streams(graph, maker))
        if not streams:
            return None
    return streams.pop(), frozenset(inside)
