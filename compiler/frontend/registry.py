"""Every ONNX operator the importer knows, in one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pulsefold.compiler.frontend.nodes import OnnxNode
from pulsefold.compiler.frontend.ops import (
    activations,
    elementwise,
    host,
    joins,
    linear,
    lrn,
    moves,
    pool,
    qdq,
    qoperator,
    quantizers,
    resize,
    select,
    shapes,
)
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
    quantizer
        Whether it makes integers, so that a model with it counts as quantized.
    folds
        Whether its function takes constants too, and gives exact ones.
    """

    function: Callable[[Call], Value | tuple[Value, ...]]
    verdict: str
    why: str
    custom: bool = False
    quantizer: bool = False
    folds: bool = False


def _node(function: Callable, why: str, *, quantizer: bool = False, custom: bool = False) -> Rule:
    return Rule(function=function, verdict="supported", why=why, quantizer=quantizer, custom=custom)


def _step(function: Callable) -> Rule:
    why = "an exact step in front of the next quantizer's thresholds"
    return Rule(function=function, verdict="folded", why=why)


def _view(function: Callable, why: str = "moves nothing in a stream") -> Rule:
    return Rule(function=function, verdict="folded", why=why)


def _host(function: Callable) -> Rule:
    return Rule(function=function, verdict="folded", why="computed by the host from the last integers")


def _quantizer(function: Callable, *, custom: bool) -> Rule:
    why = "becomes a Threshold of integers"
    return Rule(function=function, verdict="supported", why=why, custom=custom, quantizer=True, folds=True)


_CONV = "becomes a Conv"
_EXTREME = "an exact step in front of the next quantizer's thresholds; of streams, a MaxPool behind them"
_WHOLE = "becomes a Conv over the whole frame, or of 1 x 1 where it has rows"
_MOVE = "becomes a Reorder where elements are dropped, repeated or filled in"

#: op_type -> rule. To support an operator, write its function in `ops` and list it here.
RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "Conv": _node(linear.conv, _CONV),
        "ConvTranspose": _node(resize.conv_transpose, "becomes a Reorder that puts zeros in, and a Conv"),
        "MatMul": _node(linear.matmul, _WHOLE),
        "Gemm": _node(linear.gemm, _WHOLE),
        "ConvInteger": _node(qoperator.conv_integer, _CONV, quantizer=True),
        "MatMulInteger": _node(qoperator.matmul_integer, _WHOLE, quantizer=True),
        "QLinearConv": _node(qoperator.qlinear_conv, "becomes a Conv and a Threshold", quantizer=True),
        "QLinearMatMul": _node(qoperator.qlinear_matmul, "becomes a Conv and a Threshold", quantizer=True),
        "QGemm": _node(qoperator.qgemm, "becomes a Conv and a Threshold", quantizer=True, custom=True),
        "QLinearAdd": _node(
            qoperator.qlinear_binary, "becomes a Sum and a Threshold", quantizer=True, custom=True
        ),
        "QLinearMul": _node(
            qoperator.qlinear_binary, "becomes a Product and a Threshold", quantizer=True, custom=True
        ),
        "QLinearConcat": _node(
            qoperator.qlinear_concat, "becomes a Concat and a Threshold", quantizer=True, custom=True
        ),
        "QLinearSoftmax": Rule(
            function=qoperator.qlinear_softmax,
            verdict="folded",
            why="computed by the host from the last integers",
            custom=True,
            quantizer=True,
        ),
        "QLinearSigmoid": _node(qoperator.qlinear_function, "becomes a Table", quantizer=True, custom=True),
        "QLinearLeakyRelu": _node(qoperator.qlinear_function, "becomes a Table", quantizer=True, custom=True),
        "QLinearAveragePool": _node(
            qoperator.qlinear_average_pool, "becomes a SumPool and a Threshold", quantizer=True, custom=True
        ),
        "QLinearGlobalAveragePool": _node(
            qoperator.qlinear_global_average_pool,
            "becomes a SumPool and a Threshold",
            quantizer=True,
            custom=True,
        ),
        "MaxPool": _node(pool.max_pool, "becomes a MaxPool of integers"),
        "GlobalMaxPool": _node(pool.global_max_pool, "becomes a MaxPool of integers"),
        "AveragePool": _node(pool.average_pool, "becomes a SumPool; the divisor waits behind it"),
        "GlobalAveragePool": _node(
            pool.global_average_pool, "becomes a SumPool; the divisor waits behind it"
        ),
        "ReduceMean": _node(pool.reduce_mean, "becomes a SumPool; the divisor waits behind it"),
        "ReduceSum": _node(pool.reduce_sum, "becomes a SumPool"),
        "ReduceMax": _node(pool.reduce_max, "becomes a MaxPool of integers"),
        "LRN": _node(lrn.lrn, "becomes an Lrn with the quantizer behind it"),
        "Concat": _node(joins.concat, "becomes a Concat"),
        "Quant": _quantizer(quantizers.quant, custom=True),
        "BipolarQuant": _quantizer(quantizers.bipolar_quant, custom=True),
        "MultiThreshold": _node(
            quantizers.multi_threshold_quant,
            "becomes a Threshold of integers",
            quantizer=True,
            custom=True,
        ),
        "QuantizeLinear": _quantizer(qdq.quantize_linear, custom=False),
        "DequantizeLinear": Rule(
            function=qdq.dequantize_linear, verdict="folded", why="an exact scale", quantizer=True, folds=True
        ),
        "BatchNormalization": _step(elementwise.batch_normalization),
        "Add": _step(elementwise.add),
        "Sub": _step(elementwise.subtract),
        "Sum": _step(elementwise.sum_of),
        "Mean": _step(elementwise.mean_of),
        "Mul": _step(elementwise.multiply),
        "Div": _step(elementwise.divide),
        "Neg": _step(elementwise.negative),
        "Relu": _step(elementwise.relu),
        "Clip": _step(elementwise.clip),
        "Max": Rule(function=elementwise.extreme, verdict="folded", why=_EXTREME),
        "Min": Rule(function=elementwise.extreme, verdict="folded", why=_EXTREME),
        "PRelu": _node(activations.parametric_relu, "becomes a table or thresholds of the next quantizer"),
        **{
            name: _node(activations.activation, "becomes a table or thresholds of the next quantizer")
            for name in activations.OPERATORS
        },
        "Cast": _view(elementwise.cast, "exact values don't change"),
        "Identity": _view(shapes.identity, "does nothing"),
        "Dropout": _view(shapes.identity, "does nothing at inference"),
        "Flatten": _view(shapes.flatten),
        "Reshape": _view(shapes.reshape),
        "Transpose": _view(shapes.transpose),
        "Squeeze": _view(shapes.squeeze),
        "Unsqueeze": _view(shapes.unsqueeze),
        "Shape": _view(shapes.shape_of, "shapes are known"),
        "Size": _view(shapes.size_of, "shapes are known"),
        "Slice": _view(moves.slice_, _MOVE),
        "Split": _view(moves.split, _MOVE),
        "Gather": _view(moves.gather, _MOVE),
        "Tile": _view(moves.tile, _MOVE),
        "Expand": _view(moves.expand, _MOVE),
        "Pad": _node(moves.pad, _MOVE),
        "DepthToSpace": _view(moves.depth_to_space, _MOVE),
        "SpaceToDepth": _view(moves.space_to_depth, _MOVE),
        "Resize": _node(resize.resize, "becomes a Reorder (nearest) or a depthwise Conv (linear)"),
        "Upsample": _node(resize.upsample, "becomes a Reorder (nearest) or a depthwise Conv (linear)"),
        "Softmax": _host(host.softmax),
        "LogSoftmax": _host(host.softmax),
        "TopK": _host(select.top_k),
        "ArgMax": _host(select.arg_best),
        "ArgMin": _host(select.arg_best),
    }
)

#: Domains that the custom operators are written in; some exporters leave the domain out.
_CUSTOM = frozenset(
    {"qonnx.custom_op.general", "finn.custom_op.general", "onnx.brevitas", "com.microsoft", ""}
)
#: Standard operators that ONNX Runtime also writes under its own domain.
_BOTH = frozenset({"QuantizeLinear", "DequantizeLinear"})


def rule_for(node: OnnxNode) -> Rule | None:
    """The rule of a node, None where there is none."""
    rule = RULES.get(node.op_type)
    if rule is None or node.domain not in (_CUSTOM if rule.custom or node.op_type in _BOTH else {""}):
        return None
    return rule
