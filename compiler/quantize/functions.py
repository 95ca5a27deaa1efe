"""Functions of one value that are written in several nodes, such as SiLU as Mul(x, Sigmoid(x)).

Such a function joins its own branches again, so it would look like a product of two streams. Every node
between its one source and its result is found here, whatever the function is: nothing inside is quantized.
"""

from __future__ import annotations

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

#: Nodes of the longest function that is looked for: GELU by tanh has eight.
_LONGEST = 16


def composites(graph: FloatGraph, types: Types) -> dict[str, tuple[str, frozenset[str]]]:
    """Result of each function of several branches -> its source, and the names of its nodes.

    Of functions inside one another only the outermost is given.
    """
    makers, readers = graph.makers(), graph.readers()
    found: dict[str, tuple[str, frozenset[str]]] = {}
    for node in graph.nodes:
        streams = _streams(graph, node)
        if node.op in POINTWISE and len(streams) > 1 and types.is_float(node.output):
            region = _region(graph, node, makers)
            if region is not None and _closed(graph, node, region[1], makers, readers):
                found[node.output] = region
    inner = {
        result for result, (_, nodes) in found.items() if any(nodes < others for _, others in found.values())
    }
    return {result: region for result, region in found.items() if result not in inner}


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


def _region(graph: FloatGraph, node: Node, makers: dict[str, Node]) -> tuple[str, frozenset[str]] | None:
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
        if maker is None or maker.op not in POINTWISE or len(inside) >= _LONGEST:
            return None
        inside.add(maker.name)
        streams.remove(latest)
        streams.update(_streams(graph, maker))
        if not streams:
            return None
    return streams.pop(), frozenset(inside)
