"""Constant folding: nodes all of whose inputs are known, evaluated in their own ONNX element types."""

from __future__ import annotations

import warnings
from math import prod

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from pulsefold.compiler.frontend.load import check_elements
from pulsefold.compiler.frontend.nodes import OnnxNode
from pulsefold.compiler.frontend.values import Const, Quantized, exact
from pulsefold.errors import ModelError, UnsupportedNodeError

__all__ = ["FOLDABLE", "fold"]

#: Operators that only move or repeat elements of their first input: quantized constants stay exact.
_MOVES = frozenset(
    {"Flatten", "Gather", "Identity", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze", "Dropout"}
)
# fmt: off
_ELEMENTWISE = frozenset(
    {
        "Abs", "Add", "And", "Cast", "CastLike", "Ceil", "Clip", "Div", "Equal", "Erf", "Exp",
        "Floor", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Log", "Max", "Min", "Mod",
        "Mul", "Neg", "Not", "Or", "Pow", "Reciprocal", "Relu", "Round", "Sigmoid", "Sign", "Sqrt",
        "Sub", "Sum", "Tanh", "Where"
    }
)
_OTHERS = frozenset(
    {
        "Concat", "Constant", "ConstantOfShape", "Expand", "Range", "ReduceMax", "ReduceMean",
        "ReduceMin", "ReduceProd", "ReduceSum", "Shape", "Size", "Split"
    }
)
# fmt: on

#: What folds.
FOLDABLE = _MOVES | _ELEMENTWISE | _OTHERS


def fold(node: OnnxNode, inputs: list[Const | None], opset: int) -> list[Const]:
    """The outputs of a node whose inputs are constants; None is an input left out."""
    if node.op_type not in FOLDABLE or node.domain:
        msg = "it computes on constants with an operator that is not folded here"
        todo = "fold the constants first, with onnxsim or onnxruntime's graph optimizer"
        raise UnsupportedNodeError(msg, where=node.where, todo=todo)
    known = [None if c is None else c.value for c in inputs]
    check_elements(_bound(node, known), node.where)
    symbolic = any(c is not None and c.symbolic for c in inputs)
    values = _evaluate(node, known, opset)
    quantized = _quantized(node, inputs, opset)
    return [Const(value=v, quantized=quantized, symbolic=symbolic) for v in values]


def _quantized(node: OnnxNode, inputs: list[Const | None], opset: int) -> Quantized | None:
    """The exact meaning of the result, where moving elements or one factor keeps it."""
    first = inputs[0] if inputs else None
    if node.op_type in _MOVES and first is not None and first.quantized is not None:
        positions = np.arange(first.value.size, dtype=np.int64).reshape(first.value.shape)
        rest = [None if c is None else c.value for c in inputs[1:]]
        return first.quantized.taken(_evaluate(node, [positions, *rest], opset)[0])
    if node.op_type in ("Mul", "Div") and len(inputs) == 2:
        for a, b in (inputs, inputs[::-1]) if node.op_type == "Mul" else (inputs,):
            if (
                a is None
                or b is None
                or a.quantized is None
                or b.value.size != 1
                or b.value.ndim > a.value.ndim
            ):
                continue
            if np.isfinite(b.value).all() and (factor := exact(b.value.ravel()[0])):
                return a.quantized.times(factor if node.op_type == "Mul" else 1 / factor)
    return None


def _bound(node: OnnxNode, inputs: list[np.ndarray | None]) -> list[int]:
    """A shape with at least as many elements as any output, before anything is allocated."""
    arrays = [a for a in inputs if a is not None]
    try:
        if node.op_type in _ELEMENTWISE:
            return list(np.broadcast_shapes(*(a.shape for a in arrays)))
        if node.op_type == "ConstantOfShape":
            return [int(d) for d in arrays[0].ravel()]
        if node.op_type == "Expand":
            return list(np.broadcast_shapes(arrays[0].shape, tuple(int(d) for d in arrays[1].ravel())))
        if node.op_type == "Range":
            start, limit, delta = (float(a.ravel()[0]) for a in arrays)
            return [max(0, int((limit - start) / delta) + 1)]
        if node.op_type == "Gather":
            return [prod(arrays[0].shape), arrays[1].size]
    except (ValueError, IndexError, ZeroDivisionError, OverflowError, TypeError) as error:
        raise _invalid(node, error) from None
    return [sum(a.size for a in arrays)]


def _evaluate(node: OnnxNode, inputs: list[np.ndarray | None], opset: int) -> list[np.ndarray]:
    """The node in onnx's own reference implementation."""
    proto = onnx.NodeProto()
    proto.CopyFrom(node.proto)
    feeds: dict[str, np.ndarray] = {}
    for i, array in enumerate(inputs):
        proto.input[i] = "" if array is None else f"i{i}"
        if array is not None:
            feeds[f"i{i}"] = array
    names = [f"o{i}" for i in range(1 if node.op_type in _MOVES else len(proto.output))]
    del proto.output[:]
    proto.output.extend(names)
    graph = onnx.helper.make_graph(
        [proto],
        "fold",
        [onnx.helper.make_empty_tensor_value_info(name) for name in feeds],
        [onnx.helper.make_empty_tensor_value_info(name) for name in names],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            results = ReferenceEvaluator(model).run(None, feeds)
    # The reference implementation raises whatever NumPy raises on inputs that don't belong together.
    except Exception as error:
        raise _invalid(node, error) from None
    return [np.asarray(result) for result in results]


def _invalid(node: OnnxNode, error: Exception) -> ModelError:
    why = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no more is known'}"
    return ModelError(
        "its constants cannot be evaluated",
        where=node.where,
        why=why,
        todo="check the model with onnx.checker",
    )
