"""Models of older operator sets, brought to a newer one.

Written here, not taken from ``onnx.version_converter``, which refuses some models of old IR versions: a rule
for each operator is a few lines once constants are arrays.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx

from pulsefold.compiler.quantize.graph import FloatGraph, Node
from pulsefold.compiler.quantize.types import infer_types
from pulsefold.errors import ModelError, UnsupportedNodeError

__all__ = ["NEWEST", "OLDEST", "upgrade"]

#: Oldest that is read, and newest that is written: the last that ONNX Runtime runs.
OLDEST, NEWEST = 7, 26

#: Operators that between opset 7 and the newest only gained element types, optional attributes with the old
#: meaning as default, or clearer words.
# fmt: off
_COMPATIBLE = frozenset(
    {
        "Abs", "Acos", "Add", "And", "ArgMax", "ArgMin", "AveragePool", "BatchNormalization", "Cast",
        "Ceil", "Celu", "Concat", "Constant", "ConstantOfShape", "Conv", "ConvTranspose", "Cos",
        "DepthToSpace", "DequantizeLinear", "Div", "Dropout", "Elu", "Equal", "Erf", "Exp", "Expand",
        "Flatten", "Floor", "Gather", "GatherElements", "GatherND", "Gelu", "Gemm", "GlobalAveragePool",
        "GlobalLpPool", "GlobalMaxPool", "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish",
        "Identity", "InstanceNormalization", "LRN", "LeakyRelu", "Less", "LessOrEqual", "Log", "LpPool",
        "MatMul", "Max", "MaxPool", "Mean", "Min", "Mish", "Mod", "Mul", "Neg", "NonZero", "Not", "Or",
        "PRelu", "Pow", "Range", "Reciprocal", "Relu", "Reshape", "Resize", "Round", "Selu", "Shape",
        "Sigmoid", "Sign", "Size", "Softplus", "Softsign", "SpaceToDepth", "Sqrt", "Sub", "Sum", "Tanh",
        "ThresholdedRelu", "Tile", "Transpose", "Where", "Xor",
    }
)
# fmt: on


def upgrade(graph: FloatGraph, least: int) -> None:
    """Bring a graph to opset `least` or its own, whichever is newer, and no newer than :data:`NEWEST`."""
    if graph.opset < OLDEST:
        msg = f"it is written in opset {graph.opset}, and {OLDEST} is the oldest that is read"
        raise ModelError(msg, where=graph.name, todo="export it again with a newer opset")
    target = min(max(graph.opset, least), NEWEST)
    # Those that ask for shapes go first: inference knows the operators of one version at a time.
    for node in sorted(graph.nodes, key=lambda node: _RULES.get(node.op) is not _softmax):
        rule = _RULES.get(node.op)
        if rule is not None:
            rule(graph, node, graph.opset, target)
        elif node.op not in _COMPATIBLE and _since(node, graph.opset) != _since(node, target):
            msg = f"there is no rule to bring it from opset {graph.opset} to {target}"
            raise UnsupportedNodeError(msg, where=node.where, todo=f"export the model with opset {target}")
    graph.opset = target


def _since(node: Node, opset: int) -> int:
    """Version of an operator in an opset; 0 if it has none."""
    try:
        return onnx.defs.get_schema(node.op, opset).since_version
    except onnx.defs.SchemaError:
        raise UnsupportedNodeError(
            f"opset {opset} has no such operator",
            where=node.where,
            todo="check the model with onnx.checker",
        ) from None


def _to_input(
    graph: FloatGraph, node: Node, attribute: str, i: int, dtype: type = np.int64, *, scalar: bool = False
) -> None:
    """Turn an attribute into the constant input `i`."""
    value = node.attributes.pop(attribute, None)
    if value is None:
        return
    array = np.asarray(value, dtype)
    node.inputs += [""] * (i + 1 - len(node.inputs))
    node.inputs[i] = graph.constant(
        f"{node.name}.{attribute}", array.reshape(()) if scalar else np.atleast_1d(array)
    )


def _axes(since: int) -> Callable[[FloatGraph, Node, int, int], None]:
    """Axes are an attribute before `since`, and an input from it on."""

    def rule(graph: FloatGraph, node: Node, source: int, target: int) -> None:
        if source < since <= target:
            _to_input(graph, node, "axes", 1)

    return rule


def _split(graph: FloatGraph, node: Node, source: int, target: int) -> None:
    if source < 13 <= target:
        _to_input(graph, node, "split", 1)
    if source < 18 <= target and not node.input(1):
        node.attributes["num_outputs"] = len(node.outputs)


def _slice(graph: FloatGraph, node: Node, source: int, target: int) -> None:
    if source < 10 <= target:
        for i, name in enumerate(("starts", "ends", "axes")):
            _to_input(graph, node, name, i + 1)


def _pad(graph: FloatGraph, node: Node, source: int, target: int) -> None:
    if source < 11 <= target:
        _to_input(graph, node, "pads", 1)
        _to_input(graph, node, "value", 2, np.float32, scalar=True)


def _clip(graph: FloatGraph, node: Node, source: int, target: int) -> None:
    if source < 11 <= target:
        # The old defaults are the largest floats: no bound.
        _to_input(graph, node, "min", 1, np.float32, scalar=True)
        _to_input(graph, node, "max", 2, np.float32, scalar=True)


def _top_k(graph: FloatGraph, node: Node, source: int, target: int) -> None:
    if source < 10 <= target:
        _to_input(graph, node, "k", 1)


def _softmax(graph: FloatGraph, node: Node, source: int, target: int) -> None:
    """Before 13 all axes from `axis` on are one; as the exact same when that is the last one."""
    if not source < 13 <= target:
        return
    axis = node.attributes.setdefault("axis", 1)
    shape = infer_types(graph).shapes.get(node.inputs[0])
    if axis == -1 or (shape is not None and all(size == 1 for size in shape[axis % len(shape) + 1 :])):
        return
    # Flatten to (outer, inner), compute, and give it the shape of its input again.
    x, y = node.inputs[0], node.output
    flat, result, sizes = (graph.fresh(f"{node.name}.{part}") for part in ("flat", "result", "shape"))
    node.inputs, node.outputs, node.attributes["axis"] = [flat], [result], 1
    at = graph.nodes.index(node)
    parts = {"flatten": ("Flatten", [x], [flat]), "shape": ("Shape", [x], [sizes])}
    before = [
        Node(name=graph.fresh(f"{node.name}.{k}_node"), op=op, inputs=i, outputs=o)
        for k, (op, i, o) in parts.items()
    ]
    before[0].attributes["axis"] = axis
    after = Node(name=graph.fresh(f"{node.name}.reshape"), op="Reshape", inputs=[result, sizes], outputs=[y])
    graph.nodes[at : at + 1] = [*before, node, after]


def _upsample(graph: FloatGraph, node: Node, source: int, target: int) -> None:
    """Upsample of opset 7 and 9 is Resize with asymmetric coordinates."""
    _to_input(graph, node, "scales", 1, np.float32)
    node.op = "Resize"
    node.inputs = [node.inputs[0], "", node.inputs[1]]
    node.attributes |= _asymmetric(node)


def _resize(graph: FloatGraph, node: Node, source: int, target: int) -> None:
    if source < 11 <= target:
        node.inputs = [node.inputs[0], "", node.inputs[1]]
        node.attributes |= _asymmetric(node)


def _asymmetric(node: Node) -> dict[str, str]:
    how = {"coordinate_transformation_mode": "asymmetric"}
    if node.text("mode", "nearest") == "nearest":
        how["nearest_mode"] = "floor"
    return how


def _batch_norm(graph: FloatGraph, node: Node, source: int, target: int) -> None:
    if not node.attributes.pop("spatial", 1):
        msg = "it normalises each position by itself (spatial = 0)"
        raise UnsupportedNodeError(msg, where=node.where, todo="use one mean and variance a channel")
    node.attributes.pop("training_mode", None)
    del node.outputs[1:]


def _dropout(graph: FloatGraph, node: Node, source: int, target: int) -> None:
    node.attributes.clear()
    del node.inputs[1:]


_RULES: dict[str, Callable[[FloatGraph, Node, int, int], None]] = {
    "BatchNormalization": _batch_norm,
    "Clip": _clip,
    "Dropout": _dropout,
    "Hardmax": _softmax,
    "LogSoftmax": _softmax,
    "Pad": _pad,
    "ReduceSum": _axes(13),
    "Resize": _resize,
    "Slice": _slice,
    "Softmax": _softmax,
    "Split": _split,
    "Squeeze": _axes(13),
    "TopK": _top_k,
    "Unsqueeze": _axes(13),
    "Upsample": _upsample,
    **{
        f"Reduce{kind}": _axes(18)
        for kind in ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "SumSquare")
    },
}
