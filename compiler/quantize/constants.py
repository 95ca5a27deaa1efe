"""Constant folding: weights behind Constant, ConstantOfShape, Reshape, DequantizeLinear and the like."""

from __future__ import annotations

import warnings
from math import prod

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from pulsefold.compiler.frontend.load import check_elements
from pulsefold.compiler.quantize.graph import FloatGraph, Node, tensor
from pulsefold.errors import ModelError, UnsupportedNodeError

__all__ = ["fold_constants"]

#: Operators whose result may be larger than their inputs, beyond broadcasting.
_GROWING = frozenset({"ConstantOfShape", "Expand", "Range", "Tile", "Resize", "Pad", "OneHot", "EyeLike"})
#: Not evaluated: random, or too costly for a constant.
_NEVER = frozenset(
    {"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial"}
)


def fold_constants(graph: FloatGraph, *, only: frozenset[str] | None = None) -> None:
    """Replace every node whose inputs are all known by its result; `only` some operators, where given."""
    kept = []
    for node in graph.nodes:
        known = all(name in graph.constants for name in node.inputs if name)
        if not known or node.op in _NEVER or (only is not None and node.op not in only):
            kept.append(node)
            continue
        for name, value in zip(node.outputs, _evaluate(graph, node), strict=False):
            if name:
                graph.constants[name] = value
    graph.nodes = kept


def _evaluate(graph: FloatGraph, node: Node) -> list[np.ndarray]:
    """The node in onnx's own reference implementation."""
    feeds = {name: graph.constants[name] for name in node.inputs if name}
    if node.op == "DequantizeLinear":
        return [_dequantized(node, *feeds.values())]
    if node.op in _GROWING:
        _bound(node, [graph.constants[name] for name in node.inputs if name])
    elif feeds:
        check_elements([sum(v.size for v in feeds.values())], node.where)
        if node.op not in ("Concat", "Gemm", "MatMul", "Conv"):
            _broadcast(node, list(feeds.values()))
    try:
        made = onnx.helper.make_graph(
            [node.proto()],
            "fold",
            [],
            [onnx.helper.make_empty_tensor_value_info(name) for name in node.outputs if name],
            [tensor(name, value) for name, value in feeds.items()],
        )
        model = onnx.helper.make_model(made, opset_imports=[onnx.helper.make_opsetid("", graph.opset)])
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            results = [np.asarray(v) for v in ReferenceEvaluator(model).run(None, {})]
    # The reference implementation raises whatever NumPy raises on inputs that don't belong together.
    except Exception as error:
        why = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no more is known'}"
        msg = "its constants cannot be evaluated"
        raise ModelError(msg, where=node.where, why=why, todo="check the model with onnx.checker") from None
    return [v.astype(np.float32) if v.dtype == np.float64 else v for v in results]


def _dequantized(node: Node, q: np.ndarray, scale: np.ndarray, zero: np.ndarray | None = None) -> np.ndarray:
    """``(q - zero) * scale``, a scale a tensor or along an axis; onnx's reference knows no old form."""
    if node.attributes.get("block_size", 0):
        todo = "export weights with a scale a tensor or a channel"
        raise UnsupportedNodeError("its scales count blocks", where=node.where, todo=todo)
    if scale.size > 1:
        axis = node.attributes.get("axis", 1) % q.ndim
        shape = [-1 if i == axis else 1 for i in range(q.ndim)]
        if scale.size != q.shape[axis]:
            msg = f"it has {scale.size} scales for {q.shape[axis]} channels"
            raise ModelError(msg, where=node.where, todo="check the model with onnx.checker")
        scale, zero = scale.reshape(shape), None if zero is None else zero.reshape(shape)
    shifted = q.astype(np.float64) - (0 if zero is None else zero.astype(np.float64))
    return (shifted * scale.astype(np.float64)).astype(np.float32)


def _broadcast(node: Node, arrays: list[np.ndarray]) -> None:
    """Refuse outer products that broadcasting would make of small inputs."""
    try:
        check_elements(np.broadcast_shapes(*(a.shape for a in arrays)), node.where)
    except ValueError:
        # Not an elementwise operator, then: its result is no larger than its inputs.
        return


def _bound(node: Node, arrays: list[np.ndarray]) -> None:
    """Refuse a result that would be huge, before anything is allocated."""
    try:
        if node.op == "ConstantOfShape":
            size = prod(int(d) for d in arrays[0].ravel())
        elif node.op == "Expand":
            size = prod(np.broadcast_shapes(arrays[0].shape, tuple(int(d) for d in arrays[1].ravel())))
        elif node.op == "Range":
            start, limit, delta = (float(a.ravel()[0]) for a in arrays)
            size = max(0, int((limit - start) / delta) + 1)
        elif node.op == "Tile":
            size = arrays[0].size * prod(int(d) for d in arrays[1].ravel())
        elif node.op == "OneHot":
            size = arrays[0].size * int(arrays[1].ravel()[0])
        elif node.op == "Pad":
            pads = [int(d) for d in arrays[1].ravel()]
            half = len(pads) // 2
            size = prod(s + pads[i] + pads[i + half] for i, s in enumerate(arrays[0].shape) if i < half)
        else:
            size = prod(int(np.ceil(abs(float(d)))) or 1 for a in arrays[1:] for d in a.ravel())
            size *= arrays[0].size
    except (ValueError, IndexError, ZeroDivisionError, OverflowError, TypeError) as error:
        msg = "its constants cannot be evaluated"
        raise ModelError(msg, where=node.where, why=str(error), todo="check the model") from None
    check_elements([max(0, size)], node.where)
