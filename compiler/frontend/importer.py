"""The walk over an ONNX graph that builds the integer graph."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import onnx

from pulsefold.compiler.frontend.builder import Builder
from pulsefold.compiler.frontend.fold import fold
from pulsefold.compiler.frontend.load import check_elements, load_model
from pulsefold.compiler.frontend.nodes import OnnxNode, needed, read_nodes
from pulsefold.compiler.frontend.ops.common import Call
from pulsefold.compiler.frontend.refused import DEFAULT_TODO, FIXED_SHAPE, HOST, REFUSED
from pulsefold.compiler.frontend.registry import Rule, rule_for
from pulsefold.compiler.frontend.values import Const, Hosted, Pick, Rivals, Stream, Value
from pulsefold.compiler.ir.graph import Graph, Output
from pulsefold.compiler.passes import run_passes
from pulsefold.errors import ModelError, UnsupportedNodeError

__all__ = ["Walk", "import_model", "unsupported"]

_log = logging.getLogger(__name__)

_FLOATS = {"float32", "float64", "float16"}
_INTEGERS = {"int8", "uint8", "int16", "uint16"}

#: Nodes with weights, which a circuit is for.
_PRODUCTS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "QGemm", "QLinearConv", "QLinearMatMul"})

_QUANTIZE = "quantize it first: pulsefold quantize MODEL.onnx --calibration X.npy -o Q.onnx"


def import_model(path: Path | str) -> Graph:
    """The integer graph of a quantized ONNX file, exact and in its normal form.

    Raises
    ------
    ModelError
        The file is not a model, or not a sane one, or not quantized.
    UnsupportedNodeError
        A node has no rule; the message names it and what to do.
    """
    path = Path(path)
    model = load_model(path)
    walk = Walk.start(model, str(path))
    for node in walk.nodes:
        if node.name in walk.wanted:
            walk.visit(node)
    graph = walk.finish(path.stem)
    return run_passes(graph)


@dataclass(slots=True, kw_only=True)
class Walk:
    """State of one import: what every ONNX value is so far.

    Parameters
    ----------
    where
        The file, for messages.
    nodes
        In topological order.
    wanted
        Names of the nodes that the outputs depend on.
    builder
        The graph under construction.
    opset
        Version of the default operator set.
    batch
        Size of the batch axis where the model fixes it.
    outputs
        ONNX output names.
    values
        By ONNX value name.
    """

    where: str
    nodes: list[OnnxNode]
    wanted: set[str]
    builder: Builder
    opset: int
    batch: int | None
    outputs: list[str]
    values: dict[str, Value]

    @classmethod
    def start(cls, model: onnx.ModelProto, where: str) -> Walk:
        """Read inputs, outputs, constants and nodes."""
        graph = model.graph
        nodes = read_nodes(graph)
        outputs = [value.name for value in graph.output]
        if not outputs or len(set(outputs)) < len(outputs):
            raise ModelError("it has no outputs, or one of them twice", where=where, todo="export it again")
        wanted = needed(nodes, outputs)
        given = {v.name for v in graph.input} - {t.name for t in graph.initializer}
        if not any(is_quantizer(node) for node in nodes):
            _refuse_unquantized([n for n in nodes if n.name in wanted], given, where)
        values: dict[str, Value] = {t.name: Const(value=_array(t)) for t in graph.initializer}
        used = {name for node in nodes if node.name in wanted for name in node.inputs} | set(outputs)
        # Before IR version 4 every initializer is listed among the inputs too.
        inputs = [v for v in graph.input if v.name not in values and v.name in used]
        if not inputs:
            todo = "export it with its input"
            raise ModelError("no output depends on an input", where=where, todo=todo)
        builder = Builder()
        batches = set()
        for value in inputs:
            shape, dtype, batch = _input_type(value)
            batches.add(batch)
            last = _channels_last(nodes, value.name, len(shape))
            values[value.name] = builder.source(name=value.name, shape=shape, dtype=dtype, channels_last=last)
        if len(batches) > 1:
            todo = "give all inputs the same batch axis"
            raise ModelError("its inputs have batches of different sizes", where=where, todo=todo)
        opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 13)
        return cls(
            where=where,
            nodes=nodes,
            wanted=wanted,
            builder=builder,
            opset=opset,
            batch=batches.pop(),
            outputs=outputs,
            values=values,
        )

    def visit(self, node: OnnxNode) -> tuple[str, str]:
        """Apply the rule of one node; verdict and reason as :class:`NodeReport` has them."""
        try:
            return self._visit(node)
        except UnsupportedNodeError as error:
            varying = {name for name, value in self.values.items() if not isinstance(value, Const)}
            raise _with_cut(error, node, self.nodes, varying) from None

    def _visit(self, node: OnnxNode) -> tuple[str, str]:
        inputs = [self.values[name] if name else None for name in node.inputs]
        rule = rule_for(node)
        constants = [value for value in inputs if value is None or isinstance(value, Const)]
        results: tuple[Value, ...] | list[Const]
        if len(constants) == len(inputs) and not (rule is not None and rule.folds):
            results = fold(node, constants, self.opset)
            verdict, why = "folded", "a constant"
        elif rule is None:
            raise unsupported(node)
        else:
            call = Call(
                node=node,
                inputs=tuple(inputs),
                builder=self.builder,
                opset=self.opset,
                batch=self.batch,
            )
            result = _applied(rule, call)
            results = result if isinstance(result, tuple) else (result,)
            verdict, why = rule.verdict, rule.why
            if isinstance(result, Const):
                verdict, why = "folded", "integer constants" if rule.custom else rule.why
        for name, value in zip(node.outputs, results, strict=False):
            if name:
                self.values[name] = value
        return verdict, why

    def finish(self, name: str) -> Graph:
        """The graph with its outputs."""
        outputs: list[Output] = []
        for output in self.outputs:
            value = self.values.get(output)
            where = f"output {output!r}"
            if isinstance(value, Rivals):
                msg = f"no quantizer stands between {value.node!r} and the output"
                raise UnsupportedNodeError(msg, where=where, todo="quantize the output")
            if not isinstance(value, (Stream, Pick, Hosted)):
                raise ModelError("it does not depend on the model's input", where=where, todo="remove it")
            stream = value if isinstance(value, Stream) else value.stream
            tensor, stream, steps = self.builder.finish(stream, where)
            if isinstance(value, Pick):
                if steps:
                    todo = "drop the clip: it does not change which channel wins but for ties"
                    raise UnsupportedNodeError("it picks among clipped values", where=where, todo=todo)
                picked = Output(
                    tensor=tensor,
                    name=output,
                    index=value.index[0],
                    dtype=value.dtype,
                    kind=value.kind,
                    k=value.k,
                    largest=value.largest,
                )
                outputs.append(picked)
                continue
            if isinstance(value, Hosted):
                steps = (*steps, *value.steps)
            outputs.append(
                Output(tensor=tensor, name=output, index=stream.index[0], dtype=stream.dtype, steps=steps)
            )
        nodes, tensors = self.builder.pruned(output.tensor for output in outputs)
        return Graph(
            name=name,
            inputs=tuple(self.builder.inputs),
            outputs=tuple(outputs),
            nodes=nodes,
            tensors=tensors,
        )


def _applied(rule: Rule, call: Call) -> Value | tuple[Value, ...]:
    """What a rule makes of a node; what NumPy says about operands that don't go together is the model's."""
    try:
        return rule.function(call)
    except (ArithmeticError, LookupError, MemoryError, TypeError, ValueError) as error:
        _log.debug("rule of %s", call.node.where, exc_info=True)
        why = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no more is known'}"
        msg = "its inputs and attributes do not belong together"
        todo = "check the model with onnx.checker"
        raise ModelError(msg, where=call.node.where, why=why, todo=todo) from error


def is_quantizer(node: OnnxNode) -> bool:
    """Whether a node makes integers: a quantizer, or an operator that takes and gives integers."""
    rule = rule_for(node)
    return rule is not None and rule.quantizer


def _refuse_unquantized(nodes: list[OnnxNode], inputs: set[str], where: str) -> None:
    """What stands in the way besides quantization comes first: quantizing would not help."""
    varying = set(inputs)
    for node in nodes:
        # Shapes are known, whatever the values are.
        if varying.isdisjoint(node.inputs) or node.op_type in ("Shape", "Size"):
            continue
        varying.update(node.outputs)
        if rule_for(node) is None:
            raise _with_cut(unsupported(node), node, nodes, varying - set(node.outputs))
    # The first product in floating point says more than the file does.
    products = (node.where for node in nodes if node.op_type in _PRODUCTS)
    msg = "the model is not quantized: it computes in floating point"
    raise ModelError(msg, where=next(products, where), todo=_QUANTIZE)


def _with_cut(
    error: UnsupportedNodeError, node: OnnxNode, nodes: list[OnnxNode], varying: set[str]
) -> UnsupportedNodeError:
    """The error, with the place to cut the model at where all that is left has no weights.

    Detectors end in boxes and their selection: work for the host, not for a circuit.
    """
    read = sorted(varying.intersection(node.inputs))
    behind, worked = set(node.outputs), False
    for other in nodes:
        if behind.intersection(other.inputs):
            behind.update(other.outputs)
            if other.op_type in _PRODUCTS:
                return error
        worked |= other.op_type in _PRODUCTS
    if node.op_type in _PRODUCTS or not worked or not read:
        return error
    cut = ", ".join(map(repr, read))
    rest = f"cut the model at {cut} (onnx.utils.extract_model) and compute what follows on the host"
    todo = rest if not error.todo or error.todo == HOST else f"{error.todo}; or {rest}"
    return UnsupportedNodeError(error.what, where=error.where, why=error.why, todo=todo)


def unsupported(node: OnnxNode) -> UnsupportedNodeError:
    """The error for an operator without a rule."""
    domain = f" of the domain {node.domain!r}" if node.domain else ""
    msg = f"there is no rule for {node.op_type}{domain} on activations"
    why, todo = REFUSED.get(node.op_type, ("", DEFAULT_TODO))
    return UnsupportedNodeError(msg, where=node.where, why=why, todo=todo)


def _array(tensor: onnx.TensorProto) -> np.ndarray:
    try:
        return onnx.numpy_helper.to_array(tensor)
    # onnx raises several kinds of error for tensors whose data don't fit their shape or type.
    except Exception as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        msg = "its data do not fit its shape and type"
        where = f"tensor {tensor.name!r}"
        raise ModelError(msg, where=where, why=why, todo="write the model again: it is damaged") from None


def _input_type(value: onnx.ValueInfoProto) -> tuple[tuple[int, ...], str, int | None]:
    """Shape behind the batch axis, element type, and the size of the batch axis where fixed."""
    where = f"input {value.name!r}"
    tensor = value.type.tensor_type
    try:
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)).name
    except KeyError:
        dtype = "unknown"
    if dtype not in _FLOATS | _INTEGERS:
        todo = "give an input of float32, or int8 or uint8"
        raise ModelError(f"its element type is {dtype}", where=where, todo=todo)
    dims = [d.dim_value for d in tensor.shape.dim]
    shown = [d.dim_value or d.dim_param or "?" for d in tensor.shape.dim]
    if len(dims) < 2:
        raise ModelError(
            f"its shape is {shown}", where=where, todo="give it a batch axis and at least one more"
        )
    if any(d < 1 for d in dims[1:]):
        todo = f"fix every size but the batch: {FIXED_SHAPE}"
        raise ModelError(f"its shape {shown} leaves open more than the batch", where=where, todo=todo)
    check_elements(dims[1:], where)
    if prod(dims[1:]) > 1 << 24:
        raise ModelError(
            f"its shape is {shown}", where=where, todo="give frames of at most 16 million elements"
        )
    return tuple(dims[1:]), dtype, dims[0] if dims[0] > 0 else None


#: What keeps the axes of its first input.
_ELEMENTWISE = frozenset(
    {
        "Add", "BipolarQuant", "Cast", "Clip", "DequantizeLinear", "Div", "Identity", "Mul", "Quant",
        "QuantizeLinear", "Relu", "Sub"
    }
)  # fmt: skip


def _channels_last(nodes: list[OnnxNode], name: str, rank: int) -> bool:
    """Whether an input's last axis is that of its channels, as its first readers show."""
    if rank < 2:
        return False
    for node in nodes:
        if name not in node.inputs:
            continue
        if node.op_type == "Transpose":
            return list(node.attributes.get("perm", ())) == [0, rank, *range(1, rank)]
        if node.op_type == "MultiThreshold":
            return node.text("data_layout", "NCHW") == "NHWC"
        if node.op_type == "MatMul":
            return True
        if node.op_type not in _ELEMENTWISE:
            return False
        name = node.outputs[0]
    return False
