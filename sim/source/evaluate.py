"""Node by node in float64, with a bound on the rounding of every value."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from pulsefold.compiler.frontend.load import load_model
from pulsefold.compiler.frontend.nodes import OnnxNode, needed, read_nodes
from pulsefold.errors import ModelError
from pulsefold.sim.source.bounds import bounds
from pulsefold.sim.source.ops import BEFORE_13, OPERATORS
from pulsefold.sim.source.quantizers import QUANTIZERS

__all__ = ["Source", "State"]


@dataclass(slots=True)
class State:
    """Values of one evaluation by name, and what rounding may have done to them.

    Parameters
    ----------
    values
        In float64, or in the integer type of the source.
    errors
        An engine that rounds every result by at most u, relatively, gets each element within ``errors * u``
        of it; None is exact.
    levels, level_errors
        Behind a quantizer, while its step is the last one: its real levels and their errors.
    """

    values: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, Any] = field(default_factory=dict)
    levels: dict[str, np.ndarray] = field(default_factory=dict)
    level_errors: dict[str, np.ndarray] = field(default_factory=dict)

    def keep(self, node: OnnxNode) -> State:
        """What the quantizer `node` was given and made, for later."""
        name = node.outputs[0]
        return State(
            values={i: self.values[i] for i in node.inputs},
            levels={name: self.levels[name]},
            level_errors={name: self.level_errors[name]},
        )

    def put(self, name: str, value: Any) -> None:
        """A value taken as exact."""
        self.values[name] = value
        self.errors[name] = None


class Source:
    """The source network in float64.

    Parameters
    ----------
    path
        The ONNX file. Initializers, constants and casts are taken in float64; a quantizer's domain
        does not matter.
    """

    def __init__(self, path: Path | str) -> None:
        self.model = load_model(path)
        graph = self.model.graph
        nodes = read_nodes(graph)
        #: Names of the outputs.
        self.outputs = [value.name for value in graph.output]
        wanted = needed(nodes, self.outputs)
        #: Nodes that an output depends on, in topological order.
        self.nodes = [node for node in nodes if node.name in wanted]
        self._opset = next((o.version for o in self.model.opset_import if o.domain in ("", "ai.onnx")), 13)
        self._known: dict[str, Any] = {"": None}
        for tensor in graph.initializer:
            self._known[tensor.name] = _wide(numpy_helper.to_array(tensor))
        inputs = [value for value in graph.input if value.name not in self._known]
        #: ONNX element type of each input, as a NumPy name.
        self.inputs = {
            value.name: onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type).name
            for value in inputs
        }
        dims = inputs[0].type.tensor_type.shape.dim if inputs else []
        #: Size of the batch axis where the model fixes it.
        self.batch = dims[0].dim_value if dims and dims[0].dim_value > 0 else None
        self._others: dict[str, ReferenceEvaluator] = {}
        varying = set(self.inputs)
        self._live = []
        for node in self.nodes:
            if varying.intersection(node.inputs):
                varying.update(node.outputs)
                self._live.append(node)
            else:
                values = self._evaluate(node, [self._known[name] for name in node.inputs])
                self._known.update(zip(node.outputs, values, strict=False))
        self._last = {name: k for k, node in enumerate(self._live) for name in node.inputs if name}

    @property
    def constants(self) -> dict[str, np.ndarray]:
        """Integers that QuantizeLinear makes of constants, in their own element types."""
        live = {node.name for node in self._live}
        names = [n.outputs[0] for n in self.nodes if n.op_type == "QuantizeLinear" and n.name not in live]
        return {name: np.asarray(self._known[name]) for name in names}

    def steps(self, feeds: Mapping[str, np.ndarray], state: State) -> Iterator[OnnxNode]:
        """Evaluate node by node into `state`, whose values the caller may replace in between."""
        for name, value in self._known.items():
            state.put(name, value)
        for name, kind in self.inputs.items():
            # The model's own type first: it is what the network is given.
            state.put(name, _wide(np.asarray(feeds[name]).astype(kind)))
        for k, node in enumerate(self._live):
            inputs = [state.values[name] for name in node.inputs]
            errors = [state.errors[name] for name in node.inputs]
            quantizer = QUANTIZERS.get(node.op_type)
            if quantizer is not None:
                output = node.outputs[0]
                level = quantizer.level(inputs, node.attributes)
                filled = [
                    np.zeros(np.shape(v)) if e is None else e for v, e in zip(inputs, errors, strict=True)
                ]
                state.levels[output] = level
                state.level_errors[output] = quantizer.error(inputs, node.attributes, level, filled)
                state.put(output, quantizer.settle(level, inputs, node.attributes))
            else:
                results = self._evaluate(node, inputs)
                found = bounds(node, inputs, errors, results, self._evaluate)
                state.values.update(zip(node.outputs, results, strict=False))
                state.errors.update(zip(node.outputs, found, strict=False))
            yield node
            for name in set(node.inputs):
                if self._last.get(name) == k and name not in self.outputs:
                    del state.values[name], state.errors[name]
            for name in node.outputs:
                state.levels.pop(name, None)
                state.level_errors.pop(name, None)

    def run(self, x: np.ndarray | Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """The outputs in float64 for a batch."""
        parts = []
        for part in self.chunks(self.named(x)):
            state = State()
            for _ in self.steps(part, state):
                pass
            parts.append([np.asarray(state.values[name]) for name in self.outputs])
        return [np.concatenate(columns) for columns in zip(*parts, strict=True)]

    def named(self, x: np.ndarray | Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        """Arrays by input name; a single array is the single input's."""
        if isinstance(x, Mapping):
            return x
        if len(self.inputs) != 1:
            msg = f"the model has {len(self.inputs)} inputs"
            raise ModelError(msg, todo="give an array for each of them, by name")
        return {next(iter(self.inputs)): x}

    def chunks(self, feeds: Mapping[str, np.ndarray], size: int = 16) -> Iterator[dict[str, np.ndarray]]:
        """The batch in pieces that the model takes."""
        size = self.batch or size
        count = min(len(x) for x in feeds.values())
        if count % size and self.batch:
            msg = f"the model takes batches of {size}, and {count} frames are no multiple of that"
            raise ModelError(msg, todo=f"give a multiple of {size} frames")
        for start in range(0, count, size):
            yield {name: x[start : start + size] for name, x in feeds.items()}

    def _evaluate(self, node: OnnxNode, inputs: Sequence[Any]) -> list[Any]:
        quantizer = QUANTIZERS.get(node.op_type)
        if quantizer is not None:
            level = quantizer.level(inputs, node.attributes)
            return [quantizer.settle(level, inputs, node.attributes)]
        own = (BEFORE_13.get(node.op_type) if self._opset < 13 else None) or OPERATORS.get(node.op_type)
        if own is not None:
            return [_wide(np.asarray(own(inputs, node.attributes)))]
        if node.name not in self._others:
            self._others[node.name] = self._other(node)
        names = [name for name in dict.fromkeys(node.inputs) if name]
        feeds = {name: value for name, value in zip(node.inputs, inputs, strict=True) if name in names}
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            results = self._others[node.name].run(None, feeds)
        return [_wide(np.asarray(result)) for result in results]

    def _other(self, node: OnnxNode) -> ReferenceEvaluator:
        """onnx's reference implementation of one node, in float64."""
        proto = onnx.NodeProto()
        proto.CopyFrom(node.proto)
        for attribute in proto.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR and attribute.t.data_type in (1, 10):
                wide = numpy_helper.to_array(attribute.t).astype(np.float64)
                attribute.t.CopyFrom(numpy_helper.from_array(wide, attribute.t.name))
            elif node.op_type == "Cast" and attribute.name == "to" and attribute.i in (1, 10):
                attribute.i = onnx.TensorProto.DOUBLE
        names = [name for name in dict.fromkeys(node.inputs) if name]
        graph = onnx.helper.make_graph(
            [proto],
            "one",
            [onnx.helper.make_empty_tensor_value_info(name) for name in names],
            [onnx.helper.make_empty_tensor_value_info(name) for name in proto.output if name],
        )
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", self._opset)])
        return ReferenceEvaluator(model)


def _wide(value: np.ndarray) -> np.ndarray:
    return value.astype(np.float64) if value.dtype in (np.float32, np.float16) else value
