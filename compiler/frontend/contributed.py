"""Functions of one value that ONNX Runtime has under its own domain, as a model's own functions."""

from __future__ import annotations

from collections.abc import Callable
from math import pi, sqrt

import onnx
from onnx import helper

__all__ = ["define_contributed"]

_DOMAIN = "com.microsoft"

_Nodes = list[onnx.NodeProto]


def define_contributed(model: onnx.ModelProto) -> None:
    """Add the functions that the graph calls to those of the model; an added bias becomes a node of its own.

    Gelu, BiasGelu: x / 2 * (1 + erf(x / sqrt(2))). FastGelu: x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715
    x^3))). QuickGelu: x * sigmoid(alpha * x).
    """
    called = {node.op_type for node in model.graph.node if node.domain == _DOMAIN}.intersection(_BODIES)
    if not called:
        return
    nodes: _Nodes = []
    for k, node in enumerate(model.graph.node):
        biased = node.domain == _DOMAIN and node.op_type in ("BiasGelu", "FastGelu")
        if biased and len(node.input) > 1 and node.input[1]:
            total = f"{node.output[0]}/biased{k}"
            nodes.append(helper.make_node("Add", list(node.input), [total], name=f"{node.name}/bias"))
            del node.input[1:]
            node.input[0] = total
        if node.domain == _DOMAIN and node.op_type == "QuickGelu" and not node.attribute:
            node.attribute.append(helper.make_attribute("alpha", 1.702))
        nodes.append(node)
    # A copy: what is deleted from a message is gone with it.
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(copies)
    opsets = [o for o in model.opset_import if o.domain in ("", "ai.onnx")]
    known = {(f.domain, f.name) for f in model.functions}
    for name in sorted(called):
        if (_DOMAIN, name) not in known:
            alpha = ["alpha"] if name == "QuickGelu" else []
            made = helper.make_function(_DOMAIN, name, ["x"], ["y"], _BODIES[name](), opsets, alpha)
            model.functions.append(made)


def _node(kind: str, *names: str) -> onnx.NodeProto:
    *inputs, output = names
    return helper.make_node(kind, inputs, [output])


def _number(name: str, value: float) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], value_float=value)


def _gated() -> _Nodes:
    """From the gate, between -1 and 1."""
    return [
        _number("one", 1.0),
        _number("half", 0.5),
        _node("Add", "gate", "one", "open"),
        _node("Mul", "x", "half", "halved"),
        _node("Mul", "halved", "open", "y"),
    ]


def _gelu() -> _Nodes:
    below = [_number("root", sqrt(2)), _node("Div", "x", "root", "scaled")]
    return [*below, _node("Erf", "scaled", "gate"), *_gated()]


def _fast_gelu() -> _Nodes:
    return [
        _number("cubic", 0.044715),
        _number("root", sqrt(2 / pi)),
        _node("Mul", "x", "x", "square"),
        _node("Mul", "square", "x", "cube"),
        _node("Mul", "cube", "cubic", "small"),
        _node("Add", "x", "small", "bent"),
        _node("Mul", "bent", "root", "scaled"),
        _node("Tanh", "scaled", "gate"),
        *_gated(),
    ]


def _quick_gelu() -> _Nodes:
    alpha = helper.make_node("Constant", [], ["alpha"])
    alpha.attribute.add(name="value_float", ref_attr_name="alpha", type=onnx.AttributeProto.FLOAT)
    scaled, gate = _node("Mul", "x", "alpha", "scaled"), _node("Sigmoid", "scaled", "gate")
    return [alpha, scaled, gate, _node("Mul", "x", "gate", "y")]


_BODIES: dict[str, Callable[[], _Nodes]] = {
    "BiasGelu": _gelu,
    "FastGelu": _fast_gelu,
    "Gelu": _gelu,
    "QuickGelu": _quick_gelu,
}
