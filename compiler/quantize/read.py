"""From a file to the float network: refusals first, then one element type and one opset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from pulsefold.compiler.frontend.load import load_model
from pulsefold.compiler.frontend.nodes import OnnxNode, needed, read_nodes
from pulsefold.compiler.frontend.refused import FIXED_SHAPE, REFUSED
from pulsefold.compiler.quantize.constants import fold_constants
from pulsefold.compiler.quantize.graph import FloatGraph, Node
from pulsefold.compiler.quantize.upgrade import upgrade
from pulsefold.errors import ModelError, UnsupportedNodeError

__all__ = ["read_float"]

_HALF = (TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)
_INPUTS = (*_HALF, TensorProto.FLOAT, TensorProto.UINT8, TensorProto.INT8)

_QUANTIZED = frozenset(
    {
        "BipolarQuant",
        "ConvInteger",
        "DynamicQuantizeLinear",
        "FloatQuant",
        "IntQuant",
        "MatMulInteger",
        "MultiThreshold",
        "Quant",
        "QuantizeLinear",
        "Trunc",
    }
)


def read_float(path: Path, opset: int) -> FloatGraph:
    """The network in a file, in float32 and at least the opset given, constants folded.

    Raises
    ------
    ModelError
        The file is no model, not a sane one, or quantized already.
    UnsupportedNodeError
        A node that has no place in a feed-forward network of integers; the message names it.
    """
    model = load_model(path)
    where = str(path)
    nodes = read_nodes(model.graph)
    outputs = [value.name for value in model.graph.output]
    if not outputs or len(set(outputs)) < len(outputs):
        raise ModelError("it has no outputs, or one of them twice", where=where, todo="export it again")
    wanted = needed(nodes, outputs)
    nodes = [node for node in nodes if node.name in wanted]
    constants = {t.name: _array(t) for t in model.graph.initializer}
    varying = {v.name for v in model.graph.input if v.name not in constants}
    for node in nodes:
        drawn = node.op_type in REFUSED and not node.inputs
        if (varying.isdisjoint(node.inputs) and not drawn) or node.op_type in ("Shape", "Size"):
            continue
        varying.update(node.outputs)
        refuse(node)
    used = {name for node in nodes for name in node.inputs}
    # Before IR version 4 every initializer is listed among the inputs too.
    inputs = [v for v in model.graph.input if v.name not in constants and v.name in used]
    if not inputs:
        raise ModelError("it has no inputs", where=where, todo="export it again")
    declared = [_declared(value, where) for value in inputs]
    batches = {v.name: v.type.tensor_type.shape.dim[0].dim_value for v in declared}
    if len(set(batches.values())) > 1:
        shown = ", ".join(f"{size or 'any'} of {name}" for name, size in batches.items())
        todo = "give all inputs the same batch axis"
        raise ModelError(f"its inputs have different batches: {shown}", where=where, todo=todo)
    version = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)
    graph = FloatGraph(
        name=model.graph.name or path.stem,
        nodes=[_node(node) for node in nodes],
        constants=constants,
        inputs=declared,
        outputs=[_float32(value) for value in model.graph.output],
        opset=version,
    )
    del model
    # Values in the graph, so that inference knows what is reshaped to what.
    fold_constants(graph, only=frozenset({"Constant"}))
    upgrade(graph, opset)
    fold_constants(graph)
    graph.prune()
    return graph


def refuse(node: OnnxNode) -> None:
    """Refuse what can never be quantized here, by name."""
    kind = node.op_type
    if kind in _QUANTIZED or kind.startswith("QLinear"):
        todo = "give the float model it was made from"
        raise ModelError("the model is quantized already", where=node.where, todo=todo)
    if kind in REFUSED:
        why, todo = REFUSED[kind]
        raise UnsupportedNodeError(f"{kind} is not supported", where=node.where, why=why, todo=todo)
    if node.domain:
        todo = "export the model with standard ONNX operators alone"
        msg = f"operators of the domain {node.domain!r} are not supported"
        raise UnsupportedNodeError(msg, where=node.where, todo=todo)


def _node(node: OnnxNode) -> Node:
    attributes = {name: _attribute(value) for name, value in node.attributes.items()}
    if node.op_type in ("Cast", "EyeLike", "RandomNormal") and "to" in attributes:
        attributes["to"] = TensorProto.FLOAT if attributes["to"] in _HALF else attributes["to"]
    return Node(
        name=node.name,
        op=node.op_type,
        inputs=list(node.inputs),
        outputs=list(node.outputs),
        attributes=attributes,
    )


def _attribute(value: Any) -> Any:
    if isinstance(value, TensorProto):
        return numpy_helper.from_array(_array(value), value.name)
    return list(value) if isinstance(value, (list, tuple)) else value


def _array(tensor: TensorProto) -> np.ndarray:
    """A tensor, floats of other widths as float32."""
    try:
        array = numpy_helper.to_array(tensor)
        if tensor.data_type in _HALF:
            array = array.astype(np.float32)
    # onnx raises several kinds of error for tensors whose data don't fit their shape or type.
    except Exception as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        msg = "its data do not fit its shape and type"
        where = f"tensor {tensor.name!r}"
        raise ModelError(msg, where=where, why=why, todo="write the model again: it is damaged") from None
    return array


def _float32(value: onnx.ValueInfoProto) -> onnx.ValueInfoProto:
    made = onnx.ValueInfoProto()
    made.CopyFrom(value)
    if made.type.tensor_type.elem_type in _HALF:
        made.type.tensor_type.elem_type = TensorProto.FLOAT
    return made


def _declared(value: onnx.ValueInfoProto, where: str) -> onnx.ValueInfoProto:
    kind = value.type.tensor_type
    if kind.elem_type not in _INPUTS:
        name = TensorProto.DataType.Name(kind.elem_type)
        todo = "give a model with an input of floats or 8-bit integers"
        raise ModelError(f"its input {value.name!r} holds {name}", where=where, todo=todo)
    sizes = [d.dim_value for d in kind.shape.dim]
    if len(sizes) < 2 or any(size < 1 for size in sizes[1:]):
        shown = [d.dim_value or d.dim_param or "?" for d in kind.shape.dim]
        todo = f"fix every size but the batch: {FIXED_SHAPE}"
        if len(sizes) < 2:
            todo = "give it a batch axis and at least one more; or make it a constant"
        msg = f"its input {value.name!r} has the shape {shown}"
        raise ModelError(msg, where=where, todo=todo)
    return _float32(value)
