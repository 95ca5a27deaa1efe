"""Every ONNX operator the importer knows, in one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pulsefold.compiler.frontend.nodes import OnnxNode
from pulsefold.compiler.frontend.ops import elementwise, linear, pool, quantizers, select, shapes
from pulsefold.compiler.frontend.ops.common import Call
from pulsefold.compiler.frontend.values import Value

__all__ = ["RULES", "Rule", "rule_for"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How an operator is imported.

    Parameters
    ----------
    function
        From the node and its inputs to its output or outputs; raises UnsupportedNodeError.
    verdict
        ``"supported"`` where a node of the graph comes of it, ``"folded"`` where it goes into others.
    why
        What becomes of it, for ``pulsefold inspect``.
    custom
        Whether it belongs to the QONNX domains instead of the default one.
    """

    function: Callable[[Call], Value | tuple[Value, ...]]
    verdict: str
    why: str
    custom: bool = False


_STEP = "folded", "an exact step in front of the next quantizer's thresholds"
_MOVE = "folded", "moves nothing in a stream: the next weights are reordered"

#: op_type -> rule. To support an operator, write its function in `ops` and list it here.
RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "Conv": Rule(function=linear.conv, verdict="supported", why="becomes a Conv"),
        "MatMul": Rule(
            function=linear.matmul, verdict="supported", why="becomes a Conv over the whole frame"
        ),
        "Gemm": Rule(function=linear.gemm, verdict="supported", why="becomes a Conv over the whole frame"),
        "MaxPool": Rule(function=pool.max_pool, verdict="supported", why="becomes a MaxPool of integers"),
        "Quant": Rule(
            function=quantizers.quant, verdict="supported", why="becomes a Threshold of integers", custom=True
        ),
        "BipolarQuant": Rule(
            function=quantizers.bipolar_quant,
            verdict="supported",
            why="becomes a Threshold of integers",
            custom=True,
        ),
        "MultiThreshold": Rule(
            function=quantizers.multi_threshold_quant,
            verdict="supported",
            why="becomes a Threshold of integers",
            custom=True,
        ),
        "BatchNormalization": Rule(function=elementwise.batch_normalization, verdict=_STEP[0], why=_STEP[1]),
        "Add": Rule(function=elementwise.add, verdict=_STEP[0], why=_STEP[1]),
        "Sub": Rule(function=elementwise.subtract, verdict=_STEP[0], why=_STEP[1]),
        "Mul": Rule(function=elementwise.multiply, verdict=_STEP[0], why=_STEP[1]),
        "Div": Rule(function=elementwise.divide, verdict=_STEP[0], why=_STEP[1]),
        "Relu": Rule(function=elementwise.relu, verdict=_STEP[0], why=_STEP[1]),
        "Clip": Rule(function=elementwise.clip, verdict=_STEP[0], why=_STEP[1]),
        "Cast": Rule(function=elementwise.cast, verdict="folded", why="exact values don't change"),
        "Identity": Rule(function=shapes.identity, verdict=_MOVE[0], why="does nothing"),
        "Dropout": Rule(function=shapes.identity, verdict=_MOVE[0], why="does nothing at inference"),
        "Flatten": Rule(function=shapes.flatten, verdict=_MOVE[0], why=_MOVE[1]),
        "Reshape": Rule(function=shapes.reshape, verdict=_MOVE[0], why=_MOVE[1]),
        "Transpose": Rule(function=shapes.transpose, verdict=_MOVE[0], why=_MOVE[1]),
        "Squeeze": Rule(function=shapes.squeeze, verdict=_MOVE[0], why=_MOVE[1]),
        "Unsqueeze": Rule(function=shapes.unsqueeze, verdict=_MOVE[0], why=_MOVE[1]),
        "Shape": Rule(function=shapes.shape_of, verdict="folded", why="shapes are known"),
        "Size": Rule(function=shapes.size_of, verdict="folded", why="shapes are known"),
        "Slice": Rule(
            function=select.slice_channels, verdict="folded", why="weight rows that it drops are not computed"
        ),
        "TopK": Rule(
            function=select.top_k, verdict="folded", why="computed by the host from the last integers"
        ),
        "ArgMax": Rule(
            function=select.arg_best, verdict="folded", why="computed by the host from the last integers"
        ),
        "ArgMin": Rule(
            function=select.arg_best, verdict="folded", why="computed by the host from the last integers"
        ),
    }
)

#: Domains that the custom operators are written in; some exporters leave the domain out.
_CUSTOM = frozenset({"qonnx.custom_op.general", "finn.custom_op.general", "onnx.brevitas", ""})


def rule_for(node: OnnxNode) -> Rule | None:
    """The rule of a node, None where there is none."""
    rule = RULES.get(node.op_type)
    if rule is None or node.domain not in (_CUSTOM if rule.custom else {""}):
        return None
    return rule
